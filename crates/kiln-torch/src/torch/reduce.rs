//! Sums, means, extremes, norms.

use kiln_graph::functions::reduce::{self as functions, log_sum_exp, variance};
use kiln_graph::functions::running::{Running, cumulative_sum};
use kiln_graph::ops::{ArgKind, ArgReduce, BinaryOp, Reduce, ReduceKind};
use kiln_graph::{DType, Dim, Op, ShapeDisplay, ValueId};

use super::{Function, functions};
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    TM "sum" ("input, dim=None, keepdim=False, *, dtype=None") => |i, b| plain(i, b, ReduceKind::Sum),
    TM "mean" ("input, dim=None, keepdim=False, *, dtype=None") => |i, b| plain(i, b, ReduceKind::Mean),
    TM "prod" ("input, dim=None, keepdim=False, *, dtype=None") => |i, b| plain(i, b, ReduceKind::Prod),
    TM "amax" ("input, dim=None, keepdim=False") => |i, b| plain(i, b, ReduceKind::Max),
    TM "amin" ("input, dim=None, keepdim=False") => |i, b| plain(i, b, ReduceKind::Min),
    TM "max" ("input, dim=None, keepdim=False") => |i, b| extreme(i, b, ReduceKind::Max, ArgKind::Max),
    TM "min" ("input, dim=None, keepdim=False") => |i, b| extreme(i, b, ReduceKind::Min, ArgKind::Min),
    TM "argmax" ("input, dim=None, keepdim=False") => |i, b| arg(i, b, ArgKind::Max),
    TM "argmin" ("input, dim=None, keepdim=False") => |i, b| arg(i, b, ArgKind::Min),
    TM "var" ("input, dim=None, unbiased=True, keepdim=False, *, correction=None") => |i, b| spread(i, b, false),
    TM "std" ("input, dim=None, unbiased=True, keepdim=False, *, correction=None") => |i, b| spread(i, b, true),
    TM "logsumexp" ("input, dim, keepdim=False") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axes, keep) = axes(i, b, x)?;
        Ok(Value::tensor(log_sum_exp(&mut i.formula(), x, &axes, keep)?))
    },
    TM "norm" ("input, p=2, dim=None, keepdim=False") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axes, keep) = axes(i, b, x)?;
        let p = match b.get("p") {
            Value::Str(name) if &*name == "fro" => 2.0,
            _ => b.float("p")?,
        };
        norm(i, b, p, x, &axes, keep).map(Value::tensor)
    },
    TM "cumsum" ("input, dim") => |i, b| {
        let x = i.tensor(b, "input")?;
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        let how = Running { exclusive: false, reverse: false };
        // It is a product with a triangle of ones.
        let length = i.shape(x).get(axis).and_then(Dim::as_usize).unwrap_or(0);
        i.elements(length.saturating_mul(length))?;
        i.step(length.saturating_mul(length) as u64 / 64)?;
        let mut f = i.formula();
        // PyTorch counts with 64 bits.
        let x = if f.ty(x).dtype.is_float() { x } else { f.cast(x, DType::I64)? };
        Ok(Value::tensor(cumulative_sum(&mut f, x, axis, how)?))
    },
    TM "all" ("input, dim=None, keepdim=False") => |i, b| truth(i, b, ReduceKind::Min),
    TM "any" ("input, dim=None, keepdim=False") => |i, b| truth(i, b, ReduceKind::Max),
};

/// `sum(|x|^p)^(1/p)`, the largest size for an infinite `p`.
pub(super) fn norm(
    i: &mut Interpreter,
    b: &Bound,
    p: f64,
    x: ValueId,
    axes: &[usize],
    keep: bool,
) -> Result<ValueId> {
    // Below zero, too, nothing stands for the norm of no elements.
    if p.is_infinite() || p < 0.0 {
        refuse_empty(i, b, x, axes, if p > 0.0 { ReduceKind::Max } else { ReduceKind::Min })?;
    }
    functions::norm(&mut i.formula(), x, p, axes, keep)?
        .ok_or_else(|| b.wrong("p", "a number, `inf` or `-inf`"))
}

/// The dimensions that `dim` names, all if it names none, and whether they stay as 1.
pub(super) fn axes(i: &mut Interpreter, b: &Bound, x: ValueId) -> Result<(Vec<usize>, bool)> {
    let rank = i.graph.ty(x).rank();
    let mut axes = match b.get("dim") {
        Value::None => (0..rank).collect(),
        value @ (Value::Tuple(_) | Value::List(_)) => {
            let items = i.items(&value)?;
            let axis = |item: &Value| {
                let axis = item.as_int().ok_or_else(|| b.wrong("dim", "an integer or several"))?;
                i.axis(axis, rank)
            };
            items.iter().map(axis).collect::<Result<Vec<_>>>()?
        }
        _ => vec![i.axis(b.int("dim")?, rank)?],
    };
    axes.sort_unstable();
    axes.dedup();
    if axes.is_empty() {
        axes = (0..rank).collect();
    }
    Ok((axes, b.bool("keepdim")?))
}

