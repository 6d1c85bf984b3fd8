//! The progress of a training.

use serde::{Deserialize, Serialize};

use crate::history::{Epoch, Logged};
use crate::loader::Batch;
use crate::metrics::Tally;
use crate::step::Outcome;

/// The progress of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps that the optimizer has done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Batches done of the epoch after those.
    pub batch: usize,
    /// The mean loss of these batches.
    pub mean: Mean,
    /// Their right and wrong answers, where there are classes.
    pub tally: Option<Tally>,
    /// How many of their steps were passed over, since gradients overflowed 16 bits.
    #[serde(default)]
    pub skipped: u64,
    /// What the loss is scaled by, where it is.
    #[serde(default)]
    pub loss_scale: Option<f64>,
    /// Seconds of these batches.
    pub seconds: f64,
    /// The best measure so far, and its epoch.
    pub best: Option<(f64, u64)>,
    /// The epoch since which there was no improvement: the best, or the one after which a lost best was reset.
    pub unimproved_since: u64,
    /// The epochs so far. A checkpoint has them beside it, as it has the losses: they grow without end.
    #[serde(skip)]
    pub epochs: Vec<Epoch>,
    /// The loss of each step so far.
    #[serde(skip)]
    pub losses: Vec<f32>,
    /// How much of the files beside the checkpoint counts.
    pub logged: Logged,
}

impl Progress {
    /// Adds the result of a batch.
    pub(crate) fn note(&mut self, batch: &Batch, outcome: &Outcome, classes: Option<usize>) {
        self.batch += 1;
        self.mean.add(outcome.loss, outcome.weight);
        self.skipped += u64::from(outcome.skipped);
        self.loss_scale = outcome.loss_scale;
        if let Some(classes) = classes.filter(|_| !batch.labels.is_empty()) {
            let tally = self.tally.get_or_insert_with(|| Tally::new(classes));
            batch.labels.iter().zip(&outcome.predicted).for_each(|(right, said)| tally.add(*right, *said));
        }
    }

    /// Forgets the batches of the epoch that was begun.
    pub(crate) fn restart_epoch(&mut self) {
        self.batch = 0;
        self.mean = Mean::default();
        self.tally = None;
        self.skipped = 0;
        self.seconds = 0.0;
    }
}

/// A mean of losses, each with a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The sum of losses times weights.
    sum: f64,
    /// The sum of weights.
    weight: f64,
}

impl Mean {
    /// Adds a loss. A loss without weight (a batch of which no target counts) is ignored.
    pub fn add(&mut self, loss: f64, weight: f64) {
        if weight != 0.0 {
            self.sum += loss * weight;
            self.weight += weight;
        }
    }

    /// The mean; 0 of nothing.
    pub fn value(self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.sum / self.weight }
    }
}
