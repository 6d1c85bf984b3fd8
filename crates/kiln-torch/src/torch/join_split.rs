//! Functions that join and split tensors, and select elements.

use std::rc::Rc;

use kiln_graph::ops::{BinaryOp, Concat, Expand, Gather, GatherElements, Reshape, Slice, SliceAxis};
use kiln_graph::{Dim, Op, ShapeDisplay, ValueId};

use super::shape::{reshaped, sizes, some_axes};
use super::{Function, functions};
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    T "cat" or "concat" or "concatenate" ("tensors, dim=0") => |i, b| {
        let tensors = i.items(&b.get("tensors"))?;
        cat(i, b, &tensors)
    },
    T "stack" ("tensors, dim=0") => |i, b| {
        let mut stacked = vec![];
        for tensor in i.items(&b.get("tensors"))? {
            let x = i.optional_tensor_of(&tensor)?.ok_or_else(|| b.wrong("tensors", "tensors"))?;
            let mut shape = i.shape(x);
            let axis = i.axis(b.int("dim")?, shape.len() + 1)?;
            shape.insert(axis, 1.into());
            stacked.push(reshaped(i, x, shape)?);
        }
        cat(i, b, &stacked)
    },
    TM "chunk" ("input, chunks, dim=0") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axis, size) = sized_axis(i, b, x)?;
        let each = size.div_ceil(b.count("chunks")?);
        split(i, b, x, axis, size, &[each])
    },
    TM "split" ("input, split_size, dim=0") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axis, size) = sized_axis(i, b, x)?;
        let sizes = match b.get("split_size") {
            value @ (Value::Tuple(_) | Value::List(_)) => {
                let items = i.items(&value)?;
                let sizes: Option<Vec<usize>> = items.iter().map(|v| usize::try_from(v.as_int()?).ok()).collect();
                let sizes = sizes.ok_or_else(|| b.wrong("split_size", "sizes"))?;
                if sizes.iter().fold(0usize, |sum, n| sum.saturating_add(*n)) != size {
                    return Err(Fault::value(format!("{}: {sizes:?} do not add up to {size}", b.callee)));
                }
                sizes
            }
            _ => vec![b.count("split_size")?],
        };
        split(i, b, x, axis, size, &sizes)
    },
    TM "unbind" ("input, dim=0") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (axis, size) = sized_axis(i, b, x)?;
        let parts = split(i, b, x, axis, size, &[1])?;
        let mut out = vec![];
        for part in i.items(&parts)? {
            let Some(x) = i.optional_tensor_of(&part)? else { continue };
            let mut shape = i.shape(x);
            shape.remove(axis);
            out.push(reshaped(i, x, shape)?);
        }
        Ok(Value::tuple(out))
    },
    TM "narrow" ("input, dim, start, length") => |i, b| {
        let x = i.tensor(b, "input")?;
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        let mut start = b.dim("start")?;
        if start.as_const().is_some_and(|start| start < 0) {
            start = start + i.shape(x)[axis].clone();
        }
        let cut = SliceAxis { axis, start, length: b.dim("length")?, step: 1 };
        Ok(Value::tensor(i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])?))
    },
    TM "select" ("input, dim, index") => |i, b| {
        let x = i.tensor(b, "input")?;
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        let mut key = vec![Value::Slice(Rc::new([Value::None, Value::None, Value::None])); axis];
        key.push(b.get("index"));
        i.tensor_item(&b.get("input"), &Value::tuple(key))
    },
    TM "flip" ("input, *dims") => |i, b| {
        let x = i.tensor(b, "input")?;
        let shape = i.shape(x);
        let mut cuts = vec![];
        for dim in sizes(i, b, "dims")? {
            let axis = i.axis(dim.as_const().unwrap_or(i64::MAX), shape.len())?;
            let last = shape[axis].clone() - 1.into();
            cuts.push(SliceAxis { axis, start: last, length: shape[axis].clone(), step: -1 });
        }
        Ok(Value::tensor(i.op(Op::Slice(Slice { axes: cuts }), &[x])?))
    },
    TM "roll" ("input, shifts, dims") => |i, b| {
        let mut x = i.tensor(b, "input")?;
        let axes = some_axes(i, b, "dims", i.graph.ty(x).rank())?;
        for (axis, shift) in axes.iter().zip(b.sizes("shifts", axes.len())?) {
            x = rolled(i, b, x, *axis, shift)?;
        }
        Ok(Value::tensor(x))
    },
    TM "diff" ("input, n=1, dim=-1") => |i, b| {
        let mut x = i.tensor(b, "input")?;
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        for _ in 0..b.count("n")? {
            let length = i.shape(x)[axis].clone() - 1.into();
            let mut part = |start: i64| {
                let cut = SliceAxis { axis, start: start.into(), length: length.clone(), step: 1 };
                i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])
            };
            let (after, before) = (part(1)?, part(0)?);
            x = i.op(Op::Binary(BinaryOp::Sub), &[after, before])?;
        }
        Ok(Value::tensor(x))
    },
    TM "repeat_interleave" ("input, repeats, dim") => |i, b| {
        let x = i.tensor(b, "input")?;
        let mut shape = i.shape(x);
        let axis = i.axis(b.int("dim")?, shape.len())?;
        let repeats = Dim::from(b.count("repeats")?);
        let mut spread = shape.clone();
        spread.insert(axis + 1, 1.into());
        let y = i.op(Op::Reshape(Reshape { shape: spread.clone() }), &[x])?;
        spread[axis + 1] = repeats.clone();
        let y = i.op(Op::Expand(Expand { shape: spread }), &[y])?;
        shape[axis] = &shape[axis] * &repeats;
        reshaped(i, y, shape)
    },
    TM "gather" ("input, dim, index") => |i, b| {
        let (x, index) = (i.tensor(b, "input")?, i.tensor(b, "index")?);
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        Ok(Value::tensor(i.op(Op::GatherElements(GatherElements { axis }), &[x, index])?))
    },
    TM "index_select" ("input, dim, index") => |i, b| {
        let (x, index) = (i.tensor(b, "input")?, i.tensor(b, "index")?);
        let axis = i.axis(b.int("dim")?, i.graph.ty(x).rank())?;
        Ok(Value::tensor(i.op(Op::Gather(Gather { axis }), &[x, index])?))
    },
};

