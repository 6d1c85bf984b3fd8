//! Nodes that together are one operator of ONNX.
//!
//! ```text
//! cast(add(round(div(x, s)), z)) : u8              QuantizeLinear(x, s, z)
//! mul(cast(sub(cast(q : u8), z)), s)               DequantizeLinear(q, s, z)
//! add(conv(x, w), b)                               Conv(x, w, b), or Gemm
//! conv(x, w) with zeros between elements of x      ConvTranspose(x, w turned around)
//! ```
//!
//! The last node of such a form is its head; what else belongs to it is not written where nothing else reads it.

use std::collections::{HashMap, HashSet};

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, Def, Graph, Node, NodeId, Op, Tensor, ValueId};

use super::node::wide;
use super::turned::{Turned, turned};

/// Between numbers and integers that stand for them.
pub(super) struct Linear {
    /// What is converted.
    pub x: ValueId,
    /// One scale, or one for each index of an axis.
    pub scale: Tensor,
    /// The integers that stand for zero.
    pub zero: Option<Tensor>,
    /// The axis, if there are several scales.
    pub axis: Option<usize>,
}

/// A bias of one number for each channel.
pub(super) enum Bias {
    /// A vector of the graph.
    Value(ValueId),
    /// A known vector.
    Known(Tensor),
    /// Integers, and what one of them stands for.
    Quantized { integers: Tensor, scale: Tensor },
}

/// A convolution or matrix product with what belongs to it.
pub(super) struct Product {
    /// The node.
    pub node: NodeId,
    /// Its weight, if it is written as a transposed convolution.
    pub turned: Option<Turned>,
    /// What is added to it.
    pub bias: Option<Bias>,
}

/// What a head is written as.
pub(super) enum Form {
    Quantize(Linear),
    Dequantize(Linear),
    Product(Box<Product>),
}

/// The forms of a graph by their heads, and the nodes that are not written by themselves.
pub(super) struct Forms {
    pub heads: HashMap<NodeId, Form>,
    pub inside: HashSet<NodeId>,
}

/// Finds all forms.
pub(super) fn find(graph: &Graph) -> Forms {
    let consumers = graph.consumers();
    let mut is_result = vec![false; graph.values().len()];
    for id in graph.results() {
        is_result[id.index()] = true;
    }
    let mut heads = HashMap::new();
    let mut parts: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for id in graph.node_ids() {
        let node = graph.node(id);
        let mut own = Vec::new();
        let form = if let Some(linear) = quantize(graph, node, &mut own) {
            Form::Quantize(linear)
        } else if let Some(linear) = dequantize(graph, node, &mut own) {
            Form::Dequantize(linear)
        } else {
            own.clear();
            let is_only = |value: ValueId| consumers[value.index()] == [id] && !is_result[value.index()];
            match product(graph, id, &is_only, &mut own) {
                Some(product) => Form::Product(Box::new(product)),
                None => continue,
            }
        };
        // A product with a bias is written as one.
        if let Form::Product(product) = &form {
            heads.remove(&product.node);
        }
        heads.insert(id, form);
        parts.insert(id, own);
    }
    let of_forms: HashSet<NodeId> = parts.values().flatten().copied().collect();
    let mut inside = HashSet::new();
    for id in graph.node_ids().rev().filter(|id| of_forms.contains(id)) {
        let is_part = |reader: &NodeId| parts.get(reader).is_some_and(|parts| parts.contains(&id));
        let is_free = |value: &ValueId| {
            !is_result[value.index()]
                && consumers[value.index()].iter().all(|reader| inside.contains(reader) || is_part(reader))
        };
        if graph.node(id).outputs.iter().all(is_free) {
            inside.insert(id);
        }
    }
    heads.retain(|id, _| !inside.contains(id));
    Forms { heads, inside }
}

/// The node that makes a value, and its number.
fn maker(graph: &Graph, id: ValueId) -> Option<(NodeId, &Node)> {
    graph.producer(id).map(|node| (node, graph.node(node)))
}

/// The operand of a node that casts to `to`; noted in `parts`.
fn cast_from(graph: &Graph, id: ValueId, to: DType, parts: &mut Vec<NodeId>) -> Option<ValueId> {
    let (number, node) = maker(graph, id)?;
    let (Op::Cast(cast), &[x]) = (&node.op, &node.inputs[..]) else { return None };
    if cast.to != to {
        return None;
    }
    parts.push(number);
    Some(x)
}

