//! Numbers of few bits: a real number is `(q - zero) * scale`, with `q` an integer of 8 or 16 bits.
//!
//! Zero point and scale belong to a whole tensor, to an index of an axis, or to a block along an axis. Products of such
//! integers are added up in i32, as other engines do, since 32-bit floats do not hold sums above 2^24.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Conv, MatMul, Op, ReduceKind, SliceAxis, UnaryOp};
use crate::tensor::DType;

use super::linear;

const NAME: &str = "quantization";

/// What numbers of a scale or of zero points belong to, where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// One for each index of this axis.
    Axis(usize),
    /// One for each block of so many elements along this axis.
    Blocks {
        /// The axis.
        axis: usize,
        /// Elements of a block; the last one may have fewer.
        size: usize,
    },
}

/// How integers stand for numbers; both broadcast against the tensor they belong to.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// What one step is.
    pub scale: ValueId,
    /// The integer that stands for zero; 0 if there is none.
    pub zero: Option<ValueId>,
}

/// A scale or zero points such that they broadcast against a tensor of `shape`: one number for all of it, or one for
/// each part as `along` says.
pub fn spread(f: &mut Formula<'_>, numbers: ValueId, shape: &[Dim], along: Along) -> Made {
    let own = f.shape(numbers);
    if own.iter().all(|dim| dim.is(1)) {
        return f.reshape(numbers, vec![]);
    }
    let (Along::Axis(axis) | Along::Blocks { axis, .. }) = along;
    let Some(size) = shape.get(axis) else {
        return f.mismatch(NAME, format!("axis {axis} is out of range for {} dimensions", shape.len()));
    };
    match along {
        Along::Axis(_) => {
            if own != std::slice::from_ref(size) {
                let ty = f.ty(numbers);
                return f.mismatch(
                    NAME,
                    format!("{ty} should have one number, or {size}, as many as axis {axis}"),
                );
            }
            let mut line = vec![Dim::from(1); shape.len()];
            line[axis] = size.clone();
            f.reshape(numbers, line)
        }
        Along::Blocks { size: block, .. } => {
            let blocks = size.ceil_div(i64::try_from(block).unwrap_or(i64::MAX));
            let mut wanted = shape.to_vec();
            wanted[axis] = blocks.clone();
            if own != wanted {
                let ty = f.ty(numbers);
                let message =
                    format!("{ty} should have {blocks} blocks of {block} elements along axis {axis}");
                return f.mismatch(NAME, message);
            }
            let mut each = own;
            each.insert(axis + 1, 1.into());
            let split = f.reshape(numbers, each.clone())?;
            each[axis + 1] = block.into();
            let repeated = f.expand(split, each)?;
            wanted[axis] = blocks * block.into();
            let joined = f.reshape(repeated, wanted.clone())?;
            if wanted[axis] == *size {
                return Ok(joined);
            }
            let cut = SliceAxis { axis, start: 0.into(), length: size.clone(), step: 1 };
            f.slice(joined, vec![cut])
        }
    }
}

/// Whether zero points are known to be 0.
fn is_zero(f: &Formula<'_>, zero: ValueId) -> bool {
    f.graph.as_constant(zero).is_some_and(|tensor| tensor.to_f64().iter().all(|x| *x == 0.0))
}

/// `q - zero`, in i32.
pub fn centered(f: &mut Formula<'_>, q: ValueId, zero: Option<ValueId>) -> Made {
    let q = f.cast(q, DType::I32)?;
    let Some(zero) = zero.filter(|zero| !is_zero(f, *zero)) else { return Ok(q) };
    let zero = f.cast(zero, DType::I32)?;
    f.sub(q, zero)
}

/// `(q - zero) * scale`, in 32 bits, as a number of type `to`.
pub fn dequantize(f: &mut Formula<'_>, q: ValueId, steps: Steps, to: DType) -> Made {
    let whole = centered(f, q, steps.zero)?;
    let whole = f.cast(whole, DType::F32)?;
    let scale = f.cast(steps.scale, DType::F32)?;
    let x = f.mul(whole, scale)?;
    f.cast(x, to)
}

/// `x / scale`, rounded to the nearest integer and halves to the even one, `+ zero`, or the nearest that the type `to`
/// has.
pub fn quantize(f: &mut Formula<'_>, x: ValueId, steps: Steps, to: DType) -> Made {
    let x = f.cast(x, DType::F32)?;
    let scale = f.cast(steps.scale, DType::F32)?;
    let steps_of_x = f.div(x, scale)?;
    rounded(f, steps_of_x, steps.zero, to)
}

/// Sums in i32 times `factor`, as [`quantize`] rounds.
pub fn requantize(
    f: &mut Formula<'_>,
    sums: ValueId,
    factor: ValueId,
    zero: Option<ValueId>,
    to: DType,
) -> Made {
    let sums = f.cast(sums, DType::F32)?;
    let steps = f.mul(sums, factor)?;
    rounded(f, steps, zero, to)
}

/// A number of steps as an integer of a few bits. Sums of up to 2^23 are exact in f32, and larger ones are out of range of
/// any such type; the cast to it takes the nearest that there is.
fn rounded(f: &mut Formula<'_>, steps: ValueId, zero: Option<ValueId>, to: DType) -> Made {
    let mut whole = f.unary(UnaryOp::Round, steps)?;
    if let Some(zero) = zero.filter(|zero| !is_zero(f, *zero)) {
        let zero = f.cast(zero, DType::F32)?;
        whole = f.add(whole, zero)?;
    }
    f.cast(whole, to)
}

