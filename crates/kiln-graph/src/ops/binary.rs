//! Elementwise functions of two operands.

use super::take;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::tensor::{DType, ShapeDisplay, TensorType};

/// An elementwise function of two operands of one type, broadcast against each other as in NumPy.
/// Comparisons and logic give bool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the mathematical functions of the same name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Of integers: truncated towards zero.
    Div,
    Pow,
    /// Remainder with the sign of the divisor (Python's `%`).
    Mod,
    /// Remainder with the sign of the dividend (C's `fmod`).
    Rem,
    /// NaN if either operand is.
    Min,
    /// NaN if either operand is.
    Max,
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Xor,
}

impl BinaryOp {
    /// All functions.
    pub const ALL: [BinaryOp; 17] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Pow,
        BinaryOp::Mod,
        BinaryOp::Rem,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::Equal,
        BinaryOp::Less,
        BinaryOp::LessOrEqual,
        BinaryOp::Greater,
        BinaryOp::GreaterOrEqual,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ];

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::Pow => "pow",
            BinaryOp::Mod => "mod",
            BinaryOp::Rem => "rem",
            BinaryOp::Min => "min",
            BinaryOp::Max => "max",
            BinaryOp::Equal => "equal",
            BinaryOp::Less => "less",
            BinaryOp::LessOrEqual => "less_or_equal",
            BinaryOp::Greater => "greater",
            BinaryOp::GreaterOrEqual => "greater_or_equal",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
        }
    }

    pub(crate) fn infer(self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [a, b] = take(inputs)?;
        if a.dtype != b.dtype {
            return Err(ShapeError::DType {
                operand: "the right operand",
                expected: format!("{} like the left one", a.dtype),
                found: b.dtype,
            });
        }
        let logic = matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
        let is_bool = a.dtype == DType::Bool;
        if logic != is_bool && self != BinaryOp::Equal {
            return Err(ShapeError::DType {
                operand: "the left operand",
                expected: if logic { "bool".into() } else { "a number".into() },
                found: a.dtype,
            });
        }
        let dtype = match self {
            BinaryOp::Equal
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor => DType::Bool,
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Pow
            | BinaryOp::Mod
            | BinaryOp::Rem
            | BinaryOp::Min
            | BinaryOp::Max => a.dtype,
        };
        Ok(TensorType::new(dtype, broadcast_shapes(&a.shape, &b.shape)?))
    }
}

/// The common shape of two shapes, as in NumPy: aligned at the end, ones stretch.
///
/// A symbol and a different number (other than one) do not broadcast: what the symbol stands for is not known.
pub fn broadcast_shapes(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, ShapeError> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], i: usize| {
        (i + shape.len()).checked_sub(rank).map_or_else(|| Dim::from(1), |j| shape[j].clone())
    };
    (0..rank)
        .map(|i| {
            let (x, y) = (at(a, i), at(b, i));
            if x == y || y.is(1) {
                Ok(x)
            } else if x.is(1) {
                Ok(y)
            } else {
                Err(ShapeError::Mismatch(format!(
                    "shapes {} and {} do not broadcast: {x} against {y} in dimension {i} (counted in the longer shape)",
                    ShapeDisplay(a),
                    ShapeDisplay(b),
                )))
            }
        })
        .collect()
}
