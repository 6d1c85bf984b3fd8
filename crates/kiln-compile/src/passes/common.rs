//! What is computed twice is computed once, and what is known twice is kept once.
//!
//! ```text
//! before: a = relu(x)   b = relu(x)   c = add(a, b)
//! after:  a = relu(x)                 c = add(a, a)
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use kiln_graph::{DType, Graph, GraphError, NodeId, Rewriter, TensorType, ValueId};

/// Constants of more elements are not compared.
const MOST_ELEMENTS: usize = 1024;

/// Lets nodes with the same operator and inputs as an earlier one take its results.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    constants(graph, &mut rewriter)?;
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

/// Lets equal constants stand for each other.
fn constants(graph: &Graph, rewriter: &mut Rewriter<'_>) -> Result<(), GraphError> {
    let mut seen: HashMap<(TensorType, Vec<u64>), ValueId> = HashMap::new();
    for id in graph.value_ids() {
        let Some(tensor) = graph.as_constant(id).filter(|tensor| tensor.len() <= MOST_ELEMENTS) else {
            continue;
        };
        // All element types but i64 are exact as f64; negative zeros and NaNs differ in their bits.
        if tensor.dtype() == DType::I64 {
            continue;
        }
        let bits = tensor.to_f64().into_iter().map(f64::to_bits).collect();
        match seen.entry((tensor.ty(), bits)) {
            Entry::Occupied(twin) => rewriter.map(id, *twin.get()),
            Entry::Vacant(place) => {
                place.insert(rewriter.get(id)?);
            }
        }
    }
    Ok(())
}
