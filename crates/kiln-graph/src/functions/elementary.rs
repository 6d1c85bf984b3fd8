//! Elementary functions that keep precision which a plain formula would lose.

use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, UnaryOp};
use crate::tensor::DType;

/// `log(1 + x)`. Near zero, where the sum would lose the digits of `x`, it is `2 atanh(x / (2 + x))`.
pub fn log_one_plus(f: &mut Formula<'_>, x: ValueId) -> Made {
    let sum = f.with(BinaryOp::Add, x, 1.0)?;
    let far = f.unary(UnaryOp::Log, sum)?;
    near_zero(f, x, far, |f, x| {
        let divisor = f.with(BinaryOp::Add, x, 2.0)?;
        let ratio = f.div(x, divisor)?;
        let half = f.unary(UnaryOp::Atanh, ratio)?;
        f.with(BinaryOp::Mul, half, 2.0)
    })
}

/// `exp(x) - 1`. Near zero, where the difference would lose digits, it is `2 t / (1 - t)` with `t = tanh(x / 2)`.
pub fn exp_minus_one(f: &mut Formula<'_>, x: ValueId) -> Made {
    let exp = f.unary(UnaryOp::Exp, x)?;
    let far = f.with(BinaryOp::Sub, exp, 1.0)?;
    near_zero(f, x, far, |f, x| {
        let half = f.with(BinaryOp::Mul, x, 0.5)?;
        let tangent = f.unary(UnaryOp::Tanh, half)?;
        let twice = f.with(BinaryOp::Mul, tangent, 2.0)?;
        let one = f.number_like(1.0, x);
        let divisor = f.sub(one, tangent)?;
        f.div(twice, divisor)
    })
}

/// `near` of `x` where that is between -1/2 and 1/2, else `far`. Elsewhere `near` is taken of zero, so that its
/// derivative, which may be infinite there, is not to be seen.
fn near_zero(
    f: &mut Formula<'_>,
    x: ValueId,
    far: ValueId,
    near: impl FnOnce(&mut Formula<'_>, ValueId) -> Made,
) -> Made {
    let size = f.unary(UnaryOp::Abs, x)?;
    let is_near = f.with(BinaryOp::Less, size, 0.5)?;
    let zero = f.number_like(0.0, x);
    let small = f.select(is_near, x, zero)?;
    let near = near(f, small)?;
    f.select(is_near, near, far)
}

/// The largest whole number of times that `b` goes into `a`, as PyTorch's `floor_divide` has it: from the remainder,
/// since a quotient that is rounded may already be the next whole number. By zero, it is the quotient itself.
///
/// Nothing continuous leads through it.
pub fn floor_quotient(f: &mut Formula<'_>, a: ValueId, b: ValueId) -> Made {
    let rest = f.binary(BinaryOp::Rem, a, b)?;
    let multiple = f.sub(a, rest)?;
    let whole = f.div(multiple, b)?;
    let whole = f.unary(UnaryOp::Round, whole)?;
    // A remainder of the other sign was cut off towards zero.
    let below = (f.with(BinaryOp::Less, b, 0.0)?, f.with(BinaryOp::Less, rest, 0.0)?);
    let differ = f.binary(BinaryOp::Xor, below.0, below.1)?;
    let none = f.with(BinaryOp::Equal, rest, 0.0)?;
    let less = f.with(BinaryOp::Sub, whole, 1.0)?;
    let floor = f.select(differ, less, whole)?;
    let floor = f.select(none, whole, floor)?;
    let by_zero = f.with(BinaryOp::Equal, b, 0.0)?;
    let quotient = f.div(a, b)?;
    let quotient = f.unary(UnaryOp::Floor, quotient)?;
    f.select(by_zero, quotient, floor)
}

/// `x` rounded to the nearest number whose bits are the upper half of an f32's, halves to the even one: a bfloat16.
pub fn rounded_to_bfloat16(f: &mut Formula<'_>, x: ValueId) -> Made {
    let x = f.cast(x, DType::F32)?;
    let bits = f.unary(UnaryOp::ToBits, x)?;
    let last = f.with(BinaryOp::ShiftRight, bits, 16.0)?;
    let odd = f.with(BinaryOp::BitAnd, last, 1.0)?;
    let raised = f.with(BinaryOp::Add, bits, 32_767.0)?;
    let raised = f.add(raised, odd)?;
    let kept = f.with(BinaryOp::BitAnd, raised, -65_536.0)?;
    let rounded = f.unary(UnaryOp::FromBits, kept)?;
    let is_nan = f.unary(UnaryOp::IsNan, x)?;
    f.select(is_nan, x, rounded)
}
