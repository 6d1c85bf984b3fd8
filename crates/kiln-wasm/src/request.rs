//! What a page asks for, as JSON. Names and meanings are those of `kiln compile`.

use std::collections::BTreeMap;

use kiln::graph::{Dim, Graph};
use kiln::onnx::InputValue;
use kiln::train::{Loss, Optimizer, Training, gives_logarithms};
use kiln::{
    DEFAULT_BATCH, ModelOptions, Options, Precision, Preferences, Target, batch_symbols, named_target,
};
use serde::Deserialize;

use crate::Adapter;

/// How a model is read and compiled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// What the file is called. `net.py` and `net.py:Net` are PyTorch source, everything else is ONNX.
    pub name: String,
    /// What the file of weights is called, for messages.
    pub weights_name: String,
    /// Whether weights are loaded that fit, although others do not.
    pub partial_weights: bool,
    /// Arguments of the constructor in source: `n_blocks=100`.
    pub args: Vec<String>,
    /// Shapes of one sample of each input of source: `3,32,32`.
    pub inputs: Vec<String>,
    /// What symbolic dimensions are: `224`, `W`, `32*h`.
    pub dims: BTreeMap<String, String>,
    /// Values of inputs of an ONNX file that sizes depend on.
    pub values: BTreeMap<String, Vec<f64>>,
    /// Passes over imports that are not known, and over shapes that contradict each other.
    pub lenient: bool,
    /// Where initial values of parameters and the random numbers of a training begin.
    pub seed: u64,
    /// The largest values of symbolic dimensions.
    pub max: BTreeMap<String, u32>,
    /// The largest batch, where `max` does not say it.
    pub batch: Option<u32>,
    /// What the plan is for.
    pub target: TargetRequest,
    /// `f32` or `f16`: what weights and activations are kept in.
    pub precision: Option<String>,
    /// Whether only the products are added up that an operator is defined by.
    pub precise: Option<bool>,
    /// A plan that trains.
    pub train: Option<TrainRequest>,
    /// Metadata as strings by name, beside that of the file.
    pub metadata: BTreeMap<String, String>,
}

/// A target by name, or the page's adapter.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum TargetRequest {
    /// As for `kiln compile --target`.
    Named(String),
    /// An adapter.
    Adapter(Box<Adapter>),
}

impl Default for TargetRequest {
    fn default() -> Self {
        Self::Named("portable".into())
    }
}

/// How a plan trains.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainRequest {
    /// `sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`.
    pub optimizer: String,
    /// Whether SGD and RMSprop have momentum.
    pub momentum: bool,
    /// Weight decay.
    pub weight_decay: Option<f32>,
    /// `cross-entropy`, `nll`, `mse`, `l1`, `smooth-l1`, `bce`; cross-entropy if absent, or `nll` for log-probabilities.
    pub loss: Option<String>,
    /// The share of the target that is spread over all classes.
    pub label_smoothing: f32,
    /// The model's output that is compared.
    pub output: Option<String>,
    /// Parameters that stay as they are, by patterns of names.
    pub freeze: Vec<String>,
    /// Parameters that are trained although the model's source freezes them.
    pub unfreeze: Vec<String>,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f32>,
    /// The decay of a moving average of the parameters.
    pub ema: Option<f32>,
}

