//! Functions that move elements or look at them under another shape.

use std::rc::Rc;

use kiln_graph::functions::movement::tile;
use kiln_graph::ops::{
    BinaryOp, Concat, Expand, Gather, GatherElements, Pad, PadMode, Reshape, Slice, SliceAxis, Transpose,
    broadcast_shapes,
};
use kiln_graph::{Dim, Op, ShapeDisplay, ValueId, product};

use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    M "view" ("input, *shape") => view,
    TM "reshape" ("input, *shape") => view,
    M "view_as" or "reshape_as" ("input, other") => |i, b| {
        let (x, other) = (i.tensor(b, "input")?, i.tensor(b, "other")?);
        let shape = i.shape(other);
        viewed(i, b, x, shape)
    },
    TM "flatten" ("input, start_dim=0, end_dim=-1") => flatten,
    TM "unflatten" ("input, dim, sizes") => |i, b| unflatten(i, b, "sizes"),
    TM "squeeze" ("input, dim=None") => |i, b| {
        let x = i.tensor(b, "input")?;
        let shape = i.shape(x);
        let axes = if b.is_none("dim") { (0..shape.len()).collect() } else { some_axes(i, b, "dim", shape.len())? };
        let kept = shape.iter().enumerate().filter(|(axis, size)| !(axes.contains(axis) && size.is(1)));
        let kept = kept.map(|(_, size)| size.clone()).collect();
        reshaped(i, x, kept)
    },
    TM "unsqueeze" ("input, dim") => |i, b| {
        let x = i.tensor(b, "input")?;
        let mut shape = i.shape(x);
        let axis = i.axis(b.int("dim")?, shape.len() + 1)?;
        shape.insert(axis, 1.into());
        reshaped(i, x, shape)
    },
    TM "transpose" or "swapaxes" or "swapdims" ("input, dim0, dim1") => |i, b| {
        let x = i.tensor(b, "input")?;
        let rank = i.graph.ty(x).rank();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(i.axis(b.int("dim0")?, rank)?, i.axis(b.int("dim1")?, rank)?);
        permuted(i, x, perm)
    },
    TM "t" ("input") => |i, b| {
        let x = i.tensor(b, "input")?;
        permuted(i, x, (0..i.graph.ty(x).rank()).rev().collect())
    },
    TM "permute" ("input, *dims") => |i, b| {
        let x = i.tensor(b, "input")?;
        let rank = i.graph.ty(x).rank();
        let axes = sizes(i, b, "dims")?;
        let axis = |dim: &Dim| i.axis(dim.as_const().unwrap_or(i64::MAX), rank);
        let perm = axes.iter().map(axis).collect::<Result<Vec<_>>>()?;
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(Fault::value(format!("{} names each of the {rank} dimensions once", b.callee)));
        }
        permuted(i, x, perm)
    },
    TM "movedim" or "moveaxis" ("input, source, destination") => |i, b| {
        let x = i.tensor(b, "input")?;
        let rank = i.graph.ty(x).rank();
        let (from, to) = (some_axes(i, b, "source", rank)?, some_axes(i, b, "destination", rank)?);
        let distinct = |axes: &[usize]| axes.iter().collect::<std::collections::BTreeSet<_>>().len();
        if from.len() != to.len() || distinct(&from) != from.len() || distinct(&to) != to.len() {
            return Err(Fault::value(format!("{}: each dimension is named once, with its new place", b.callee)));
        }
        let mut rest = (0..rank).filter(|axis| !from.contains(axis));
        let place = |at: usize| to.iter().position(|place| *place == at).map(|k| from[k]);
        let perm = (0..rank).filter_map(|at| place(at).or_else(|| rest.next())).collect();
        permuted(i, x, perm)
    },
    M "expand" ("input, *sizes") => |i, b| {
        let x = i.tensor(b, "input")?;
        let (from, mut to) = (i.shape(x), sizes(i, b, "sizes")?);
        let new = to.len().checked_sub(from.len()).ok_or_else(|| {
            Fault::value(format!("{}: {} sizes are too few for {}", b.callee, to.len(), ShapeDisplay(&from)))
        })?;
        for (axis, size) in to.iter_mut().enumerate().skip(new) {
            if size.is(-1) {
                size.clone_from(&from[axis - new]);
            }
        }
        expanded(i, x, to)
    },
    M "expand_as" ("input, other") => |i, b| {
        let (x, other) = (i.tensor(b, "input")?, i.tensor(b, "other")?);
        let shape = i.shape(other);
        expanded(i, x, shape)
    },
    M "repeat" ("input, *sizes") => |i, b| {
        let (x, repeats) = (i.tensor(b, "input")?, sizes(i, b, "sizes")?);
        Ok(Value::tensor(tile(&mut i.formula(), x, &repeats)?))
    },
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
    F "pad" ("input, pad, mode='constant', value=None") => pad,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Flatten" ("start_dim=1, end_dim=-1") => |_, _, _| Ok(()), flatten;
    "Unflatten" ("dim, unflattened_size") => |_, _, _| Ok(()), |i, b| unflatten(i, b, "unflattened_size");
    "Identity" ("*args, **kwargs") => |_, _, _| Ok(()), |_, b| Ok(b.get("input"));
    "ZeroPad1d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 1, PadMode::Constant(0.0));
    "ZeroPad2d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 2, PadMode::Constant(0.0));
    "ZeroPad3d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 3, PadMode::Constant(0.0));
    "ConstantPad1d" ("padding, value") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 1, PadMode::Constant(b.float("value")? as f32));
    "ConstantPad2d" ("padding, value") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 2, PadMode::Constant(b.float("value")? as f32));
    "ConstantPad3d" ("padding, value") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 3, PadMode::Constant(b.float("value")? as f32));
    "ReflectionPad1d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 1, PadMode::Reflect);
    "ReflectionPad2d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 2, PadMode::Reflect);
    "ReplicationPad1d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 1, PadMode::Edge);
    "ReplicationPad2d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 2, PadMode::Edge);
    "ReflectionPad3d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 3, PadMode::Reflect);
    "ReplicationPad3d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 3, PadMode::Edge);
    "CircularPad3d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 3, PadMode::Wrap);
    "CircularPad1d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 1, PadMode::Wrap);
    "CircularPad2d" ("padding") => |_, _, _| Ok(()), |i, b| pad_layer(i, b, 2, PadMode::Wrap);
};