/// A constant, or what a constant is cast to; the cast is noted in `parts`.
fn constant<'a>(graph: &'a Graph, id: ValueId, parts: &mut Vec<NodeId>) -> Option<&'a Tensor> {
    if let Some(tensor) = graph.as_constant(id) {
        return Some(tensor);
    }
    let (number, node) = maker(graph, id)?;
    let (Op::Cast(_), &[x]) = (&node.op, &node.inputs[..]) else { return None };
    parts.push(number);
    graph.as_constant(x)
}

/// Numbers for a tensor of `rank` dimensions as ONNX has them: one, or a vector for an axis.
fn per_axis(tensor: &Tensor, rank: usize) -> Option<(Option<usize>, Tensor)> {
    let missing = rank.checked_sub(tensor.shape().len())?;
    let long: Vec<usize> = (0..tensor.shape().len()).filter(|axis| tensor.shape()[*axis] != 1).collect();
    let reshaped = |shape: &[usize]| Tensor::new(shape, tensor.data().clone()).ok();
    match long[..] {
        [] => Some((None, reshaped(&[])?)),
        [axis] => Some((Some(axis + missing), reshaped(&[tensor.len()])?)),
        _ => None,
    }
}

/// Zero points as numbers of type `dtype`, in the same form as scales: as many, or one for all.
fn zeros(tensor: &Tensor, rank: usize, axis: Option<usize>, scales: usize, dtype: DType) -> Option<Tensor> {
    let (own, zeros) = per_axis(tensor, rank)?;
    let numbers = zeros.to_f64();
    let (low, high) = dtype.integer_range()?;
    let (low, high) = (i32::try_from(low).ok()?, i32::try_from(high).ok()?);
    let fits = |number: &f64| number.fract() == 0.0 && (low.into()..=high.into()).contains(number);
    if !numbers.iter().all(fits) {
        return None;
    }
    let numbers = match (own, axis) {
        (None, Some(_)) => vec![numbers[0]; scales],
        (own, axis) if own == axis => numbers,
        _ => return None,
    };
    let shape = if axis.is_some() { vec![scales] } else { vec![] };
    Tensor::of_numbers(shape, &numbers, dtype).ok()
}

fn quantize(graph: &Graph, node: &Node, parts: &mut Vec<NodeId>) -> Option<Linear> {
    let (Op::Cast(cast), &[value]) = (&node.op, &node.inputs[..]) else { return None };
    if !matches!(cast.to, DType::I8 | DType::U8) {
        return None;
    }
    let (mut number, mut rounded) = maker(graph, value)?;
    let mut zero = None;
    if let (Op::Binary(BinaryOp::Add), &[a, b]) = (&rounded.op, &rounded.inputs[..]) {
        parts.push(number);
        zero = Some(constant(graph, b, parts)?);
        (number, rounded) = maker(graph, a)?;
    }
    let (Op::Unary(UnaryOp::Round), &[steps]) = (&rounded.op, &rounded.inputs[..]) else { return None };
    parts.push(number);
    let (number, quotient) = maker(graph, steps)?;
    let (Op::Binary(BinaryOp::Div), &[x, scale]) = (&quotient.op, &quotient.inputs[..]) else { return None };
    parts.push(number);
    let scale = constant(graph, scale, parts)?;
    let ty = graph.ty(x);
    if ty.dtype != DType::F32 || scale.dtype() != DType::F32 || ty.shape != graph.ty(value).shape {
        return None;
    }
    let (axis, scale) = per_axis(scale, ty.rank())?;
    // Its type says which integers are made, so a zero is written, too.
    let none = Tensor::number(0.0, DType::F32);
    let zero = zeros(zero.unwrap_or(&none), ty.rank(), axis, scale.len(), cast.to)?;
    Some(Linear { x, scale, zero: Some(zero), axis })
}

