//! The candidates for one problem against one another: each computes the group by itself, is compared with the evaluator,
//! and then timed in turn with the others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use kiln_compile::{CompiledProgram, Isolated, Options, Selection, compile_isolated, own_selection};
use kiln_graph::compare::apart;
use kiln_graph::{Bindings, DType, Graph, Precision, Tensor, evaluate};
use kiln_runtime::{Device, Session};

use super::feed::{Feed, borrowed, of_graph};
use super::{Entry, Outcome, Settings};
use crate::{Error, from_host, graph::GraphError};

/// Samples of each candidate, at least.
const FEWEST_SAMPLES: usize = 3;
/// Samples of each candidate, at most.
const MOST_SAMPLES: usize = 10;
/// A candidate that takes so many times as long as the best one is not measured any further.
const HOPELESS: f64 = 1.5;
/// A replay is repeated for so long where the device has no timestamps, or they say nothing.
const BATCH_SECONDS: f64 = 0.01;
/// The batch, or whatever varies, of the run that is compared.
const COMPARED_SIZE: i64 = 2;
/// Difference that is allowed, of the largest value that is expected: other orders of sums, and Winograd's transforms.
const TOLERANCE: f64 = 1e-4;
/// The same where something is stored in 16 bits.
const TOLERANCE_OF_HALVES: f64 = 1e-2;

/// A candidate on the device.
struct Runner {
    choice: String,
    session: Session,
    dispatches: Range<usize>,
    samples: Vec<f64>,
}

impl Runner {
    fn best(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Seconds of one run of the group, without what surrounds it.
    fn sample(&mut self, feed: &Feed) -> Result<f64, Error> {
        if self.session.device().capabilities().timestamps {
            let profile = self.session.profile("group", &borrowed(feed), 1)?;
            let own = profile.kernels.iter().filter(|kernel| self.dispatches.contains(&kernel.dispatch));
            let seconds: f64 = own.map(|kernel| kernel.seconds).sum();
            if seconds > 0.0 {
                return Ok(seconds);
            }
        }
        let mut replay = self.session.prepare("group", &borrowed(feed))?;
        replay.run()?;
        let start = Instant::now();
        let mut runs = 0u32;
        while runs == 0 || start.elapsed().as_secs_f64() < BATCH_SECONDS {
            replay.run()?;
            runs += 1;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(runs))
    }
}

/// What is needed to hold contests.
pub(super) struct Arena<'a> {
    pub device: &'a Device,
    /// As the whole program was compiled.
    pub options: &'a Options,
    pub settings: &'a Settings,
}

