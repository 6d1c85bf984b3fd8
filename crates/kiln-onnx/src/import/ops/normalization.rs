//! Normalizations, with the scale and shift that ONNX gives them.

use kiln_graph::functions::{normalization, reduce};
use kiln_graph::ops::{BatchNorm, BinaryOp, ReduceKind, UnaryOp};
use kiln_graph::{DType, Op, ValueId};

use super::super::cx::{Cx, Outputs, Result, invalid, unsupported};
use crate::tensor::dtype_of;

pub(crate) fn batch_normalization(cx: &mut Cx<'_>) -> Outputs {
    let inputs = (0..5).map(|i| cx.input(i)).collect::<Result<Vec<_>>>()?;
    // Up to version 8 statistics could be per element, which is unused in practice.
    if cx.opset < 9 && !cx.attributes.flag("spatial", true)? {
        return unsupported("`spatial` = 0 is not supported");
    }
    // Up to version 6; more than one output says the same.
    cx.attributes.ignore("is_test");
    let op = BatchNorm {
        epsilon: cx.attributes.float_or("epsilon", 1e-5)?,
        momentum: cx.attributes.float_or("momentum", 0.9)?,
        training: cx.attributes.flag("training_mode", false)?,
        frozen: false,
        unbiased: false,
    };
    // In training the new running statistics are outputs, too.
    Ok(cx.graph.apply(cx.name, Op::BatchNorm(op), &inputs)?)
}

fn epsilon(cx: &Cx<'_>) -> Result<f64> {
    Ok(cx.attributes.float_or("epsilon", 1e-5)?.into())
}

fn scale_and_shift(cx: &mut Cx<'_>, x: ValueId, scale: ValueId, shift: Option<ValueId>) -> Result<ValueId> {
    let y = cx.mul(x, scale)?;
    match shift {
        Some(shift) => cx.add(y, shift),
        None => Ok(y),
    }
}

/// Scales and shifts `[N, C, spatial...]` by one number per channel.
fn by_channel(
    cx: &mut Cx<'_>,
    x: ValueId,
    scale: ValueId,
    shift: ValueId,
    spatial: usize,
) -> Result<ValueId> {
    let f = &mut cx.formula();
    let scale = normalization::per_channel(f, scale, spatial)?;
    let shift = normalization::per_channel(f, shift, spatial)?;
    scale_and_shift(cx, x, scale, Some(shift))
}

pub(crate) fn instance_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let spatial = cx.spatial(x)?;
    let epsilon = epsilon(cx)?;
    let axes: Vec<usize> = (2..2 + spatial).collect();
    let y = normalization::normalize(&mut cx.formula(), x, &axes, epsilon)?;
    Ok(vec![by_channel(cx, y, scale, shift, spatial)?])
}

pub(crate) fn layer_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.optional(2));
    // The type in which the statistics are computed; here that of the input, or 32 bits.
    let stash = stash_type(cx)?;
    let axis = cx.axis_of(-1, x)?;
    let epsilon = epsilon(cx)?;
    let axes: Vec<usize> = (axis..cx.rank(x)).collect();
    let parts = normalization::normalized(&mut cx.formula(), x, &axes, epsilon)?;
    let mean = cx.cast(parts.mean, stash)?;
    let deviation = cx.cast(parts.deviation, stash)?;
    let inverse = cx.unary(UnaryOp::Reciprocal, deviation)?;
    Ok(vec![scale_and_shift(cx, parts.result, scale, shift)?, mean, inverse])
}

/// The type of statistics that are outputs.
fn stash_type(cx: &Cx<'_>) -> Result<DType> {
    let stash = cx.attributes.int_or("stash_type", 1)?;
    let dtype = i32::try_from(stash).ok().and_then(|stash| dtype_of(stash).ok());
    match dtype.filter(|dtype| dtype.is_float()) {
        Some(dtype) => Ok(dtype),
        None => unsupported(format!("`stash_type` = {stash} is not supported")),
    }
}

