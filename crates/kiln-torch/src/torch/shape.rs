//! Functions that look at elements under another shape, permute dimensions, and stretch them.

use kiln_graph::functions::movement::tile;
use kiln_graph::ops::{Expand, Reshape, Transpose, broadcast};
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
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Flatten" ("start_dim=1, end_dim=-1") => |_, _, _| Ok(()), flatten;
    "Unflatten" ("dim, unflattened_size") => |_, _, _| Ok(()), |i, b| unflatten(i, b, "unflattened_size");
    "Identity" ("*args, **kwargs") => |_, _, _| Ok(()), |_, b| Ok(b.get("input"));
};

pub(super) fn reshaped(i: &mut Interpreter, x: ValueId, shape: Vec<Dim>) -> Result<Value> {
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
    let fits = i
        .assume(|guards| {
            let both = broadcast(&from, &shape, guards).ok().filter(|both| both.len() == shape.len())?;
            both.iter().zip(&shape).all(|(both, size)| guards.equal(both, size).is_some()).then_some(())
        })
        .is_some();
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
    if let [one] = &items[..]
        && matches!(one.plain(), Value::Tuple(_) | Value::List(_))
    {
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

pub(super) fn some_axes(i: &mut Interpreter, b: &Bound, name: &str, rank: usize) -> Result<Vec<usize>> {
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
    match resolved(i, &from, &shape) {
        Some(shape) => reshaped(i, x, shape),
        None => Err(no_view(i, b, x, &shape)),
    }
}

/// The shape with a number for -1, if it is of as many elements.
fn resolved(i: &mut Interpreter, from: &[Dim], shape: &[Dim]) -> Option<Vec<Dim>> {
    i.assume(|guards| {
        let Reshape { shape } = Reshape::resolve_with(from, shape, guards).ok()?;
        guards.equal(&product(from), &product(&shape)).map(|_| shape)
    })
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
    let parts = resolved(i, &shape[axis..=axis], &parts).ok_or_else(|| {
        Fault::value(format!(
            "{}: {} elements cannot be split into {}",
            b.callee,
            shape[axis],
            ShapeDisplay(&parts)
        ))
    })?;
    let out = [&shape[..axis], &parts, &shape[axis + 1..]].concat();
    reshaped(i, x, out)
}
