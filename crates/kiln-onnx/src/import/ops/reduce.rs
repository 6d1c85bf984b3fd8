//! Everything that combines elements along axes: reductions, softmax, arg-max, running sums.

use kiln_graph::ops::{ArgKind, ArgReduce, BinaryOp, MatMul, ReduceKind, Softmax, UnaryOp};
use kiln_graph::{Dim, Op, Tensor, ValueId, product};

use super::super::cx::{Cx, Outputs, Result, unsupported};

/// The axes, an attribute in older operator sets and an input in newer ones, and whether they are kept as 1. No axes
/// means all of them, or with `noop_with_empty_axes` none.
fn axes(cx: &Cx<'_>, x: ValueId) -> Result<(Vec<usize>, bool)> {
    let keep = cx.attributes.flag("keepdims", true)?;
    let none_is_none = cx.attributes.flag("noop_with_empty_axes", false)?;
    let rank = cx.rank(x);
    let given = cx.ints_either(1, "axes")?.filter(|axes| !axes.is_empty());
    let axes = match given {
        Some(axes) => cx.axes(&axes, rank)?,
        None if none_is_none => vec![],
        None => (0..rank).collect(),
    };
    Ok((axes, keep))
}

/// Reduces `x`, which was made from the input, over the axes the node names.
fn reduced(cx: &mut Cx<'_>, kind: ReduceKind, x: ValueId) -> Result<ValueId> {
    let (axes, keep) = axes(cx, x)?;
    if axes.is_empty() { Ok(x) } else { cx.reduce(kind, x, &axes, keep) }
}

fn plain(cx: &mut Cx<'_>, kind: ReduceKind) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![reduced(cx, kind, x)?])
}

pub(crate) fn sum(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Sum)
}

pub(crate) fn mean(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Mean)
}

pub(crate) fn max(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Max)
}

pub(crate) fn min(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Min)
}

pub(crate) fn prod(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Prod)
}

pub(crate) fn l1(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let size = cx.unary(UnaryOp::Abs, x)?;
    Ok(vec![reduced(cx, ReduceKind::Sum, size)?])
}

pub(crate) fn sum_square(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let square = cx.mul(x, x)?;
    Ok(vec![reduced(cx, ReduceKind::Sum, square)?])
}

pub(crate) fn l2(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let square = cx.mul(x, x)?;
    let sum = reduced(cx, ReduceKind::Sum, square)?;
    Ok(vec![cx.unary(UnaryOp::Sqrt, sum)?])
}

pub(crate) fn log_sum(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let sum = reduced(cx, ReduceKind::Sum, x)?;
    Ok(vec![cx.unary(UnaryOp::Log, sum)?])
}

/// `log(sum(exp(x - m))) + m` with the largest element `m`, so that nothing overflows.
pub(crate) fn log_sum_exp(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axes, keep) = axes(cx, x)?;
    if axes.is_empty() {
        return Ok(vec![x]);
    }
    let largest = cx.reduce(ReduceKind::Max, x, &axes, true)?;
    let below = cx.sub(x, largest)?;
    let exp = cx.unary(UnaryOp::Exp, below)?;
    let sum = cx.reduce(ReduceKind::Sum, exp, &axes, true)?;
    let log = cx.unary(UnaryOp::Log, sum)?;
    let y = cx.add(log, largest)?;
    if keep {
        return Ok(vec![y]);
    }
    let shape: Vec<Dim> = cx
        .shape(y)
        .into_iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, d)| d)
        .collect();
    Ok(vec![cx.reshape(y, shape)?])
}

