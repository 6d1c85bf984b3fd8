//! Elementwise functions of two operands.

use super::gradient::{Adjoint, Gradients};
use super::{UnaryOp, take};
use crate::array::Array;
use crate::dim::Dim;
use crate::error::{EvalError, GraphError, ShapeError};
use crate::graph::ValueId;
use crate::guards::Guards;
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
    /// The larger of the left operand and a bound. It differs from [`BinaryOp::Max`] in its gradient alone: of equal
    /// operands the bound is taken, where `Max` takes half of each.
    ClampMin,
    /// The smaller of the left operand and a bound, likewise.
    ClampMax,
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Xor,
    /// Of the bits of integers.
    BitAnd,
    /// Of the bits of integers.
    BitOr,
    /// Of the bits of integers.
    BitXor,
    /// Of integers. Bits that leave their type are lost; a number of places that is negative or not less than the bits
    /// of the type leaves 0.
    ShiftLeft,
    /// Of integers, with copies of the sign. A number of places that is negative or not less than the bits of the type
    /// leaves nothing but them.
    ShiftRight,
}

impl BinaryOp {
    /// All functions.
    pub const ALL: [BinaryOp; 24] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Pow,
        BinaryOp::Mod,
        BinaryOp::Rem,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::ClampMin,
        BinaryOp::ClampMax,
        BinaryOp::Equal,
        BinaryOp::Less,
        BinaryOp::LessOrEqual,
        BinaryOp::Greater,
        BinaryOp::GreaterOrEqual,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
        BinaryOp::BitAnd,
        BinaryOp::BitOr,
        BinaryOp::BitXor,
        BinaryOp::ShiftLeft,
        BinaryOp::ShiftRight,
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
            BinaryOp::ClampMin => "clamp_min",
            BinaryOp::ClampMax => "clamp_max",
            BinaryOp::Equal => "equal",
            BinaryOp::Less => "less",
            BinaryOp::LessOrEqual => "less_or_equal",
            BinaryOp::Greater => "greater",
            BinaryOp::GreaterOrEqual => "greater_or_equal",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
            BinaryOp::BitAnd => "bit_and",
            BinaryOp::BitOr => "bit_or",
            BinaryOp::BitXor => "bit_xor",
            BinaryOp::ShiftLeft => "shift_left",
            BinaryOp::ShiftRight => "shift_right",
        }
    }

    pub(crate) fn infer(self, inputs: &[&TensorType], guards: &mut Guards) -> Result<TensorType, ShapeError> {
        let [a, b] = take(inputs)?;
        if a.dtype != b.dtype {
            return Err(ShapeError::DType {
                operand: "the right operand",
                expected: format!("{} like the left one", a.dtype),
                found: b.dtype,
            });
        }
        if self.is_bitwise() && (a.dtype.is_float() || a.dtype == DType::Bool) {
            return Err(ShapeError::DType {
                operand: "the left operand",
                expected: "an integer".into(),
                found: a.dtype,
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
            | BinaryOp::Max
            | BinaryOp::ClampMin
            | BinaryOp::ClampMax
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => a.dtype,
        };
        Ok(TensorType::new(dtype, broadcast(&a.shape, &b.shape, guards)?))
    }

    /// Whether it is a function of the bits of integers.
    pub fn is_bitwise(self) -> bool {
        matches!(
            self,
            BinaryOp::BitAnd
                | BinaryOp::BitOr
                | BinaryOp::BitXor
                | BinaryOp::ShiftLeft
                | BinaryOp::ShiftRight
        )
    }

    /// The functions of bits.
    pub(crate) fn eval_bits(self, a: &Array<i64>, b: &Array<i64>, out_shape: &[usize]) -> Vec<i64> {
        let bits = i64::from_size(a.dtype.size() * 8);
        let (a, b) = (a.broadcast(out_shape), b.broadcast(out_shape));
        let of = |(a, b): (&i64, &i64)| {
            let places = u32::try_from(*b).ok().filter(|_| *b < bits);
            match self {
                BinaryOp::BitAnd => a & b,
                BinaryOp::BitOr => a | b,
                BinaryOp::BitXor => a ^ b,
                BinaryOp::ShiftLeft => places.map_or(0, |places| a.wrapping_shl(places)),
                _ => a.wrapping_shr(places.unwrap_or(63)),
            }
        };
        a.iter().zip(b.iter()).map(of).collect()
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
            BinaryOp::Min | BinaryOp::ClampMax => a.smaller(b),
            BinaryOp::Max | BinaryOp::ClampMin => a.larger(b),
            BinaryOp::Equal => truth(a == b),
            BinaryOp::Less => truth(a < b),
            BinaryOp::LessOrEqual => truth(a <= b),
            BinaryOp::Greater => truth(a > b),
            BinaryOp::GreaterOrEqual => truth(a >= b),
            BinaryOp::And => truth(p && q),
            BinaryOp::Or => truth(p || q),
            BinaryOp::Xor => truth(p != q),
            // See `eval_bits`: floating point numbers have no bits here.
            BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => return None,
        })
    }
}

