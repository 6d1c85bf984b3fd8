//! Elementwise functions of one operand.

use super::take;
use crate::error::ShapeError;
use crate::tensor::{DType, TensorType};

/// An elementwise function of one operand. The output has the input's type, but for [`UnaryOp::IsNan`] and
/// [`UnaryOp::IsInf`], which give bool.
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
}

impl UnaryOp {
    /// All functions.
    pub const ALL: [UnaryOp; 29] = [
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
        }
    }

    pub(crate) fn infer(self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let (fits, expected) = match self {
            UnaryOp::Not => (x.dtype == DType::Bool, "bool"),
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
        let dtype = if matches!(self, UnaryOp::IsNan | UnaryOp::IsInf) { DType::Bool } else { x.dtype };
        Ok(TensorType::new(dtype, x.shape.iter().cloned()))
    }
}