pub(super) fn dequantize(graph: &Graph, node: &Node, parts: &mut Vec<NodeId>) -> Option<Linear> {
    let (Op::Binary(BinaryOp::Mul), &[whole, scale]) = (&node.op, &node.inputs[..]) else { return None };
    let scale = constant(graph, scale, parts)?;
    let mut x = cast_from(graph, whole, DType::F32, parts)?;
    let ty = graph.ty(whole);
    if scale.dtype() != DType::F32 || ty.shape != graph.ty(node.outputs[0]).shape {
        return None;
    }
    let mut zero = None;
    if let Some((number, difference)) = maker(graph, x)
        && let (Op::Binary(BinaryOp::Sub), &[q, z]) = (&difference.op, &difference.inputs[..])
    {
        parts.push(number);
        zero = Some(constant(graph, z, parts)?);
        x = q;
    }
    // Sums are of 32 bits as well; they are no numbers that were quantized.
    if zero.is_some() || graph.as_constant(x).is_none() {
        x = cast_from(graph, x, DType::I32, parts)?;
    }
    let dtype = graph.ty(x).dtype;
    if !matches!(dtype, DType::I8 | DType::U8 | DType::I32) || graph.ty(x).shape != ty.shape {
        return None;
    }
    let (axis, scale) = per_axis(scale, ty.rank())?;
    let zero = match zero {
        Some(zero) => Some(zeros(zero, ty.rank(), axis, scale.len(), dtype)?),
        None => None,
    };
    Some(Linear { x, scale, zero, axis })
}

/// A product whose last node is `id`; `is_only` says whether nothing but that reads a value.
fn product(
    graph: &Graph,
    id: NodeId,
    is_only: &dyn Fn(ValueId) -> bool,
    parts: &mut Vec<NodeId>,
) -> Option<Product> {
    let node = graph.node(id);
    if let Op::Conv(op) = &node.op {
        let turned = turned(graph, op, node, parts)?;
        return Some(Product { node: id, turned: Some(turned), bias: None });
    }
    let (Op::Binary(BinaryOp::Add), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
    let of = |value: ValueId, bias: ValueId, parts: &mut Vec<NodeId>| {
        let (number, product) = maker(graph, value).filter(|_| is_only(value) && a != b)?;
        let channels = channels(graph, product)?;
        let bias = bias_of(graph, bias, graph.ty(value).rank(), channels, parts)?;
        parts.push(number);
        let turned = match &product.op {
            Op::Conv(op) => turned(graph, op, product, parts),
            _ => None,
        };
        Some(Product { node: number, turned, bias: Some(bias) })
    };
    for (value, bias) in [(a, b), (b, a)] {
        parts.clear();
        if let Some(product) = of(value, bias, parts) {
            return Some(product);
        }
    }
    None
}

/// The axis and number of the channels of a product that ONNX has a bias for.
fn channels(graph: &Graph, node: &Node) -> Option<(usize, usize)> {
    let ty = graph.ty(node.outputs[0]);
    let axis = match &node.op {
        Op::Conv(_) if ty.dtype.is_float() => 1,
        Op::MatMul(_) if node.inputs.iter().all(|id| graph.ty(*id).rank() == 2) && ty.dtype.is_float() => 1,
        _ => return None,
    };
    Some((axis, ty.shape[axis].as_usize()?))
}

fn bias_of(
    graph: &Graph,
    id: ValueId,
    rank: usize,
    (axis, channels): (usize, usize),
    parts: &mut Vec<NodeId>,
) -> Option<Bias> {
    // Of a value that is broadcast to a tensor of `rank` dimensions: whether it has a number for each channel.
    let is_line = |id: ValueId| {
        let shape = &graph.ty(id).shape;
        let missing = rank.checked_sub(shape.len());
        missing.is_some_and(|missing| {
            axis >= missing
                && shape
                    .iter()
                    .enumerate()
                    .all(|(own, size)| size.is(if own + missing == axis { wide(channels) } else { 1 }))
        })
    };
    if !is_line(id) {
        return None;
    }
    let vector = |tensor: &Tensor| Tensor::new([channels], tensor.data().clone()).ok();
    if let Def::Constant(tensor) = &graph.value(id).def {
        return Some(Bias::Known(vector(tensor)?));
    }
    if graph.ty(id).rank() == 1 {
        return Some(Bias::Value(id));
    }
    let (number, node) = maker(graph, id)?;
    if let (Op::Reshape(_), &[x]) = (&node.op, &node.inputs[..]) {
        parts.push(number);
        return (graph.ty(x).rank() == 1).then_some(Bias::Value(x));
    }
    let Linear { x, scale, zero: None, .. } = dequantize(graph, node, parts)? else { return None };
    parts.push(number);
    let integers = graph.as_constant(x).filter(|integers| integers.dtype() == DType::I32)?;
    Some(Bias::Quantized { integers: vector(integers)?, scale })
}
