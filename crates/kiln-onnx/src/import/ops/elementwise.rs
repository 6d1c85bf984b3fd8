//! Operators that work element by element: arithmetic, functions, comparisons, logic, casts.

use kiln_graph::functions::elementary;
use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Op, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid};
use super::legacy;
use crate::narrow::Narrow;
use crate::proto::DataType;
use crate::tensor::dtype_of;

macro_rules! unary {
    ($($name:ident => $op:ident),* $(,)?) => {
        $(pub(crate) fn $name(cx: &mut Cx<'_>) -> Outputs {
            let x = cx.input(0)?;
            Ok(vec![cx.unary(UnaryOp::$op, x)?])
        })*
    };
}

unary! {
    abs => Abs, acos => Acos, acosh => Acosh, asin => Asin, asinh => Asinh, atan => Atan, atanh => Atanh,
    ceil => Ceil, cos => Cos, cosh => Cosh, erf => Erf, exp => Exp, floor => Floor, is_nan => IsNan, log => Log,
    neg => Neg, not => Not, reciprocal => Reciprocal, round => Round, sigmoid => Sigmoid, sign => Sign, sin => Sin,
    sinh => Sinh, softplus => Softplus, sqrt => Sqrt, tan => Tan, tanh => Tanh,
}

macro_rules! binary {
    ($($name:ident => $op:ident),* $(,)?) => {
        $(pub(crate) fn $name(cx: &mut Cx<'_>) -> Outputs {
            let (a, b) = legacy::operands(cx)?;
            Ok(vec![cx.binary(BinaryOp::$op, a, b)?])
        })*
    };
}

binary! {
    add => Add, and => And, div => Div, equal => Equal, greater => Greater, greater_or_equal => GreaterOrEqual,
    less => Less, less_or_equal => LessOrEqual, mul => Mul, or => Or, sub => Sub, xor => Xor,
}

pub(crate) fn is_inf(cx: &mut Cx<'_>) -> Outputs {
    let (negative, positive) =
        (cx.attributes.flag("detect_negative", true)?, cx.attributes.flag("detect_positive", true)?);
    let x = cx.input(0)?;
    let infinite = cx.unary(UnaryOp::IsInf, x)?;
    let wanted = match (negative, positive) {
        (true, true) => return Ok(vec![infinite]),
        (true, false) => cx.with(BinaryOp::Less, x, 0.0)?,
        (false, true) => cx.with(BinaryOp::Greater, x, 0.0)?,
        // Nothing is both.
        (false, false) => cx.unary(UnaryOp::IsNan, x)?,
    };
    Ok(vec![cx.binary(BinaryOp::And, infinite, wanted)?])
}

/// The exponent may be of another type; the power is of the base's. Where an integer has a fractional exponent, whole
/// ones are computed with integers, as a power of floating point numbers need not be whole, and the others cut off.
pub(crate) fn pow(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = legacy::operands(cx)?;
    let (dtype, exponent) = (cx.dtype(a), cx.dtype(b));
    let same = cx.cast(b, dtype)?;
    if dtype.is_float() || !exponent.is_float() {
        return Ok(vec![cx.binary(BinaryOp::Pow, a, same)?]);
    }
    let exact = cx.binary(BinaryOp::Pow, a, same)?;
    let base = cx.cast(a, exponent)?;
    let power = cx.binary(BinaryOp::Pow, base, b)?;
    let power = cx.cast(power, dtype)?;
    let floor = cx.unary(UnaryOp::Floor, b)?;
    let whole = cx.binary(BinaryOp::Equal, floor, b)?;
    Ok(vec![cx.op(Op::Select, &[whole, exact, power])?])
}

/// With `fmod`, the remainder has the sign of the dividend, as in C; else of the divisor, as in Python.
pub(crate) fn modulo(cx: &mut Cx<'_>) -> Outputs {
    let op = if cx.attributes.flag("fmod", false)? { BinaryOp::Rem } else { BinaryOp::Mod };
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    Ok(vec![cx.binary(op, a, b)?])
}

fn fold(cx: &mut Cx<'_>, op: BinaryOp) -> Result<ValueId> {
    let inputs = cx.all_inputs()?;
    let Some((first, rest)) = inputs.split_first() else { return invalid("it has no inputs") };
    rest.iter().try_fold(*first, |a, b| cx.binary(op, a, *b))
}

pub(crate) fn max(cx: &mut Cx<'_>) -> Outputs {
    Ok(vec![fold(cx, BinaryOp::Max)?])
}

pub(crate) fn min(cx: &mut Cx<'_>) -> Outputs {
    Ok(vec![fold(cx, BinaryOp::Min)?])
}

pub(crate) fn sum(cx: &mut Cx<'_>) -> Outputs {
    Ok(vec![fold(cx, BinaryOp::Add)?])
}

pub(crate) fn mean(cx: &mut Cx<'_>) -> Outputs {
    let sum = fold(cx, BinaryOp::Add)?;
    let count = u32::try_from(cx.inputs.len()).unwrap_or(u32::MAX);
    Ok(vec![cx.with(BinaryOp::Div, sum, count.into())?])
}

pub(crate) fn select(cx: &mut Cx<'_>) -> Outputs {
    let (condition, a, b) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    Ok(vec![cx.op(Op::Select, &[condition, a, b])?])
}

/// One above the threshold, zero elsewhere.
pub(crate) fn binarizer(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let above = cx.with(BinaryOp::Greater, x, cx.attributes.float_or("threshold", 0.0)?.into())?;
    let dtype = cx.dtype(x);
    Ok(vec![cx.cast(above, dtype)?])
}

pub(crate) fn cast(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    // How numbers beyond the range of 8-bit floats are rounded; there are none here.
    cx.attributes.ignore("saturate");
    cx.attributes.ignore("round_mode");
    let missing = || OpError::Invalid("attribute `to` is missing".into());
    let to = if cx.opset < 6 {
        // The name of the type, then.
        let name = cx.attributes.string("to")?.ok_or_else(missing)?;
        let known = (1..=16).find(|n| {
            DataType::try_from(*n).is_ok_and(|known| format!("{known:?}").eq_ignore_ascii_case(name))
        });
        known.ok_or_else(|| OpError::Invalid(format!("\"{name}\" is not an element type")))?
    } else {
        let to = cx.attributes.int("to")?.ok_or_else(missing)?;
        i32::try_from(to).map_err(|_| OpError::Invalid(format!("{to} is not an element type")))?
    };
    if Narrow::of(to) == Some(Narrow::Bfloat16) {
        return Ok(vec![elementary::rounded_to_bfloat16(&mut cx.formula(), x)?]);
    }
    let to =
        dtype_of(to).map_err(|found| OpError::Unsupported(format!("a cast to {found} is not supported")))?;
    Ok(vec![cx.cast(x, to)?])
}

pub(crate) fn cast_like(cx: &mut Cx<'_>) -> Outputs {
    cx.attributes.ignore("saturate");
    cx.attributes.ignore("round_mode");
    let (x, like) = (cx.input(0)?, cx.input(1)?);
    let to = cx.dtype(like);
    Ok(vec![cx.cast(x, to)?])
}
