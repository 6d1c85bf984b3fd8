//! Sums, means, extremes, norms.

use kiln_graph::functions::reduce::{Running, cumulative_sum, l1_norm, l2_norm, log_sum_exp, variance};
use kiln_graph::ops::{ArgKind, ArgReduce, BinaryOp, Reduce, ReduceKind, UnaryOp};
use kiln_graph::{DType, Dim, Op, ValueId};

use super::{Function, functions};
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    TM "sum" ("input, dim=None, keepdim=False, *, dtype=None") => |i, b| plain(i, b, ReduceKind::Sum),
    TM "mean" ("input, dim=None, keepdim=False, *, dtype=None") => |i, b| plain(i, b, ReduceKind::Mean),
    TM "prod" ("input, dim=None, keepdim=False") => |i, b| plain(i, b, ReduceKind::Prod),
    TM "amax" ("input, dim=None, keepdim=False") => |i, b| plain(i, b, ReduceKind::Max),
    TM "amin" ("input, dim=None, keepdim=False") => |i, b| plain(i, b, ReduceKind::Min),
    TM "max" ("input, dim=None, keepdim=False") => |i, b| extreme(i, b, ReduceKind::Max, ArgKind::Max),
    TM "min" ("input, dim=None, keepdim=False") => |i, b| extreme(i, b, ReduceKind::Min, ArgKind::Min),
    TM "argmax" ("input, dim=None, keepdim=False") => |i, b| arg(i, b, ArgKind::Max),
    TM "argmin" ("input, dim=None, keepdim=False") => |i, b| arg(i, b, ArgKind::Min),
    TM "var" ("input, dim=None, keepdim=False, *, unbiased=True, correction=None") => |i, b| spread(i, b, false),
    TM "std" ("input, dim=None, keepdim=False, *, unbiased=True, correction=None") => |i, b| spread(i, b, true),
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
        let mut f = i.formula();
        if p == 2.0 {
            return Ok(Value::tensor(l2_norm(&mut f, x, &axes, keep)?));
        }
        if p == 1.0 {
            return Ok(Value::tensor(l1_norm(&mut f, x, &axes, keep)?));
        }
        Err(b.wrong("p", "1 or 2"))
    },
    TM "cumsum" ("input, dim") => |i, b| {
        let x = i.tensor(b, "input")?;
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        let how = Running { exclusive: false, reverse: false };
        // It is a product with a triangle of ones.
        let length = i.shape(x).get(axis).and_then(Dim::as_usize).unwrap_or(0);
        i.elements(length.saturating_mul(length))?;
        i.step(length.saturating_mul(length) as u64 / 64)?;
        Ok(Value::tensor(cumulative_sum(&mut i.formula(), x, axis, how)?))
    },
    TM "all" ("input") => |i, b| truth(i, b, ReduceKind::Min),
    TM "any" ("input") => |i, b| truth(i, b, ReduceKind::Max),
};

/// The dimensions that `dim` names, all if it names none, and whether they stay as 1.
fn axes(i: &mut Interpreter, b: &Bound, x: ValueId) -> Result<(Vec<usize>, bool)> {
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
    i.op(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
}

fn plain(i: &mut Interpreter, b: &Bound, kind: ReduceKind) -> Result<Value> {
    let mut x = i.tensor(b, "input")?;
    if i.dtype(x) == DType::Bool {
        x = i.as_type(x, DType::I64)?;
    }
    if kind == ReduceKind::Mean && !i.dtype(x).is_float() {
        return Err(Fault::type_error(format!(
            "{} needs numbers with a point; `.float()` makes them",
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
    let values = Value::tensor(reduced(i, b, x, kind)?);
    if b.is_none("dim") {
        return Ok(values);
    }
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

fn spread(i: &mut Interpreter, b: &Bound, root: bool) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let (axes, keep) = axes(i, b, x)?;
    let correction = match (b.is_none("correction"), b.bool("unbiased")?) {
        (false, _) => b.float("correction")?,
        (true, true) => 1.0,
        (true, false) => 0.0,
    };
    let mut f = i.formula();
    let y = variance(&mut f, x, &axes, keep, correction)?;
    Ok(Value::tensor(if root { f.unary(UnaryOp::Sqrt, y)? } else { y }))
}

fn truth(i: &mut Interpreter, b: &Bound, kind: ReduceKind) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let x = i.as_type(x, DType::Bool)?;
    let numbers = i.as_type(x, DType::I32)?;
    let axes = (0..i.graph.ty(x).rank()).collect();
    let y = i.op(Op::Reduce(Reduce { kind, axes, keep_dims: false }), &[numbers])?;
    Ok(Value::tensor(i.as_type(y, DType::Bool)?))
}
