//! Padding.

use kiln_graph::functions::padding;
use kiln_graph::ops::{Pad, PadMode};
use kiln_graph::{Dim, Op};

use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "pad" ("input, pad, mode='constant', value=None") => pad,
};

pub(super) static LAYERS: &[Layer] = layers! {
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

/// `F.pad`: amounts begin with the last dimension.
fn pad(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let items = i.items(&b.get("pad"))?;
    let given: Option<Vec<Dim>> = items.iter().map(Value::as_dim).collect();
    let given =
        given.filter(|a| a.len().is_multiple_of(2)).ok_or_else(|| b.wrong("pad", "pairs of integers"))?;
    let mode = match &*b.string("mode")? {
        "constant" => PadMode::Constant(if b.is_none("value") { 0.0 } else { b.float("value")? as f32 }),
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Edge,
        "circular" => PadMode::Wrap,
        _ => return Err(b.wrong("mode", "'constant', 'reflect', 'replicate' or 'circular'")),
    };
    match given.iter().map(Dim::as_const).collect::<Option<Vec<i64>>>() {
        Some(amounts) => padded(i, b, &amounts, mode),
        None => padded_by_sizes(i, b, &given, mode),
    }
}

/// Padding by amounts that depend on open sizes.
fn padded_by_sizes(i: &mut Interpreter, b: &Bound, given: &[Dim], mode: PadMode) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let rank = i.graph.ty(x).rank();
    let PadMode::Constant(value) = mode else {
        return Err(Fault::unsupported(format!(
            "{}: amounts that depend on the size of the input are supported for `mode='constant'`",
            b.callee
        )));
    };
    if given.len() / 2 > rank {
        return Err(Fault::value(format!(
            "{}: more dimensions are padded than there are ({rank})",
            b.callee
        )));
    }
    let mut amounts = vec![[Dim::from(0), Dim::from(0)]; rank];
    for (n, pair) in given.chunks_exact(2).enumerate() {
        amounts[rank - 1 - n] = [pair[0].clone(), pair[1].clone()];
    }
    Ok(Value::tensor(padding::pad(&mut i.formula(), x, &amounts, value.into())?))
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
        let size = i.shape(x)[rank - 1 - n].as_const();
        let left = size.map(|size| size + pair[0].min(0) + pair[1].min(0));
        if mode == PadMode::Wrap && left.is_some_and(|left| pair[0] > left || pair[1] > left) {
            let left = left.unwrap_or(0).max(0);
            return Err(Fault::value(format!(
                "{}: padding by {} and {} repeats more than the {left} elements there are",
                b.callee, pair[0], pair[1]
            )));
        }
    }
    Ok(Value::tensor(i.op(Op::Pad(Pad { pads, mode }), &[x])?))
}