/// The common shape of two shapes, as in NumPy: aligned at the end, ones stretch.
///
/// A symbol and a different number (other than one) do not broadcast: the value of the symbol is not known.
pub fn broadcast_shapes(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, ShapeError> {
    broadcast(a, b, &mut Guards::default())
}

/// As [`broadcast_shapes`]; sizes of which it is not known whether they are equal are left to `guards`.
pub fn broadcast(a: &[Dim], b: &[Dim], guards: &mut Guards) -> Result<Vec<Dim>, ShapeError> {
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
                guards.equal(&x, &y).ok_or_else(|| {
                    ShapeError::Mismatch(format!(
                        "shapes {} and {} do not broadcast: {x} against {y} in dimension {i} (counted in the longer shape)",
                        ShapeDisplay(a),
                        ShapeDisplay(b),
                    ))
                })
            }
        })
        .collect()
}

impl BinaryOp {
    /// The two partial derivatives, each summed over what its operand was stretched to.
    pub(crate) fn gradient(self, at: &mut Adjoint<'_>) -> Gradients {
        let dy = at.dy()?;
        let mut gradients = vec![None, None];
        for (i, gradient) in gradients.iter_mut().enumerate() {
            let partial = match (at.wants(i), i) {
                (false, _) => None,
                (true, 0) => self.by_left(at, dy)?,
                (true, _) => self.by_right(at, dy)?,
            };
            if let Some(partial) = partial {
                let shape = at.shape(at.input(i));
                *gradient = Some(at.sum_to(partial, &shape)?);
            }
        }
        Ok(gradients)
    }

    fn by_left(self, at: &mut Adjoint<'_>, dy: ValueId) -> Result<Option<ValueId>, GraphError> {
        let (a, b) = (at.input(0), at.input(1));
        Ok(Some(match self {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mod | BinaryOp::Rem => dy,
            BinaryOp::Mul => at.mul(dy, b)?,
            BinaryOp::Div => at.div(dy, b)?,
            BinaryOp::Pow => {
                let exponent = at.graph.as_constant(b).filter(|t| t.len() == 1).map(|t| t.to_f64()[0]);
                let (zero, one) = (at.number(0.0, dy)?, at.number(1.0, dy)?);
                if exponent == Some(2.0) {
                    let twice = at.add(a, a)?;
                    at.mul(dy, twice)?
                } else {
                    let less = at.sub(b, one)?;
                    let power = at.binary(BinaryOp::Pow, a, less)?;
                    let slope = at.mul(b, power)?;
                    // To the power of zero everything is one, zero too.
                    let flat = at.binary(BinaryOp::Equal, b, zero)?;
                    let slope = at.select(flat, zero, slope)?;
                    at.mul(dy, slope)?
                }
            }
            BinaryOp::Min | BinaryOp::Max => return self.of_chosen(at, dy, a, b).map(Some),
            BinaryOp::ClampMin | BinaryOp::ClampMax => {
                let (inside, zero) = (self.inside(at)?, at.number(0.0, dy)?);
                at.select(inside, dy, zero)?
            }
            BinaryOp::Equal
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => return Ok(None),
        }))
    }

