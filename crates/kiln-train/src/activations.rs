//! Activation statistics of a training: for some steps, the mean, deviation, fraction near zero and histogram of
//! every layer's output, after fastai's `ActivationStats` (Howard and Gugger, "Deep Learning for Coders", chapter 13).

use std::collections::{BTreeMap, BTreeSet};

use kiln_runtime::HostTensor;

/// Bins of a histogram.
pub const BINS: usize = 40;
/// Magnitudes below this count as near zero.
const NEAR: f64 = 0.05;

/// The output of a layer in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The step, counted from 0.
    pub step: u64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
    /// The fraction of elements near zero.
    pub near_zero: f64,
    /// How many elements lie in each bin from `-limit` to `limit` of [`LayerStats::limit`]; what is beyond is in the
    /// first or last.
    pub histogram: [u32; BINS],
}

/// A layer over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerStats {
    /// Histograms reach from minus this to this: eight deviations of the first step.
    pub limit: f64,
    /// The steps that were recorded.
    pub snapshots: Vec<Snapshot>,
}

/// All layers that are watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivationStats {
    /// Which tensors are layers' outputs.
    wanted: BTreeSet<String>,
    /// Steps between two that are recorded.
    every: u64,
    /// The layers in the order they were first seen.
    pub layers: Vec<(String, LayerStats)>,
    index: BTreeMap<String, usize>,
}

impl ActivationStats {
    /// Watches the tensors called `wanted`, in about a hundred of `steps` steps.
    pub fn new(wanted: impl IntoIterator<Item = String>, steps: u64) -> Self {
        Self { wanted: wanted.into_iter().collect(), every: (steps / 100).max(1), ..Self::default() }
    }

    /// Whether a step is recorded.
    pub fn watches(&self, step: u64) -> bool {
        !self.wanted.is_empty() && step.is_multiple_of(self.every)
    }

    /// Whether a tensor is a layer's output.
    pub fn wants(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    /// Records the results of a step.
    pub fn note(&mut self, step: u64, name: &str, tensor: &HostTensor) {
        if !self.wanted.contains(name) {
            return;
        }
        let values = tensor.to_f64();
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt();
        let near = values.iter().filter(|x| x.abs() < NEAR).count();
        let index = *self.index.entry(name.to_owned()).or_insert_with(|| {
            let limit = (8.0 * deviation).max(1e-6);
            self.layers.push((name.to_owned(), LayerStats { limit, snapshots: vec![] }));
            self.layers.len() - 1
        });
        let layer = &mut self.layers[index].1;
        let mut histogram = [0; BINS];
        for value in values {
            let place = (value / layer.limit + 1.0) / 2.0 * BINS as f64;
            histogram[(place.max(0.0) as usize).min(BINS - 1)] += 1;
        }
        layer.snapshots.push(Snapshot { step, mean, deviation, near_zero: near as f64 / count, histogram });
    }
}