impl Arena<'_> {
    /// Measures the candidates of a group, the best estimates first. `None`: the group is another problem when it stands by
    /// itself, so that nothing would be learned. `go_on` says whether there is time for more.
    pub(super) fn hold(
        &self,
        program: &CompiledProgram,
        selection: &Selection,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Entry>>, Error> {
        let Some(isolated) = program.isolated(selection, self.options) else { return Ok(None) };
        let mut entries = self.entrants(selection);
        let mut runners = Vec::new();
        let compared = Compared::new(&isolated.graph, &self.bindings(&isolated.graph, COMPARED_SIZE))?;
        for entry in &mut entries {
            if !go_on() {
                break;
            }
            match self.enter(&isolated, selection, &entry.choice) {
                Err(Error::Runtime(error)) => entry.outcome = Outcome::Failed(error.to_string()),
                Err(error) => return Err(error),
                Ok(None) => return Ok(None),
                Ok(Some(mut runner)) => match compared.check(&mut runner.session) {
                    Ok(true) => runners.push(runner),
                    Ok(false) => entry.outcome = Outcome::Wrong,
                    Err(error) => entry.outcome = Outcome::Failed(error.to_string()),
                },
            }
        }
        let (feed, _) = of_graph(&isolated.graph, &self.bindings(&isolated.graph, i64::MAX))?;
        for (choice, seconds) in time(runners, &feed, go_on)? {
            entries
                .iter_mut()
                .filter(|entry| entry.choice == choice)
                .for_each(|e| e.outcome = Outcome::Seconds(seconds));
        }
        Ok(Some(entries))
    }

    /// The candidates with the best estimates, and the one that would be taken.
    fn entrants(&self, selection: &Selection) -> Vec<Entry> {
        let mut admitted: Vec<_> = selection.candidates.iter().filter(|c| c.refusal.is_none()).collect();
        admitted.sort_by(|a, b| a.time.total_cmp(&b.time));
        let chosen = selection.choice();
        let rest = admitted.into_iter().filter(|candidate| candidate.choice != *chosen);
        let most = self.settings.candidates.saturating_sub(1);
        let all = [&selection.candidates[selection.chosen]].into_iter().chain(rest.take(most));
        all.map(|candidate| Entry {
            choice: candidate.choice.to_string(),
            estimate: candidate.time * 1e-9,
            outcome: Outcome::Left,
        })
        .collect()
    }

    /// The maxima of symbols, but no more than `most`, unless something is assumed of sizes.
    fn bindings(&self, graph: &Graph, most: i64) -> Bindings {
        let free = graph.guards().is_empty();
        let max = |name: &str| self.options.max.get(name).map_or(1, |max| i64::from(*max));
        let value = |max: i64| if free { max.min(most) } else { max };
        graph.symbols().into_iter().map(|symbol| (symbol.clone(), value(max(&symbol)))).collect()
    }

    /// A candidate's plan on the device; `None` if it is a plan for another problem.
    fn enter(
        &self,
        isolated: &Isolated,
        selection: &Selection,
        choice: &str,
    ) -> Result<Option<Runner>, Error> {
        let mut options = self.options.clone();
        options.preferences.pinned = BTreeMap::from([(selection.group.clone(), choice.to_owned())]);
        let compiled = compile_isolated(isolated, &options)?;
        let Some(made) = own_selection(&compiled).filter(|made| made.choice().to_string() == choice) else {
            return Ok(None);
        };
        let session = Session::load(self.device, &compiled.plan)?;
        let dispatches = made.dispatches.clone();
        Ok(Some(Runner { choice: choice.into(), session, dispatches, samples: vec![] }))
    }
}

/// Times runners in turn, and gives the best time of each that was timed at all.
fn time(
    mut runners: Vec<Runner>,
    feed: &Feed,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<(String, f64)>, Error> {
    let mut done = Vec::new();
    for runner in &mut runners {
        // The first run of other sizes sets parameters; the driver has compiled before.
        runner.sample(feed)?;
    }
    for round in 0..MOST_SAMPLES {
        if round >= FEWEST_SAMPLES && (!go_on() || runners.len() < 2) {
            break;
        }
        for runner in &mut runners {
            let seconds = runner.sample(feed)?;
            runner.samples.push(seconds);
        }
        if round + 1 >= FEWEST_SAMPLES {
            let best = runners.iter().map(Runner::best).fold(f64::INFINITY, f64::min);
            let (stay, leave) =
                runners.into_iter().partition(|runner: &Runner| runner.best() <= HOPELESS * best);
            runners = stay;
            done.extend(leave);
        }
    }
    Ok(done.into_iter().chain(runners).map(|runner| (runner.choice.clone(), runner.best())).collect())
}

/// Inputs with what they should give.
struct Compared {
    feed: Feed,
    expected: Vec<(String, Tensor)>,
    tolerance: f64,
}

impl Compared {
    fn new(graph: &Graph, symbols: &Bindings) -> Result<Self, Error> {
        let (feed, tensors) = of_graph(graph, symbols)?;
        let evaluated = evaluate(graph, &tensors, Precision::F64)?;
        let halves = graph.values().iter().any(|value| value.ty.dtype == DType::F16);
        let tolerance = if halves { TOLERANCE_OF_HALVES } else { TOLERANCE };
        Ok(Self { feed, expected: evaluated.outputs().to_vec(), tolerance })
    }

    /// Whether a plan gives that.
    fn check(&self, session: &mut Session) -> Result<bool, Error> {
        let found = session.run(&borrowed(&self.feed))?;
        for (name, expected) in &self.expected {
            let found = from_host(found.get(name)?).map_err(GraphError::from)?;
            if apart(&expected.to_f64(), &found.to_f64(), f64::MIN_POSITIVE) > self.tolerance {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
