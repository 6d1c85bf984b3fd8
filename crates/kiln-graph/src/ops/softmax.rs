//! Softmax.

use super::{check_axis, take};
use crate::error::ShapeError;
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
}
