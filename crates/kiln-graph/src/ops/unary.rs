//! Elementwise functions of one operand.

use super::gradient::{Adjoint, Gradients};
use super::{BinaryOp, take};
use crate::array::Array;
use crate::error::ShapeError;
use crate::number::{Number, Real};
use crate::tensor::{DType, Data, Tensor, TensorType};

/// An elementwise function of one operand. The output has the input's type, but for [`UnaryOp::IsNan`] and
/// [`UnaryOp::IsInf`], which give bool, and [`UnaryOp::ToBits`] and [`UnaryOp::FromBits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the mathematical functions of the same name")]
pub enum UnaryOp {
    Neg,
    Abs,
    Sign,
    /// `1 / x`.
    Reciprocal,
    Exp,
    Log,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `log(1 + exp(x))`, without overflow.
    Softplus,
    /// The error function.
    Erf,
    Floor,
    Ceil,
    /// To the nearest integer, halves to the even one.
    Round,
    /// Logical not, of bool.
    Not,
    IsNan,
    IsInf,
    /// Every bit of an integer the other way.
    BitNot,
    /// The bits of an f32 as i32.
    ToBits,
    /// The f32 whose bits are those of an i32.
    FromBits,
}

impl UnaryOp {
    /// All functions.
    pub const ALL: [UnaryOp; 32] = [
        UnaryOp::Neg,
        UnaryOp::Abs,
        UnaryOp::Sign,
        UnaryOp::Reciprocal,
        UnaryOp::Exp,
        UnaryOp::Log,
        UnaryOp::Sqrt,
        UnaryOp::Sin,
        UnaryOp::Cos,
        UnaryOp::Tan,
        UnaryOp::Asin,
        UnaryOp::Acos,
        UnaryOp::Atan,
        UnaryOp::Sinh,
        UnaryOp::Cosh,
        UnaryOp::Tanh,
        UnaryOp::Asinh,
        UnaryOp::Acosh,
        UnaryOp::Atanh,
        UnaryOp::Relu,
        UnaryOp::Sigmoid,
        UnaryOp::Softplus,
        UnaryOp::Erf,
        UnaryOp::Floor,
        UnaryOp::Ceil,
        UnaryOp::Round,
        UnaryOp::Not,
        UnaryOp::IsNan,
        UnaryOp::IsInf,
        UnaryOp::BitNot,
        UnaryOp::ToBits,
        UnaryOp::FromBits,
    ];

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            UnaryOp::Neg => "neg",
            UnaryOp::Abs => "abs",
            UnaryOp::Sign => "sign",
            UnaryOp::Reciprocal => "reciprocal",
            UnaryOp::Exp => "exp",
            UnaryOp::Log => "log",
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Sin => "sin",
            UnaryOp::Cos => "cos",
            UnaryOp::Tan => "tan",
            UnaryOp::Asin => "asin",
            UnaryOp::Acos => "acos",
            UnaryOp::Atan => "atan",
            UnaryOp::Sinh => "sinh",
            UnaryOp::Cosh => "cosh",
            UnaryOp::Tanh => "tanh",
            UnaryOp::Asinh => "asinh",
            UnaryOp::Acosh => "acosh",
            UnaryOp::Atanh => "atanh",
            UnaryOp::Relu => "relu",
            UnaryOp::Sigmoid => "sigmoid",
            UnaryOp::Softplus => "softplus",
            UnaryOp::Erf => "erf",
            UnaryOp::Floor => "floor",
            UnaryOp::Ceil => "ceil",
            UnaryOp::Round => "round",
            UnaryOp::Not => "not",
            UnaryOp::IsNan => "is_nan",
            UnaryOp::IsInf => "is_inf",
            UnaryOp::BitNot => "bit_not",
            UnaryOp::ToBits => "to_bits",
            UnaryOp::FromBits => "from_bits",
        }
    }

    pub(crate) fn infer(self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let (fits, expected) = match self {
            UnaryOp::Not => (x.dtype == DType::Bool, "bool"),
            UnaryOp::BitNot => (!x.dtype.is_float() && x.dtype != DType::Bool, "an integer"),
            // Where everything is held in f64, so is what is f32 in the graph.
            UnaryOp::ToBits => (matches!(x.dtype, DType::F32 | DType::F64), "f32"),
            UnaryOp::FromBits => (x.dtype == DType::I32, "i32"),
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Relu => {
                (x.dtype != DType::Bool, "a number")
            }
            UnaryOp::Reciprocal
            | UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sqrt
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Tanh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::Sigmoid
            | UnaryOp::Softplus
            | UnaryOp::Erf
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::IsNan
            | UnaryOp::IsInf => (x.dtype.is_float(), "floating point"),
        };
        if !fits {
            return Err(ShapeError::DType {
                operand: "the operand",
                expected: expected.into(),
                found: x.dtype,
            });
        }
        let dtype = match self {
            UnaryOp::IsNan | UnaryOp::IsInf => DType::Bool,
            UnaryOp::ToBits => DType::I32,
            UnaryOp::FromBits => DType::F32,
            _ => x.dtype,
        };
        Ok(TensorType::new(dtype, x.shape.iter().cloned()))
    }

    pub(crate) fn eval_real<T: Real>(self, x: &Array<T>) -> Vec<T> {
        x.data.iter().map(|x| self.of_real(*x)).collect()
    }

    fn of_real<T: Real>(self, x: T) -> T {
        let truth = |holds: bool| if holds { T::ONE } else { T::ZERO };
        match self {
            UnaryOp::Neg => x.neg(),
            UnaryOp::Abs => x.abs(),
            UnaryOp::Sign => x.sign(),
            UnaryOp::Reciprocal => T::ONE.over(x),
            UnaryOp::Exp => x.exp(),
            UnaryOp::Log => x.ln(),
            UnaryOp::Sqrt => x.sqrt(),
            UnaryOp::Sin => x.sin(),
            UnaryOp::Cos => x.cos(),
            UnaryOp::Tan => x.tan(),
            UnaryOp::Asin => x.asin(),
            UnaryOp::Acos => x.acos(),
            UnaryOp::Atan => x.atan(),
            UnaryOp::Sinh => x.sinh(),
            UnaryOp::Cosh => x.cosh(),
            UnaryOp::Tanh => x.tanh(),
            // In f64, and of what is large there by its logarithm: the library's own overflow.
            UnaryOp::Asinh if x.to_f64().abs() > LARGE => {
                T::from_f64(of_large(x.to_f64().abs()).copysign(x.to_f64()))
            }
            UnaryOp::Acosh if x.to_f64() > LARGE => T::from_f64(of_large(x.to_f64())),
            UnaryOp::Asinh => T::from_f64(x.to_f64().asinh()),
            UnaryOp::Acosh => T::from_f64(x.to_f64().acosh()),
            UnaryOp::Atanh => x.atanh(),
            UnaryOp::Relu => x.larger(T::ZERO),
            UnaryOp::Sigmoid => T::ONE.over(T::ONE.add(x.neg().exp())),
            UnaryOp::Softplus => x.larger(T::ZERO).add(x.abs().neg().exp().ln_1p()),
            UnaryOp::Erf => T::from_f64(erf(x.to_f64())),
            UnaryOp::Floor => x.floor(),
            UnaryOp::Ceil => x.ceil(),
            UnaryOp::Round => x.round_ties_even(),
            UnaryOp::Not => truth(x == T::ZERO),
            UnaryOp::IsNan => truth(x.is_nan()),
            UnaryOp::IsInf => truth(x.is_infinite()),
            // See `eval_bits` and `eval_int`.
            UnaryOp::BitNot | UnaryOp::ToBits | UnaryOp::FromBits => x,
        }
    }

    /// From the bits of a number to the number or back.
    pub(crate) fn eval_bits(self, x: &Tensor) -> Data {
        #[allow(clippy::as_conversions, reason = "what is f32 in the graph is rounded to f32")]
        match self {
            UnaryOp::FromBits => {
                let bits = Array::<i64>::of(x);
                Data::F32(
                    bits.data.iter().map(|bits| f32::from_bits((*bits as i32).cast_unsigned())).collect(),
                )
            }
            _ => Data::I32(Array::<f32>::of(x).data.iter().map(|x| x.to_bits().cast_signed()).collect()),
        }
    }

    /// For integers and bool, of which few functions are defined (see [`UnaryOp::infer`]).
    pub(crate) fn eval_int(self, x: &Array<i64>) -> Result<Vec<i64>, ShapeError> {
        let function: fn(i64) -> i64 = match self {
            UnaryOp::Neg => Number::neg,
            UnaryOp::Abs => Number::abs,
            UnaryOp::Sign => Number::sign,
            UnaryOp::Relu => |x| x.max(0),
            UnaryOp::Not => |x| i64::from(x == 0),
            UnaryOp::BitNot => |x| !x,
            UnaryOp::Reciprocal
            | UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sqrt
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Tanh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::Sigmoid
            | UnaryOp::Softplus
            | UnaryOp::Erf
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::IsNan
            | UnaryOp::IsInf
            | UnaryOp::ToBits
            | UnaryOp::FromBits => {
                let expected = "floating point".into();
                return Err(ShapeError::DType { operand: "the operand", expected, found: x.dtype });
            }
        };
        Ok(x.data.iter().map(|x| function(*x)).collect())
    }
}

