//! What is known of quantized numbers ahead of time: which integers they stand for, times what, and in which range these are.

use kiln_graph::ops::{BinaryOp, Expand};
use kiln_graph::{Bindings, DType, Def, Dim, Graph, Op, Precision, Tensor, ValueId};

/// How many nodes are looked at behind an operand: a file may share nodes in such a way that there are many paths.
const MOST_NODES: usize = 64;

/// Larger results are not computed where what they follow from is smaller.
const MAX_GROWTH: usize = 1 << 16;

/// How many nodes back ranges are followed.
const DEPTH: usize = 16;

/// A value that is integers, in i32, times one number.
pub(super) struct Activation {
    pub whole: ValueId,
    pub scale: f64,
}

impl Activation {
    pub(super) fn of(graph: &Graph, id: ValueId) -> Option<Self> {
        let (whole, scale) = dequantized(graph, id)?;
        let [scale] = known(graph, scale)?.to_f64()[..] else { return None };
        Some(Self { whole, scale })
    }
}

/// A weight that is integers, times one number or one for each output of the product.
pub(super) struct Weight {
    pub whole: Tensor,
    pub scales: Vec<f64>,
}

impl Weight {
    /// The weight `id`, whose dimension `axis` has the outputs.
    pub(super) fn of(graph: &Graph, id: ValueId, axis: usize) -> Option<Self> {
        let (whole, scale) = factors(graph, id, &mut { MOST_NODES })?;
        if let [scale] = scale.to_f64()[..] {
            return Some(Self { whole, scales: vec![scale] });
        }
        let scale = spread(&scale, whole.shape())?;
        let mut scales = vec![None; *whole.shape().get(axis)?];
        for (output, scale) in outputs(whole.shape(), axis).zip(scale.to_f64()) {
            if *scales.get_mut(output)?.get_or_insert(scale) != scale {
                return None;
            }
        }
        Some(Self { whole, scales: scales.into_iter().collect::<Option<_>>()? })
    }
}

/// Which index along `axis` each element of a tensor has, in their order in memory.
pub(super) fn outputs(shape: &[usize], axis: usize) -> impl Iterator<Item = usize> + use<> {
    let inner: usize = shape.iter().skip(axis + 1).product();
    let count = shape.get(axis).copied().unwrap_or(1);
    let size: usize = shape.iter().product();
    (0..size).map(move |i| i / inner.max(1) % count.max(1))
}

/// `x` and `s` of `mul(cast(x: i32): f32, s)`, where the product has the shape of `x`.
fn dequantized(graph: &Graph, id: ValueId) -> Option<(ValueId, ValueId)> {
    let node = graph.node(graph.producer(id)?);
    let (Op::Binary(BinaryOp::Mul), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
    if graph.ty(id).dtype != DType::F32 {
        return None;
    }
    [(a, b), (b, a)].into_iter().find_map(|(numbers, scale)| {
        let cast = graph.node(graph.producer(numbers)?);
        let whole = *cast.inputs.first()?;
        let is_whole = matches!(cast.op, Op::Cast(_)) && graph.ty(whole).dtype == DType::I32;
        (is_whole && graph.ty(numbers).shape == graph.ty(id).shape).then_some((whole, scale))
    })
}

/// The integers and the scale of a weight, which broadcasts against them.
fn factors(graph: &Graph, id: ValueId, left: &mut usize) -> Option<(Tensor, Tensor)> {
    if let Some((whole, scale)) = dequantized(graph, id) {
        return Some((evaluated(graph, whole, left)?, evaluated(graph, scale, left)?));
    }
    *left = left.checked_sub(1)?;
    let node = graph.node(graph.producer(id)?);
    // What moves elements moves their scales in the same way.
    if !matches!(node.op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_)) {
        return None;
    }
    let (whole, scale) = factors(graph, *node.inputs.first()?, left)?;
    let scale =
        if scale.len() == 1 { scale } else { evaluate(&node.op, &[&spread(&scale, whole.shape())?])? };
    Some((evaluate(&node.op, &[&whole])?, scale))
}

/// A tensor broadcast to a shape.
fn spread(tensor: &Tensor, shape: &[usize]) -> Option<Tensor> {
    let expand = Expand { shape: shape.iter().map(|size| Dim::from(*size)).collect() };
    evaluate(&Op::Expand(expand), &[tensor])
}

fn evaluate(op: &Op, inputs: &[&Tensor]) -> Option<Tensor> {
    let [result] = op.evaluate(inputs, Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    Some(result)
}

/// A value that follows from constants alone.
pub(super) fn known(graph: &Graph, id: ValueId) -> Option<Tensor> {
    evaluated(graph, id, &mut { MOST_NODES })
}

fn evaluated(graph: &Graph, id: ValueId, left: &mut usize) -> Option<Tensor> {
    if let Def::Constant(tensor) = &graph.value(id).def {
        return Some(tensor.clone());
    }
    *left = left.checked_sub(1)?;
    let node = graph.node(graph.producer(id)?);
    let moves = matches!(
        node.op,
        Op::Cast(_) | Op::Binary(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::Slice(_)
    );
    let size: usize = graph.ty(id).static_shape()?.iter().product();
    if !moves {
        return None;
    }
    let inputs = node.inputs.iter().map(|id| evaluated(graph, *id, left)).collect::<Option<Vec<_>>>()?;
    let before: usize = inputs.iter().map(Tensor::len).sum();
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    if size <= before.max(MAX_GROWTH) { evaluate(&node.op, &inputs) } else { None }
}

/// Smallest and largest value of integers of at most 16 bits, of what differences of such can be, and of floats that are
/// such.
pub(crate) fn range(graph: &Graph, id: ValueId) -> Option<(i64, i64)> {
    range_within(graph, id, DEPTH, &mut { MOST_NODES })
}

fn range_within(graph: &Graph, id: ValueId, depth: usize, left: &mut usize) -> Option<(i64, i64)> {
    let dtype = graph.ty(id).dtype;
    if matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16 | DType::Bool) {
        return dtype.integer_range();
    }
    if let Def::Constant(tensor) = &graph.value(id).def {
        let numbers = tensor.to_ints()?;
        return Some((*numbers.iter().min()?, *numbers.iter().max()?));
    }
    let node = graph.node(graph.producer(id)?);
    let depth = depth.checked_sub(1)?;
    *left = left.checked_sub(1)?;
    let mut of = |n: usize| range_within(graph, *node.inputs.get(n)?, depth, left);
    if let Op::Cast(_) = node.op {
        let from = graph.ty(*node.inputs.first()?).dtype;
        if from.is_float() || !matches!(dtype, DType::I32 | DType::F32) { None } else { of(0) }
    } else if let Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::Slice(_) = node.op {
        of(0)
    } else if let Op::Binary(BinaryOp::Sub) = node.op {
        let (a, b) = (of(0)?, of(1)?);
        Some((a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?))
    } else {
        None
    }
}
