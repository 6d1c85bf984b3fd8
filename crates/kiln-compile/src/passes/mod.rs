//! What is done to a graph before it becomes kernels: a list of passes, each with one job.
//!
//! A pass is a function from graph to graph in a file of its own. It keeps the meaning (tests evaluate before and
//! after), the interface (names of inputs, states and outputs) and the user's names of whatever it keeps.

pub mod affine;
pub mod bodies;
pub mod bounds;
pub mod common;
pub(crate) mod constant;
pub mod dead_code;
pub mod decompose;
pub(crate) mod dequantized;
pub mod elementary;
pub mod fold;
pub mod freeze;
pub mod halves;
pub mod identity;
pub mod pad;
mod pipeline;
pub mod recompute;
mod sequence;
mod uses;
pub mod whole_numbers;
pub mod windows;

pub use pipeline::{HALVES, INFERENCE, TRAINING};
pub use sequence::{Pass, PassError, run};