/// Elements that leave at the end come back at the beginning.
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

fn reshaped(i: &mut Interpreter, x: ValueId, shape: Vec<Dim>) -> Result<Value> {
    if i.shape(x) == shape {
        return Ok(Value::tensor(x));
    }
    Ok(Value::tensor(i.op(Op::Reshape(Reshape { shape }), &[x])?))
}

fn permuted(i: &mut Interpreter, x: ValueId, perm: Vec<usize>) -> Result<Value> {
    if perm.is_sorted() {
        return Ok(Value::tensor(x));
    }
    Ok(Value::tensor(i.op(Op::Transpose(Transpose { perm }), &[x])?))
}

fn expanded(i: &mut Interpreter, x: ValueId, shape: Vec<Dim>) -> Result<Value> {
    let from = i.shape(x);
    let fits = broadcast_shapes(&from, &shape).is_ok_and(|both| both == shape);
    if !fits {
        return Err(Fault::value(format!(
            "{} cannot be stretched to {}",
            ShapeDisplay(&from),
            ShapeDisplay(&shape)
        )));
    }
    if from == shape {
        return Ok(Value::tensor(x));
    }
    Ok(Value::tensor(i.op(Op::Expand(Expand { shape }), &[x])?))
}

/// Sizes that are given one by one or in a tuple.
pub(super) fn sizes(i: &mut Interpreter, b: &Bound, name: &str) -> Result<Vec<Dim>> {
    let mut items = i.items(&b.get(name))?;
    if let [one @ (Value::Tuple(_) | Value::List(_))] = &items[..] {
        items = i.items(&one.clone())?;
    }
    if items.len() > 64 {
        return Err(Fault::value(format!("{}: tensors have up to 64 dimensions", b.callee)));
    }
    let dims: Option<Vec<Dim>> = items.iter().map(Value::as_dim).collect();
    dims.ok_or_else(|| {
        let fault = Fault::type_error(format!("{}: sizes should be integers", b.callee));
        if items.iter().any(|item| matches!(item, Value::Float(_))) {
            fault.help("`//` divides integers")
        } else {
            fault
        }
    })
}

fn some_axes(i: &mut Interpreter, b: &Bound, name: &str, rank: usize) -> Result<Vec<usize>> {
    match b.get(name) {
        value @ (Value::Tuple(_) | Value::List(_)) => {
            let items = i.items(&value)?;
            items
                .iter()
                .map(|item| i.axis(item.as_int().ok_or_else(|| b.wrong(name, "integers"))?, rank))
                .collect()
        }
        _ => Ok(vec![i.axis(b.int(name)?, rank)?]),
    }
}

fn view(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = sizes(i, b, "shape")?;
    viewed(i, b, x, shape)
}

fn viewed(i: &mut Interpreter, b: &Bound, x: ValueId, shape: Vec<Dim>) -> Result<Value> {
    let from = i.shape(x);
    if shape.iter().any(|dim| dim.as_const().is_some_and(|n| n < -1)) {
        return Err(Fault::value(format!("{}: sizes cannot be negative, but for one -1", b.callee)));
    }
    let resolved = Reshape::resolve(&from, &shape).ok();
    let fits = resolved.filter(|op| product(&op.shape) == product(&from));
    match fits {
        Some(op) => reshaped(i, x, op.shape),
        None => Err(no_view(i, b, x, &shape)),
    }
}

