//! From a model to a training step: forward pass, loss, backward pass and updates as one graph.
//!
//! [`programs`] makes three graphs that share their states: `inference`, `evaluate` and `train`, or `gradients` and `apply` in
//! its place. The step's inputs are
//! the model's, the target, the learning rate, the momentum and, with accumulation, whether the optimizer steps; its
//! outputs the loss and what can be said beside it.
//! All else, parameters, running statistics, what the optimizer keeps, the state of the random numbers, is state with
//! an explicit update.

mod average;
mod backward;
mod gradients;
mod init;
mod loss;
mod loss_scale;
mod mode;
mod names;
mod normalizing;
mod optimizer;
mod pattern;
mod programs;
mod roles;
mod scale;
mod settings;
mod split;
mod step;
mod update;

pub use average::averaged;
pub use backward::backward;
pub use init::initialize;
pub use loss::{Loss, gives_logarithms};
pub use mode::statistics;
pub use names::{
    CORRECT, FAILED, FINITE, GOOD_STEPS, GRADIENT_NORM, GRADIENTS, LEARNING_RATE, LOSS, LOSS_SCALE,
    LOSS_WEIGHT, MOMENTUM, OVERFLOWED, PREDICTED, SKIPPED, STEPS, TARGET, UPDATE,
};
pub use normalizing::normalizing;
pub use optimizer::Optimizer;
pub use pattern::matches;
pub use programs::{evaluation, programs};
pub(crate) use roles::name_roles;
pub use scale::{TARGET_MEAN, TARGET_STD, TargetScale, fold};
pub use settings::Training;
pub use step::step;
