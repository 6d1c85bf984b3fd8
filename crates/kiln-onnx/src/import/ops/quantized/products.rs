//! Convolutions and matrix products of quantized numbers.

use kiln_graph::functions::quantization::{self, Steps, of_columns};
use kiln_graph::functions::{convolution, linear};
use kiln_graph::ops::{BinaryOp, Conv};
use kiln_graph::{DType, ValueId};

use super::super::super::cx::{Cx, Outputs, Result, invalid};
use super::super::conv::{groups, kernel_of, window};
use super::{Operand, one};

/// The convolution of two operands with their zero points, in i32.
fn convolved(
    cx: &mut Cx<'_>,
    x: (ValueId, Option<ValueId>),
    weight: (ValueId, Option<ValueId>),
) -> Result<ValueId> {
    let kernel = kernel_of(cx, weight.0)?;
    let window = window(cx, x.0, kernel)?;
    let spatial = window.kernel.len();
    let conv = Conv {
        strides: window.strides,
        pads: window.pads,
        dilations: window.dilations,
        input_dilations: vec![1; spatial],
        groups: groups(cx)?,
    };
    Ok(quantization::conv(&mut cx.formula(), conv, x, weight)?)
}

pub(crate) fn conv_integer(cx: &mut Cx<'_>) -> Outputs {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let (x_zero, w_zero) = (cx.optional(2), cx.optional(3));
    Ok(vec![convolved(cx, (x, x_zero), (w, w_zero))?])
}

/// The scale of a weight, one number or one for each output channel, for something of `[N, C, spatial...]`.
fn per_channel(cx: &mut Cx<'_>, scale: ValueId, spatial: usize) -> Result<ValueId> {
    if cx.shape(scale).iter().all(|dim| dim.is(1)) {
        return cx.reshape(scale, []);
    }
    Ok(kiln_graph::functions::normalization::per_channel(&mut cx.formula(), scale, spatial)?)
}

/// `saturate(round((x * w + b) * (x_scale * w_scale / y_scale)) + y_zero)`
pub(crate) fn q_linear_conv(cx: &mut Cx<'_>) -> Outputs {
    let x = Operand::at(cx, 0)?;
    let (w, w_scale, w_zero) = (cx.input(3)?, cx.input(4)?, cx.optional(5));
    let y = super::steps(cx, 6)?;
    let to = cx.dtype(y.zero.unwrap_or(x.q));
    let mut sums = convolved(cx, (x.q, x.steps.zero), (w, w_zero))?;
    let spatial = cx.spatial(w)?;
    if let Some(bias) = cx.optional(8) {
        sums = convolution::conv_bias(&mut cx.formula(), sums, bias, spatial)?;
    }
    let w_scale = per_channel(cx, w_scale, spatial)?;
    let product = cx.mul(x.steps.scale, w_scale)?;
    let factor = cx.div(product, y.scale)?;
    Ok(vec![quantization::requantize(&mut cx.formula(), sums, factor, y.zero, to)?])
}

pub(crate) fn mat_mul_integer(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (a_zero, b_zero) = (cx.optional(2), cx.optional(3));
    Ok(vec![quantization::matmul(&mut cx.formula(), (a, a_zero), (b, b_zero))?])
}

/// A product of two scales as 32-bit floats, those of rows and of columns.
fn scale_of_product(cx: &mut Cx<'_>, a: ValueId, b: ValueId) -> Result<ValueId> {
    let mut f = cx.formula();
    let (a, b) = (f.cast(a, DType::F32)?, f.cast(b, DType::F32)?);
    let (a, b) = (quantization::of_rows(&mut f, a)?, of_columns(&mut f, b)?);
    Ok(f.mul(a, b)?)
}

pub(crate) fn q_linear_mat_mul(cx: &mut Cx<'_>) -> Outputs {
    let [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero] = cx.all_inputs()?[..] else {
        return invalid("it should have 8 inputs");
    };
    let to = cx.dtype(y_zero);
    let sums = quantization::matmul(&mut cx.formula(), (a, Some(a_zero)), (b, Some(b_zero)))?;
    let product = scale_of_product(cx, a_scale, b_scale)?;
    let y_scale = cx.cast(y_scale, DType::F32)?;
    let mut f = cx.formula();
    let y_scale = quantization::of_rows(&mut f, y_scale)?;
    let y_zero = quantization::of_rows(&mut f, y_zero)?;
    let factor = f.div(product, y_scale)?;
    Ok(vec![quantization::requantize(&mut f, sums, factor, Some(y_zero), to)?])
}

