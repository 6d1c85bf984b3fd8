//! Softmax.

use super::gradient::{Adjoint, Gradients};
use super::{ReduceKind, UnaryOp, check_axis, take};
use crate::array::{Array, around};
use crate::error::ShapeError;
use crate::number::Real;
use crate::tensor::TensorType;

/// `exp(x - max) / sum(exp(x - max))` along an axis, or its logarithm. Output has the input's shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Softmax {
    /// The axis that sums to one.
    pub axis: usize,
    /// Whether the logarithm is taken, in the numerically stable form `x - max - log(sum(exp(x - max)))`.
    pub log: bool,
}

impl Softmax {
    pub(crate) fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        check_axis("axis", self.axis, x.rank())?;
        if !x.dtype.is_float() {
            return Err(ShapeError::DType {
                operand: "the input",
                expected: "floating point".into(),
                found: x.dtype,
            });
        }
        Ok(x.clone())
    }

    pub(crate) fn eval<T: Real>(&self, x: &Array<T>) -> Vec<T> {
        let (before, size, after) = around(x.shape, self.axis);
        let mut out = vec![T::ZERO; x.data.len()];
        for (o, i) in (0..before).flat_map(|o| (0..after).map(move |i| (o, i))) {
            let line = || (0..size).map(|k| (o * size + k) * after + i);
            let max = line().fold(T::lowest(x.dtype), |max, at| max.larger(x.data[at]));
            let sum = line().fold(T::ZERO, |sum, at| sum.add(x.data[at].sub(max).exp()));
            for at in line() {
                let shifted = x.data[at].sub(max);
                out[at] = if self.log { shifted.sub(sum.ln()) } else { shifted.exp().over(sum) };
            }
        }
        out
    }
}

impl Softmax {
    /// `y * (dy - sum(dy * y))`, and for the logarithm `dy - exp(y) * sum(dy)`.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (dy, y) = (at.dy()?, at.output(0));
        let dx = if self.log {
            let sum = at.reduce(ReduceKind::Sum, dy, vec![self.axis], true)?;
            let share = at.unary(UnaryOp::Exp, y)?;
            let share = at.mul(share, sum)?;
            at.sub(dy, share)?
        } else {
            let weighted = at.mul(dy, y)?;
            let sum = at.reduce(ReduceKind::Sum, weighted, vec![self.axis], true)?;
            let share = at.mul(y, sum)?;
            at.sub(weighted, share)?
        };
        Ok(vec![Some(dx)])
    }
}
