//! Bringing samples to mean 0 and deviation 1.

use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::TrainError;

/// What is taken off each channel, and what it is divided by then. Pixels are from 0 to 1 before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// For each channel, or one number for all; nothing leaves samples as they are.
    pub mean: Vec<f32>,
    /// For each channel, or one number for all.
    pub std: Vec<f32>,
}

impl Normalize {
    /// The mean and deviation of a data set.
    pub fn of(data: &Dataset) -> Self {
        let (mean, std) = data.channel_statistics();
        // What never changes is not made larger.
        Self { mean, std: std.into_iter().map(|s| if s > 1e-7 { s } else { 1.0 }).collect() }
    }

    /// Checks the numbers against samples of `shape`.
    pub fn check(&self, shape: &[usize]) -> Result<(), TrainError> {
        let channels = if shape.len() > 1 { shape[0] } else { 1 };
        for (what, numbers) in [("means", &self.mean), ("deviations", &self.std)] {
            if ![0, 1, channels].contains(&numbers.len()) {
                return Err(TrainError::Setting(format!(
                    "there are {} {what} for samples of {channels} channels",
                    numbers.len()
                )));
            }
        }
        if self.std.iter().any(|s| *s <= 0.0 || !s.is_finite()) {
            return Err(TrainError::Setting("deviations should be larger than zero".into()));
        }
        Ok(())
    }

    /// Normalizes a sample of `shape`.
    pub fn apply(&self, sample: &mut [f32], shape: &[usize]) {
        if self.mean.is_empty() && self.std.is_empty() {
            return;
        }
        let channels = if shape.len() > 1 { shape[0].max(1) } else { 1 };
        let plane = (sample.len() / channels).max(1);
        let of = |numbers: &[f32], channel: usize, none: f32| {
            numbers.get(channel).or(numbers.first()).copied().unwrap_or(none)
        };
        for (channel, values) in sample.chunks_mut(plane).enumerate() {
            let (mean, factor) = (of(&self.mean, channel, 0.0), 1.0 / of(&self.std, channel, 1.0));
            for value in values {
                *value = (*value - mean) * factor;
            }
        }
    }
}
