//! Settings of a training: duration, learning rate, checkpoints.

use std::path::PathBuf;

use crate::history::Measure;
use crate::schedule::Schedule;

/// Duration and learning rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Passes over the training samples.
    pub epochs: u64,
    /// The learning rate that the schedule multiplies.
    pub lr: f64,
    /// The momentum, or Adam's beta1, where the schedule has no other.
    pub momentum: f64,
    /// The schedule of both.
    pub schedule: Schedule,
    /// Optimizer steps in which the learning rate rises linearly to that of the schedule.
    pub warmup: u64,
    /// Epochs without improvement after which training stops.
    pub patience: Option<u64>,
    /// What better means.
    pub monitor: Measure,
    /// Steps that the device is given in one submission; if not given, as many as suit the time that they take. Losses are the
    /// same, and are looked at later.
    pub steps_per_submit: Option<usize>,
    /// Where and when to write checkpoints.
    pub checkpoints: Option<Checkpoints>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 1,
            lr: 0.01,
            momentum: 0.9,
            schedule: Schedule::Constant,
            warmup: 0,
            patience: None,
            monitor: Measure::Loss,
            steps_per_submit: None,
            checkpoints: None,
        }
    }
}

/// Where and when to write checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder; there will be `step-NUMBER.safetensors`, `best.safetensors` and the history so far.
    pub folder: PathBuf,
    /// After so many steps of the optimizer, too, and not only after each epoch.
    pub every_steps: Option<u64>,
    /// How many of the last ones are kept.
    pub keep: usize,
}

impl Checkpoints {
    /// Whether one is to be written after `step` steps.
    pub(crate) fn are_due(&self, step: u64) -> bool {
        self.every_steps.is_some_and(|every| step.is_multiple_of(every.max(1)))
    }
}
