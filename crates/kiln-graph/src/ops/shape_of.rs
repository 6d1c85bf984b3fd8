//! The dimensions of a value.

use super::take;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// The dimensions `start..end` of the input as a one-dimensional int64 tensor. Its contents are known when the
/// graph is built (as [`Value::contents`](crate::Value::contents)), so it folds away wherever it shapes something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShapeOf {
    /// First dimension.
    pub start: usize,
    /// One behind the last dimension.
    pub end: usize,
}

impl ShapeOf {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if self.start > self.end || self.end > x.rank() {
            return Err(ShapeError::Attribute {
                name: "start",
                message: format!("{}..{} of an input of {} dimensions", self.start, self.end, x.rank()),
            });
        }
        Ok(TensorType::new(DType::I64, [Dim::from(self.end - self.start)]))
    }

    pub(crate) fn eval(&self, shape: &[usize]) -> Vec<i64> {
        shape[self.start..self.end].iter().map(|size| i64::from_size(*size)).collect()
    }
}
