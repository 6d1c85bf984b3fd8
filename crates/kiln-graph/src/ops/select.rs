//! Elementwise choice.

use super::{broadcast_shapes, take};
use crate::array::Array;
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// Inputs `condition` (bool), `a`, `b`, broadcast against each other; output `condition ? a : b`.
pub(crate) fn infer(inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
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
    let shape = broadcast_shapes(&condition.shape, &broadcast_shapes(&a.shape, &b.shape)?)?;
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