impl Request {
    /// Reads the JSON.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| format!("the options cannot be read: {error}"))
    }

    /// How the model's file is read.
    pub(crate) fn model_options(&self) -> Result<ModelOptions, String> {
        let mut dims = BTreeMap::new();
        for (name, size) in &self.dims {
            let size: Dim = size.parse().map_err(|()| {
                format!("the dimension `{name}` cannot be `{size}`: it is a number, a name or an expression")
            })?;
            if size.as_const().is_some_and(|size| size < 1) {
                return Err(format!("the dimension `{name}` should be at least 1"));
            }
            dims.insert(name.clone(), size);
        }
        let values = self.values.iter();
        let values =
            values.map(|(name, numbers)| (name.clone(), InputValue::Numbers(numbers.clone()))).collect();
        let source = kiln::torch::ImportOptions {
            args: self.args.clone(),
            inputs: self.inputs.clone(),
            dims: dims.clone(),
            lenient_imports: self.lenient,
            seed: self.seed,
            ..Default::default()
        };
        let onnx = kiln::onnx::ImportOptions { dims, values, lenient: self.lenient, cut_at: vec![] };
        Ok(ModelOptions { onnx, source })
    }

    /// How a graph is compiled.
    pub(crate) fn options(&self, graph: &Graph) -> Result<Options, String> {
        let precision = self.precision()?;
        let target = match &self.target {
            TargetRequest::Named(name) => named_target(name, precision).ok_or_else(|| {
                let all: Vec<&str> = Target::names().map(|(name, _)| name).collect();
                format!("there is no target `{name}`; there are {}", all.join(", "))
            })?,
            TargetRequest::Adapter(adapter) => adapter.target(),
        };
        let mut max = self.max.clone();
        for symbol in batch_symbols(graph) {
            max.entry(symbol).or_insert(self.batch.unwrap_or(DEFAULT_BATCH));
        }
        if let Some((name, _)) = max.iter().find(|(_, max)| **max == 0) {
            return Err(format!("the largest `{name}` should be at least 1"));
        }
        let preferences = Preferences { precise: self.precise, ..Preferences::default() };
        Ok(Options { target, max, preferences, precision, separate: false })
    }

    fn precision(&self) -> Result<Precision, String> {
        match self.precision.as_deref() {
            None | Some("f32") => Ok(Precision::F32),
            Some("f16") => Ok(Precision::F16),
            Some(other) => Err(format!("there is no precision `{other}`; there are `f32` and `f16`")),
        }
    }
}

impl TrainRequest {
    /// The step, without what the model's source says of it.
    pub(crate) fn training(&self, model: &Graph, request: &Request) -> Result<Training, String> {
        Ok(Training {
            output: self.output.clone(),
            frozen: self.freeze.clone(),
            clip_norm: self.clip_norm,
            ema: self.ema,
            precision: request.precision()?,
            seed: request.seed,
            ..Training::new(self.loss(model)?, self.optimizer()?)
        })
    }

    fn loss(&self, model: &Graph) -> Result<Loss, String> {
        let usual = if gives_logarithms(model) { "nll" } else { "cross-entropy" };
        Ok(match self.loss.as_deref().unwrap_or(usual) {
            "cross-entropy" => Loss::CrossEntropy {
                weights: None,
                label_smoothing: self.label_smoothing,
                ignore_index: None,
            },
            "nll" => Loss::Nll { weights: None, ignore_index: None },
            "mse" => Loss::Mse,
            "l1" => Loss::L1,
            "smooth-l1" => Loss::SmoothL1 { beta: 1.0 },
            "bce" => Loss::BceWithLogits,
            other => {
                return Err(format!(
                    "there is no loss `{other}`; there are `cross-entropy`, `nll`, `mse`, `l1`, `smooth-l1` and `bce`"
                ));
            }
        })
    }

    fn optimizer(&self) -> Result<Optimizer, String> {
        let mut optimizer = match &*self.optimizer {
            "" | "sgd" => Optimizer::sgd(),
            "adam" => Optimizer::adam(),
            "adamw" => Optimizer::adam_w(),
            "rmsprop" => Optimizer::rms_prop(),
            "adagrad" => Optimizer::adagrad(),
            other => {
                return Err(format!(
                    "there is no optimizer `{other}`; there are `sgd`, `adam`, `adamw`, `rmsprop` and `adagrad`"
                ));
            }
        };
        match &mut optimizer {
            Optimizer::Sgd { momentum, weight_decay, .. }
            | Optimizer::RmsProp { momentum, weight_decay, .. } => {
                *momentum = self.momentum;
                *weight_decay = self.weight_decay.unwrap_or(*weight_decay);
            }
            Optimizer::Adam { weight_decay, .. }
            | Optimizer::AdamW { weight_decay, .. }
            | Optimizer::Adagrad { weight_decay, .. } => {
                *weight_decay = self.weight_decay.unwrap_or(*weight_decay);
            }
        }
        Ok(optimizer)
    }
}
