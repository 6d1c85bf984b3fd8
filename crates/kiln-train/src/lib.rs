//! Training with Kiln's plans: data sets, augmentation, schedules, metrics, checkpoints, the loop.
//!
//! A plan made by `kiln_compile::compile_training` contains everything that a step computes; this crate feeds it
//! and evaluates its results. [`data`] reads samples, a [`loader::Loader`] makes batches of them on threads of its own,
//! a [`Trainer`] runs step after step, evaluates and writes checkpoints.

pub mod activations;
mod answers;
pub mod augment;
pub mod checkpoint;
pub mod data;
mod error;
mod evaluate;
pub mod history;
mod in_flight;
mod inspection;
mod interface;
pub mod landscape;
pub mod loader;
pub mod lr_finder;
pub mod metrics;
pub mod normalize;
pub mod npy;
mod observer;
mod option_string;
pub mod picture;
mod progress;
pub mod report;
pub mod schedule;
mod settings;
mod step;
pub mod tensorboard;
mod trainer;

pub use answers::evaluate_outputs;
pub use checkpoint::folder::Damaged;
pub use error::{DataError, TrainError};
pub use evaluate::{Evaluation, evaluate};
pub use inspection::Separate;
pub use interface::Interface;
pub use observer::{Observer, Step};
pub use progress::{Mean, Progress};
pub use settings::{Checkpoints, Settings};
pub use step::{Outcome, Rate};
pub use trainer::{End, Resumed, Trainer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
