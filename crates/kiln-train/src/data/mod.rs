//! Data sets: samples and what they should become.

mod array;
mod cifar;
mod drawn;
mod folder;
mod idx;
mod source;
mod split;
mod table;

use crate::error::DataError;

pub use drawn::Drawn;
pub use source::{Source, SourceOptions};
pub use split::Splits;

/// Samples of one shape with their targets, all in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The shape of a sample: `[C, H, W]` for images, `[features]` for rows of a table.
    pub shape: Vec<usize>,
    /// The samples, one behind the other.
    pub samples: Samples,
    /// What they should become.
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

/// What samples should become.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One of some classes.
    Classes {
        /// The class of each sample.
        labels: Vec<i32>,
        /// What the classes are called.
        names: Vec<String>,
    },
    /// Numbers.
    Values {
        /// The shape for one sample.
        shape: Vec<usize>,
        /// The numbers, one sample behind the other.
        values: Vec<f32>,
    },
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
            Targets::Values { .. } => None,
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
        let targets = match &self.targets {
            Targets::Classes { labels, names } => {
                Targets::Classes { labels: take(labels, 1, indices), names: names.clone() }
            }
            Targets::Values { shape, values } => Targets::Values {
                shape: shape.clone(),
                values: take(values, shape.iter().product::<usize>().max(1), indices),
            },
        };
        Self { shape: self.shape.clone(), samples, targets }
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
        let count = (self.len() * plane).max(1) as f64;
        sums.iter()
            .map(|(sum, squares)| {
                let mean = sum / count;
                (mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32)
            })
            .unzip()
    }

    /// Checks that there are as many targets as samples, and that labels are class numbers.
    pub fn check(&self, what: &str) -> Result<(), DataError> {
        let wrong = |message: String| Err(DataError::Mismatch(format!("{what}: {message}")));
        let count = match &self.targets {
            Targets::Classes { labels, names } => {
                let outside =
                    labels.iter().position(|l| usize::try_from(*l).map_or(true, |l| l >= names.len()));
                if let Some(at) = outside {
                    return wrong(format!(
                        "sample {at} has label {}, but there are {} classes (0 to {})",
                        labels[at],
                        names.len(),
                        names.len().saturating_sub(1)
                    ));
                }
                labels.len()
            }
            Targets::Values { shape, values } => values.len() / shape.iter().product::<usize>().max(1),
        };
        if self.is_empty() {
            return wrong("there are no samples".into());
        }
        if count == self.len() {
            Ok(())
        } else {
            wrong(format!("{} samples, but {count} targets", self.len()))
        }
    }
}

/// Names for classes that have none: their numbers.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}
