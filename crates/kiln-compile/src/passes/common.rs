//! What is computed twice is computed once.
//!
//! ```text
//! before: a = relu(x)   b = relu(x)   c = add(a, b)
//! after:  a = relu(x)                 c = add(a, a)
//! ```

use std::collections::HashMap;

use kiln_graph::{Graph, GraphError, NodeId, Rewriter, ValueId};

/// Lets nodes with the same operator and inputs as an earlier one take its results.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    // Operators hold floats and cannot be hashed; those with the same inputs are few.
    let mut seen: HashMap<Vec<ValueId>, Vec<NodeId>> = HashMap::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        let inputs = rewriter.inputs(id)?;
        let candidates = seen.entry(inputs).or_default();
        match candidates.iter().find(|other| graph.node(**other).op == node.op) {
            Some(other) => {
                let twins = graph.node(*other).outputs.iter();
                for (output, twin) in node.outputs.iter().zip(twins) {
                    let value = rewriter.get(*twin)?;
                    rewriter.map(*output, value);
                }
            }
            None => {
                candidates.push(id);
                rewriter.copy(id)?;
            }
        }
    }
    rewriter.finish()
}
