//! What follows from constants, or from shapes alone, is computed now.
//!
//! ```text
//! before: const b: f32[64]   r = reshape(b) {shape=[1, 64, 1, 1]}   y = add(x, r)
//! after:  const r: f32[1, 64, 1, 1]                                 y = add(x, r)
//! ```

use std::collections::HashSet;

use kiln_graph::{Bindings, Graph, GraphError, Op, Precision, Rewriter, Tensor, ValueId};

/// Larger results stay computed: a plan must not grow because a number was expanded.
const MAX_GROWTH: usize = 1 << 16;

/// What an expanded number may grow to where it is a weight: a plan expects these to be known, and they would be large in
/// any other model as well.
const MAX_WEIGHT: usize = 1 << 28;

/// Replaces nodes whose results are known by constants.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut weights = HashSet::new();
    for node in graph.nodes() {
        if let (Op::Conv(_) | Op::MatMul(_), [_, weight, ..]) = (&node.op, &node.inputs[..]) {
            weights.insert(*weight);
        }
    }
    for id in graph.node_ids() {
        let node = graph.node(id);
        let inputs = rewriter.inputs(id)?;
        match known(&rewriter.graph, graph, &node.op, &inputs, &node.outputs, &weights) {
            Some(results) => {
                for (output, tensor) in node.outputs.iter().zip(results) {
                    let name = graph.value(*output).name.clone();
                    let constant = rewriter.graph.constant(name, tensor);
                    rewriter.map(*output, constant);
                }
            }
            None => rewriter.copy(id)?,
        }
    }
    rewriter.finish()
}

fn known(
    new: &Graph,
    old: &Graph,
    op: &Op,
    inputs: &[ValueId],
    outputs: &[ValueId],
    weights: &HashSet<ValueId>,
) -> Option<Vec<Tensor>> {
    if let [output] = outputs
        && let Some(tensor) = old.value(*output).known()
    {
        return Some(vec![tensor]);
    }
    let tensors: Vec<&Tensor> = inputs.iter().map(|id| new.as_constant(*id)).collect::<Option<_>>()?;
    let before: usize = tensors.iter().map(|t| t.len()).sum();
    let sizes = outputs.iter().map(|id| old.ty(*id).static_shape().map(|s| s.iter().product::<usize>()));
    let after: usize = sizes.sum::<Option<usize>>()?;
    let is_weight = outputs.iter().any(|id| weights.contains(id));
    if after > before.max(if is_weight { MAX_WEIGHT } else { MAX_GROWTH }) {
        return None;
    }
    op.evaluate(&tensors, Precision::F32, &Bindings::new()).ok()
}
