//! Shared by the commands that train, evaluate and find a learning rate.

mod beside;
mod classes;
mod environment;
mod folder;
mod interrupt;
mod known;
mod maps;
mod recipe;
mod results;
mod screen;
mod setup;
mod suited;
mod trace;
mod values;

pub(crate) use beside::metadata_beside;
pub(crate) use environment::{Environment, compare};
pub(crate) use folder::{Earlier, Folder};
pub(crate) use interrupt::Interrupt;
pub(crate) use recipe::{OptimizerName, Recipe};
pub(crate) use results::{layers, write_report, write_results};
pub(crate) use screen::{Screen, confusion, curve};
pub(crate) use setup::{Observed, Setup, evaluation, note_skipped, observed, step_of};
pub(crate) use suited::words as loss_name;
pub(crate) use trace::Trace;
