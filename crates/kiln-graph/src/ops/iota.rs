//! Indices as values.

use super::{check_axis, take};
use crate::array::around;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// A tensor of `shape` in which every element is its index along `axis`. No inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iota {
    /// The element type.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<Dim>,
    /// The axis that is counted.
    pub axis: usize,
}

impl Iota {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [] = take(inputs)?;
        check_axis("axis", self.axis, self.shape.len())?;
        Ok(TensorType::new(self.dtype, self.shape.iter().cloned()))
    }

    pub(crate) fn eval(&self, out_shape: &[usize]) -> Vec<i64> {
        let (before, size, after) = around(out_shape, self.axis);
        let line = |_| (0..size).flat_map(|i| std::iter::repeat_n(i64::from_size(i), after));
        (0..before).flat_map(line).collect()
    }
}
