//! Recipes: the flags of `kiln train`, or a TOML file with the same names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kiln::train::{Loss, Optimizer, Training};
use kiln::training::augment::Augmentation;
use kiln::training::data::Source;
use kiln::training::history::Measure;
use kiln::training::schedule::Schedule;
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::{Deserialize, Serialize};

use super::Setup;
use super::values::{self, whole};
use crate::definition::DefinitionArguments;
use crate::memory::MemoryArgument;
use crate::precision::PrecisionArgument;

/// Maximum bytes of a recipe. Only class names can be long.
pub(super) const MOST_BYTES: u64 = 4 << 20;

/// The model, the data and the options of a training. All is optional, so that flags can complete a file.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Recipe {
    /// The model: an ONNX file, PyTorch source (net.py, net.py:Net), or a recipe (`.toml`) whose keys are these
    /// options
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// How the model is read.
    #[command(flatten)]
    #[serde(flatten)]
    pub definition: DefinitionArguments,
    /// Data: mnist:DIR, fashion-mnist:DIR, kmnist:DIR, cifar10:DIR, cifar100:DIR (DIR as torchvision's `root`, or the
    /// folder with the files), folder:DIR (a folder of images for each class, perhaps in `train`, `val` and `test`),
    /// npz:FILE, csv:FILE, or drawn by Kiln: digits, moons (points in two classes), waves (a noisy curve), with settings
    /// as in moons:500,noise=0.4,test=200
    #[arg(long, value_name = "SOURCE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Use only these classes, by name or number, numbered 0, 1, ... in this order: bird,airplane
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Data")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Fraction of the training samples held out for validation
    #[arg(long, value_name = "SHARE", help_heading = "Data", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Use only so many samples of each part, spread over it
    #[arg(long, value_name = "COUNT", help_heading = "Data", value_parser = whole::<usize>("limit"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Mean subtracted from each channel, with pixels from 0 to 1; computed if not given
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation each channel is divided by; computed if not given
    #[arg(long, value_delimiter = ',', help_heading = "Data", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Do not normalize samples
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_normalize: Option<bool>,
    /// Augment training images: affine, perspective, crop, resized-crop, flip, flip-vertical, color-jitter, erase; with
    /// settings, as in affine:degrees=10,translate=0.1 or crop:size=28,padding=2; may be repeated. A crop to a
    /// size takes the center of validation and test images
    #[arg(long, value_name = "CHANGE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub augment: Vec<String>,
    /// For folders: resize images to this size
    #[arg(long, value_name = "PIXELS", help_heading = "Data", value_parser = whole::<usize>("resize"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// For folders: read images as grayscale
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grey: Option<bool>,
    /// Skip samples that cannot be read, and count them
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_bad: Option<bool>,
    /// Threads that prepare batches
    #[arg(long, value_name = "COUNT", help_heading = "Data", value_parser = whole::<usize>("workers"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,

    /// Steps that the device is given at once; losses are looked at that much later [default: as many as take 4 ms, up to
    /// 16]
    #[arg(long, value_name = "COUNT", help_heading = "Steps", value_parser = whole::<usize>("steps-per-submit"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_submit: Option<usize>,
    /// Passes over the training samples [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Steps", value_parser = whole::<u64>("epochs"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Samples per step [default: 64]
    #[arg(long, value_name = "COUNT", help_heading = "Steps", value_parser = whole::<usize>("batch"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Loss; follows from data and model if not given
    #[arg(long, help_heading = "Steps")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossName>,
    /// Scale targets to mean 0 and deviation 1, for mse, l1 and smooth-l1; losses and outputs stay in the units of
    /// the targets, also those of the last layer of the models written
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Steps")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_targets: Option<bool>,
    /// The model's output that the loss is computed from, if it has several
    #[arg(long, value_name = "NAME", help_heading = "Steps")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_name: Option<String>,
    /// A weight for each class, for cross-entropy and nll
    #[arg(long, value_delimiter = ',', help_heading = "Steps", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// Fraction of the target spread over all classes, for cross-entropy
    #[arg(long, value_name = "SHARE", help_heading = "Steps", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f32>,
    /// Targets of this number do not count, for cross-entropy and nll; any number, as -100 or 255
    #[arg(long, value_name = "CLASS", allow_hyphen_values = true, help_heading = "Steps")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_index: Option<i32>,
    /// Add this times the sum of the weights' magnitudes to the loss
    #[arg(long, value_name = "FACTOR", help_heading = "Steps", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f32>,
    /// Add this times the sum of the weights' squares to the loss
    #[arg(long, value_name = "FACTOR", help_heading = "Steps", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f32>,
    /// Parameters that are not trained, by name: 'features.*'; may be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "Steps")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Parameters that are trained although they seem to normalize the input or are frozen in the source; may be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "Steps")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfreeze: Vec<String>,
    /// Accumulate the gradients of so many batches, each divided by COUNT, before the optimizer steps; the rest at the
    /// end of an epoch makes a step, too
    #[arg(long, value_name = "COUNT", help_heading = "Steps", value_parser = whole::<u32>("accumulate"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<u32>,
    /// Clip the norm of all gradients together to this
    #[arg(long, value_name = "NORM", help_heading = "Steps", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
    /// Evaluate and keep an exponential moving average of the parameters instead of them, with this decay (0.999)
    #[arg(long, value_name = "DECAY", help_heading = "Steps", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f32>,
    /// What activations are kept in.
    #[command(flatten, next_help_heading = "Steps")]
    #[serde(flatten)]
    pub precision: PrecisionArgument,
    /// What it may take.
    #[command(flatten, next_help_heading = "Steps")]
    #[serde(flatten)]
    pub memory: MemoryArgument,
    /// Seed of all random numbers [default: 0]
    #[arg(long, help_heading = "Steps", value_parser = whole::<u64>("seed"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Start from new random weights instead of the file's
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Steps")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_scratch: Option<bool>,

    /// Update rule [default: sgd]
    #[arg(long, help_heading = "Optimizer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<OptimizerName>,
    /// Learning rate [default: 0.01, for Adam and AdamW 0.001]
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum of SGD and RMSprop, beta1 of Adam and AdamW
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Dampening of SGD's momentum
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<f32>,
    /// Nesterov momentum for SGD
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Optimizer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Weight decay
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
    /// Decay of Adam's and AdamW's second moment [default: 0.999]
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f32>,
    /// Decay of RMSprop's mean square [default: 0.99]
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// Added to denominators
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f32>,
    /// Centered RMSprop: subtract the mean gradient
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Optimizer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centered: Option<bool>,
    /// Decay of Adagrad's learning rate
    #[arg(long, help_heading = "Optimizer", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_decay: Option<f32>,
    /// Learning-rate schedule: constant, step:every=10,gamma=0.1, exponential:gamma=0.95, cosine, one-cycle
    /// (with div, div_final, pct_start, moms)
    #[arg(long, value_name = "COURSE", help_heading = "Optimizer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Optimizer steps of linear learning-rate warm-up
    #[arg(long, value_name = "STEPS", help_heading = "Optimizer", value_parser = whole::<u64>("warmup"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,

    /// Stop after so many epochs without improvement
    #[arg(long, value_name = "EPOCHS", help_heading = "Checkpoints", value_parser = whole::<u64>("patience"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Measure to compare epochs by: loss, accuracy, f1, auc [default: loss]
    #[arg(long, value_name = "MEASURE", value_parser = measure, help_heading = "Checkpoints")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Measure>,
    /// Also write a checkpoint after so many optimizer steps
    #[arg(long, value_name = "STEPS", help_heading = "Checkpoints", value_parser = whole::<u64>("checkpoint-every"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Checkpoints to keep besides the best [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Checkpoints", value_parser = whole::<usize>("keep"), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,

    /// Metadata of a trained model, as strings by name: `docs/metadata.md` has the table.
    #[arg(skip)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

