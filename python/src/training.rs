//! How a training is asked for: the command's words for losses, optimizers and schedules.

use kiln::train::{Loss, Optimizer, Training};
use kiln::training::schedule::{Position, Schedule};
use pyo3::prelude::*;

use crate::error::Kind;

/// Everything that a step depends on; names and meanings are those of `kiln train`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct TrainingSettings {
    loss: String,
    class_weights: Option<Vec<f32>>,
    label_smoothing: f32,
    ignore_index: Option<i32>,
    beta: f32,
    output: Option<String>,
    optimizer: String,
    momentum: f64,
    dampening: f32,
    nesterov: bool,
    weight_decay: Option<f32>,
    beta2: f32,
    alpha: f32,
    eps: Option<f32>,
    centered: bool,
    lr_decay: f32,
    l1: f32,
    l2: f32,
    freeze: Vec<String>,
    accumulate: u32,
    clip_norm: Option<f32>,
    ema: Option<f32>,
    memory: Option<u64>,
    seed: u64,
    split: bool,
}

impl TrainingSettings {
    /// As the compiler takes it.
    pub(crate) fn training(self) -> PyResult<Training> {
        let (loss, optimizer) = (self.loss()?, self.optimizer()?);
        let (l1, l2, accumulate, clip_norm, seed) =
            (self.l1, self.l2, self.accumulate, self.clip_norm, self.seed);
        let (ema, memory) = (self.ema, self.memory);
        if let Some(decay) = ema.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(Kind::Input.with(format!("`ema` is {decay}, but should be at least 0 and below 1")));
        }
        let (output, frozen, split) = (self.output, self.freeze, self.split);
        Ok(Training {
            output,
            l1,
            l2,
            frozen,
            accumulate,
            clip_norm,
            ema,
            memory,
            seed,
            split,
            ..Training::new(loss, optimizer)
        })
    }

    fn loss(&self) -> PyResult<Loss> {
        let (weights, ignore_index) = (self.class_weights.clone(), self.ignore_index);
        let loss = match &*self.loss {
            "cross-entropy" => {
                Loss::CrossEntropy { weights, label_smoothing: self.label_smoothing, ignore_index }
            }
            "nll" => Loss::Nll { weights, ignore_index },
            "mse" => Loss::Mse,
            "l1" => Loss::L1,
            "smooth-l1" => Loss::SmoothL1 { beta: self.beta },
            "bce" => Loss::BceWithLogits,
            other => {
                return Err(Kind::Input.with(format!(
                    "there is no loss `{other}`; use `cross-entropy`, `nll`, `mse`, `l1`, `smooth-l1` or `bce`"
                )));
            }
        };
        if !loss.has_classes() && (self.class_weights.is_some() || ignore_index.is_some()) {
            return Err(
                Kind::Input.with(format!("`{}` compares no classes, so there are none to weigh", self.loss))
            );
        }
        Ok(loss)
    }

    fn optimizer(&self) -> PyResult<Optimizer> {
        let decay = |none: f32| self.weight_decay.unwrap_or(none);
        let momentum = self.momentum != 0.0;
        let beta2 = self.beta2;
        Ok(match &*self.optimizer {
            "sgd" => Optimizer::Sgd {
                momentum,
                dampening: self.dampening,
                nesterov: self.nesterov,
                weight_decay: decay(0.0),
            },
            "adam" => Optimizer::Adam { beta2, eps: self.eps.unwrap_or(1e-8), weight_decay: decay(0.0) },
            "adamw" => Optimizer::AdamW { beta2, eps: self.eps.unwrap_or(1e-8), weight_decay: decay(0.01) },
            "rmsprop" => Optimizer::RmsProp {
                alpha: self.alpha,
                eps: self.eps.unwrap_or(1e-8),
                weight_decay: decay(0.0),
                momentum,
                centered: self.centered,
            },
            "adagrad" => Optimizer::Adagrad {
                lr_decay: self.lr_decay,
                initial_accumulator_value: 0.0,
                eps: self.eps.unwrap_or(1e-10),
                weight_decay: decay(0.0),
            },
            other => {
                return Err(Kind::Input.with(format!(
                    "there is no optimizer `{other}`; use `sgd`, `adam`, `adamw`, `rmsprop` or `adagrad`"
                )));
            }
        })
    }
}

/// The learning rate of a training that asks for none.
#[pyfunction]
pub(crate) fn usual_lr(settings: TrainingSettings) -> PyResult<f64> {
    Ok(settings.optimizer()?.usual_lr())
}

/// Learning rate and momentum of a step under a schedule, which is written as for `kiln train --schedule`.
#[pyfunction]
#[pyo3(signature = (schedule, step, steps_per_epoch, steps, lr, momentum, warmup))]
pub(crate) fn scheduled(
    schedule: &str,
    step: u64,
    steps_per_epoch: u64,
    steps: u64,
    lr: f64,
    momentum: f64,
    warmup: u64,
) -> PyResult<(f64, f64)> {
    let schedule: Schedule =
        schedule.parse().map_err(|error| Kind::Input.with(format!("schedule: {error}")))?;
    Ok(schedule.at(Position { step, steps_per_epoch, steps }, lr, momentum, warmup))
}
