//! The gradient of a pooling.

use super::pool::{Pool, PoolKind};
use super::take;
use crate::array::Array;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Real;
use crate::tensor::TensorType;

/// The gradient of a pooling's input: the gradient of a window goes to its largest element (in
/// row-major order the first of equal ones, but the last NaN, as in PyTorch), or is shared by all elements of an average.
///
/// Inputs: `dy [N, C, spatial'...]` and, for max pooling only, `x [N, C, spatial...]`; output has the shape of `x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolGrad {
    /// The pooling.
    pub pool: Pool,
    /// The shape of its input.
    pub shape: Vec<Dim>,
}

impl PoolGrad {
    pub(crate) fn name(&self) -> &'static str {
        match self.pool.kind {
            PoolKind::Max => "max_pool_grad",
            PoolKind::Average { .. } => "avg_pool_grad",
        }
    }

    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let dy = match (self.pool.kind, inputs) {
            (PoolKind::Max, _) => {
                let [dy, x] = take(inputs)?;
                if !guards.same_shape(&x.shape, &self.shape) {
                    return Err(ShapeError::Mismatch(format!("the input of the pooling is {x}")));
                }
                dy
            }
            (PoolKind::Average { .. }, _) => take::<1>(inputs)?[0],
        };
        let x = TensorType::new(dy.dtype, self.shape.iter().cloned());
        let forward = self.pool.infer(&[&x])?;
        if !guards.same_type(&forward, dy) {
            return Err(ShapeError::Mismatch(format!("the pooling makes {forward}, not {dy}")));
        }
        Ok(x)
    }

    pub(crate) fn eval<T: Real>(&self, dy: &Array<T>, x: Option<&Array<T>>, shape: &[usize]) -> Vec<T> {
        let windows = self.pool.windows(shape, dy.shape);
        let plane = shape[2..].iter().product::<usize>().max(1);
        let mut out = vec![T::ZERO; shape.iter().product()];
        for (n, (out, dy)) in out.chunks_mut(plane).zip(dy.data.chunks(windows.len().max(1))).enumerate() {
            for ((window, padded), dy) in windows.iter().zip(dy) {
                match (self.pool.kind, x) {
                    (PoolKind::Average { count_include_pad }, _) => {
                        let count = if count_include_pad { *padded } else { window.len() };
                        let share = dy.over(T::from_size(count));
                        for at in window {
                            out[*at] = out[*at].add(share);
                        }
                    }
                    (PoolKind::Max, Some(x)) => {
                        let x = &x.data[n * plane..][..plane];
                        let larger = |at: usize, best: usize| x[at].is_nan() || x[at] > x[best];
                        let largest = window
                            .iter()
                            .copied()
                            .reduce(|best, at| if larger(at, best) { at } else { best });
                        if let Some(at) = largest {
                            out[at] = out[at].add(*dy);
                        }
                    }
                    (PoolKind::Max, None) => {}
                }
            }
        }
        out
    }
}
