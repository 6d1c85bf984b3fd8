//! Elementwise functions of two operands.

use super::take;
use crate::array::Array;
use crate::dim::Dim;
use crate::error::{EvalError, ShapeError};
use crate::number::Number;
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

    pub(crate) fn eval<T: Number>(
        self,
        a: &Array<T>,
        b: &Array<T>,
        out_shape: &[usize],
    ) -> Result<Vec<T>, EvalError> {
        let (a, b) = (a.broadcast(out_shape), b.broadcast(out_shape));
        let result: Option<Vec<T>> = a.iter().zip(b.iter()).map(|(a, b)| self.of(*a, *b)).collect();
        result.ok_or(EvalError::DivisionByZero)
    }

    /// The function itself; truth is one. `None` where an integer would be divided by zero.
    fn of<T: Number>(self, a: T, b: T) -> Option<T> {
        let truth = |holds: bool| if holds { T::ONE } else { T::ZERO };
        let (p, q) = (a != T::ZERO, b != T::ZERO);
        Some(match self {
            BinaryOp::Add => a.add(b),
            BinaryOp::Sub => a.sub(b),
            BinaryOp::Mul => a.mul(b),
            BinaryOp::Div => return a.div(b),
            BinaryOp::Pow => return a.pow(b),
            BinaryOp::Mod => {
                let rest = a.rem(b)?;
                let other_sign = rest != T::ZERO && (rest < T::ZERO) != (b < T::ZERO);
                if other_sign { rest.add(b) } else { rest }
            }
            BinaryOp::Rem => return a.rem(b),
            BinaryOp::Min => a.smaller(b),
            BinaryOp::Max => a.larger(b),
            BinaryOp::Equal => truth(a == b),
            BinaryOp::Less => truth(a < b),
            BinaryOp::LessOrEqual => truth(a <= b),
            BinaryOp::Greater => truth(a > b),
            BinaryOp::GreaterOrEqual => truth(a >= b),
            BinaryOp::And => truth(p && q),
            BinaryOp::Or => truth(p || q),
            BinaryOp::Xor => truth(p != q),
        })
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
