//! What a host needs to know of a model besides its weights: how inputs are preprocessed, what outputs mean, and where
//! the weights come from.
//!
//! All of it is optional, and none of it changes what a plan computes. It is stored in the plan file, and as strings
//! ([`Metadata::to_properties`]) in the `metadata_props` of an ONNX file and in the metadata of a safetensors file.

mod check;
mod literal;
mod properties;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use check::check;
pub use check::{METADATA_LIMITS, MetadataLimits};
pub use properties::PropertyError;

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// What the outputs say.
    pub task: Option<Task>,
    /// What the classes are called, by number. Of a single score ([`Task::Classification`] with one output) these are
    /// two: the class of negative scores, and that of positive ones.
    pub classes: Vec<String>,
    /// How the input is made.
    pub preprocessing: Option<Preprocessing>,
    /// What the numbers of a regression are.
    pub targets: Option<Targets>,
    /// How the weights came about.
    pub provenance: Option<Provenance>,
}

/// What the outputs of a model say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// A score for each class, of which one is right. The scores may be any numbers, probabilities, or their
    /// logarithms.
    Classification,
    /// A score for each class, of which any number may be right: positive where a class is there.
    MultiLabel,
    /// Numbers.
    Regression,
    /// A score for each class at each pixel: `[N, classes, H, W]`.
    Segmentation,
    /// Boxes with classes.
    Detection,
}

/// How an input is made of what people have. Steps follow in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// What the input holds.
    pub source: InputSource,
    /// Taken off each channel of an image or each column of a table; one number for all, or none at all.
    pub mean: Vec<f32>,
    /// What each is divided by then; one number for all, or none at all.
    pub std: Vec<f32>,
}

/// What an input holds.
#[derive(Clone, Debug, PartialEq)]
pub enum InputSource {
    /// Pictures: `[N, C, H, W]`.
    Pictures(Pictures),
    /// Rows of a table with these columns: `[N, columns]`.
    Table {
        /// The names of the columns, in order.
        columns: Vec<String>,
    },
    /// Numbers as they are.
    Numbers,
}

/// How images become numbers. Steps follow in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// What the channels of the input are.
    pub channels: Channels,
    /// The size an image is brought to, by bilinear interpolation over all pixels that contribute.
    pub resize: Option<Resize>,
    /// Height and width of what is cut out of the middle. What is missing of a smaller image is black.
    pub crop: Option<[u32; 2]>,
    /// What a pixel of 255 becomes before mean and deviation, 0 staying 0: usually 1.
    pub pixel_max: f32,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { channels: Channels::Rgb, resize: None, crop: None, pixel_max: 1.0 }
    }
}

/// What the channels of images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel: luma, as 0.299 red + 0.587 green + 0.114 blue.
    Grey,
}

/// The size an image is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resize {
    /// The shorter side to this length, the longer one in proportion, rounded down.
    Shorter(u32),
    /// Both sides, whatever the image's proportion.
    Exact {
        /// Pixels from top to bottom.
        height: u32,
        /// Pixels from left to right.
        width: u32,
    },
}

/// What the numbers of a regression are. Of an output `y` the number it stands for is `y * std + mean`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// What each number is called; or nothing.
    pub names: Vec<String>,
    /// Added to each number at the end; one for all, or none at all.
    pub mean: Vec<f32>,
    /// What each is multiplied by before; one for all, or none at all.
    pub std: Vec<f32>,
}

/// How weights came about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// The program that trained, with its version: `kiln 0.1.0`.
    pub producer: String,
    /// What was learned from: `digits:12000`.
    pub data: String,
    /// What the outputs were compared by: `cross-entropy`.
    pub loss: String,
    /// Passes over the training samples.
    pub epochs: u64,
    /// Updates of the weights.
    pub steps: u64,
    /// What was measured at the end on samples that were not learned from: `accuracy`, from 0 to 1, and others.
    pub measures: Vec<Measure>,
}

/// A measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
}

impl Metadata {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Task {
    /// The name it has in files.
    pub fn name(self) -> &'static str {
        match self {
            Task::Classification => "classification",
            Task::MultiLabel => "multi-label",
            Task::Regression => "regression",
            Task::Segmentation => "segmentation",
            Task::Detection => "detection",
        }
    }

    /// The task of this name.
    pub fn called(name: &str) -> Option<Self> {
        let all =
            [Task::Classification, Task::MultiLabel, Task::Regression, Task::Segmentation, Task::Detection];
        all.into_iter().find(|task| task.name() == name)
    }
}

impl Channels {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Channels::Rgb | Channels::Bgr => 3,
            Channels::Grey => 1,
        }
    }

    /// The name they have in files.
    pub fn name(self) -> &'static str {
        match self {
            Channels::Rgb => "RGB",
            Channels::Bgr => "BGR",
            Channels::Grey => "L",
        }
    }

    /// The channels of this name.
    pub fn called(name: &str) -> Option<Self> {
        [Channels::Rgb, Channels::Bgr, Channels::Grey].into_iter().find(|channels| channels.name() == name)
    }
}

impl Preprocessing {
    /// Takes the mean off values of a channel (or column) and divides by the deviation.
    pub fn normalize(&self, channel: usize, values: &mut [f32]) {
        let of =
            |numbers: &[f32], none: f32| numbers.get(channel).or(numbers.first()).copied().unwrap_or(none);
        let (mean, std) = (of(&self.mean, 0.0), of(&self.std, 1.0));
        values.iter_mut().for_each(|value| *value = (*value - mean) / std);
    }
}

impl Targets {
    /// The number that output `index` stands for where the network says `value`.
    pub fn restore(&self, index: usize, value: f32) -> f32 {
        let of = |numbers: &[f32], none: f32| numbers.get(index).or(numbers.first()).copied().unwrap_or(none);
        value * of(&self.std, 1.0) + of(&self.mean, 0.0)
    }
}
