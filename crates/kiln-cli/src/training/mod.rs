//! What the commands that train, evaluate and look for a learning rate have in common.

mod recipe;
mod setup;

pub use recipe::{OptimizerName, Recipe};
pub use setup::{Setup, evaluation, step_of};
