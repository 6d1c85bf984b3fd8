//! Broadcast to a shape.

use super::gradient::{Adjoint, Gradients};
use super::{broadcast, take};
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::tensor::{ShapeDisplay, TensorType};

/// Broadcast to exactly `shape`, as in NumPy's `broadcast_to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expand {
    /// The shape of the output.
    pub shape: Vec<Dim>,
}

impl Expand {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let both = broadcast(&x.shape, &self.shape, guards)?;
        let same = both.iter().zip(&self.shape).all(|(both, wanted)| guards.equal(both, wanted).is_some());
        if both.len() != self.shape.len() || !same {
            return Err(ShapeError::Mismatch(format!(
                "shape {} does not broadcast to {}",
                ShapeDisplay(&x.shape),
                ShapeDisplay(&self.shape)
            )));
        }
        Ok(TensorType::new(x.dtype, self.shape.iter().cloned()))
    }
}

impl Expand {
    /// The sum over all copies.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (dy, shape) = (at.dy()?, at.shape(at.input(0)));
        Ok(vec![Some(at.sum_to(dy, &shape)?)])
    }
}
