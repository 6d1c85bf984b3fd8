//! Parameters and statistics become constants, so that the passes behind can compute with them.
//!
//! ```text
//! before: state w: f32[8, 3, 3, 3]     y = conv(x, w)
//! after:  const w: f32[8, 3, 3, 3]     y = conv(x, w)
//! ```

use kiln_graph::{Def, Graph, GraphError, Rewriter};

/// Turns every state into a constant of its first value. A graph that updates its states cannot be frozen.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    if let Some(update) = graph.updates().first() {
        return Err(GraphError::Invalid(format!(
            "`{}` is updated by each run, so it cannot be frozen; only a graph for inference can be",
            graph.value(update.state).name
        )));
    }
    if graph.states().is_empty() {
        return Ok(graph.clone());
    }
    let mut rewriter = Rewriter::without_interface(graph);
    for id in graph.inputs() {
        rewriter.input(*id)?;
    }
    for id in graph.states() {
        if let Def::State(tensor) = &graph.value(*id).def {
            let constant = rewriter.graph.constant(graph.value(*id).name.clone(), tensor.clone());
            rewriter.map(*id, constant);
        }
    }
    for id in graph.node_ids() {
        rewriter.copy(id)?;
    }
    rewriter.finish()
}
