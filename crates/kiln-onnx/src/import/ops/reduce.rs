//! Everything that combines elements along axes: reductions, softmax, arg-max, running sums.

use kiln_graph::functions::normalization::widened;
use kiln_graph::functions::reduce as functions;
use kiln_graph::functions::running::{self, Running};
use kiln_graph::ops::{ArgKind, ArgReduce, ReduceKind, Softmax, UnaryOp};
use kiln_graph::{DType, Op, ValueId, product};

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

/// The largest or smallest; of truth values, that of zeros and ones.
fn extreme(cx: &mut Cx<'_>, kind: ReduceKind) -> Outputs {
    let x = cx.input(0)?;
    if cx.dtype(x) != DType::Bool {
        return plain(cx, kind);
    }
    let numbers = cx.cast(x, DType::U8)?;
    let y = reduced(cx, kind, numbers)?;
    Ok(vec![cx.cast(y, DType::Bool)?])
}

pub(crate) fn sum(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Sum)
}

pub(crate) fn mean(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Mean)
}

pub(crate) fn max(cx: &mut Cx<'_>) -> Outputs {
    extreme(cx, ReduceKind::Max)
}

pub(crate) fn min(cx: &mut Cx<'_>) -> Outputs {
    extreme(cx, ReduceKind::Min)
}

pub(crate) fn prod(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, ReduceKind::Prod)
}

pub(crate) fn l1(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axes, keep) = axes(cx, x)?;
    Ok(vec![functions::l1_norm(&mut cx.formula(), x, &axes, keep)?])
}

pub(crate) fn sum_square(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let wide = widened(&mut cx.formula(), x)?;
    let square = cx.mul(wide, wide)?;
    let sum = reduced(cx, ReduceKind::Sum, square)?;
    Ok(vec![cx.cast(sum, cx.dtype(x))?])
}

pub(crate) fn l2(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axes, keep) = axes(cx, x)?;
    Ok(vec![functions::l2_norm(&mut cx.formula(), x, &axes, keep)?])
}

pub(crate) fn log_sum(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let sum = reduced(cx, ReduceKind::Sum, x)?;
    Ok(vec![cx.unary(UnaryOp::Log, sum)?])
}

pub(crate) fn log_sum_exp(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axes, keep) = axes(cx, x)?;
    Ok(vec![functions::log_sum_exp(&mut cx.formula(), x, &axes, keep)?])
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

pub(crate) fn hard_max(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axis = cx.axis_of(if cx.opset < 13 { 1 } else { -1 }, x)?;
    let shape = cx.shape(x);
    if cx.opset >= 13 || axis + 1 == shape.len() {
        return Ok(vec![functions::hard_max(&mut cx.formula(), x, axis)?]);
    }
    let (outer, inner) = shape.split_at(axis);
    let rows = cx.reshape(x, [product(outer), product(inner)])?;
    let y = functions::hard_max(&mut cx.formula(), rows, 1)?;
    Ok(vec![cx.reshape(y, shape)?])
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

/// The axis of a running sum or product, and which elements it takes.
fn running(cx: &Cx<'_>, x: ValueId) -> Result<(usize, Running)> {
    let [axis] = cx.ints(1, "axis")?[..] else { return unsupported("`axis` has to be one number") };
    let how = Running {
        exclusive: cx.attributes.flag("exclusive", false)?,
        reverse: cx.attributes.flag("reverse", false)?,
    };
    Ok((cx.axis(axis, cx.rank(x))?, how))
}

pub(crate) fn cum_sum(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axis, how) = running(cx, x)?;
    Ok(vec![running::cumulative_sum(&mut cx.formula(), x, axis, how)?])
}

pub(crate) fn cum_prod(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (axis, how) = running(cx, x)?;
    Ok(vec![running::cumulative_product(&mut cx.formula(), x, axis, how)?])
}
