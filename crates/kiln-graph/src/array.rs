//! Arrays as evaluation sees them, and the one indexing idea behind all operators that move data.
//!
//! Where an output dimension depends on one input dimension only (transposition, slices, padding, broadcasting,
//! gathering, nearest neighbours), the position of an element is a sum of one offset per dimension; see [`offsets`].

use std::borrow::Cow;

use crate::number::Number;
use crate::tensor::{DType, Tensor};

/// The elements of a tensor as numbers.
pub(crate) struct Array<'a, T: Number> {
    pub shape: &'a [usize],
    pub data: Cow<'a, [T]>,
    pub dtype: DType,
}

impl<'a, T: Number> Array<'a, T> {
    pub(crate) fn of(tensor: &'a Tensor) -> Self {
        Self { shape: tensor.shape(), data: T::read(tensor), dtype: tensor.dtype() }
    }

    /// The elements at `positions`.
    pub(crate) fn pick(&self, positions: &[usize]) -> Vec<T> {
        positions.iter().map(|p| self.data[*p]).collect()
    }

    /// The elements broadcast to `shape`.
    pub(crate) fn broadcast(&self, shape: &[usize]) -> Cow<'_, [T]> {
        if self.shape == shape {
            return Cow::Borrowed(&self.data);
        }
        if let [one] = self.data[..] {
            return Cow::Owned(vec![one; shape.iter().product()]);
        }
        Cow::Owned(self.pick(&broadcast_positions(self.shape, shape)))
    }
}

/// Distance of neighbours along each dimension, in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// All sums of one offset per dimension, the last dimension fastest: the positions of the elements of an array
/// whose element `[i, j, ...]` is at `axes[0][i] + axes[1][j] + ...`.
pub(crate) fn offsets(axes: &[Vec<usize>]) -> Vec<usize> {
    axes.iter().fold(vec![0], |sums, axis| {
        let mut next = Vec::with_capacity(sums.len() * axis.len());
        for sum in sums {
            next.extend(axis.iter().map(|offset| sum + offset));
        }
        next
    })
}

/// For each element of `to`, the position of the element of `from` that is stretched to it.
pub(crate) fn broadcast_positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    if to.contains(&0) {
        return vec![];
    }
    let missing = to.len() - from.len();
    let strides = strides(from);
    let axes: Vec<Vec<usize>> = to
        .iter()
        .enumerate()
        .map(|(i, size)| match i.checked_sub(missing) {
            Some(j) if from[j] != 1 => (0..*size).map(|c| c * strides[j]).collect(),
            Some(_) | None => vec![0; *size],
        })
        .collect();
    offsets(&axes)
}

/// A shape as seen from one axis: `(product before, size, product after)`.
pub(crate) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// The unit matrix.
pub(crate) fn identity(size: usize) -> Vec<f64> {
    (0..size * size).map(|at| f64::from(u8::from(at / size == at % size))).collect()
}
