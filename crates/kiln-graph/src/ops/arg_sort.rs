//! The order of elements.

use std::cmp::Ordering;

use super::{check_axis, take};
use crate::array::{Array, around};
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// The indices (int64) that sort a value along an axis, equal elements in the order they are in. A NaN counts as larger
/// than everything, as in NumPy and PyTorch. Top-k is the beginning of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArgSort {
    /// The axis.
    pub axis: usize,
    /// Largest first.
    pub descending: bool,
}

impl ArgSort {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        check_axis("axis", self.axis, x.rank())?;
        Ok(TensorType::new(DType::I64, x.shape.iter().cloned()))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>) -> Vec<i64> {
        let (before, size, after) = around(x.shape, self.axis);
        let mut out = vec![0; x.data.len()];
        for line in 0..before * after {
            let place = |k: usize| (line / after * size + k) * after + line % after;
            let ascending = |a: &usize, b: &usize| {
                let (a, b) = (x.data[place(*a)], x.data[place(*b)]);
                a.partial_cmp(&b).unwrap_or_else(|| match (a.is_nan(), b.is_nan()) {
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (true, true) | (false, false) => Ordering::Equal,
                })
            };
            let mut order: Vec<usize> = (0..size).collect();
            // Stable, so that equal elements stay in order in both directions.
            order.sort_by(|a, b| if self.descending { ascending(b, a) } else { ascending(a, b) });
            for (k, index) in order.into_iter().enumerate() {
                out[place(k)] = i64::from_size(index);
            }
        }
        out
    }
}
