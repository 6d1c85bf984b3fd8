//! Selection by indices.

use super::{check_axis, take};
use crate::array::{Array, around, offsets, strides};
use crate::error::{EvalError, ShapeError};
use crate::number::Number;
use crate::tensor::{DType, ShapeDisplay, TensorType};

fn check_indices(indices: &TensorType) -> Result<(), ShapeError> {
    if matches!(indices.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(ShapeError::DType { operand: "the indices", expected: "i32 or i64".into(), found: indices.dtype })
}

/// An index as a position; negative ones count from the end.
fn position(index: i64, axis: usize, size: usize) -> Result<usize, EvalError> {
    let from_start = if index < 0 { index.saturating_add_unsigned(size as u64) } else { index };
    let inside = usize::try_from(from_start).ok().filter(|at| *at < size);
    inside.ok_or(EvalError::Index { index, axis, size })
}

/// Selection along an axis. Inputs `x`, `indices` (i32 or i64, negative ones count from the end);
/// output shape: the input's with dimension `axis` replaced by the shape of the indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
}

impl Gather {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x, indices] = take(inputs)?;
        check_axis("axis", self.axis, x.rank())?;
        check_indices(indices)?;
        let (before, after) = (&x.shape[..self.axis], &x.shape[self.axis + 1..]);
        Ok(TensorType::new(x.dtype, [before, &indices.shape, after].concat()))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, indices: &Array<i64>) -> Result<Vec<T>, EvalError> {
        let (before, size, after) = around(x.shape, self.axis);
        let taken = indices.data.iter().map(|index| Ok(position(*index, self.axis, size)? * after));
        let axes = [
            (0..before).map(|i| i * size * after).collect(),
            taken.collect::<Result<_, EvalError>>()?,
            (0..after).collect(),
        ];
        Ok(x.pick(&offsets(&axes)))
    }
}

/// Elementwise selection along an axis (PyTorch's `gather`): `out[i][j] = x[indices[i][j]][j]` for axis 0.
/// Inputs `x`, `indices` (i32 or i64) of the same number of dimensions; the output has the shape of the indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatherElements {
    /// The axis.
    pub axis: usize,
}

impl GatherElements {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x, indices] = take(inputs)?;
        check_axis("axis", self.axis, x.rank())?;
        check_indices(indices)?;
        if indices.rank() != x.rank() {
            return Err(ShapeError::Mismatch(format!(
                "indices {} and input {} should have the same number of dimensions",
                ShapeDisplay(&indices.shape),
                ShapeDisplay(&x.shape)
            )));
        }
        for (axis, (size, taken)) in x.shape.iter().zip(&indices.shape).enumerate() {
            let missing = (taken.clone() - size.clone()).as_const().filter(|n| *n > 0);
            if let Some(missing) = missing.filter(|_| axis != self.axis) {
                return Err(ShapeError::Mismatch(format!(
                    "indices {} reach {missing} beyond the input {} in dimension {axis}",
                    ShapeDisplay(&indices.shape),
                    ShapeDisplay(&x.shape)
                )));
            }
        }
        Ok(TensorType::new(x.dtype, indices.shape.iter().cloned()))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, indices: &Array<i64>) -> Result<Vec<T>, EvalError> {
        let steps = strides(x.shape);
        let axis = |(i, size): (usize, &usize)| {
            (0..*size).map(|c| if i == self.axis { 0 } else { c * steps[i] }).collect()
        };
        let lines = offsets(&indices.shape.iter().enumerate().map(axis).collect::<Vec<_>>());
        let pick = |(line, index): (usize, &i64)| {
            Ok(x.data[line + position(*index, self.axis, x.shape[self.axis])? * steps[self.axis]])
        };
        lines.into_iter().zip(indices.data.iter()).map(pick).collect()
    }
}
