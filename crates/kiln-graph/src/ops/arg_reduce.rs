//! Index of the largest or smallest element.

use super::reduce::reduced_shape;
use super::take;
use crate::array::{Array, around};
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// Largest or smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum ArgKind {
    Max,
    Min,
}

impl ArgKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Max => "arg_max",
            ArgKind::Min => "arg_min",
        }
    }
}

/// Index (int64) of the largest or smallest element along an axis; that of a NaN if there is one, as NumPy and
/// ONNX's reference have it. ONNX Runtime leaves it out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArgReduce {
    /// Largest or smallest.
    pub kind: ArgKind,
    /// The axis.
    pub axis: usize,
    /// Whether the reduced dimension stays as 1.
    pub keep_dims: bool,
    /// Whether the last of equal elements is taken instead of the first.
    pub select_last_index: bool,
}

impl ArgReduce {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if x.shape.get(self.axis).is_some_and(|size| size.is(0)) {
            return Err(ShapeError::Mismatch(format!("{x} has no elements along axis {}", self.axis)));
        }
        Ok(TensorType::new(DType::I64, reduced_shape(x, &[self.axis], self.keep_dims)?))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>) -> Vec<i64> {
        let (before, size, after) = around(x.shape, self.axis);
        let better = |new: T, best: T| match (self.kind, new.is_nan(), best.is_nan()) {
            (_, true, true) => self.select_last_index,
            (_, new_is_nan, best_is_nan) if new_is_nan || best_is_nan => new_is_nan,
            _ if self.select_last_index && new == best => true,
            (ArgKind::Max, ..) => new > best,
            (ArgKind::Min, ..) => new < best,
        };
        let lines = (0..before).flat_map(|o| (0..after).map(move |i| (o, i)));
        lines
            .map(|(o, i)| {
                let at = |k: usize| x.data[(o * size + k) * after + i];
                i64::from_size((1..size).fold(0, |best, k| if better(at(k), at(best)) { k } else { best }))
            })
            .collect()
    }
}
