//! One step of a plan: its inputs and its results.

use kiln_compile::train::{
    LEARNING_RATE, LOSS, LOSS_SCALE, LOSS_WEIGHT, MOMENTUM, PREDICTED, SKIPPED, TARGET, UPDATE,
};
use kiln_runtime::HostTensor;

use crate::error::TrainError;
use crate::interface::Interface;
use crate::loader::Batch;

fn number(value: f64) -> Result<HostTensor, TrainError> {
    Ok(HostTensor::new([], vec![value as f32])?)
}

/// The inputs of a step besides its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The learning rate.
    pub lr: f64,
    /// The momentum.
    pub momentum: f64,
    /// Whether the optimizer steps; else gradients are only accumulated, if the plan accumulates.
    pub update: bool,
}

/// The numbers of a [`Rate`] as tensors.
pub(crate) struct Numbers {
    lr: HostTensor,
    momentum: HostTensor,
    update: HostTensor,
}

impl Numbers {
    pub(crate) fn new(rate: Rate) -> Result<Self, TrainError> {
        let update = number(f64::from(u8::from(rate.update)))?;
        Ok(Self { lr: number(rate.lr)?, momentum: number(rate.momentum)?, update })
    }
}

/// The result of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The mean loss.
    pub loss: f64,
    /// What it is the mean over: the number of samples, or the sum of their classes' weights.
    pub weight: f64,
    /// The class with the highest score for each target, where there are classes.
    pub predicted: Vec<i32>,
    /// What the loss is scaled by in the next step, where it is.
    pub loss_scale: Option<f64>,
    /// Whether the optimizer's step was passed over, since gradients overflowed 16 bits.
    pub skipped: bool,
}

impl Outcome {
    /// From the outputs of a program by name.
    pub(crate) fn of<'a>(batch: &Batch, get: impl Fn(&str) -> Option<&'a HostTensor>) -> Self {
        let number = |name: &str| get(name).and_then(|tensor| tensor.to_f64().first().copied());
        Self {
            loss: number(LOSS).unwrap_or(f64::NAN),
            weight: number(LOSS_WEIGHT).unwrap_or(batch.len() as f64),
            loss_scale: number(LOSS_SCALE),
            skipped: number(SKIPPED).is_some_and(|skipped| skipped > 0.0),
            predicted: get(PREDICTED).and_then(|t| t.as_i32().ok()).map(<[i32]>::to_vec).unwrap_or_default(),
        }
    }
}

/// The inputs of a step by name.
pub(crate) fn inputs<'a>(
    interface: &'a Interface,
    batch: &'a Batch,
    numbers: &'a Numbers,
) -> Vec<(&'a str, &'a HostTensor)> {
    let mut inputs = vec![
        (interface.input.as_str(), &batch.samples),
        (TARGET, &batch.targets),
        (LEARNING_RATE, &numbers.lr),
    ];
    if interface.has_momentum {
        inputs.push((MOMENTUM, &numbers.momentum));
    }
    if interface.accumulates {
        inputs.push((UPDATE, &numbers.update));
    }
    inputs
}
