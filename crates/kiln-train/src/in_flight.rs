//! Steps that the device has been given, or will be, and whose losses have not been looked at.
//!
//! While the device computes steps, the host prepares the next ones: it reads losses a few steps late. If one is not finite, the
//! step has changed nothing, and those behind it have not either (`kiln_compile::train::FAILED`). Steps that take less time than
//! a submission are submitted several at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kiln_runtime::Started;

use crate::loader::Batch;
use crate::schedule::Position;
use crate::step::Rate;

/// Submissions in flight, at most: one is computed and one waits for the device.
pub(crate) const MOST: usize = 2;

/// What steps of a submission take together, if they are not more than [`MOST_STEPS`]: many times what submitting takes, and too
/// little to be noticed by whoever stops a training.
const SUBMISSION: Duration = Duration::from_millis(4);

/// Steps of a submission, if it is not said how many.
const MOST_STEPS: usize = 16;

/// A step whose outcome has not been looked at.
pub(crate) struct Flying {
    /// Its batch.
    pub batch: Batch,
    /// Where training stands with it.
    pub position: Position,
    /// The other inputs.
    pub rate: Rate,
    /// Whether it is the last batch of its epoch.
    pub is_last: bool,
    /// The run, once it is submitted.
    pub run: Option<Started>,
}

/// The steps in flight, and where training will stand after them.
pub(crate) struct InFlight {
    /// In order; those that are held are behind those that are not.
    pub steps: VecDeque<Flying>,
    /// Steps of the optimizer that have been taken in.
    pub step: u64,
    /// Batches of the epoch that have been taken in.
    pub batch: usize,
    /// Steps that are submitted together.
    pub together: usize,
}

impl InFlight {
    /// None yet, after so many steps and batches.
    pub(crate) fn new(step: u64, batch: usize, together: usize) -> Self {
        Self { steps: VecDeque::new(), step, batch, together }
    }

    /// Adds a step that was just started, or will be.
    pub(crate) fn push(&mut self, flying: Flying) {
        self.batch += 1;
        self.step += u64::from(flying.rate.update);
        self.steps.push_back(flying);
    }

    /// How many are not submitted.
    pub(crate) fn held(&self) -> usize {
        self.steps.iter().rev().take_while(|flying| flying.run.is_none()).count()
    }
}

/// What steps take, as seen from one outcome to the next.
pub(crate) struct Pace {
    /// Of one step: the least of means over submissions, as others wait for other things.
    least: Option<Duration>,
    /// Outcomes since `since`.
    seen: u32,
    since: Instant,
}

impl Pace {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        Self { least: None, seen: 0, since: Instant::now() }
    }

    /// Notes that an outcome is known.
    pub(crate) fn note(&mut self) {
        const MEAN: u32 = 32;
        self.seen += 1;
        if self.seen == MEAN {
            let mean = self.since.elapsed() / MEAN;
            self.least = Some(self.least.map_or(mean, |least| least.min(mean)));
            *self = Self { least: self.least, ..Self::new() };
        }
    }

    /// How many steps are to be submitted together.
    pub(crate) fn together(&self) -> usize {
        let Some(least) = self.least else { return 1 };
        let fitting = SUBMISSION.as_nanos() / least.as_nanos().max(1);
        usize::try_from(fitting).unwrap_or(MOST_STEPS).clamp(1, MOST_STEPS)
    }
}
