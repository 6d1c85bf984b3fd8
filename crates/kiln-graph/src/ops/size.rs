//! A size as a number.

use super::take;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::tensor::{DType, TensorType};

/// The value of `dim`, as an `f32` without dimensions: the divisor of a mean, when the batch is a symbol.
/// No inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// The size.
    pub dim: Dim,
}

impl Size {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [] = take(inputs)?;
        Ok(TensorType::new(DType::F32, []))
    }
}
