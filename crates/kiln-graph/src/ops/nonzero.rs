//! Where elements are not zero.

use std::sync::Arc;

use super::take;
use crate::dim::{Atom, Dim};
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// The positions (int64, in row-major order) of the elements of a value that are not zero. A NaN is not zero, a negative zero
/// is. One input of any type and shape.
///
/// Where `size` is a count, the node defines it: there are as many positions as there are such elements. Otherwise there are `size`
/// of them: the first ones, and zeros where there are no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonzero {
    /// How many positions there are.
    pub size: Dim,
}

impl Nonzero {
    /// The name of the count that the node defines.
    pub fn count(&self) -> Option<&Arc<str>> {
        match self.size.terms() {
            [(atoms, 1)] => match atoms.as_slice() {
                [Atom::Count(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [_] = take(inputs)?;
        Ok(TensorType::new(DType::I64, [self.size.clone()]))
    }

    /// All positions.
    pub(crate) fn found<T: Number>(data: &[T]) -> Vec<i64> {
        let zero = T::from_f64(0.0);
        let places = data.iter().enumerate().filter(|(_, x)| x.is_nan() || **x != zero);
        places.map(|(place, _)| i64::from_size(place)).collect()
    }

    /// As many positions as `size` says.
    pub(crate) fn eval<T: Number>(data: &[T], size: usize) -> Vec<i64> {
        let mut found = Self::found(data);
        found.resize(size, 0);
        found
    }
}
