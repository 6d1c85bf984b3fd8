//! Conversion of element types.

use super::take;
use crate::error::ShapeError;
use crate::tensor::{DType, TensorType};

/// Conversion to another element type: floats to integers truncate towards zero, numbers to bool are `x != 0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// The type of the output.
    pub to: DType,
}

impl Cast {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        Ok(TensorType::new(self.to, x.shape.iter().cloned()))
    }
}