fn measure(text: &str) -> Result<Measure, String> {
    serde_json::from_value(serde_json::Value::String(text.into()))
        .map_err(|_| "should be loss, accuracy, f1 or auc".into())
}

/// A loss by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LossName {
    /// Class scores against classes
    CrossEntropy,
    /// Log-probabilities against classes
    Nll,
    /// Squares of differences
    Mse,
    /// Magnitudes of differences
    L1,
    /// Squares of small differences, magnitudes of large ones
    SmoothL1,
    /// Scores against 0 and 1
    Bce,
}

/// An optimizer by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub(crate) enum OptimizerName {
    /// Stochastic gradient descent
    #[default]
    Sgd,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    AdamW,
    /// RMSprop
    RmsProp,
    /// Adagrad
    Adagrad,
}

/// Whether a recipe may contain `key`: all flags, and the model.
fn is_option(key: &str) -> bool {
    let flags = Recipe::augment_args(clap::Command::new("recipe"));
    matches!(key, "model" | "metadata")
        || flags.get_arguments().any(|argument| argument.get_long() == Some(key))
}

/// What belongs to data rather than to a recipe's place.
const PATHS: [&str; 9] =
    ["mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "folder", "npz", "npy", "csv"];

/// `folder:DIR` with another folder; generated data sets unchanged.
fn with_place(data: String, change: impl Fn(&Path) -> PathBuf) -> String {
    match data.split_once(':') {
        Some((kind, place)) if PATHS.contains(&kind) => {
            format!("{kind}:{}", change(Path::new(place)).display())
        }
        _ => data,
    }
}

impl Recipe {
    /// The recipe with paths that do not depend on its location.
    pub(crate) fn anywhere(&self) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let mut recipe = self.clone();
        recipe.model = recipe.model.as_deref().map(absolute);
        recipe.definition.weights = recipe.definition.weights.as_deref().map(absolute);
        recipe.definition.root = recipe.definition.root.as_deref().map(absolute);
        recipe.data = recipe.data.map(|data| with_place(data, absolute));
        recipe
    }

    /// The recipe with the defaults that follow from model and data filled in, so that later versions and other data
    /// give the same training.
    pub(crate) fn settled(&self, setup: &Setup) -> Self {
        Self {
            mean: Some(setup.normalize.mean.clone()).filter(|mean| !mean.is_empty()),
            std: Some(setup.normalize.std.clone()).filter(|std| !std.is_empty()),
            epochs: Some(self.epochs.unwrap_or(1)),
            batch: Some(self.batch()),
            loss: Some(setup.loss),
            seed: Some(self.seed.unwrap_or(0)),
            optimizer: Some(self.optimizer.unwrap_or_default()),
            lr: Some(self.lr()),
            metadata: setup.trainer.known.clone(),
            ..self.anywhere()
        }
    }

    /// As a file.
    pub(crate) fn to_text(&self) -> Result<String> {
        toml::to_string(self).into_diagnostic()
    }

    /// The files that it names: the model's, that of its weights, the data's.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let model = self.model.as_deref().map(|model| kiln::model::split(model).0);
        let data = self.data_place().map(|(_, place)| place);
        model.into_iter().chain(self.definition.weights.clone()).chain(data).collect()
    }

    /// The folder of images that is the data, if it is one.
    pub(crate) fn data_folder(&self) -> Option<PathBuf> {
        self.data_place().filter(|(kind, _)| *kind == "folder").map(|(_, place)| place)
    }

    fn data_place(&self) -> Option<(&str, PathBuf)> {
        let (kind, place) = self.data.as_deref()?.split_once(':')?;
        PATHS.contains(&kind).then(|| (kind, PathBuf::from(place)))
    }

    /// The recipe completed from a file, if MODEL is one; flags take precedence. Paths in a file are relative to it.
    pub(crate) fn complete(self) -> Result<Self> {
        let Some(path) = self.model.clone().filter(|path| path.extension().is_some_and(|e| e == "toml"))
        else {
            values::check(&values::table(&self)?)?;
            return Ok(self);
        };
        let text = kiln_files::read_text(&path, MOST_BYTES)
            .map_err(|e| miette!("cannot read `{}`: {e}", path.display()))?;
        let no_recipe = |e: &dyn std::fmt::Display| miette!("`{}` is not a recipe: {e}", path.display());
        let keys = values::parse(&text).map_err(|e| no_recipe(&e))?;
        if let Some(key) = keys.keys().find(|key| !is_option(key)) {
            return Err(no_recipe(&format!(
                "there is no option `{}`; `kiln train --help` lists them",
                values::start(key)
            )));
        }
        let mut file = values::recipe(keys).map_err(|e| no_recipe(&e))?;
        let base = path.parent().unwrap_or(Path::new(""));
        file.model = file.model.map(|model| base.join(model));
        file.definition.weights = file.definition.weights.map(|weights| base.join(weights));
        file.definition.root = file.definition.root.map(|root| base.join(root));
        file.data = file.data.map(|data| with_place(data, |place| base.join(place)));
        // Both as tables: flags replace the values of the file.
        let mut merged = values::table(&file)?;
        merged.extend(values::table(&Recipe { model: None, ..self })?);
        values::recipe(merged)
    }

    /// The data set.
    pub(crate) fn source(&self) -> Result<Source> {
        let Some(data) = &self.data else {
            bail!(
                "no data was given; `--data folder:DIR` or `mnist:DIR` names some, `--data digits` draws digits"
            );
        };
        data.parse().into_diagnostic()
    }

    /// The learning-rate schedule.
    pub(crate) fn schedule(&self) -> Result<Schedule> {
        let Some(text) = &self.schedule else { return Ok(Schedule::Constant) };
        text.parse().into_diagnostic().wrap_err("--schedule")
    }

    /// The augmentation of training images.
    pub(crate) fn augmentations(&self) -> Result<Vec<Augmentation>> {
        self.augment.iter().map(|text| text.parse().into_diagnostic().wrap_err("--augment")).collect()
    }

    /// The optimizer.
    pub(crate) fn optimizer(&self) -> Optimizer {
        let decay = |none: f32| self.weight_decay.unwrap_or(none);
        let has_momentum = self.momentum.is_some_and(|momentum| momentum != 0.0);
        let (beta2, eps) = (self.beta2.unwrap_or(0.999), self.eps.unwrap_or(1e-8));
        match self.optimizer.unwrap_or_default() {
            OptimizerName::Sgd => Optimizer::Sgd {
                momentum: has_momentum,
                dampening: self.dampening.unwrap_or(0.0),
                nesterov: self.nesterov.unwrap_or(false),
                weight_decay: decay(0.0),
            },
            OptimizerName::Adam => Optimizer::Adam { beta2, eps, weight_decay: decay(0.0) },
            OptimizerName::AdamW => Optimizer::AdamW { beta2, eps, weight_decay: decay(0.01) },
            OptimizerName::RmsProp => Optimizer::RmsProp {
                alpha: self.alpha.unwrap_or(0.99),
                eps,
                weight_decay: decay(0.0),
                momentum: has_momentum,
                centered: self.centered.unwrap_or(false),
            },
            OptimizerName::Adagrad => Optimizer::Adagrad {
                lr_decay: self.lr_decay.unwrap_or(0.0),
                initial_accumulator_value: 0.0,
                eps: self.eps.unwrap_or(1e-10),
                weight_decay: decay(0.0),
            },
        }
    }

    /// The learning rate.
    pub(crate) fn lr(&self) -> f64 {
        self.lr.unwrap_or_else(|| self.optimizer().usual_lr())
    }

    /// The momentum, or beta1.
    pub(crate) fn momentum(&self) -> f64 {
        self.momentum.unwrap_or(0.9)
    }

    /// Samples of a step.
    pub(crate) fn batch(&self) -> usize {
        self.batch.unwrap_or(64)
    }

    /// The loss called `name`.
    pub(crate) fn loss(&self, name: LossName) -> Loss {
        let (weights, ignore_index) = (self.class_weights.clone(), self.ignore_index);
        match name {
            LossName::CrossEntropy => {
                let label_smoothing = self.label_smoothing.unwrap_or(0.0);
                Loss::CrossEntropy { weights, label_smoothing, ignore_index }
            }
            LossName::Nll => Loss::Nll { weights, ignore_index },
            LossName::Mse => Loss::Mse,
            LossName::L1 => Loss::L1,
            LossName::SmoothL1 => Loss::SmoothL1 { beta: 1.0 },
            LossName::Bce => Loss::BceWithLogits,
        }
    }

    /// The training step with the loss `loss`.
    pub(crate) fn training(&self, loss: Loss) -> Training {
        Training {
            output: self.output_name.clone(),
            l1: self.l1.unwrap_or(0.0),
            l2: self.l2.unwrap_or(0.0),
            frozen: self.freeze.clone(),
            accumulate: self.accumulate.unwrap_or(1),
            clip_norm: self.clip_norm,
            ema: self.ema,
            precision: self.precision.chosen(),
            memory: self.memory.bytes(),
            seed: self.seed.unwrap_or(0),
            ..Training::new(loss, self.optimizer())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Recipe;

    #[test]
    fn a_recipe_can_be_moved() {
        let recipe = |data: &str| Recipe {
            model: Some("net.py:Net".into()),
            data: Some(data.into()),
            ..Recipe::default()
        };
        let here = std::env::current_dir().expect("a folder");
        let moved = recipe("folder:birds").anywhere();
        assert_eq!(moved.model, Some(here.join("net.py:Net")));
        assert_eq!(moved.data, Some(format!("folder:{}", here.join("birds").display())));
        assert_eq!(recipe("digits:640").anywhere().data.as_deref(), Some("digits:640"));
    }
}