/// Since version 13 along one axis; before, over the last dimensions from `axis` on together.
fn soft_max(cx: &mut Cx<'_>, log: bool) -> Outputs {
    let x = cx.input(0)?;
    let axis = cx.axis_of(if cx.opset < 13 { 1 } else { -1 }, x)?;
    let shape = cx.shape(x);
    if cx.opset >= 13 || axis + 1 == shape.len() {
        return Ok(vec![cx.op(Op::Softmax(Softmax { axis, log }), &[x])?]);
    }
    let (outer, inner) = shape.split_at(axis);
    let rows = cx.reshape(x, [product(outer), product(inner)])?;
    let y = cx.op(Op::Softmax(Softmax { axis: 1, log }), &[rows])?;
    Ok(vec![cx.reshape(y, shape)?])
}

pub(crate) fn softmax(cx: &mut Cx<'_>) -> Outputs {
    soft_max(cx, false)
}

pub(crate) fn log_softmax(cx: &mut Cx<'_>) -> Outputs {
    soft_max(cx, true)
}

fn arg_reduce(cx: &mut Cx<'_>, kind: ArgKind) -> Outputs {
    let x = cx.input(0)?;
    let op = ArgReduce {
        kind,
        axis: cx.axis_of(0, x)?,
        keep_dims: cx.attributes.flag("keepdims", true)?,
        select_last_index: cx.attributes.flag("select_last_index", false)?,
    };
    Ok(vec![cx.op(Op::ArgReduce(op), &[x])?])
}

pub(crate) fn arg_max(cx: &mut Cx<'_>) -> Outputs {
    arg_reduce(cx, ArgKind::Max)
}

pub(crate) fn arg_min(cx: &mut Cx<'_>) -> Outputs {
    arg_reduce(cx, ArgKind::Min)
}

/// A product with a triangle of ones.
pub(crate) fn cum_sum(cx: &mut Cx<'_>) -> Outputs {
    /// The triangle has this many elements squared.
    const LONGEST: usize = 2048;
    let x = cx.input(0)?;
    let rank = cx.rank(x);
    let [axis] = cx.ints(1, "axis")?[..] else { return unsupported("`axis` has to be one number") };
    let axis = cx.axis(axis, rank)?;
    let (exclusive, reverse) =
        (cx.attributes.flag("exclusive", false)?, cx.attributes.flag("reverse", false)?);
    let size = cx.dim(x, axis)?.as_usize().filter(|n| *n <= LONGEST);
    let Some(size) = size else {
        return unsupported(format!(
            "sums along {} elements; up to {LONGEST} are supported",
            cx.dim(x, axis)?
        ));
    };
    if !cx.dtype(x).is_float() {
        return unsupported("sums of integers are not supported");
    }
    let counts = |from: usize, to: usize| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        if exclusive { from < to } else { from <= to }
    };
    let ones = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
    let ones = ones.map(|(from, to)| if counts(from, to) { 1.0 } else { 0.0 }).collect();
    let triangle =
        Tensor::f32([size, size], ones).map_err(|e| super::super::cx::OpError::Invalid(e.to_string()))?;
    let triangle = cx.constant_value(triangle);
    let triangle = cx.cast(triangle, cx.dtype(x))?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let moved = cx.transpose(x, perm.clone())?;
    let shape = cx.shape(moved);
    let rows = cx.reshape(moved, [product(&shape[..rank - 1]), size.into()])?;
    let sums = cx.op(Op::MatMul(MatMul { transpose_a: false, transpose_b: false }), &[rows, triangle])?;
    let sums = cx.reshape(sums, shape)?;
    Ok(vec![cx.transpose(sums, perm)?])
}

/// `x / sqrt(variance + epsilon)` for `x` with mean zero over `axes`.
pub(super) fn to_unit_variance(
    cx: &mut Cx<'_>,
    centred: ValueId,
    axes: &[usize],
    epsilon: f64,
) -> Result<ValueId> {
    let square = cx.mul(centred, centred)?;
    let variance = cx.reduce(ReduceKind::Mean, square, axes, true)?;
    let variance = cx.with(BinaryOp::Add, variance, epsilon)?;
    let deviation = cx.unary(UnaryOp::Sqrt, variance)?;
    cx.div(centred, deviation)
}
