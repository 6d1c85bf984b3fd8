//! What is done to a graph before it becomes kernels: a list of passes, each with one job.
//!
//! A pass is a function from graph to graph in a file of its own. It keeps the meaning (tests evaluate before and
//! after), the interface (names of inputs, states and outputs) and the user's names of whatever it keeps.

pub mod affine;
pub mod common;
mod constant;
pub mod dead_code;
pub mod decompose;
pub mod elementary;
pub mod fold;
pub mod freeze;
pub mod identity;
pub mod pad;
pub mod recompute;
pub mod windows;

use kiln_graph::{Graph, GraphError};

/// A pass: a new graph that means the same.
pub type Pass = fn(&Graph) -> Result<Graph, GraphError>;

/// The passes of an inference plan, in their order.
pub const INFERENCE: &[(&str, Pass)] = &[
    ("freeze", freeze::run),
    ("decompose", decompose::run),
    ("windows", windows::run),
    ("elementary", elementary::run),
    ("fold", fold::run),
    ("identity", identity::run),
    ("common", common::run),
    ("affine", affine::run),
    ("pad", pad::run),
    ("dead_code", dead_code::run),
];

/// A pass cannot be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("in pass {pass}: {source}")]
pub struct PassError {
    /// The pass.
    pub pass: &'static str,
    /// Why.
    pub source: GraphError,
}

/// The passes of a plan whose states stay states, in their order.
pub const TRAINING: &[(&str, Pass)] = &[
    ("decompose", decompose::run),
    ("windows", windows::run),
    ("elementary", elementary::run),
    ("fold", fold::run),
    ("identity", identity::run),
    ("common", common::run),
    ("pad", pad::run),
    ("recompute", recompute::run),
    ("dead_code", dead_code::run),
];

/// Runs passes in their order.
pub fn run(passes: &[(&'static str, Pass)], graph: &Graph) -> Result<Graph, PassError> {
    passes.iter().try_fold(graph.clone(), |graph, (pass, run)| {
        let error = |source| PassError { pass, source };
        let graph = run(&graph).map_err(error)?;
        if cfg!(debug_assertions) {
            graph.verify().map_err(error)?;
        }
        Ok(graph)
    })
}

/// How often each value is read, by nodes and as a result.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.values().len()];
    for input in graph.nodes().iter().flat_map(|node| &node.inputs).copied().chain(graph.results()) {
        uses[input.index()] += 1;
    }
    uses
}
