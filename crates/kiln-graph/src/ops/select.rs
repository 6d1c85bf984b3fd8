//! Elementwise choice.

use super::gradient::{Adjoint, Gradients};
use super::{broadcast, take};
use crate::array::Array;
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// Inputs `condition` (bool), `a`, `b`, broadcast against each other; output `condition ? a : b`.
pub(crate) fn infer(inputs: &[&TensorType], guards: &mut Guards) -> Result<TensorType, ShapeError> {
    let [condition, a, b] = take(inputs)?;
    if condition.dtype != DType::Bool {
        return Err(ShapeError::DType {
            operand: "the condition",
            expected: "bool".into(),
            found: condition.dtype,
        });
    }
    if a.dtype != b.dtype {
        return Err(ShapeError::DType {
            operand: "the second choice",
            expected: format!("{} like the first", a.dtype),
            found: b.dtype,
        });
    }
    let choices = broadcast(&a.shape, &b.shape, guards)?;
    let shape = broadcast(&condition.shape, &choices, guards)?;
    Ok(TensorType::new(a.dtype, shape))
}

pub(crate) fn eval<T: Number>(
    condition: &Array<i64>,
    a: &Array<T>,
    b: &Array<T>,
    out_shape: &[usize],
) -> Vec<T> {
    let (condition, a, b) = (condition.broadcast(out_shape), a.broadcast(out_shape), b.broadcast(out_shape));
    let choices = a.iter().zip(b.iter());
    condition.iter().zip(choices).map(|(condition, (a, b))| if *condition != 0 { *a } else { *b }).collect()
}

/// Each choice gets the gradient where it was chosen.
pub(crate) fn gradient(at: &mut Adjoint<'_>) -> Gradients {
    let dy = at.dy()?;
    let (condition, zero) = (at.input(0), at.number(0.0, dy)?);
    let mut gradients = vec![None];
    for (i, [yes, no]) in [(1, [dy, zero]), (2, [zero, dy])] {
        let gradient = if at.wants(i) {
            let shape = at.shape(at.input(i));
            let chosen = at.select(condition, yes, no)?;
            Some(at.sum_to(chosen, &shape)?)
        } else {
            None
        };
        gradients.push(gradient);
    }
    Ok(gradients)
}
