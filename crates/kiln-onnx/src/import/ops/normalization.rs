//! Normalizations, by the formulas of the ONNX operator documentation.

use kiln_graph::ops::{BatchNorm, BinaryOp, Pool, PoolKind, ReduceKind, UnaryOp};
use kiln_graph::{Dim, Op, ValueId, product};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use super::elementwise::mean_over;
use super::reduce::to_unit_variance;

pub(crate) fn batch_normalization(cx: &mut Cx<'_>) -> Outputs {
    let inputs = (0..5).map(|i| cx.input(i)).collect::<Result<Vec<_>>>()?;
    // Up to version 8 statistics could be per element, which nobody has used.
    if cx.opset < 9 && !cx.attributes.flag("spatial", true)? {
        return unsupported("`spatial` = 0 is not supported");
    }
    if cx.attributes.flag("training_mode", false)? {
        return unsupported("`training_mode` = 1 is not supported; export the model in evaluation mode");
    }
    let op = BatchNorm {
        epsilon: cx.attributes.float_or("epsilon", 1e-5)?,
        momentum: cx.attributes.float_or("momentum", 0.9)?,
        training: false,
        unbiased: false,
    };
    Ok(vec![cx.op(Op::BatchNorm(op), &inputs)?])
}

fn epsilon(cx: &Cx<'_>) -> Result<f64> {
    Ok(cx.attributes.float_or("epsilon", 1e-5)?.into())
}

/// `(x - mean) / sqrt(variance + epsilon)` over `axes`.
fn normalize(cx: &mut Cx<'_>, x: ValueId, axes: &[usize], epsilon: f64) -> Result<ValueId> {
    let mean = mean_over(cx, x, axes)?;
    let centred = cx.sub(x, mean)?;
    to_unit_variance(cx, centred, axes, epsilon)
}

fn scale_and_shift(cx: &mut Cx<'_>, x: ValueId, scale: ValueId, shift: Option<ValueId>) -> Result<ValueId> {
    let y = cx.mul(x, scale)?;
    match shift {
        Some(shift) => cx.add(y, shift),
        None => Ok(y),
    }
}

pub(crate) fn instance_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let spatial = cx.spatial(x)?;
    let epsilon = epsilon(cx)?;
    let axes: Vec<usize> = (2..2 + spatial).collect();
    let y = normalize(cx, x, &axes, epsilon)?;
    let (scale, shift) = (cx.per_channel(scale, spatial)?, cx.per_channel(shift, spatial)?);
    Ok(vec![scale_and_shift(cx, y, scale, Some(shift))?])
}

pub(crate) fn layer_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.optional(2));
    // The type in which the statistics are computed.
    cx.attributes.ignore("stash_type");
    let axis = cx.axis_of(-1, x)?;
    let epsilon = epsilon(cx)?;
    let axes: Vec<usize> = (axis..cx.rank(x)).collect();
    let y = normalize(cx, x, &axes, epsilon)?;
    Ok(vec![scale_and_shift(cx, y, scale, shift)?])
}

/// Scale and shift are per group in version 18 and per channel since 21.
pub(crate) fn group_normalization(cx: &mut Cx<'_>) -> Outputs {
    let (x, scale, shift) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.attributes.ignore("stash_type");
    let spatial = cx.spatial(x)?;
    let epsilon = epsilon(cx)?;
    let groups = cx.attributes.int("num_groups")?.unwrap_or(0);
    let shape = cx.shape(x);
    let per_group = if groups > 0 { shape[1].exact_div(&groups.into()) } else { None };
    let Some(per_group) = per_group else {
        return invalid(format!("{} channels cannot be split into {groups} groups", shape[1]));
    };
    let grouped = cx.reshape(x, [shape[0].clone(), groups.into(), &per_group * &product(&shape[2..])])?;
    let mut y = normalize(cx, grouped, &[2], epsilon)?;
    if cx.opset < 21 {
        let (scale, shift) = (cx.per_channel(scale, 1)?, cx.per_channel(shift, 1)?);
        y = scale_and_shift(cx, y, scale, Some(shift))?;
        return Ok(vec![cx.reshape(y, shape)?]);
    }
    y = cx.reshape(y, shape)?;
    let (scale, shift) = (cx.per_channel(scale, spatial)?, cx.per_channel(shift, spatial)?);
    Ok(vec![scale_and_shift(cx, y, scale, Some(shift))?])
}

/// `(x - mean) / (deviation + 1e-9)`
pub(crate) fn mean_variance_normalization(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axes = cx.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let axes = cx.axes(axes, cx.rank(x))?;
    let mean = mean_over(cx, x, &axes)?;
    let centred = cx.sub(x, mean)?;
    let square = cx.mul(centred, centred)?;
    let variance = mean_over(cx, square, &axes)?;
    let deviation = cx.unary(UnaryOp::Sqrt, variance)?;
    let deviation = cx.with(BinaryOp::Add, deviation, 1e-9)?;
    Ok(vec![cx.div(centred, deviation)?])
}

pub(crate) fn lp_normalization(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axis = cx.axis_of(-1, x)?;
    let norm = match cx.attributes.int_or("p", 2)? {
        1 => {
            let size = cx.unary(UnaryOp::Abs, x)?;
            cx.reduce(ReduceKind::Sum, size, &[axis], true)?
        }
        2 => {
            let square = cx.mul(x, x)?;
            let sum = cx.reduce(ReduceKind::Sum, square, &[axis], true)?;
            cx.unary(UnaryOp::Sqrt, sum)?
        }
        other => return invalid(format!("`p` is {other}, but should be 1 or 2")),
    };
    Ok(vec![cx.div(x, norm)?])
}

/// Local response normalization (Krizhevsky et al. 2012): `x / (bias + alpha / size * sum)^beta` with the sum of
/// squares over `size` channels. The sum is a pooling over channels that lie in the place of a spatial dimension.
pub(crate) fn lrn(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let size = cx.attributes.int("size")?.unwrap_or(0);
    let Some(window) = usize::try_from(size).ok().filter(|n| *n > 0) else {
        return invalid(format!("`size` is {size}, but should be positive"));
    };
    let alpha = cx.attributes.float_or("alpha", 1e-4)?;
    let beta = cx.attributes.float_or("beta", 0.75)?;
    let bias = cx.attributes.float_or("bias", 1.0)?;
    let shape = cx.shape(x);
    let [n, c, rest @ ..] = &shape[..] else {
        return Err(OpError::Invalid("its input has too few dimensions".into()));
    };
    let square = cx.mul(x, x)?;
    let plane = cx.reshape(square, [n.clone(), Dim::from(1), c.clone(), product(rest)])?;
    let pool = Pool {
        kind: PoolKind::Average { count_include_pad: true },
        kernel: vec![window, 1],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads: vec![[(size - 1) / 2, size / 2], [0, 0]],
        ceil_mode: false,
    };
    let mean = cx.op(Op::Pool(pool), &[plane])?;
    let mean = cx.reshape(mean, shape.clone())?;
    let scaled = cx.with(BinaryOp::Mul, mean, alpha.into())?;
    let base = cx.with(BinaryOp::Add, scaled, bias.into())?;
    let divisor = cx.with(BinaryOp::Pow, base, beta.into())?;
    Ok(vec![cx.div(x, divisor)?])
}
