//! What was measured on a device: the best choice for a problem.
//!
//! A record holds for as long as the same kernels are to choose from. So it has a checksum of the candidates and of their
//! templates, and is passed over where that is another one.

use std::collections::BTreeMap;

use super::enumerate::Candidate;
use crate::kernels::family::Family;

/// The best choice for a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The choice, in its text form.
    pub choice: String,
    /// What it was chosen from, see [`Selection::kernels`](crate::Selection::kernels).
    pub kernels: u32,
}

/// Records by the [`key`](crate::Problem::key) of the problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    records: BTreeMap<String, Record>,
}

impl Records {
    /// Notes the best choice for a problem.
    pub fn insert(&mut self, key: impl Into<String>, record: Record) {
        self.records.insert(key.into(), record);
    }

    /// The record of a problem, if it was measured.
    pub fn get(&self, key: &str) -> Option<&Record> {
        self.records.get(key)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// A checksum of the candidates, whether a target admits them or not, and of the templates of their families: a plan for a
/// device that is not here is made for fewer limits than the device has.
pub(crate) fn checksum(table: &[&Family], candidates: &[Candidate]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for candidate in candidates {
        hasher.update(candidate.choice.to_string().as_bytes());
        hasher.update(b"\n");
    }
    let are_candidates = |family: &&&Family| candidates.iter().any(|c| c.choice.family == family.name);
    for (_, text) in table.iter().filter(are_candidates).flat_map(|family| family.templates) {
        hasher.update(text.as_bytes());
    }
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.finalize()
}
