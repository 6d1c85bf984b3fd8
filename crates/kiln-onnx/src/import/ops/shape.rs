//! Operators on shapes, and values that are known ahead of time.

use kiln_graph::functions::{movement, ranges};
use kiln_graph::ops::{Dropout, ReduceKind, Reshape, ShapeOf, broadcast};
use kiln_graph::{DType, Data, Dim, Element, Guards, Op, Tensor, ValueId, product};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use crate::tensor;

pub(crate) fn identity(cx: &mut Cx<'_>) -> Outputs {
    Ok(vec![cx.input(0)?])
}

/// Kept for training; in inference nothing is dropped. That it was exported in training mode, the only one in which
/// PyTorch's exporter keeps it, says nothing about what the model is used for.
pub(crate) fn dropout(cx: &mut Cx<'_>) -> Outputs {
    for attribute in ["seed", "is_test"] {
        cx.attributes.ignore(attribute);
    }
    // An attribute until opset 12, an input since.
    let attribute = cx.attributes.float("ratio")?;
    let input =
        cx.optional(1).and_then(|id| cx.graph.as_constant(id)).and_then(|t| t.to_f64().first().copied());
    #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
    let ratio = attribute.or(input.map(|ratio| ratio as f32)).unwrap_or(0.5);
    let x = cx.input(0)?;
    let y = cx.op(Op::Dropout(Dropout { ratio, leading: None }), &[x])?;
    let kept = cx.constant_value(Tensor::number(1.0, DType::Bool));
    // Until version 10 the mask was of the type of the input.
    let kept = if cx.opset < 10 { cx.cast(kept, cx.dtype(x))? } else { kept };
    Ok(vec![y, cx.expand(kept, cx.shape(x))?])
}

pub(crate) fn constant(cx: &mut Cx<'_>) -> Outputs {
    let attributes = &cx.attributes;
    let made =
        |shape: Vec<usize>, data| Tensor::new(shape, data).map_err(|e| OpError::Invalid(e.to_string()));
    let tensor = if let Some(proto) = attributes.tensor("value")? {
        tensor::decode_constant(proto.clone(), cx.external).map_err(OpError::Tensor)?
    } else if let Some(number) = attributes.float("value_float")? {
        Tensor::scalar(number)
    } else if let Some(numbers) = attributes.floats("value_floats")? {
        made(vec![numbers.len()], Data::F32(numbers.to_vec()))?
    } else if let Some(number) = attributes.int("value_int")? {
        made(vec![], Data::I64(vec![number]))?
    } else if let Some(numbers) = attributes.ints("value_ints")? {
        made(vec![numbers.len()], Data::I64(numbers.to_vec()))?
    } else {
        return unsupported("only numbers and dense tensors are supported as constants");
    };
    Ok(vec![cx.graph.constant(cx.name, tensor)])
}

pub(crate) fn constant_of_shape(cx: &mut Cx<'_>) -> Outputs {
    let shape = cx.dims(0, "input")?;
    let value = match cx.attributes.tensor("value")? {
        Some(proto) => tensor::decode_constant(proto.clone(), cx.external).map_err(OpError::Tensor)?,
        None => Tensor::scalar(0.0),
    };
    let value = value.reshaped([]).map_err(|_| OpError::Invalid("`value` should have one element".into()))?;
    let value = cx.constant_value(value);
    Ok(vec![cx.expand(value, shape)?])
}

/// `start`, `start + delta`, .. before `limit`.
pub(crate) fn range(cx: &mut Cx<'_>) -> Outputs {
    let dtype = cx.dtype(cx.input(0)?);
    if dtype.is_float() {
        if let Some(count) = symbolic_count(cx) {
            return Ok(vec![ranges::arange(&mut cx.formula(), dtype, count, 0.0, 1.0)?]);
        }
        let number = |i, what| Ok::<f64, OpError>(cx.floats(i, what)?.first().copied().unwrap_or(0.0));
        let (start, limit, delta) = (number(0, "start")?, number(1, "limit")?, number(2, "delta")?);
        let count = ((limit - start) / delta).ceil().max(0.0);
        if count.is_nan() || count > f64::from(1 << 24) {
            return invalid(format!("a range from {start} to {limit} by {delta} has no reasonable length"));
        }
        #[allow(clippy::as_conversions, reason = "checked just above")]
        let count = Dim::from(count as i64);
        return Ok(vec![ranges::arange(&mut cx.formula(), dtype, count, start, delta)?]);
    }
    let one = |i, what| -> Result<Dim> {
        cx.dims(i, what)?.first().cloned().ok_or_else(|| OpError::Invalid(format!("`{what}` is empty")))
    };
    let (start, limit, delta) = (one(0, "start")?, one(1, "limit")?, one(2, "delta")?);
    let (Some(start), Some(delta)) = (start.as_const(), delta.as_const()) else {
        return unsupported("`start` and `delta` have to be numbers");
    };
    let room = limit - start.into();
    let count = match delta {
        0 => return invalid("`delta` is zero"),
        1.. => room.ceil_div(delta),
        _ => (Dim::from(0) - room).ceil_div(delta.saturating_neg()),
    };
    let count = match count.as_const() {
        Some(number) => number.max(0).into(),
        None => match cx.assume(|guards| guards.at_least(&count, &0.into()).then_some(())) {
            Some(()) => count,
            None => 0.into(),
        },
    };
    #[allow(clippy::as_conversions, reason = "indices are far below 2^53")]
    Ok(vec![ranges::arange(&mut cx.formula(), dtype, count, start as f64, delta as f64)?])
}

