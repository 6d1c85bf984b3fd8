//! Which layers can be quantized, and which values are for that.

use std::collections::BTreeMap;

use kiln_graph::ops::{BinaryOp, PoolKind, UnaryOp};
use kiln_graph::{DType, Def, Graph, Node, NodeId, Op, ValueId};

use super::network::{Kept, Layer, Point};
use crate::passes::constant::along_axis;
use crate::train::matches;

/// What there is in a network.
pub(super) struct Found {
    pub layers: Vec<Layer>,
    pub kept: Vec<Kept>,
    pub points: Vec<Point>,
}

/// The axis of a product's result that has the channels or columns.
pub(super) fn channel_axis(graph: &Graph, node: &Node) -> usize {
    if let Op::Conv(_) = node.op { 1 } else { graph.ty(node.outputs[0]).rank() - 1 }
}

/// Finds layers and points; patterns in `keep` name layers to leave out.
pub(super) fn find(graph: &Graph, keep: &[String]) -> Found {
    let consumers = consumers(graph);
    let (mut layers, mut kept) = (Vec::new(), Vec::new());
    for id in graph.node_ids() {
        let node = graph.node(id);
        let (Op::Conv(_) | Op::MatMul(_)) = node.op else { continue };
        let name = node.name.clone();
        let op = operator(graph, node);
        let reason = if keep.iter().any(|pattern| matches(pattern, &name)) {
            Some("kept")
        } else {
            unsuited(graph, node)
        };
        match reason {
            Some(reason) => kept.push(Kept { name, op, reason }),
            None => {
                let (bias, end) = chain(graph, &consumers, id);
                layers.push(Layer { name, op, node: id, bias, end });
            }
        }
    }
    let points = points(graph, &layers);
    Found { layers, kept, points }
}

/// As ONNX calls it.
fn operator(graph: &Graph, node: &Node) -> &'static str {
    if let Op::Conv(op) = &node.op {
        return if op.input_dilations.iter().any(|step| *step > 1) { "ConvTranspose" } else { "Conv" };
    }
    if graph.ty(node.outputs[0]).rank() == 2 { "Gemm" } else { "MatMul" }
}

/// Why a product is not a layer, if it is none.
fn unsuited(graph: &Graph, node: &Node) -> Option<&'static str> {
    let &[x, weight] = &node.inputs[..] else { return Some("of several operands") };
    let is_constant = |id| matches!(graph.value(id).def, Def::Constant(_));
    if graph.ty(x).dtype != DType::F32 {
        Some("not of 32-bit floats")
    } else if is_constant(x) {
        Some("its weight is the left operand")
    } else if !is_constant(weight) {
        Some("it has no weight")
    } else if graph.as_constant(weight).is_none_or(|weight| weight.is_empty()) {
        Some("its weight is empty")
    } else {
        None
    }
}

/// The nodes that read each value, and, beside them, whether it is a result.
struct Consumers {
    nodes: Vec<Vec<NodeId>>,
    is_result: Vec<bool>,
}

fn consumers(graph: &Graph) -> Consumers {
    let mut is_result = vec![false; graph.values().len()];
    for id in graph.results() {
        is_result[id.index()] = true;
    }
    Consumers { nodes: graph.consumers(), is_result }
}

impl Consumers {
    /// The only node that reads a value, which nothing else has.
    fn only(&self, id: ValueId) -> Option<NodeId> {
        match self.nodes[id.index()][..] {
            [only] if !self.is_result[id.index()] => Some(only),
            _ => None,
        }
    }
}

/// The bias of a product, and what is behind the activation that belongs to it.
fn chain(graph: &Graph, consumers: &Consumers, id: NodeId) -> (Option<NodeId>, ValueId) {
    let node = graph.node(id);
    let mut end = node.outputs[0];
    let mut bias = None;
    if let Some(next) = consumers.only(end)
        && is_bias(graph, node, graph.node(next), end)
    {
        bias = Some(next);
        end = graph.node(next).outputs[0];
    }
    while let Some(next) = consumers.only(end).map(|next| graph.node(next)).filter(|next| clips(graph, next))
    {
        end = next.outputs[0];
    }
    (bias, end)
}