/// The steps with which all of `x` and 0 fit into 8 bits without a sign, and what `x` is in them.
pub fn quantize_dynamically(f: &mut Formula<'_>, x: ValueId) -> Result<(ValueId, Steps), GraphError> {
    let axes: Vec<usize> = (0..f.ty(x).rank()).collect();
    let low = f.reduce(ReduceKind::Min, x, axes.clone(), false)?;
    let low = f.with(BinaryOp::Min, low, 0.0)?;
    let high = f.reduce(ReduceKind::Max, x, axes, false)?;
    let high = f.with(BinaryOp::Max, high, 0.0)?;
    let range = f.sub(high, low)?;
    let scale = f.with(BinaryOp::Div, range, 255.0)?;
    // Of zeros alone.
    let none = f.with(BinaryOp::Equal, range, 0.0)?;
    let one = f.number_like(1.0, scale);
    let scale = f.select(none, one, scale)?;
    let below = f.div(low, scale)?;
    let zero = f.neg(below)?;
    let zero = rounded(f, zero, None, DType::U8)?;
    let steps = Steps { scale, zero: Some(zero) };
    Ok((quantize(f, x, steps, DType::U8)?, steps))
}

/// The convolution of `x - x_zero` with `weight - weight_zero`, in i32: what is outside of `x` is zero, so `x_zero` itself.
/// Zero points of the weight belong to output channels.
pub fn conv(
    f: &mut Formula<'_>,
    conv: Conv,
    (x, x_zero): (ValueId, Option<ValueId>),
    (weight, weight_zero): (ValueId, Option<ValueId>),
) -> Made {
    let shape = f.shape(weight);
    let x_zero = of_tensor(f, x, x_zero)?;
    let weight_zero = weight_zero.map(|zero| spread(f, zero, &shape, Along::Axis(0))).transpose()?;
    let x = centered(f, x, x_zero)?;
    let weight = centered(f, weight, weight_zero)?;
    f.apply(Op::Conv(conv), &[x, weight])
}

/// The zero point of a whole tensor.
fn of_tensor(f: &mut Formula<'_>, x: ValueId, zero: Option<ValueId>) -> Result<Option<ValueId>, GraphError> {
    let Some(zero) = zero else { return Ok(None) };
    if f.shape(zero).iter().any(|dim| !dim.is(1)) {
        let (zero, x) = (f.ty(zero), f.ty(x));
        return f.mismatch(NAME, format!("{zero} should be the one zero point of {x}"));
    }
    Ok(Some(f.reshape(zero, vec![])?))
}

/// A scale or zero points of a matrix's rows, or of all of it, such that they broadcast against a product with it as the
/// left operand: one number, a vector, or columns as tall as the matrices.
pub fn of_rows(f: &mut Formula<'_>, numbers: ValueId) -> Made {
    let mut shape = f.shape(numbers);
    if shape.iter().all(|dim| dim.is(1)) {
        return f.reshape(numbers, vec![]);
    }
    if shape.len() == 1 {
        shape.push(1.into());
    }
    f.reshape(numbers, shape)
}

/// Likewise of the columns of a right operand: one number, a vector, or rows as wide as the matrices.
pub fn of_columns(f: &mut Formula<'_>, numbers: ValueId) -> Made {
    if f.shape(numbers).iter().all(|dim| dim.is(1)) {
        return f.reshape(numbers, vec![]);
    }
    Ok(numbers)
}

/// The product of `a - a_zero` and `b - b_zero`, in i32. Zero points of `a` belong to rows, those of `b` to columns.
pub fn matmul(
    f: &mut Formula<'_>,
    (a, a_zero): (ValueId, Option<ValueId>),
    (b, b_zero): (ValueId, Option<ValueId>),
) -> Made {
    let a_zero = a_zero.map(|zero| of_rows(f, zero)).transpose()?;
    let b_zero = b_zero.map(|zero| of_columns(f, zero)).transpose()?;
    let (a, b) = (centered(f, a, a_zero)?, centered(f, b, b_zero)?);
    linear::matmul(f, a, b)
}

/// `x W^T` as engines compute it where weights alone are quantized ahead of time: `x` is quantized as it is found.
/// `weight [rows, in]` has steps for all of it or for each row.
pub fn dynamic_product(f: &mut Formula<'_>, x: ValueId, weight: ValueId, steps: Steps) -> Made {
    let shape = f.shape(weight);
    let zero = steps.zero.map(|zero| spread(f, zero, &shape, Along::Axis(0))).transpose()?;
    let (q, of_x) = quantize_dynamically(f, x)?;
    let (a, b) = (centered(f, q, of_x.zero)?, centered(f, weight, zero)?);
    let sums = f.matmul(MatMul { transpose_a: false, transpose_b: true }, a, b)?;
    let sums = f.cast(sums, DType::F32)?;
    // A row of the weight is a column of the product.
    let scale = of_columns(f, steps.scale)?;
    let scale = f.mul(of_x.scale, scale)?;
    f.mul(sums, scale)
}
