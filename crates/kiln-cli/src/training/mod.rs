//! Shared by the commands that train, evaluate and find a learning rate.

mod beside;
mod classes;
mod environment;
mod folder;
mod interrupt;
mod known;
mod recipe;
mod results;
mod screen;
mod setup;
mod suited;
mod values;

pub use beside::metadata_beside;
pub use environment::{Environment, compare};
pub use folder::{Earlier, Folder};
pub use interrupt::Interrupt;
pub use recipe::{OptimizerName, Recipe};
pub use results::{layers, write_report, write_results};
pub use screen::{Screen, confusion, curve};
pub use setup::{Setup, evaluation, note_skipped, step_of};
pub use suited::words as loss_name;