/// A view of another number of elements: usually a batch of images that becomes rows of the wrong length.
fn no_view(i: &Interpreter, b: &Bound, x: ValueId, shape: &[Dim]) -> Fault {
    let from = i.shape(x);
    let fault = Fault::value(format!(
        "{}: `{}` delivers {} ({} elements), which cannot be seen as {}",
        b.callee,
        i.maker(x),
        ShapeDisplay(&from),
        product(&from),
        ShapeDisplay(shape)
    ));
    let ([first, rest @ ..], [_] | [_, _]) = (&from[..], shape) else { return fault };
    if rest.is_empty() || first.as_const().is_some() {
        return fault;
    }
    if shape.len() == 1 {
        return fault.help(format!(
            "the first dimension is the batch, which stays: `view(-1, {})` makes a row of each sample",
            product(rest)
        ));
    }
    let made_of: Vec<String> = rest.iter().map(ToString::to_string).collect();
    fault.help(format!(
        "each sample has {} elements ({}): `view(-1, {0})` would fit",
        product(rest),
        made_of.join(" x ")
    ))
}

fn flatten(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    if shape.is_empty() {
        return reshaped(i, x, vec![1.into()]);
    }
    let (start, end) = (i.axis(b.int("start_dim")?, shape.len())?, i.axis(b.int("end_dim")?, shape.len())?);
    if start > end {
        return Err(Fault::value(format!("{}: `start_dim` comes after `end_dim`", b.callee)));
    }
    let flat = [&shape[..start], &[product(&shape[start..=end])], &shape[end + 1..]].concat();
    reshaped(i, x, flat)
}

fn unflatten(i: &mut Interpreter, b: &Bound, name: &str) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let axis = i.axis(b.int("dim")?, shape.len())?;
    let parts = i.items(&b.get(name))?;
    let parts: Option<Vec<Dim>> = parts.iter().map(Value::as_dim).collect();
    let parts = parts.ok_or_else(|| b.wrong(name, "integers"))?;
    let parts = Reshape::resolve(&shape[axis..=axis], &parts)
        .ok()
        .filter(|op| product(&op.shape) == shape[axis])
        .ok_or_else(|| {
            Fault::value(format!(
                "{}: {} elements cannot be split into {}",
                b.callee,
                shape[axis],
                ShapeDisplay(&parts)
            ))
        })?;
    let out = [&shape[..axis], &parts.shape, &shape[axis + 1..]].concat();
    reshaped(i, x, out)
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
        return Err(Fault::value(format!("{}: there is nothing to put together", b.callee)));
    };
    let first_shape = i.shape(*first);
    let axis = i.axis(b.int("dim")?, first_shape.len())?;
    let first = *first;
    for id in &mut ids {
        *id = i.as_type(*id, dtype)?;
        let shape = i.shape(*id);
        let differs = |k: &usize| *k != axis && shape.get(*k) != first_shape.get(*k);
        if shape.len() != first_shape.len() || (0..shape.len()).any(|k| differs(&k)) {
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

/// `F.pad`: amounts begin with the last dimension.
fn pad(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let amounts = i.items(&b.get("pad"))?;
    let amounts: Option<Vec<i64>> = amounts.iter().map(Value::as_int).collect();
    let amounts =
        amounts.filter(|a| a.len().is_multiple_of(2)).ok_or_else(|| b.wrong("pad", "pairs of integers"))?;
    let mode = match &*b.string("mode")? {
        "constant" => PadMode::Constant(if b.is_none("value") { 0.0 } else { b.float("value")? as f32 }),
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Edge,
        "circular" => PadMode::Wrap,
        _ => return Err(b.wrong("mode", "'constant', 'reflect', 'replicate' or 'circular'")),
    };
    padded(i, b, &amounts, mode)
}

fn pad_layer(i: &mut Interpreter, b: &Bound, spatial: usize, mode: PadMode) -> Result<Value> {
    let amounts = match b.get("padding") {
        Value::Int(n) => vec![n; 2 * spatial],
        _ => b.sizes("padding", 2 * spatial)?,
    };
    padded(i, b, &amounts, mode)
}

fn padded(i: &mut Interpreter, b: &Bound, amounts: &[i64], mode: PadMode) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let rank = i.graph.ty(x).rank();
    if amounts.len() / 2 > rank {
        return Err(Fault::value(format!(
            "{}: more dimensions are padded than there are ({rank})",
            b.callee
        )));
    }
    let mut pads = vec![[0, 0]; rank];
    for (n, pair) in amounts.chunks_exact(2).enumerate() {
        if pair.iter().any(|p| p.unsigned_abs() > 1 << 24) {
            return Err(b.wrong("pad", "reasonable"));
        }
        pads[rank - 1 - n] = [pair[0], pair[1]];
    }
    Ok(Value::tensor(i.op(Op::Pad(Pad { pads, mode }), &[x])?))
}
