//! The history of a training: measures after each epoch, and their files.

#![deny(clippy::as_conversions)]

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

mod log;

pub use log::{HistoryLog, Logged};

/// Measures on some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The mean loss.
    pub loss: f64,
    /// The fraction of correct predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The mean F1 of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// The area under the curve, for two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
}

/// An epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// On the training samples, while the network changed.
    pub train: Scores,
    /// On the validation samples, after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Scores>,
    /// The learning rate of the last step.
    pub lr: f64,
    /// Steps that were passed over, since gradients overflowed 16 bits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// What the loss is scaled by after the epoch, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Time it took.
    pub seconds: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A measure to choose the best epoch by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The loss: less is better.
    #[default]
    Loss,
    /// The fraction of correct predictions: more is better.
    Accuracy,
    /// The mean F1: more is better.
    F1,
    /// The area under the curve: more is better.
    Auc,
}

impl Measure {
    /// A number of which higher is better, on the validation samples if there are any.
    pub fn of(self, epoch: &Epoch) -> Option<f64> {
        let scores = epoch.validation.as_ref().unwrap_or(&epoch.train);
        match self {
            Measure::Loss => Some(-scores.loss),
            Measure::Accuracy => scores.accuracy,
            Measure::F1 => scores.f1,
            Measure::Auc => scores.auc,
        }
    }
}

/// Writes `history.csv` and `history.jsonl` into a folder.
pub fn write(folder: &Path, epochs: &[Epoch]) -> Result<(), TrainError> {
    let mut csv = String::from(
        "epoch,train_loss,train_accuracy,train_f1,validation_loss,validation_accuracy,validation_f1,validation_auc,lr,seconds",
    );
    let is_scaled = epochs.iter().any(|epoch| epoch.loss_scale.is_some());
    csv += if is_scaled { ",skipped,loss_scale\n" } else { "\n" };
    let mut lines = String::new();
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for epoch in epochs {
        let validation = epoch.validation.as_ref();
        let cells = [
            epoch.epoch.to_string(),
            epoch.train.loss.to_string(),
            number(epoch.train.accuracy),
            number(epoch.train.f1),
            number(validation.map(|scores| scores.loss)),
            number(validation.and_then(|scores| scores.accuracy)),
            number(validation.and_then(|scores| scores.f1)),
            number(validation.and_then(|scores| scores.auc)),
            epoch.lr.to_string(),
            format!("{:.3}", epoch.seconds),
        ];
        csv += &cells.join(",");
        if is_scaled {
            let _ = write!(csv, ",{},{}", epoch.skipped, number(epoch.loss_scale));
        }
        csv.push('\n');
        let _ = writeln!(lines, "{}", serde_json::to_string(epoch).unwrap_or_default());
    }
    for (name, text) in [("history.csv", csv), ("history.jsonl", lines)] {
        let path = folder.join(name);
        kiln_files::write(&path, text.as_bytes()).map_err(|source| TrainError::write(&path, source))?;
    }
    Ok(())
}
