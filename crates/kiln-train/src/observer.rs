//! Observers of a training.

use kiln_runtime::HostTensor;

use crate::evaluate::Evaluation;
use crate::history::Epoch;
use crate::progress::Progress;

/// Is notified of events; all methods do nothing by default.
pub trait Observer {
    /// A step was done.
    fn step(&mut self, _step: &Step<'_>) {}
    /// An epoch was done.
    fn epoch(&mut self, _epoch: &Epoch, _evaluation: Option<&Evaluation>) {}
    /// Whether training should stop after the step that was just done, for instance since the process was asked to end.
    fn stops(&mut self) -> bool {
        false
    }
    /// Whether a step, which is about to be done, is to be looked into.
    fn watch(&mut self, _step: u64) -> bool {
        false
    }
    /// Whether a tensor of a watched step is to be shown: each that is read takes time.
    fn wants(&self, _name: &str) -> bool {
        true
    }
    /// What a kernel of a watched step has just made.
    fn tensor(&mut self, _step: u64, _name: &str, _tensor: &HostTensor) {}
}

impl Observer for () {}

/// A step of the optimizer that was done.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Steps before this one.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The loss; with accumulation, the mean of its batches.
    pub loss: f64,
    /// Its learning rate.
    pub lr: f64,
    /// Its momentum.
    pub momentum: f64,
    /// How far training has come, with this step.
    pub progress: &'a Progress,
}
