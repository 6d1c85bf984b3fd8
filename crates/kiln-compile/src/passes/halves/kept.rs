//! Which values lie in memory with 16 bits: activations, and in a training step their gradients, where something has to
//! read them from memory.
//!
//! Others keep their 32 bits: results; what sums and means over many numbers give, and what is computed from that alone
//! (statistics); what becomes an index, a place or a count (coordinates, scores that are sorted); the results of softmax;
//! gradients of parameters. A value that only elementwise operators read becomes part of their kernel, so it is not rounded
//! on its way.

use kiln_graph::ops::PoolKind;
use kiln_graph::{DType, Graph, Node, NodeId, Op, ValueId};

use crate::passes::recompute::is_recomputed;

/// The side of a training step that a node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The model.
    Forward,
    /// The gradients of its activations.
    Backward,
}

/// What of a graph is in question.
pub(crate) struct Parts<'a> {
    /// The side of each node; none of what is computed with 32 bits throughout, such as a loss.
    pub of: &'a dyn Fn(NodeId) -> Option<Side>,
    /// Values that keep 32 bits.
    pub protected: &'a [ValueId],
}

/// What an operator's result is to the question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An activation, whatever the operands are.
    Layer,
    /// An activation that keeps 32 bits.
    Share,
    /// As its operands, in the kernel of others.
    Elementwise,
    /// Elements of its operands, or means of neighbours; the same operator handles 16-bit floats.
    Moved,
    /// A statistic, or what is no activation at all.
    Other,
}

pub(super) fn kind(op: &Op) -> Kind {
    match op {
        Op::Conv(_) | Op::Pool(_) | Op::MatMul(_) | Op::BatchNorm(_) | Op::PoolGrad(_) => Kind::Layer,
        Op::Softmax(_) => Kind::Share,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::StopGradient | Op::Dropout(_) => {
            Kind::Elementwise
        }
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Expand(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Resize(_) => Kind::Moved,
        Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::ShapeOf(_)
        | Op::Iota(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::ConvGradWeight(_)
        | Op::Loop(_) => Kind::Other,
    }
}

/// Whether a value is a float of 32 bits.
pub(super) fn is_single(graph: &Graph, id: ValueId) -> bool {
    graph.ty(id).dtype == DType::F32
}

/// The operands whose elements a node of [`Kind::Moved`] moves.
pub(super) fn moved(node: &Node) -> &[ValueId] {
    if let Op::Concat(_) = node.op { &node.inputs } else { &node.inputs[..1] }
}

/// By value: whether it is rounded to 16 bits.
pub(crate) fn rounded(graph: &Graph, parts: &Parts<'_>) -> Vec<bool> {
    let mut keeps = places(graph);
    let mut is_result = vec![false; graph.values().len()];
    for id in graph.results() {
        is_result[id.index()] = true;
    }
    for id in parts.protected {
        keeps[id.index()] = true;
    }
    for_gradients(graph, &mut keeps, parts);
    let (consumers, activations) = (graph.consumers(), activations(graph));
    let mut rounded = vec![false; graph.values().len()];
    for id in graph.node_ids() {
        let node = graph.node(id);
        let (Some(side), value) = ((parts.of)(id), node.outputs[0]) else { continue };
        let n = value.index();
        if keeps[n] || is_result[n] || !activations[n] || !is_single(graph, value) {
            continue;
        }
        rounded[n] = match kind(&node.op) {
            Kind::Layer | Kind::Elementwise => {
                let readers = &consumers[n];
                let only_summed =
                    readers.iter().all(|reader| matches!(graph.node(*reader).op, Op::Reduce(_)));
                let recomputed = is_recomputed(graph, id);
                readers.iter().any(|reader| {
                    let elsewhere = (parts.of)(*reader) != Some(side) && !recomputed;
                    elsewhere || reads_memory(graph, &is_result, *reader, value)
                }) && !only_summed
            }
            Kind::Moved => moved(node).iter().any(|id| rounded[id.index()]),
            Kind::Share | Kind::Other => false,
        };
    }
    rounded
}

/// Whether a node reads `value` from memory.
fn reads_memory(graph: &Graph, is_result: &[bool], reader: NodeId, value: ValueId) -> bool {
    let node = graph.node(reader);
    match kind(&node.op) {
        Kind::Layer => true,
        // What a result is made of is not rounded on its way.
        Kind::Share | Kind::Moved => !is_result[node.outputs[0].index()],
        Kind::Elementwise => graph.ty(node.outputs[0]).shape != graph.ty(value).shape,
        Kind::Other => matches!(node.op, Op::Reduce(_) | Op::ConvGradWeight(_)),
    }
}

/// By value: whether it is an activation.
fn activations(graph: &Graph) -> Vec<bool> {
    let mut is = vec![false; graph.values().len()];
    for id in graph.inputs() {
        is[id.index()] = is_single(graph, *id);
    }
    for node in graph.nodes() {
        is[node.outputs[0].index()] = match kind(&node.op) {
            Kind::Layer | Kind::Share => true,
            Kind::Elementwise => node.inputs.iter().any(|id| is[id.index()]),
            Kind::Moved => moved(node).iter().any(|id| is[id.index()]),
            Kind::Other => false,
        };
    }
    is
}

/// By value: whether an index, a place or a count is computed from it.
fn places(graph: &Graph) -> Vec<bool> {
    let mut is = vec![false; graph.values().len()];
    for node in graph.nodes().iter().rev() {
        let is_whole = |to: DType| !to.is_float() && to != DType::Bool;
        let chooses = matches!(node.op, Op::ArgReduce(_) | Op::ArgSort(_) | Op::Nonzero(_) | Op::Suppress(_))
            || matches!(&node.op, Op::Cast(op) if is_single(graph, node.inputs[0]) && is_whole(op.to));
        let hands_on = matches!(kind(&node.op), Kind::Elementwise | Kind::Moved)
            || matches!(&node.op, Op::Reduce(op) if op.kind.chooses())
            || matches!(&node.op, Op::Pool(op) if op.kind == PoolKind::Max);
        if chooses || hands_on && node.outputs.iter().any(|id| is[id.index()]) {
            node.inputs.iter().for_each(|id| is[id.index()] = true);
        }
    }
    is
}

/// Adds to `keeps` what on the way back leads to values that keep their digits, and to nothing else: a gradient of a
/// parameter, before its elements are moved to their places and added up.
fn for_gradients(graph: &Graph, keeps: &mut [bool], parts: &Parts<'_>) {
    let mut is = vec![false; keeps.len()];
    for id in parts.protected {
        is[id.index()] = true;
    }
    let consumers = graph.consumers();
    for id in graph.node_ids().rev() {
        let node = graph.node(id);
        let leads = |reader: &NodeId| {
            let node = graph.node(*reader);
            let hands_on =
                matches!(kind(&node.op), Kind::Elementwise | Kind::Moved) || matches!(node.op, Op::Reduce(_));
            hands_on && is[node.outputs[0].index()]
        };
        let readers = &consumers[node.outputs[0].index()];
        if (parts.of)(id) == Some(Side::Backward) && !readers.is_empty() && readers.iter().all(leads) {
            is[node.outputs[0].index()] = true;
        }
    }
    keeps.iter_mut().zip(is).for_each(|(keeps, is)| *keeps |= is);
}