/// Elements shifted beyond the end reappear at the beginning.
fn rolled(i: &mut Interpreter, b: &Bound, x: ValueId, axis: usize, shift: i64) -> Result<ValueId> {
    let size = i.shape(x)[axis].as_const().ok_or_else(|| b.wrong("dims", "a dimension of known size"))?;
    let shift = shift.rem_euclid(size.max(1));
    if shift == 0 {
        return Ok(x);
    }
    let mut part = |start: i64, length: i64| {
        let cut = SliceAxis { axis, start: start.into(), length: length.into(), step: 1 };
        i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])
    };
    let parts = [part(size - shift, shift)?, part(0, size - shift)?];
    i.op(Op::Concat(Concat { axis }), &parts)
}

fn cat(i: &mut Interpreter, b: &Bound, tensors: &[Value]) -> Result<Value> {
    let mut ids = vec![];
    let mut dtype = None;
    for tensor in tensors {
        let id = i.optional_tensor_of(tensor)?.ok_or_else(|| b.wrong("tensors", "tensors"))?;
        let own = i.dtype(id);
        dtype = Some(dtype.map_or(own, |other| super::arithmetic::wider(own, other)));
        ids.push(id);
    }
    let (Some(first), Some(dtype)) = (ids.first(), dtype) else {
        return Err(Fault::value(format!("{}: there is nothing to join", b.callee)));
    };
    let first_shape = i.shape(*first);
    let axis = i.axis(b.int("dim")?, first_shape.len())?;
    let first = *first;
    for id in &mut ids {
        *id = i.as_type(*id, dtype)?;
        let shape = i.shape(*id);
        let fits = shape.len() == first_shape.len() && {
            let pairs = || shape.iter().zip(&first_shape).enumerate().filter(|(k, _)| *k != axis);
            i.assume(|guards| pairs().all(|(_, (a, b))| guards.equal(a, b).is_some()).then_some(())).is_some()
        };
        if !fits {
            return Err(Fault::value(format!(
                "{}: `{}` ({}) and `{}` ({}) differ in more than dimension {axis}",
                b.callee,
                i.maker(first),
                ShapeDisplay(&first_shape),
                i.maker(*id),
                ShapeDisplay(&shape)
            ))
            .help(super::advice::to_put_together(&first_shape, &shape, axis)));
        }
    }
    if let [one] = ids[..] {
        return Ok(Value::tensor(one));
    }
    Ok(Value::tensor(i.op(Op::Concat(Concat { axis }), &ids)?))
}

fn sized_axis(i: &mut Interpreter, b: &Bound, x: ValueId) -> Result<(usize, usize)> {
    let shape = i.shape(x);
    let axis = i.axis(b.int("dim")?, shape.len())?;
    let size = shape[axis].as_usize().ok_or_else(|| {
        Fault::unsupported(format!(
            "{}: dimension {axis} of {} is not a number",
            b.callee,
            ShapeDisplay(&shape)
        ))
        .help("`dim=1` is the channels")
    })?;
    Ok((axis, size))
}

/// Parts of the sizes in turn, the last of them repeated until the end.
fn split(
    i: &mut Interpreter,
    b: &Bound,
    x: ValueId,
    axis: usize,
    size: usize,
    sizes: &[usize],
) -> Result<Value> {
    let (mut parts, mut start) = (vec![], 0);
    let mut lengths = sizes.iter().copied();
    let last = sizes.last().copied().unwrap_or(size);
    while start < size || lengths.len() > 0 {
        let length = lengths.next().unwrap_or(last).min(size - start);
        if length == 0 {
            return Err(Fault::value(format!("{}: a part has no elements", b.callee)));
        }
        let cut = SliceAxis { axis, start: start.into(), length: length.into(), step: 1 };
        parts.push(Value::tensor(i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])?));
        start += length;
    }
    Ok(Value::tuple(parts))
}
