//! Index of the largest or smallest element.

use super::reduce::reduced_shape;
use super::take;
use crate::error::ShapeError;
use crate::tensor::{DType, TensorType};

/// Largest or smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum ArgKind {
    Max,
    Min,
}

impl ArgKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Max => "arg_max",
            ArgKind::Min => "arg_min",
        }
    }
}

/// Index (int64) of the largest or smallest element along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArgReduce {
    /// Largest or smallest.
    pub kind: ArgKind,
    /// The axis.
    pub axis: usize,
    /// Whether the reduced dimension stays as 1.
    pub keep_dims: bool,
    /// Whether the last of equal elements is taken instead of the first.
    pub select_last_index: bool,
}

impl ArgReduce {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        Ok(TensorType::new(DType::I64, reduced_shape(x, &[self.axis], self.keep_dims)?))
    }
}