/// From here on, `x^2 + 1` and `x^2` are the same in `f64`.
const LARGE: f64 = 1e15;

/// `log(2 x)`, what the inverse hyperbolic functions are of large numbers.
fn of_large(x: f64) -> f64 {
    x.ln() + std::f64::consts::LN_2
}

/// The error function, to the precision of `f64`: `2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1*3*...*(2n+1))`
/// (Abramowitz and Stegun, 7.1.6), whose terms all have one sign.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut sum, mut term, mut odd) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

impl UnaryOp {
    /// The derivative of each function, in terms of its result where that is simpler.
    pub(crate) fn gradient(self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, y, dy) = (at.input(0), at.output(0), at.dy()?);
        let one = |at: &mut Adjoint<'_>| at.number(1.0, dy);
        let dx = match self {
            UnaryOp::Neg => at.neg(dy)?,
            UnaryOp::Abs => {
                let sign = at.unary(UnaryOp::Sign, x)?;
                at.mul(dy, sign)?
            }
            UnaryOp::Reciprocal => {
                let square = at.mul(y, y)?;
                let product = at.mul(dy, square)?;
                at.neg(product)?
            }
            UnaryOp::Exp => at.mul(dy, y)?,
            UnaryOp::Log => at.div(dy, x)?,
            UnaryOp::Sqrt => {
                let twice = at.add(y, y)?;
                at.div(dy, twice)?
            }
            UnaryOp::Sin => {
                let cos = at.unary(UnaryOp::Cos, x)?;
                at.mul(dy, cos)?
            }
            UnaryOp::Cos => {
                let sin = at.unary(UnaryOp::Sin, x)?;
                let product = at.mul(dy, sin)?;
                at.neg(product)?
            }
            UnaryOp::Tan => {
                let (square, one) = (at.mul(y, y)?, one(at)?);
                let slope = at.add(square, one)?;
                at.mul(dy, slope)?
            }
            UnaryOp::Tanh => {
                let (square, one) = (at.mul(y, y)?, one(at)?);
                let slope = at.sub(one, square)?;
                at.mul(dy, slope)?
            }
            UnaryOp::Asin | UnaryOp::Acos => {
                let (square, one) = (at.mul(x, x)?, one(at)?);
                let rest = at.sub(one, square)?;
                let root = at.unary(UnaryOp::Sqrt, rest)?;
                let quotient = at.div(dy, root)?;
                if self == UnaryOp::Acos { at.neg(quotient)? } else { quotient }
            }
            UnaryOp::Atan => {
                let (square, one) = (at.mul(x, x)?, one(at)?);
                let divisor = at.add(square, one)?;
                at.div(dy, divisor)?
            }
            UnaryOp::Atanh => {
                let (square, one) = (at.mul(x, x)?, one(at)?);
                let divisor = at.sub(one, square)?;
                at.div(dy, divisor)?
            }
            UnaryOp::Sinh | UnaryOp::Cosh => {
                let other = if self == UnaryOp::Sinh { UnaryOp::Cosh } else { UnaryOp::Sinh };
                let slope = at.unary(other, x)?;
                at.mul(dy, slope)?
            }
            UnaryOp::Asinh | UnaryOp::Acosh => {
                let (square, one) = (at.mul(x, x)?, one(at)?);
                let inner = if self == UnaryOp::Asinh { at.add(square, one)? } else { at.sub(square, one)? };
                let root = at.unary(UnaryOp::Sqrt, inner)?;
                at.div(dy, root)?
            }
            UnaryOp::Relu => {
                let zero = at.number(0.0, dy)?;
                // So that NaN passes, as in PyTorch.
                let flat = at.binary(BinaryOp::LessOrEqual, y, zero)?;
                at.select(flat, zero, dy)?
            }
            UnaryOp::Sigmoid => {
                let one = one(at)?;
                let rest = at.sub(one, y)?;
                let slope = at.mul(y, rest)?;
                at.mul(dy, slope)?
            }
            UnaryOp::Softplus => {
                let slope = at.unary(UnaryOp::Sigmoid, x)?;
                at.mul(dy, slope)?
            }
            UnaryOp::Erf => {
                let square = at.mul(x, x)?;
                let minus = at.neg(square)?;
                let bell = at.unary(UnaryOp::Exp, minus)?;
                let factor = at.number(std::f64::consts::FRAC_2_SQRT_PI, dy)?;
                let slope = at.mul(bell, factor)?;
                at.mul(dy, slope)?
            }
            // Steps: their derivative is zero wherever there is one.
            UnaryOp::Sign
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Not
            | UnaryOp::IsNan
            | UnaryOp::IsInf
            | UnaryOp::BitNot
            | UnaryOp::ToBits
            | UnaryOp::FromBits => return Ok(vec![None]),
        };
        Ok(vec![Some(dx)])
    }
}
