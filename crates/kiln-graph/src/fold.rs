//! Computing at once what follows from small constants alone.
//!
//! Models write shapes as little programs (`Where(Equal(shape, -1), ones, shape)`). Their results are needed while
//! the graph is being built, so they are computed as they appear. Large constants are left to the passes.

use crate::contents;
use crate::dim::{Bindings, Dim};
use crate::graph::{Graph, ValueId};
use crate::ops::{Op, Precision};
use crate::tensor::{Tensor, TensorType};

/// Larger results are data, not shapes.
const MAX_ELEMENTS: i64 = 4096;

/// Larger computations are not folded.
const MAX_WORK: u64 = 1 << 16;

/// Steps of arithmetic that evaluating takes, roughly.
pub fn work(op: &Op, inputs: &[&TensorType], output: &TensorType) -> u64 {
    let positive = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
    // Loops go over the other axes of an empty tensor, too.
    let count = |ty: &TensorType| {
        ty.shape.iter().fold(1u64, |n, dim| n.saturating_mul(positive(dim.as_const()).max(1)))
    };
    let read = inputs.iter().fold(0u64, |sum, ty| sum.saturating_add(count(ty)));
    let each = match (op, inputs) {
        (Op::Conv(_), [_, weight, ..]) => {
            weight.shape.iter().skip(1).fold(1u64, |n, dim| n.saturating_mul(positive(dim.as_const())))
        }
        (Op::MatMul(op), [a, ..]) => {
            let summed = a.rank().checked_sub(if op.transpose_a { 2 } else { 1 });
            positive(summed.and_then(|axis| a.shape.get(axis)).and_then(Dim::as_const))
        }
        (Op::Pool(op), _) => op.kernel.iter().fold(1u64, |n, size| n.saturating_mul(*size as u64)),
        (Op::Resize(_), _) => 64,
        (Op::ConvGradWeight(_) | Op::PoolGrad(_), _) => read,
        // A whole graph many times.
        (Op::Loop(_), _) => u64::MAX,
        _ => 1,
    };
    count(output).saturating_mul(each).max(read)
}

/// The result of `op`, if it has one output and all it depends on is constant and small, or sizes that are numbers.
pub(crate) fn fold(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<Tensor> {
    let constants: Option<Vec<&Tensor>> = inputs.iter().map(|id| graph.as_constant(*id)).collect();
    let Some(tensors) = constants else { return from_sizes(graph, op, inputs) };
    let small = |elements: Option<i64>| elements.is_some_and(|n| n <= MAX_ELEMENTS);
    if !tensors.iter().all(|t| small(t.ty().elements().as_const())) {
        return None;
    }
    let types: Vec<_> = inputs.iter().map(|id| graph.ty(*id)).collect();
    // Errors of the operator are reported where it is applied, with the node's name.
    let [output] = op.infer(&types).ok()?.try_into().ok()?;
    let is_large = !small(output.elements().as_const()) || work(op, &types, &output) > MAX_WORK;
    if is_large || output.static_shape().is_none() {
        return None;
    }
    let [result] = op.evaluate(&tensors, Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    Some(result)
}

/// The result of `op` where its elements follow from sizes, and those are numbers: what a model makes of them need not be
/// integer arithmetic (`Where(Equal(heads, groups), ..)`).
fn from_sizes(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<Tensor> {
    if !contents::may_follow(graph, op, inputs) {
        return None;
    }
    let types: Vec<_> = inputs.iter().map(|id| graph.ty(*id)).collect();
    let [output] = op.infer(&types).ok()?.try_into().ok()?;
    let contents = contents::of_node(graph, op, inputs, &output, &mut graph.guards().clone())?;
    contents::tensor(&contents, &output)
}
