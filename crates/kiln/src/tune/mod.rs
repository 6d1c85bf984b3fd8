//! Choosing kernels by measurement: for each problem of a model the candidates with the best estimates are run on the device,
//! and the fastest one is recorded, for this model and for others with the same problem.
//!
//! ```no_run
//! use kiln::tune::{Settings, tune};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = kiln::default_device()?;
//! let opened = kiln::Device::open(&kiln::DeviceOptions::from_env(), &kiln::requirements_of(&device))?;
//! let model = kiln::Model::read("net.onnx".as_ref(), &Default::default())?;
//! let mut options = kiln::Options { target: kiln::target_for(&device), ..Default::default() };
//! let compile = |options: &kiln::Options| Ok(kiln::compile(&model.graph, options)?);
//! let tuning = tune(&opened, &compile, &options, "inference", &Settings::default(), &mut ())?;
//! tuning.apply(&mut options.preferences.records);
//! let compiled = compile(&options)?;
//! # Ok(())
//! # }
//! ```

mod contest;
mod feed;
mod records;
mod speeds;

use std::time::{Duration, Instant};

use kiln_compile::{Compiled, Options, Record, Records, Selection};
use kiln_runtime::{Device, RuntimeError, Session};

use crate::Error;
use contest::Arena;
use feed::{Feed, borrowed, of_program};
pub use records::{DeviceKey, RecordError, RecordFile, cache_folder};
pub use speeds::{SpeedSource, known_target_of, target_of};

/// A kernel replaces the one that would be taken without measuring if it is faster by more than this.
const WORTH_IT: f64 = 1.05;
/// Share of the time in which problems are measured; the rest is for the program as a whole.
const SHARE_OF_PROBLEMS: f64 = 0.8;
/// Runs of the program as a whole, before and after, in turn.
const CONFIRMING_RUNS: usize = 7;
/// Of these, no more than take so long, but one at least.
const CONFIRMING_SECONDS: f64 = 10.0;

/// How a model, or a step of its training, is compiled with other options.
pub type Compile<'a> = dyn Fn(&Options) -> Result<Compiled, Error> + 'a;

/// How much is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long it may take, in seconds, about: what was begun is finished.
    pub seconds: f64,
    /// Candidates for a problem.
    pub candidates: usize,
}

impl Default for Settings {
    /// Eight candidates, 20 seconds.
    fn default() -> Self {
        Self { seconds: 20.0, candidates: 8 }
    }
}

/// Whoever watches, and can stop it.
pub trait Observer {
    /// A problem of `count` is about to be measured.
    fn problem(&mut self, _number: usize, _count: usize, _layers: &str) {}
    /// Whether to stop measuring. What was measured is kept.
    fn is_stopped(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It takes so long.
    Seconds(f64),
    /// Its results are not what the evaluator computes, so it is not used.
    Wrong,
    /// The device did not run it.
    Failed(String),
    /// There was no time for it.
    Left,
}

/// A candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The choice, in its text form.
    pub choice: String,
    /// What it is estimated to take, in seconds.
    pub estimate: f64,
    /// What it took.
    pub outcome: Outcome,
}

impl Entry {
    /// Seconds, if it was measured.
    pub fn seconds(&self) -> Option<f64> {
        match self.outcome {
            Outcome::Seconds(seconds) => Some(seconds),
            Outcome::Wrong | Outcome::Failed(_) | Outcome::Left => None,
        }
    }
}

/// What was measured for a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// The first of the layers that have this problem.
    pub layers: String,
    /// How many groups of layers have it.
    pub groups: usize,
    /// The problem's key.
    pub key: String,
    /// See [`Selection::kernels`].
    pub kernels: u32,
    /// Seconds that its groups took in the program, before.
    pub share: f64,
    /// What was chosen before; it is the first of the candidates.
    pub before: String,
    /// What is chosen now.
    pub choice: String,
    /// The candidates.
    pub entries: Vec<Entry>,
}

impl Contest {
    /// What a candidate takes, if it was measured.
    pub fn seconds_of(&self, choice: &str) -> Option<f64> {
        self.entries.iter().find(|entry| entry.choice == choice)?.seconds()
    }

