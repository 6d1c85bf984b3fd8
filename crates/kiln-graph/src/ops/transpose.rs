//! Permutation of dimensions.

use super::gradient::{Adjoint, Gradients};
use super::take;
use crate::array::{Array, offsets, strides};
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::TensorType;

/// Output dimension `i` is input dimension `perm[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transpose {
    /// The permutation.
    pub perm: Vec<usize>,
}

impl Transpose {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.rank()) {
            return Err(ShapeError::Attribute {
                name: "perm",
                message: format!(
                    "{:?} is not a permutation of the input's {} dimensions",
                    self.perm,
                    x.rank()
                ),
            });
        }
        Ok(TensorType::new(x.dtype, self.perm.iter().map(|i| x.shape[*i].clone())))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>) -> Vec<T> {
        let strides = strides(x.shape);
        let axis = |i: &usize| (0..x.shape[*i]).map(|c| c * strides[*i]).collect();
        x.pick(&offsets(&self.perm.iter().map(axis).collect::<Vec<_>>()))
    }
}

impl Transpose {
    /// Back where it came from.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let inverse = (0..self.perm.len()).map(|axis| self.perm.iter().position(|p| *p == axis).unwrap_or(0));
        let dy = at.dy()?;
        Ok(vec![Some(at.transpose(dy, inverse.collect())?)])
    }
}
