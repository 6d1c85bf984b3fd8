//! Which candidate it is: pinned, else recorded, else the cheapest.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::enumerate::{Candidate, Refusal, candidates};
use super::records::{Records, checksum};
use crate::kernels::family::{Choice, Family};
use crate::kernels::problem::Problem;
use crate::target::Target;

/// What a caller says of choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Choices in their text form, by the name of a layer's group; `*` is any group. One that is not among the admitted
    /// candidates of a group is passed over there.
    pub pinned: BTreeMap<String, String>,
    /// What was measured.
    pub records: Records,
    /// Whether only kernels are admitted whose sums are of the products that an operator is defined by, in some order. If
    /// nothing is said, plans that train are precise: deep networks have units so near zero that larger rounding errors
    /// switch them, and trainings part.
    pub precise: Option<bool>,
}

impl Preferences {
    /// The key of a problem's record: with fewer kernels to choose from, another one may be the fastest.
    fn key(&self, problem: &Problem) -> String {
        let key = problem.key();
        if self.precise == Some(true) { key + ", precise" } else { key }
    }
}

/// Why a candidate was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller wants it.
    Pinned,
    /// It was measured to be the best.
    Recorded,
    /// Its estimate is the lowest.
    Cheapest,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pinned => "pinned",
            Self::Recorded => "recorded",
            Self::Cheapest => "cheapest",
        })
    }
}

/// What was chosen for a group, and from what.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The group's name.
    pub group: String,
    /// The group's place among those of the program; that of the loop for a group of its body.
    pub place: usize,
    /// What it computes.
    pub problem: Problem,
    /// All candidates.
    pub candidates: Vec<Candidate>,
    /// The number of the chosen one.
    pub chosen: usize,
    /// Why.
    pub reason: Reason,
    /// The key of its record.
    pub key: String,
    /// A checksum of the candidates and of their kernels: what was measured holds where it is the same.
    pub kernels: u32,
    /// Launches for the group, layout conversions included, by their names.
    pub launches: Vec<String>,
    /// Which dispatches of the program these are, if each kernel is one ([`Options::separate`](crate::Options::separate)); none
    /// for a group of a loop's body.
    pub dispatches: Range<usize>,
}

impl Selection {
    /// What was chosen.
    pub fn choice(&self) -> &Choice {
        &self.candidates[self.chosen].choice
    }
}

/// The choice for a problem, with all candidates; an error is what the last of these, the most general, lacks.
pub(crate) fn choose(
    table: &[&Family],
    group: &str,
    problem: Problem,
    target: &Target,
    preferences: &Preferences,
) -> Result<Selection, String> {
    let candidates = candidates(table, &problem, target, preferences.precise.unwrap_or(false));
    let admitted = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.refusal.is_none());
    let named = |text: &str| admitted().find(|(_, c)| c.choice.to_string() == text).map(|(n, _)| n);
    let pinned = preferences.pinned.get(group).or_else(|| preferences.pinned.get("*"));
    let kernels = checksum(table, &candidates);
    let key = preferences.key(&problem);
    let record = || preferences.records.get(&key).filter(|record| record.kernels == kernels);
    let recorded = || record().and_then(|record| named(&record.choice));
    let cheapest = || admitted().min_by(|(_, a), (_, b)| a.time.total_cmp(&b.time)).map(|(n, _)| n);
    let found = pinned
        .and_then(|text| named(text))
        .map(|n| (n, Reason::Pinned))
        .or_else(|| recorded().map(|n| (n, Reason::Recorded)))
        .or_else(|| cheapest().map(|n| (n, Reason::Cheapest)));
    let Some((chosen, reason)) = found else {
        return Err(nothing_fits(&candidates));
    };
    Ok(Selection {
        group: group.into(),
        place: 0,
        problem,
        candidates,
        chosen,
        reason,
        key,
        kernels,
        launches: vec![],
        dispatches: 0..0,
    })
}

/// That no candidate is admitted: what the last of them, the most general, needs.
fn nothing_fits(candidates: &[Candidate]) -> String {
    let Some((candidate, refusal)) = candidates.iter().rev().find_map(|c| Some((c, c.refusal.as_ref()?)))
    else {
        return "has no kernel".into();
    };
    let hint = match refusal {
        Refusal::LoopIterations { .. } => {
            "; software drivers stop longer loops, GPUs do not (`--target gpu`)"
        }
        Refusal::Invocations { .. }
        | Refusal::WorkgroupMemory { .. }
        | Refusal::SubgroupSize { .. }
        | Refusal::Binding { .. }
        | Refusal::Rearranged => "",
    };
    format!("no kernel fits the target: `{}` {refusal}{hint}", candidate.choice.family)
}
