//! Where gradients stop.

use super::gradient::{Adjoint, Gradients};
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::tensor::{ShapeDisplay, TensorType};

/// Inputs `x` and, optionally, `source` of the same type; output `x`. No gradient reaches `x`; what arrives goes to
/// `source`, as if that had been the output, or nowhere if there is none (`Tensor.detach()`).
pub(crate) fn infer(inputs: &[&TensorType], guards: &mut Guards) -> Result<TensorType, ShapeError> {
    match inputs {
        [x] => Ok((*x).clone()),
        [x, source] if guards.same_type(x, source) => Ok((*x).clone()),
        [x, source] => Err(ShapeError::Mismatch(format!(
            "the gradient of {} {} cannot go to {} {}",
            x.dtype,
            ShapeDisplay(&x.shape),
            source.dtype,
            ShapeDisplay(&source.shape)
        ))),
        _ => Err(ShapeError::InputCount { expected: "1 or 2".into(), found: inputs.len() }),
    }
}

pub(crate) fn gradient(at: &mut Adjoint<'_>) -> Gradients {
    let dy = at.dy()?;
    Ok(at.inputs().iter().enumerate().map(|(place, _)| (place == 1).then_some(dy)).collect())
}