/// The number of elements of a range of floats from 0 in steps of 1 up to a limit that follows from sizes.
fn symbolic_count(cx: &Cx<'_>) -> Option<Dim> {
    let element = |i: usize| match cx.graph.value(cx.optional(i)?).contents.as_deref()? {
        [Element::Ratio(dim, denominator)] => Some((dim.clone(), *denominator)),
        _ => None,
    };
    let (start, limit, delta) = (element(0)?, element(1)?, element(2)?);
    let simple = start.0.is(0) && delta.0.is(1) && delta.1 == 1 && limit.0.as_const().is_none();
    simple.then(|| limit.0.ceil_div(limit.1))
}

pub(crate) fn shape(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let rank = i64::try_from(cx.rank(x)).unwrap_or(i64::MAX);
    let place = |index: i64| {
        let index = if index < 0 { index.saturating_add(rank) } else { index };
        usize::try_from(index.clamp(0, rank)).unwrap_or(0)
    };
    let start = place(cx.attributes.int_or("start", 0)?);
    let end = place(cx.attributes.int_or("end", rank)?).max(start);
    Ok(vec![cx.op(Op::ShapeOf(ShapeOf { start, end }), &[x])?])
}

pub(crate) fn size(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = cx.op(Op::ShapeOf(ShapeOf { start: 0, end: cx.rank(x) }), &[x])?;
    if cx.rank(x) == 0 {
        return Ok(vec![cx.constant_value(Tensor::number(1.0, DType::I64))]);
    }
    Ok(vec![cx.reduce(ReduceKind::Prod, shape, &[0], false)?])
}

/// A zero in the new shape copies the old dimension (unless `allowzero`), -1 takes what is left.
pub(crate) fn reshape(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = match cx.attributes.ints("shape")?.filter(|_| cx.opset < 5) {
        Some(shape) => shape.iter().map(|n| Dim::from(*n)).collect(),
        None => cx.dims(1, "shape")?,
    };
    let allow_zero = cx.attributes.flag("allowzero", false)?;
    let from = cx.shape(x);
    let shape: Vec<Dim> = shape
        .into_iter()
        .enumerate()
        .map(|(axis, dim)| match from.get(axis) {
            Some(old) if dim.is(0) && !allow_zero => old.clone(),
            Some(_) | None => dim,
        })
        .collect();
    let resolved = cx.given(|guards| Reshape::resolve_with(&from, &shape, guards))?;
    Ok(vec![cx.reshape(x, resolved.shape)?])
}

pub(crate) fn flatten(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.attributes.int_or("axis", 1)?;
    // One beyond the last dimension is allowed here.
    let axis = if usize::try_from(axis).is_ok_and(|axis| axis == shape.len()) {
        shape.len()
    } else {
        cx.axis(axis, shape.len())?
    };
    let (rows, columns) = shape.split_at(axis);
    Ok(vec![cx.reshape(x, [product(rows), product(columns)])?])
}

pub(crate) fn squeeze(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axes = match cx.ints_either(1, "axes")? {
        Some(axes) => cx.axes(&axes, shape.len())?,
        None => (0..shape.len()).filter(|axis| shape[*axis].is(1)).collect(),
    };
    let one = |guards: &mut Guards, axis: usize| guards.equal(&shape[axis], &1.into());
    if let Some(axis) = axes.iter().find(|axis| cx.assume(|guards| one(guards, **axis)).is_none()) {
        return invalid(format!("axis {axis} of {} is to be dropped, but is not 1", cx.ty(x)));
    }
    let kept: Vec<Dim> =
        shape.into_iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, d)| d).collect();
    Ok(vec![cx.reshape(x, kept)?])
}

pub(crate) fn unsqueeze(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axes = cx.ints_either(1, "axes")?.unwrap_or_default();
    let mut shape = cx.shape(x);
    let rank = shape.len() + axes.len();
    let sorted = cx.axes(&axes, rank)?;
    if sorted.len() < axes.len() {
        return invalid(format!("`axes` is {axes:?}, which names an axis twice"));
    }
    for axis in sorted {
        shape.insert(axis, 1.into());
    }
    Ok(vec![cx.reshape(x, shape)?])
}

pub(crate) fn expand(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = cx.dims(1, "shape")?;
    let from = cx.shape(x);
    let shape = cx.given(|guards| broadcast(&from, &shape, guards))?;
    Ok(vec![cx.expand(x, shape)?])
}

pub(crate) fn tile(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let repeats = cx.dims(1, "repeats")?;
    if repeats.len() != cx.rank(x) {
        return invalid(format!("`repeats` has {} numbers for {}", repeats.len(), cx.ty(x)));
    }
    Ok(vec![movement::tile(&mut cx.formula(), x, &repeats)?])
}

pub(crate) fn transpose(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let rank = cx.rank(x);
    let perm = match cx.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![moved(cx, x, perm)?])
}

fn moved(cx: &mut Cx<'_>, x: ValueId, perm: Vec<usize>) -> Result<ValueId> {
    if perm.len() == cx.rank(x) && perm.iter().enumerate().all(|(i, axis)| i == *axis) {
        return Ok(x);
    }
    cx.transpose(x, perm)
}
