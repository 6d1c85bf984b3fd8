//! Selection by indices.

use super::{check_axis, take};
use crate::error::ShapeError;
use crate::tensor::{DType, ShapeDisplay, TensorType};

fn check_indices(indices: &TensorType) -> Result<(), ShapeError> {
    if matches!(indices.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(ShapeError::DType { operand: "the indices", expected: "i32 or i64".into(), found: indices.dtype })
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
        Ok(TensorType::new(x.dtype, indices.shape.iter().cloned()))
    }
}
