//! Matrix product.

use std::borrow::Cow;

use super::gradient::{Adjoint, Gradients};
use super::{broadcast, take};
use crate::array::{Array, broadcast_positions};
use crate::dim::{Dim, product};
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{ShapeDisplay, TensorType};

/// Matrix product of the last two dimensions, with the leading ones broadcast.
///
/// Inputs: `a [..., M, K]`, `b [..., K, N]`, each of at least two dimensions; output `[..., M, N]`. With
/// `transpose_a` the left operand is `[..., K, M]`, with `transpose_b` the right one `[..., N, K]`.
/// Vectors, as ONNX and PyTorch allow them, are reshaped by whoever builds the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MatMul {
    /// Whether the last two dimensions of `a` are swapped.
    pub transpose_a: bool,
    /// Whether the last two dimensions of `b` are swapped.
    pub transpose_b: bool,
}

impl MatMul {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [a, b] = take(inputs)?;
        for (operand, ty) in [("the left operand", a), ("the right operand", b)] {
            if ty.rank() < 2 {
                return Err(ShapeError::Rank {
                    operand,
                    expected: "at least 2".into(),
                    found: ty.shape.clone(),
                });
            }
        }
        if a.dtype != b.dtype {
            return Err(ShapeError::DType {
                operand: "the right operand",
                expected: format!("{} like the left one", a.dtype),
                found: b.dtype,
            });
        }
        let (batch_a, mat_a) = a.shape.split_at(a.rank() - 2);
        let (batch_b, mat_b) = b.shape.split_at(b.rank() - 2);
        let (m, k) = if self.transpose_a { (&mat_a[1], &mat_a[0]) } else { (&mat_a[0], &mat_a[1]) };
        let (k_b, n) = if self.transpose_b { (&mat_b[1], &mat_b[0]) } else { (&mat_b[0], &mat_b[1]) };
        if guards.equal(k, k_b).is_none() {
            return Err(ShapeError::Mismatch(format!(
                "expects {k_b} input features (weight {}), but gets {k} (input {})",
                ShapeDisplay(&b.shape),
                ShapeDisplay(&a.shape)
            )));
        }
        let mut shape = broadcast(batch_a, batch_b, guards)?;
        shape.extend([m.clone(), n.clone()]);
        Ok(TensorType::new(a.dtype, shape))
    }

    pub(crate) fn eval<T: Number>(&self, a: &Array<T>, b: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        let (batch, matrix) = out_shape.split_at(out_shape.len() - 2);
        let (m, n) = (matrix[0], matrix[1]);
        let k = a.shape[a.shape.len() - if self.transpose_a { 2 } else { 1 }];
        let batch_of = |array: &Array<T>| broadcast_positions(&array.shape[..array.shape.len() - 2], batch);
        let mut out = vec![T::ZERO; out_shape.iter().product()];
        for (i, (at_a, at_b)) in batch_of(a).into_iter().zip(batch_of(b)).enumerate() {
            let (a, b) = (&a.data[at_a * m * k..][..m * k], &b.data[at_b * k * n..][..k * n]);
            let a = if self.transpose_a { transposed(a, k, m) } else { Cow::Borrowed(a) };
            let b = if self.transpose_b { transposed(b, n, k) } else { Cow::Borrowed(b) };
            let out = &mut out[i * m * n..][..m * n];
            for (row, out) in out.chunks_mut(n.max(1)).enumerate() {
                for step in 0..k {
                    let left = a[row * k + step];
                    for (o, right) in out.iter_mut().zip(&b[step * n..][..n]) {
                        *o = o.add(left.mul(*right));
                    }
                }
            }
        }
        out
    }
}

/// A matrix of `rows` and `columns` with the two swapped.
fn transposed<T: Number>(matrix: &[T], rows: usize, columns: usize) -> Cow<'_, [T]> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| matrix[r * columns + c])).collect()
}

impl MatMul {
    /// For `y = a b`: `dy b^T` and `a^T dy`.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (mut a, b, mut dy) = (at.input(0), at.input(1), at.dy()?);
        let (a_shape, b_shape) = (at.shape(a), at.shape(b));
        let mut gradients = vec![None, None];
        if at.wants(0) {
            let product = if self.transpose_a {
                at.matmul(MatMul { transpose_a: self.transpose_b, transpose_b: true }, b, dy)?
            } else {
                at.matmul(MatMul { transpose_a: false, transpose_b: !self.transpose_b }, dy, b)?
            };
            gradients[0] = Some(at.sum_to(product, &a_shape)?);
        }
        if at.wants(1) {
            // Matrices that all meet the same right one are one tall matrix.
            if a_shape.len() > 2 && b_shape[..b_shape.len() - 2].iter().all(|d| d.is(1)) && !self.transpose_a
            {
                let tall = |shape: &[Dim]| {
                    let (last, outer) = shape.split_last()?;
                    Some(vec![product(outer), last.clone()])
                };
                let dy_shape = at.shape(dy);
                if let (Some(rows), Some(columns)) = (tall(&a_shape), tall(&dy_shape)) {
                    a = at.reshape(a, rows)?;
                    dy = at.reshape(dy, columns)?;
                }
            }
            let product = if self.transpose_b {
                at.matmul(MatMul { transpose_a: true, transpose_b: self.transpose_a }, dy, a)?
            } else {
                at.matmul(MatMul { transpose_a: !self.transpose_a, transpose_b: false }, a, dy)?
            };
            let product = if b_shape.len() > at.shape(product).len() {
                at.reshape(product, b_shape.clone())?
            } else {
                product
            };
            gradients[1] = Some(at.sum_to(product, &b_shape)?);
        }
        Ok(gradients)
    }
}
