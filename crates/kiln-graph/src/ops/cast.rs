//! Conversion of element types.

use super::gradient::{Adjoint, Gradients};
use super::{Op, take};
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

impl Cast {
    /// Between floating point types the other way; integers have no gradient.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (dy, from) = (at.dy()?, at.ty(at.input(0)).dtype);
        if !from.is_float() || !self.to.is_float() {
            return Ok(vec![None]);
        }
        Ok(vec![Some(at.apply(Op::Cast(Cast { to: from }), &[dy])?)])
    }
}
