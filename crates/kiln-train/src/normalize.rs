//! Bringing samples to mean 0 and deviation 1.

use std::fmt;

use kiln_plan::{InputSource, Preprocessing};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::TrainError;

/// Mean to subtract from each channel, and deviation to divide it by. Pixels are from 0 to 1 before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// For each channel, or one number for all; nothing leaves samples as they are.
    pub mean: Vec<f32>,
    /// For each channel, or one number for all.
    pub std: Vec<f32>,
}

impl fmt::Display for Normalize {
    /// As flags say it: `--mean 0.5 --std 0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f32]| numbers.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(",");
        match (&self.mean[..], &self.std[..]) {
            ([], []) => write!(f, "nothing"),
            (mean, []) => write!(f, "--mean {}", list(mean)),
            ([], std) => write!(f, "--std {}", list(std)),
            (mean, std) => write!(f, "--mean {} --std {}", list(mean), list(std)),
        }
    }
}

impl Normalize {
    /// The mean and deviation of a data set.
    pub fn of(data: &Dataset) -> Self {
        let (mean, std) = data.channel_statistics();
        // Constant elements are not scaled.
        Self { mean, std: std.into_iter().map(|s| if s > 1e-7 { s } else { 1.0 }).collect() }
    }

    /// What a model says of its samples, for pixels from 0 to 1.
    pub fn as_known(preprocessing: &Preprocessing) -> Self {
        let Preprocessing { source, mean, std } = preprocessing;
        let white = match source {
            InputSource::Pictures(pictures) => pictures.pixel_max,
            InputSource::Table { .. } | InputSource::Numbers => 1.0,
        };
        let std = if std.is_empty() && white != 1.0 { &[1.0][..] } else { std };
        let scaled = |list: &[f32]| list.iter().map(|x| x / white).collect();
        Self { mean: scaled(mean), std: scaled(std) }
    }

    /// Whether another does the same, but for rounding.
    pub fn is_like(&self, other: &Self) -> bool {
        let of = |list: &[f32], n: usize, none: f32| list.get(n).or(list.first()).copied().unwrap_or(none);
        let count = [&self.mean, &self.std, &other.mean, &other.std].map(Vec::len).into_iter().max();
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-3 * a.abs().max(b.abs()).max(1e-2);
        (0..count.unwrap_or(0).max(1)).all(|n| {
            near(of(&self.mean, n, 0.0), of(&other.mean, n, 0.0))
                && near(of(&self.std, n, 1.0), of(&other.std, n, 1.0))
        })
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
