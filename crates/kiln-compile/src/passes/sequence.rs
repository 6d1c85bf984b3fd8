//! Running passes one after the other.

use kiln_graph::{Graph, GraphError};

/// A pass: a new graph that means the same.
pub type Pass = fn(&Graph) -> Result<Graph, GraphError>;

/// A pass cannot be done. Which one is of no use to whoever wrote the model, so the text does not say it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{source}")]
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
            let broken = |source| GraphError::Invalid(format!("after the pass `{pass}`: {source}"));
            graph.verify().map_err(broken).map_err(error)?;
        }
        Ok(graph)
    })
}
