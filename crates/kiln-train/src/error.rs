//! Errors of data and of training.

use std::path::{Path, PathBuf};

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is invalid.
    #[error("`{}`: {message}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The name of a data set is wrong.
    #[error("{0}")]
    Source(String),
    /// Parts do not match.
    #[error("{0}")]
    Mismatch(String),
}

impl DataError {
    /// An error about the contents of a file.
    pub fn file(path: &Path, message: impl Into<String>) -> Self {
        DataError::File { path: path.into(), message: message.into() }
    }

    /// An error of the file system.
    pub fn read(path: &Path, source: std::io::Error) -> Self {
        DataError::Read { path: path.into(), source }
    }
}

impl TrainError {
    /// An error of the file system in writing.
    pub fn write(path: &Path, source: std::io::Error) -> Self {
        TrainError::Write { path: path.into(), source }
    }
}

/// Why training stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device or the plan.
    #[error(transparent)]
    Runtime(#[from] kiln_runtime::RuntimeError),
    /// The plan does not train, or not this.
    #[error("{0}")]
    Plan(String),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// A checkpoint cannot be used.
    #[error("`{}`: {message}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Gradients are not finite, however small they are scaled.
    #[error(
        "the gradients are not finite in step {step} (epoch {epoch}, learning rate {lr:e}), although the loss scale has \
         fallen to {scale}; a lower learning rate may help, or precision f32"
    )]
    Overflow {
        /// The step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The learning rate of the step.
        lr: f64,
        /// What the loss would be scaled by next.
        scale: f64,
    },
    /// The loss is not finite.
    #[error("the loss is {loss} in step {step} (epoch {epoch}, learning rate {lr:e}); {cause}")]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The learning rate of the step.
        lr: f64,
        /// The loss.
        loss: f64,
        /// The first tensor that is not finite.
        cause: String,
    },
}
