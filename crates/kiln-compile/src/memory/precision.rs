//! Which floats have other than their own number of bits in memory.

use half::f16;
use kiln_graph::ops::ScatterReduction;
use kiln_graph::{DType, Data, Graph, Op, Tensor, ValueId};
use kiln_plan::Storage;

use crate::element::{computed_type, stored_type};
use crate::fuse::{is_view, is_widening};
use crate::passes::constant::bytes_from;
use crate::passes::halves::weights;
use crate::target::Target;

/// How many bits floats have in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Floats {
    /// As many as their type has.
    Usual,
    /// 16-bit floats have 32 bits: states and what they become, so that they keep all digits that updates add to; and what
    /// is moved or chosen from these, or it would equal none of them, as gradients ask.
    Wide,
    /// Floats of 32 bits have 16, because they are equal to 16-bit floats.
    Narrow,
}

impl Floats {
    /// The type in memory of what has the type `dtype` on the device.
    pub(super) fn storage(self, dtype: DType, target: &Target) -> Storage {
        match self {
            Self::Usual => stored_type(dtype, target),
            Self::Wide => computed_type(dtype),
            Self::Narrow => stored_type(DType::F16, target),
        }
    }
}

/// Those of all values of a graph; with `halves`, of weights, too.
pub(super) fn floats(graph: &Graph, halves: bool) -> Vec<Floats> {
    let is_half = |id: &ValueId| graph.ty(*id).dtype == DType::F16;
    let mut floats = vec![Floats::Usual; graph.values().len()];
    let updated = graph.updates().iter().map(|update| update.value);
    for id in graph.states().iter().copied().chain(updated).filter(is_half) {
        floats[id.index()] = Floats::Wide;
    }
    for id in graph.node_ids() {
        let node = graph.node(id);
        let is = |what| node.inputs.iter().any(|id| floats[id.index()] == what);
        // What the caller gets has the type that it expects.
        let is_result = || graph.results().any(|result| node.outputs.contains(&result));
        let becomes = if is_widening(graph, id) {
            // What holds a 16-bit float may have 32 bits.
            if is(Floats::Wide) { Floats::Usual } else { Floats::Narrow }
        } else if keeps_elements(&node.op) && is(Floats::Wide) {
            Floats::Wide
        } else if is_view(&node.op) && is(Floats::Narrow) && !is_result() {
            Floats::Narrow
        } else {
            continue;
        };
        node.outputs.iter().for_each(|id| floats[id.index()] = becomes);
    }
    if halves {
        let narrow = weights(graph).into_iter().filter(|id| graph.as_constant(*id).is_some_and(fits_16_bits));
        narrow.for_each(|id| floats[id.index()] = Floats::Narrow);
    }
    floats
}

/// Whether a constant is floats of 32 bits that are equal to 16-bit floats, and no whole numbers of 8 bits, which are
/// packed.
fn fits_16_bits(tensor: &Tensor) -> bool {
    let Data::F32(numbers) = tensor.data() else { return false };
    let same = |x: &f32| f16::from_f32(*x).to_f32().to_bits() == x.to_bits();
    numbers.iter().all(same) && bytes_from(tensor).is_none()
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