    fn by_right(self, at: &mut Adjoint<'_>, dy: ValueId) -> Result<Option<ValueId>, GraphError> {
        let (a, b, y) = (at.input(0), at.input(1), at.output(0));
        Ok(Some(match self {
            BinaryOp::Add => dy,
            BinaryOp::Sub => at.neg(dy)?,
            BinaryOp::Mul => at.mul(dy, a)?,
            BinaryOp::Div => {
                let product = at.mul(dy, y)?;
                let quotient = at.div(product, b)?;
                at.neg(quotient)?
            }
            BinaryOp::Pow => {
                // Where the base is zero and the exponent is not negative, the derivative is zero (PyTorch); the
                // logarithm is not to be seen there.
                let (zero, one) = (at.number(0.0, dy)?, at.number(1.0, dy)?);
                let is_zero = at.binary(BinaryOp::Equal, a, zero)?;
                let stays = at.binary(BinaryOp::GreaterOrEqual, b, zero)?;
                let is_flat = at.binary(BinaryOp::And, is_zero, stays)?;
                let base = at.select(is_flat, one, a)?;
                let log = at.unary(UnaryOp::Log, base)?;
                let slope = at.mul(y, log)?;
                at.mul(dy, slope)?
            }
            BinaryOp::Mod | BinaryOp::Rem => {
                let quotient = at.div(a, b)?;
                let whole = if self == BinaryOp::Mod {
                    at.unary(UnaryOp::Floor, quotient)?
                } else {
                    let (size, sign) =
                        (at.unary(UnaryOp::Abs, quotient)?, at.unary(UnaryOp::Sign, quotient)?);
                    let size = at.unary(UnaryOp::Floor, size)?;
                    at.mul(size, sign)?
                };
                let product = at.mul(dy, whole)?;
                at.neg(product)?
            }
            BinaryOp::Min | BinaryOp::Max => return self.of_chosen(at, dy, b, a).map(Some),
            BinaryOp::ClampMin | BinaryOp::ClampMax => {
                let (inside, zero) = (self.inside(at)?, at.number(0.0, dy)?);
                at.select(inside, zero, dy)?
            }
            BinaryOp::Equal
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => return Ok(None),
        }))
    }

    /// Where the left operand of a clamp is inside of the bound: not equal to it, and not NaN (PyTorch). The
    /// result says so as well as the operand does.
    fn inside(self, at: &mut Adjoint<'_>) -> Result<ValueId, GraphError> {
        let (y, bound) = (at.output(0), at.input(1));
        at.binary(if self == BinaryOp::ClampMin { BinaryOp::Greater } else { BinaryOp::Less }, y, bound)
    }

    /// The chosen operand gets all; equal ones get half each, and if one is NaN both get all, as in PyTorch.
    fn of_chosen(
        self,
        at: &mut Adjoint<'_>,
        dy: ValueId,
        own: ValueId,
        other: ValueId,
    ) -> Result<ValueId, GraphError> {
        let (zero, half) = (at.number(0.0, dy)?, at.number(0.5, dy)?);
        let worse = if self == BinaryOp::Min { BinaryOp::Greater } else { BinaryOp::Less };
        let (left_out, equal) = (at.binary(worse, own, other)?, at.binary(BinaryOp::Equal, own, other)?);
        let shared = at.mul(dy, half)?;
        let otherwise = at.select(equal, shared, dy)?;
        at.select(left_out, zero, otherwise)
    }
}
