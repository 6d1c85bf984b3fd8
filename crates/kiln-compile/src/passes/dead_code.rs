//! What no output and no new state needs is left out.
//!
//! ```text
//! before: a = relu(x)   b = exp(x)   out a
//! after:  a = relu(x)                out a
//! ```

use kiln_graph::{Graph, GraphError, Rewriter};

/// Drops nodes and constants that nothing needs. Inputs and states stay: they are the graph's interface.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut needed = vec![false; graph.values().len()];
    for id in graph.results() {
        needed[id.index()] = true;
    }
    let mut live = vec![false; graph.nodes().len()];
    for id in graph.node_ids().rev() {
        let node = graph.node(id);
        live[id.index()] = node.outputs.iter().any(|output| needed[output.index()]);
        if live[id.index()] {
            for input in &node.inputs {
                needed[input.index()] = true;
            }
        }
    }
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids().filter(|id| live[id.index()]) {
        rewriter.copy(id)?;
    }
    rewriter.finish()
}
