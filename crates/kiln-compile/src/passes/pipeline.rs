//! Which passes run, in which order.

use kiln_graph::{Graph, GraphError};

/// A pass: a new graph that means the same.
pub type Pass = fn(&Graph) -> Result<Graph, GraphError>;

/// The passes of an inference plan, in their order.
pub const INFERENCE: &[(&str, Pass)] = &[
    ("freeze", super::freeze::run),
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("affine", super::affine::run),
    ("pad", super::pad::run),
    ("bodies", super::bodies::run),
    ("dead_code", super::dead_code::run),
];

/// The passes of a plan whose states stay states, in their order.
pub const TRAINING: &[(&str, Pass)] = &[
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("pad", super::pad::run),
    ("recompute", super::recompute::run),
    ("bodies", super::bodies::run),
    ("dead_code", super::dead_code::run),
];

/// The passes of the body of a loop, in their order.
pub const BODY: &[(&str, Pass)] = &[
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("affine", super::affine::run),
    ("pad", super::pad::run),
    ("bodies", super::bodies::run),
    ("dead_code", super::dead_code::run),
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