pub(crate) fn rms_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale) = (cx.input(0)?, cx.input(1)?);
    cx.attributes.ignore("stash_type");
    let axis = cx.axis_of(-1, x)?;
    let epsilon = epsilon(cx)?;
    let axes: Vec<usize> = (axis..cx.rank(x)).collect();
    let y = normalization::rms_norm(&mut cx.formula(), x, &axes, epsilon)?;
    Ok(vec![cx.mul(y, scale)?])
}

/// Scale and shift are per group in version 18 and per channel since 21.
pub(crate) fn group_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.attributes.ignore("stash_type");
    let spatial = cx.spatial(x)?;
    let epsilon = epsilon(cx)?;
    let groups = cx.attributes.int("num_groups")?.unwrap_or(0);
    let Ok(groups) = usize::try_from(groups) else {
        return invalid(format!("`num_groups` is {groups}, but should be positive"));
    };
    if cx.opset >= 21 {
        let y = normalization::group_norm(&mut cx.formula(), x, groups, epsilon)?;
        return Ok(vec![by_channel(cx, y, scale, shift, spatial)?]);
    }
    let f = &mut cx.formula();
    let grouped = normalization::grouped(f, x, groups)?;
    let y = normalization::normalize(f, grouped, &[2], epsilon)?;
    let y = by_channel(cx, y, scale, shift, 1)?;
    Ok(vec![cx.reshape(y, cx.shape(x))?])
}

/// `(x - mean) / (deviation + 1e-9)`
pub(crate) fn mean_variance_normalization(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axes = cx.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let axes = cx.axes(axes, cx.rank(x))?;
    let centred = normalization::centre(&mut cx.formula(), x, &axes)?;
    let square = cx.mul(centred, centred)?;
    let variance = cx.reduce(ReduceKind::Mean, square, &axes, true)?;
    let deviation = reduce::root(&mut cx.formula(), variance)?;
    let deviation = cx.with(BinaryOp::Add, deviation, 1e-9)?;
    let y = cx.div(centred, deviation)?;
    Ok(vec![cx.cast(y, cx.dtype(x))?])
}

/// Vectors of length zero are unchanged.
pub(crate) fn lp_normalization(cx: &mut Cx<'_>) -> Outputs {
    let given = cx.input(0)?;
    let axis = cx.axis_of(-1, given)?;
    let x = normalization::widened(&mut cx.formula(), given)?;
    let p = cx.attributes.int_or("p", 2)?;
    let sum = match p {
        1 => reduce::l1_norm(&mut cx.formula(), x, &[axis], true)?,
        2 => {
            let square = cx.mul(x, x)?;
            cx.reduce(ReduceKind::Sum, square, &[axis], true)?
        }
        other => return invalid(format!("`p` is {other}, but should be 1 or 2")),
    };
    // Before the root, which has no slope at zero.
    let f = &mut cx.formula();
    let (zero, one) = (f.number_like(0.0, sum), f.number_like(1.0, sum));
    let none = f.binary(BinaryOp::Equal, sum, zero)?;
    let sum = f.select(none, one, sum)?;
    let norm = if p == 1 { sum } else { f.unary(UnaryOp::Sqrt, sum)? };
    let y = cx.div(x, norm)?;
    Ok(vec![cx.cast(y, cx.dtype(given))?])
}

pub(crate) fn lrn(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let size = cx.attributes.int("size")?.unwrap_or(0);
    let Some(others) = usize::try_from(size).ok().and_then(|size| size.checked_sub(1)) else {
        return invalid(format!("`size` is {size}, but should be positive"));
    };
    let around = [others / 2, others - others / 2];
    let alpha = cx.attributes.float_or("alpha", 1e-4)?.into();
    let beta = cx.attributes.float_or("beta", 0.75)?.into();
    let bias = cx.attributes.float_or("bias", 1.0)?.into();
    Ok(vec![normalization::local_response_norm(&mut cx.formula(), x, around, alpha, beta, bias)?])
}
