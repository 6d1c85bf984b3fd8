//! Computing at once what follows from small constants alone.
//!
//! Models write shapes as little programs (`Where(Equal(shape, -1), ones, shape)`). Their results are needed while
//! the graph is being built, so they are computed as they appear. Large constants are left to the passes.

use crate::dim::Bindings;
use crate::graph::{Graph, ValueId};
use crate::ops::{Op, Precision};
use crate::tensor::Tensor;

/// Larger results are data, not shapes.
const MAX_ELEMENTS: i64 = 4096;

/// The result of `op`, if it has one output and all it depends on is constant and small.
pub(crate) fn fold(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<Tensor> {
    let tensors: Vec<&Tensor> = inputs.iter().map(|id| graph.as_constant(*id)).collect::<Option<_>>()?;
    let small = |elements: Option<i64>| elements.is_some_and(|n| n <= MAX_ELEMENTS);
    if !tensors.iter().all(|t| small(t.ty().elements().as_const())) {
        return None;
    }
    let types: Vec<_> = inputs.iter().map(|id| graph.ty(*id)).collect();
    // What is wrong with the operator is said where it is applied, with the node's name.
    let [output] = op.infer(&types).ok()?.try_into().ok()?;
    if !small(output.elements().as_const()) || output.static_shape().is_none() {
        return None;
    }
    let [result] = op.evaluate(&tensors, Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    Some(result)
}