    /// How many times as fast the choice is as what was chosen before.
    pub fn gain(&self) -> f64 {
        let times = self.seconds_of(&self.before).zip(self.seconds_of(&self.choice));
        times.map_or(1.0, |(before, now)| before / now)
    }

    /// How many times as long what was chosen before takes as the fastest of all.
    pub fn behind(&self) -> Option<f64> {
        let best = self.entries.iter().filter_map(Entry::seconds).fold(f64::INFINITY, f64::min);
        Some(self.seconds_of(&self.before)? / best)
    }

    /// The fastest, if it is worth it.
    fn decide(&mut self) {
        let timed = self.entries.iter().filter_map(|entry| Some((entry.seconds()?, &entry.choice)));
        let best = timed.min_by(|(a, _), (b, _)| a.total_cmp(b));
        let before = self.seconds_of(&self.before);
        self.choice = match best {
            Some((seconds, choice)) if before.is_none_or(|before| before > WORTH_IT * seconds) => {
                choice.clone()
            }
            _ => self.before.clone(),
        };
    }
}

/// The whole program with the kernels of before and of now, in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirmation {
    /// Seconds of a run, before.
    pub before: f64,
    /// Seconds of a run with what was measured to be faster.
    pub after: f64,
}

impl Confirmation {
    /// Whether it is faster as a whole.
    pub fn is_better(&self) -> bool {
        self.after < self.before
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// What was measured, by the time that it takes in the program.
    pub contests: Vec<Contest>,
    /// Problems that were measured earlier.
    pub known: usize,
    /// Problems that there was no time for.
    pub left: usize,
    /// Layers whose problem cannot be measured by itself.
    pub whole_only: Vec<String>,
    /// The whole program, if anything is chosen that was not before. If it is not faster, all stays as it was.
    pub confirmation: Option<Confirmation>,
}

impl Tuning {
    /// Adds what was found to records.
    pub fn apply(&self, records: &mut Records) {
        for Contest { key, choice, kernels, .. } in &self.contests {
            records.insert(key.clone(), Record { choice: choice.clone(), kernels: *kernels });
        }
    }
}

/// Measures the problems of a program of what `compile` makes with `options`, those that take longest first. Problems with
/// a record among the options are not measured again. `device` has to be open with all that the target has.
pub fn tune(
    device: &Device,
    compile: &Compile<'_>,
    options: &Options,
    program: &str,
    settings: &Settings,
    observer: &mut dyn Observer,
) -> Result<Tuning, Error> {
    let end = |share: f64| Instant::now() + Duration::from_secs_f64(settings.seconds.clamp(0.0, 1e6) * share);
    let until = end(SHARE_OF_PROBLEMS);
    // Kernels are timed one by one, and the whole as it will run.
    let compiled = compile(&Options { separate: true, ..options.clone() })?;
    let unknown = || RuntimeError::NoSuchProgram {
        wanted: program.into(),
        there: compiled.plan.programs.iter().map(|program| program.name.clone()).collect(),
    };
    let of_plan = compiled.plan.program(program).ok_or_else(unknown)?;
    let parts = compiled.programs.iter().find(|other| other.name == program).ok_or_else(unknown)?;
    let feed = of_program(&compiled.plan, of_plan)?;
    let mut session = Session::load(device, &compiled.plan)?;
    session.run_program(program, &borrowed(&feed))?;
    let taken = kernel_seconds(&mut session, program, &feed, of_plan.dispatches.len())?;
    let Pending { contests: mut pending, known } = pending(&parts.selections, &taken, options);
    // Symbols as the plan has them: what is the same for the graph has one name there.
    let symbols = compiled.plan.symbols.iter().map(|symbol| (symbol.name.clone(), symbol.max)).collect();
    let arena_options = Options { max: symbols, ..options.clone() };
    let arena = Arena { device, options: &arena_options, settings };
    let count = pending.len();
    let (mut contests, mut whole_only) = (Vec::new(), Vec::new());
    while !pending.is_empty() && Instant::now() < until && !observer.is_stopped() {
        let (mut contest, selection) = pending.remove(0);
        observer.problem(count - pending.len(), count, &contest.layers);
        let go_on = || Instant::now() < until && !observer.is_stopped();
        match arena.hold(parts, selection, &go_on)? {
            Some(entries) => {
                contest.entries = entries;
                contest.decide();
                contests.push(contest);
            }
            None => whole_only.push(contest.layers),
        }
    }
    // What was not measured at all says nothing.
    let mut left = pending.len() + contests.len();
    contests.retain(|contest| contest.seconds_of(&contest.choice).is_some());
    left -= contests.len();
    let mut tuning = Tuning { contests, known, left, whole_only, confirmation: None };
    if tuning.contests.iter().any(|contest| contest.choice != contest.before) {
        let mut after = options.clone();
        tuning.apply(&mut after.preferences.records);
        let [before, after] = [options, &after]
            .map(|options| -> Result<Session, Error> { Ok(Session::load(device, &compile(options)?.plan)?) });
        let confirmation = confirm([before?, after?], program, &feed)?;
        if !confirmation.is_better() {
            tuning.contests.iter_mut().for_each(|contest| contest.choice.clone_from(&contest.before));
        }
        tuning.confirmation = Some(confirmation);
    }
    Ok(tuning)
}

/// Seconds of each dispatch; zeros where the device cannot tell.
fn kernel_seconds(
    session: &mut Session,
    program: &str,
    feed: &Feed,
    dispatches: usize,
) -> Result<Vec<f64>, Error> {
    let mut taken = vec![0.0; dispatches];
    if session.device().capabilities().timestamps {
        for kernel in session.profile(program, &borrowed(feed), 3)?.kernels {
            taken.get_mut(kernel.dispatch).into_iter().for_each(|taken| *taken = kernel.seconds);
        }
    }
    Ok(taken)
}

/// What is to be measured.
struct Pending<'a> {
    contests: Vec<(Contest, &'a Selection)>,
    known: usize,
}

/// Problems with something to choose from, those that take longest first, each with one of its groups.
fn pending<'a>(selections: &'a [Selection], taken: &[f64], options: &Options) -> Pending<'a> {
    let mut all: Vec<(Contest, &Selection)> = Vec::new();
    for selection in selections {
        if selection.candidates.iter().filter(|candidate| candidate.refusal.is_none()).count() < 2 {
            continue;
        }
        let key = selection.key.clone();
        let share: f64 = taken.get(selection.dispatches.clone()).unwrap_or_default().iter().sum();
        if let Some((contest, _)) = all.iter_mut().find(|(contest, _)| contest.key == key) {
            contest.share += share;
            contest.groups += 1;
            continue;
        }
        let before = selection.choice().to_string();
        let contest = Contest {
            layers: selection.group.clone(),
            groups: 1,
            key,
            kernels: selection.kernels,
            share,
            choice: before.clone(),
            before,
            entries: vec![],
        };
        all.push((contest, selection));
    }
    let records = &options.preferences.records;
    let is_known =
        |contest: &Contest| records.get(&contest.key).is_some_and(|record| record.kernels == contest.kernels);
    let count = all.len();
    all.retain(|(contest, _)| !is_known(contest));
    let known = count - all.len();
    all.sort_by(|(a, _), (b, _)| b.share.total_cmp(&a.share));
    Pending { contests: all, known }
}

/// Runs two plans in turn.
fn confirm(mut sessions: [Session; 2], program: &str, feed: &Feed) -> Result<Confirmation, Error> {
    let start = Instant::now();
    let mut best = [f64::INFINITY; 2];
    for session in &mut sessions {
        session.run_program(program, &borrowed(feed))?;
    }
    for run in 0..CONFIRMING_RUNS {
        if run > 0 && start.elapsed().as_secs_f64() > CONFIRMING_SECONDS {
            break;
        }
        for (session, best) in sessions.iter_mut().zip(&mut best) {
            let mut replay = session.prepare(program, &borrowed(feed))?;
            let start = Instant::now();
            replay.run()?;
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let [before, after] = best;
    Ok(Confirmation { before, after })
}
