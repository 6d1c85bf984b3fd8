//! Data sets: samples and their targets.

#![deny(clippy::as_conversions)]

mod array;
mod checksum;
mod choose;
mod cifar;
mod classes;
mod columns;
mod drawn;
mod folder;
mod idx;
mod layout;
mod skipped;
mod source;
mod split;
mod table;
mod targets;

use kiln_compile::train::TargetScale;

use crate::error::DataError;

pub use columns::{column_names, read_columns};
pub use drawn::{Drawing, Drawn};
pub use folder::loose_pictures;
pub use skipped::Skipped;
pub use source::{Known, Source, SourceOptions};
pub use split::Splits;
pub use targets::{IGNORED, Meaning, Targets};

/// Samples of one shape with their targets, all in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The shape of a sample: `[C, H, W]` for images, `[features]` for rows of a table.
    pub shape: Vec<usize>,
    /// The samples, one after the other.
    pub samples: Samples,
    /// Their targets.
    pub targets: Targets,
}

/// The elements of samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Pixels from 0 to 255, which stand for 0 to 1.
    Bytes(Vec<u8>),
    /// Numbers.
    Floats(Vec<f32>),
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        let each = self.sample_len();
        match &self.samples {
            Samples::Bytes(all) => all.len() / each,
            Samples::Floats(all) => all.len() / each,
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of a sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }

    /// A sample as numbers; pixels from 0 to 1.
    pub fn sample(&self, index: usize) -> Vec<f32> {
        let range = index * self.sample_len()..(index + 1) * self.sample_len();
        match &self.samples {
            Samples::Bytes(all) => all[range].iter().map(|x| f32::from(*x) / 255.0).collect(),
            Samples::Floats(all) => all[range].to_vec(),
        }
    }

    /// The class names, where there are classes.
    pub fn class_names(&self) -> Option<&[String]> {
        match &self.targets {
            Targets::Classes { names, .. } => Some(names),
            Targets::Values { .. } | Targets::Whole { .. } => None,
        }
    }

    /// The samples with the given numbers, in their order.
    pub fn subset(&self, indices: &[usize]) -> Self {
        let each = self.sample_len();
        fn take<T: Copy>(all: &[T], each: usize, indices: &[usize]) -> Vec<T> {
            indices.iter().flat_map(|i| all[i * each..(i + 1) * each].iter().copied()).collect()
        }
        let samples = match &self.samples {
            Samples::Bytes(all) => Samples::Bytes(take(all, each, indices)),
            Samples::Floats(all) => Samples::Floats(take(all, each, indices)),
        };
        Self { shape: self.shape.clone(), samples, targets: self.targets.subset(indices) }
    }

    /// Mean and standard deviation of each channel (the first dimension of a sample).
    pub fn channel_statistics(&self) -> (Vec<f32>, Vec<f32>) {
        let channels = if self.shape.len() > 1 { self.shape[0] } else { 1 };
        let plane = (self.sample_len() / channels.max(1)).max(1);
        let mut sums = vec![(0f64, 0f64); channels];
        for index in 0..self.len() {
            for (channel, values) in self.sample(index).chunks(plane).enumerate() {
                for value in values {
                    sums[channel].0 += f64::from(*value);
                    sums[channel].1 += f64::from(*value) * f64::from(*value);
                }
            }
        }
        #[allow(clippy::as_conversions, reason = "counts are far below 2^53")]
        let count = (self.len() * plane).max(1) as f64;
        sums.iter()
            .map(|(sum, squares)| {
                let mean = sum / count;
                #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
                (mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32)
            })
            .unzip()
    }

    /// Mean and deviation of each element of the targets, where they are numbers. Constant elements are not scaled.
    #[allow(clippy::as_conversions, reason = "counts are far below 2^53; results are rounded")]
    pub fn target_scale(&self) -> Option<TargetScale> {
        let Targets::Values { shape, values } = &self.targets else { return None };
        let each = shape.iter().product::<usize>().max(1);
        let count = (values.len() / each).max(1) as f64;
        let (mut mean, mut std) = (vec![], vec![]);
        for place in 0..each {
            let all = || values.iter().skip(place).step_by(each).map(|value| f64::from(*value));
            let middle = all().sum::<f64>() / count;
            let deviation = (all().map(|value| (value - middle).powi(2)).sum::<f64>() / count).sqrt();
            mean.push(middle as f32);
            std.push(if deviation > 1e-7 * middle.abs().max(1e-30) { deviation as f32 } else { 1.0 });
        }
        Some(TargetScale { mean, std })
    }

    /// Checks that there are as many targets as samples, and that labels are class numbers.
    pub fn check(&self, what: &str) -> Result<(), DataError> {
        let wrong = |message: String| Err(DataError::Mismatch(format!("{what}: {message}")));
        if self.is_empty() {
            return wrong("there are no samples".into());
        }
        let (count, each) = (self.targets.count(), self.targets.shape().iter().product::<usize>());
        if each == 0 || count != self.len() * each {
            return wrong(format!("{} samples, but {} targets", self.len(), count / each.max(1)));
        }
        self.targets.check().or_else(wrong)
    }
}

/// Names for classes that have none: their numbers.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}
