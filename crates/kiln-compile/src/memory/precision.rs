//! Which 16-bit floats keep all their digits in memory.

use kiln_graph::ops::ScatterReduction;
use kiln_graph::{DType, Graph, Op, ValueId};

/// By value: whether it is a 16-bit float that has 32 bits in memory. States do and what they become, so that they keep
/// all digits that updates add to; and what is moved or chosen from these, or it would equal none of them, as gradients
/// ask.
pub(super) fn precise(graph: &Graph) -> Vec<bool> {
    let is_half = |id: &ValueId| graph.ty(*id).dtype == DType::F16;
    let mut precise = vec![false; graph.values().len()];
    let updated = graph.updates().iter().map(|update| update.value);
    for id in graph.states().iter().copied().chain(updated).filter(is_half) {
        precise[id.index()] = true;
    }
    for node in graph.nodes() {
        if keeps_elements(&node.op) && node.inputs.iter().any(|id| precise[id.index()]) {
            node.outputs.iter().for_each(|id| precise[id.index()] = true);
        }
    }
    precise
}

/// Whether the results of an operator are elements of its operands.
fn keeps_elements(op: &Op) -> bool {
    match op {
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Expand(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_) => true,
        Op::Reduce(op) => op.kind.chooses(),
        Op::Scatter(op) => matches!(op.reduction, ScatterReduction::Max | ScatterReduction::Min),
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Select
        | Op::Cast(_)
        | Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::ArgReduce(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Iota(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::StopGradient
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        | Op::Loop(_) => false,
    }
}