/// Whether `next` adds a constant for each channel to `value`.
fn is_bias(graph: &Graph, product: &Node, next: &Node, value: ValueId) -> bool {
    let (Op::Binary(BinaryOp::Add), &[a, b]) = (&next.op, &next.inputs[..]) else { return false };
    let other = if a == value { b } else { a };
    let (rank, axis) = (graph.ty(value).rank(), channel_axis(graph, product));
    // ONNX has a bias for matrices, not for batches of them.
    let has_bias = matches!(product.op, Op::Conv(_)) || rank == 2;
    let channels = graph.ty(value).shape[axis].as_usize();
    let numbers = graph.as_constant(other).and_then(|bias| along_axis(bias, rank, axis));
    has_bias && numbers.is_some_and(|numbers| Some(numbers.len()) == channels || numbers.len() == 1)
}

/// Whether an activation only cuts off what is outside of a range, which quantization does as well.
fn clips(graph: &Graph, node: &Node) -> bool {
    let bound = |id: &ValueId| graph.as_constant(*id).is_some_and(|bound| bound.len() == 1);
    if let Op::Unary(UnaryOp::Relu) = node.op {
        return true;
    }
    let (Op::Binary(BinaryOp::ClampMin | BinaryOp::ClampMax | BinaryOp::Max | BinaryOp::Min), [a, b]) =
        (&node.op, &node.inputs[..])
    else {
        return false;
    };
    let same_shape = |id: &ValueId| graph.ty(*id).shape == graph.ty(node.outputs[0]).shape;
    bound(b) && same_shape(a) || bound(a) && same_shape(b)
}

/// Whether a node only moves elements, so that its result has the range of its operands.
fn moves(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Concat(_))
        || matches!(op, Op::Pool(pool) if pool.kind == PoolKind::Max)
}

/// What is quantized: what layers read, and what they give if another layer comes after them.
fn points(graph: &Graph, layers: &[Layer]) -> Vec<Point> {
    // Whether a layer follows from a value.
    let mut leads = vec![false; graph.values().len()];
    let products: Vec<NodeId> = layers.iter().map(|layer| layer.node).collect();
    for id in graph.node_ids().rev() {
        let node = graph.node(id);
        let on = products.contains(&id) || node.outputs.iter().any(|output| leads[output.index()]);
        for input in node.inputs.iter().filter(|_| on) {
            leads[input.index()] = true;
        }
    }
    let ends = layers.iter().map(|layer| layer.end).filter(|end| leads[end.index()]);
    let inputs = layers.iter().map(|layer| graph.node(layer.node).inputs[0]);
    let classes = classes(graph);
    let values: BTreeMap<ValueId, usize> = ends.chain(inputs).map(|id| (id, classes[id.index()])).collect();
    let point = |(value, class): (&ValueId, &usize)| Point {
        name: graph.value(*value).name.clone(),
        value: *value,
        class: *class,
    };
    values.iter().map(point).collect()
}

/// A number for each value, the same for those between which elements are only moved.
fn classes(graph: &Graph) -> Vec<usize> {
    let mut class: Vec<usize> = (0..graph.values().len()).collect();
    fn root(class: &mut [usize], mut at: usize) -> usize {
        while class[at] != at {
            class[at] = class[class[at]];
            at = class[at];
        }
        at
    }
    for node in graph.nodes().iter().filter(|node| moves(&node.op)) {
        for id in &node.inputs {
            let (a, b) = (root(&mut class, id.index()), root(&mut class, node.outputs[0].index()));
            class[a.max(b)] = a.min(b);
        }
    }
    (0..class.len()).map(|at| root(&mut class, at)).collect()
}
