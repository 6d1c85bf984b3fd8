//! Steps that the device has been given and whose losses have not been looked at.
//!
//! While the device computes a step, the host prepares the next ones: it reads losses a few steps late. If one is not finite, the
//! step has changed nothing, and those behind it have not either (`kiln_compile::train::FAILED`).

use std::collections::VecDeque;

use kiln_runtime::Started;

use crate::loader::Batch;
use crate::schedule::Position;
use crate::step::Rate;

/// Steps in flight, at most: one is computed and one waits for the device.
pub(crate) const MOST: usize = 2;

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
    /// The run.
    pub run: Started,
}

/// The steps in flight, and where training will stand after them.
pub(crate) struct InFlight {
    /// In order.
    pub steps: VecDeque<Flying>,
    /// Steps of the optimizer that have been started.
    pub step: u64,
    /// Batches of the epoch that have been started.
    pub batch: usize,
}

impl InFlight {
    /// None yet, after so many steps and batches.
    pub(crate) fn new(step: u64, batch: usize) -> Self {
        Self { steps: VecDeque::new(), step, batch }
    }

    /// Adds a step that was just started.
    pub(crate) fn push(&mut self, flying: Flying) {
        self.batch += 1;
        self.step += u64::from(flying.rate.update);
        self.steps.push_back(flying);
    }
}