fn reduced(i: &mut Interpreter, b: &Bound, x: ValueId, kind: ReduceKind) -> Result<ValueId> {
    let (axes, keep_dims) = axes(i, b, x)?;
    if axes.is_empty() {
        return Ok(x);
    }
    if kind.chooses() {
        refuse_empty(i, b, x, &axes, kind)?;
    }
    i.op(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
}

/// PyTorch has no largest and no smallest of nothing.
fn refuse_empty(i: &Interpreter, b: &Bound, x: ValueId, axes: &[usize], kind: ReduceKind) -> Result<()> {
    let shape = i.shape(x);
    let Some(axis) = axes.iter().find(|axis| shape[**axis].is(0)) else { return Ok(()) };
    let is_largest = matches!(kind, ReduceKind::Max | ReduceKind::MaxFirst);
    let which = if is_largest { "largest" } else { "smallest" };
    Err(Fault::value(format!(
        "{}: the {which} of no elements is not defined (dimension {axis} of {} is empty)",
        b.callee,
        ShapeDisplay(&shape)
    )))
}

fn plain(i: &mut Interpreter, b: &Bound, kind: ReduceKind) -> Result<Value> {
    let mut x = i.tensor(b, "input")?;
    match b.get("dtype") {
        Value::DType(dtype) => x = i.as_type(x, dtype)?,
        // Sums and products of small integers are large ones.
        _ if matches!(kind, ReduceKind::Sum | ReduceKind::Prod) && !i.dtype(x).is_float() => {
            x = i.as_type(x, DType::I64)?;
        }
        _ => {}
    }
    if kind == ReduceKind::Mean && !i.dtype(x).is_float() {
        return Err(Fault::type_error(format!(
            "{} needs floating-point numbers; `.float()` converts to them",
            b.callee
        )));
    }
    Ok(Value::tensor(reduced(i, b, x, kind)?))
}

/// Without `dim` the largest of all; with it values and indices. With another tensor, the larger of each two.
fn extreme(i: &mut Interpreter, b: &Bound, kind: ReduceKind, which: ArgKind) -> Result<Value> {
    if i.optional_tensor_of(&b.get("dim"))?.is_some() {
        let op = if kind == ReduceKind::Max { BinaryOp::Max } else { BinaryOp::Min };
        return i.combine(op, &b.get("input"), &b.get("dim"));
    }
    let x = i.tensor(b, "input")?;
    if b.is_none("dim") {
        return Ok(Value::tensor(reduced(i, b, x, kind)?));
    }
    // Of equal elements the one that is named has the gradient.
    let kind = if kind == ReduceKind::Max { ReduceKind::MaxFirst } else { ReduceKind::MinFirst };
    let values = Value::tensor(reduced(i, b, x, kind)?);
    Ok(Value::tuple([values, arg(i, b, which)?]))
}

fn arg(i: &mut Interpreter, b: &Bound, kind: ArgKind) -> Result<Value> {
    let mut x = i.tensor(b, "input")?;
    let mut axis = 0;
    if b.is_none("dim") {
        let shape = vec![i.graph.ty(x).elements()];
        x = i.formula().reshape(x, shape)?;
    } else {
        axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
    }
    let keep_dims = b.bool("keepdim")?;
    let op = ArgReduce { kind, axis, keep_dims, select_last_index: false };
    Ok(Value::tensor(i.op(Op::ArgReduce(op), &[x])?))
}

/// Variance and its root. `x.var(False)` is `x.var(unbiased=False)`.
fn spread(i: &mut Interpreter, b: &Bound, root: bool) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let (axes, keep, unbiased) = match b.get("dim") {
        Value::Bool(unbiased) => ((0..i.graph.ty(x).rank()).collect(), false, unbiased),
        _ => {
            let (axes, keep) = axes(i, b, x)?;
            (axes, keep, b.bool("unbiased")?)
        }
    };
    let correction = match (b.is_none("correction"), unbiased) {
        (false, _) => b.float("correction")?,
        (true, true) => 1.0,
        (true, false) => 0.0,
    };
    let mut f = i.formula();
    let y = variance(&mut f, x, &axes, keep, correction)?;
    Ok(Value::tensor(if root { functions::root(&mut f, y)? } else { y }))
}

fn truth(i: &mut Interpreter, b: &Bound, kind: ReduceKind) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let x = i.as_type(x, DType::Bool)?;
    // Of nothing the smallest is not zero, and the largest is: all of nothing are true, and none is.
    let numbers = i.as_type(x, DType::U8)?;
    let (axes, keep_dims) = axes(i, b, numbers)?;
    let y = i.formula().reduce(kind, numbers, axes, keep_dims)?;
    Ok(Value::tensor(i.as_type(y, DType::Bool)?))
}