/// Sums as floats.
fn scaled(cx: &mut Cx<'_>, sums: ValueId, scale: ValueId, bias: Option<ValueId>) -> Outputs {
    let sums = cx.cast(sums, DType::F32)?;
    let y = cx.mul(sums, scale)?;
    Ok(vec![match bias {
        Some(bias) => cx.add(y, bias)?,
        None => y,
    }])
}

pub(crate) fn mat_mul_integer_to_float(cx: &mut Cx<'_>) -> Outputs {
    let (a, b, a_scale, b_scale) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, cx.input(3)?);
    let (a_zero, b_zero, bias) = (cx.optional(4), cx.optional(5), cx.optional(6));
    let sums = quantization::matmul(&mut cx.formula(), (a, a_zero), (b, b_zero))?;
    let scale = scale_of_product(cx, a_scale, b_scale)?;
    scaled(cx, sums, scale, bias)
}

/// `A` is quantized as it is found.
pub(crate) fn dynamic_quantize_mat_mul(cx: &mut Cx<'_>) -> Outputs {
    let (a, b, b_scale) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (b_zero, bias) = (cx.optional(3), cx.optional(4));
    let (a, Steps { scale, zero }) = quantization::quantize_dynamically(&mut cx.formula(), a)?;
    let sums = quantization::matmul(&mut cx.formula(), (a, zero), (b, b_zero))?;
    let scale = scale_of_product(cx, scale, b_scale)?;
    scaled(cx, sums, scale, bias)
}

/// `alpha * A * B + C`, with `C` in steps of `alpha * a_scale * b_scale`; floats where the result has no scale.
pub(crate) fn q_gemm(cx: &mut Cx<'_>) -> Outputs {
    let alpha = cx.attributes.float_or("alpha", 1.0)?;
    let transposed = [cx.attributes.flag("transA", false)?, cx.attributes.flag("transB", false)?];
    let a = Operand::at(cx, 0)?;
    let (b, b_scale, b_zero) = (cx.input(3)?, cx.input(4)?, cx.optional(5));
    if cx.rank(a.q) != 2 || cx.rank(b) != 2 {
        return invalid(format!("A is {} and B {}; both should be matrices", cx.ty(a.q), cx.ty(b)));
    }
    let turned = |cx: &mut Cx<'_>, x: ValueId, transposed: bool| {
        if transposed { cx.transpose(x, [1, 0]) } else { Ok(x) }
    };
    // Zero points of B belong to columns of the product, so they are taken off behind the transposition.
    let (left, right) = (turned(cx, a.q, transposed[0])?, turned(cx, b, transposed[1])?);
    let mut f = cx.formula();
    let b_zero = b_zero.map(|zero| of_columns(&mut f, zero)).transpose()?;
    let left = quantization::centered(&mut f, left, a.steps.zero)?;
    let right = quantization::centered(&mut f, right, b_zero)?;
    let mut sums = linear::matmul(&mut f, left, right)?;
    if let Some(c) = cx.optional(6) {
        sums = cx.add(sums, c)?;
    }
    let of_a = match alpha {
        1.0 => a.steps.scale,
        alpha => cx.with(BinaryOp::Mul, a.steps.scale, alpha.into())?,
    };
    let scale = scale_of_product(cx, of_a, b_scale)?;
    let Some(y_scale) = cx.optional(7) else { return scaled(cx, sums, scale, None) };
    let y_scale = one(cx, y_scale, 7)?;
    let y_zero = cx.optional(8).map(|zero| one(cx, zero, 8)).transpose()?;
    let to = y_zero.map_or(a.dtype(cx), |zero| cx.dtype(zero));
    let factor = cx.div(scale, y_scale)?;
    Ok(vec![quantization::requantize(&mut cx.formula(), sums, factor, y_zero, to)?])
}
