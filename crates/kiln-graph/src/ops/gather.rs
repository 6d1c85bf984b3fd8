//! Selection by indices.

use super::gradient::{Adjoint, Gradients};
use super::{BinaryOp, Cast, Iota, MatMul, Op, Scatter, ScatterReduction, check_axis, take};
use crate::array::{Array, around, offsets, strides};
use crate::dim::{Dim, product};
use crate::error::{EvalError, GraphError, ShapeError};
use crate::formula::Made;
use crate::graph::ValueId;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{DType, ShapeDisplay, TensorType};

pub(super) fn check_indices(indices: &TensorType) -> Result<(), ShapeError> {
    if matches!(indices.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(ShapeError::DType { operand: "the indices", expected: "i32 or i64".into(), found: indices.dtype })
}

/// An index as a position; negative ones count from the end.
pub(super) fn position(index: i64, axis: usize, size: usize) -> Result<usize, EvalError> {
    let from_start = if index < 0 { index.saturating_add_unsigned(size as u64) } else { index };
    let inside = usize::try_from(from_start).ok().filter(|at| *at < size);
    inside.ok_or(EvalError::Index { index, axis, size })
}

/// Checks that `indices` along `axis` find the lines of `x` they are for.
pub(super) fn fits_beside(
    x: &TensorType,
    indices: &TensorType,
    along: usize,
    guards: &mut Guards,
) -> Result<(), ShapeError> {
    if indices.rank() != x.rank() {
        return Err(ShapeError::Mismatch(format!(
            "indices {} and input {} should have the same number of dimensions",
            ShapeDisplay(&indices.shape),
            ShapeDisplay(&x.shape)
        )));
    }
    for (axis, (size, taken)) in x.shape.iter().zip(&indices.shape).enumerate() {
        if axis != along && !guards.at_least(size, taken) {
            return Err(ShapeError::Mismatch(format!(
                "indices {} reach {} beyond the input {} in dimension {axis}",
                ShapeDisplay(&indices.shape),
                taken.clone() - size.clone(),
                ShapeDisplay(&x.shape)
            )));
        }
    }
    Ok(())
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
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [x, indices] = take(inputs)?;
        check_axis("axis", self.axis, x.rank())?;
        check_indices(indices)?;
        fits_beside(x, indices, self.axis, guards)?;
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

/// Whether each index of `indices` is `position` (an i64 or i32 value that counts from 0 to `size`), both broadcast.
fn hits(
    at: &mut Adjoint<'_>,
    indices: ValueId,
    position: ValueId,
    size: &Dim,
) -> Result<ValueId, GraphError> {
    // Positions are computed with, not indices, which may be any number.
    let size = integer_size(at, size, indices)?;
    let from_end = at.sub(position, size)?;
    let (counted, counted_back) =
        (at.binary(BinaryOp::Equal, indices, position)?, at.binary(BinaryOp::Equal, indices, from_end)?);
    at.binary(BinaryOp::Or, counted, counted_back)
}

fn integer_size(at: &mut Adjoint<'_>, size: &Dim, like: ValueId) -> Result<ValueId, GraphError> {
    let size = size
        .as_const()
        .ok_or_else(|| at.none(format!("the number of elements to choose from ({size}) is a symbol")))?;
    at.number(size as f64, like)
}

/// The largest matrix of ones and zeros that is made instead of looking for each element's indices.
const MAX_MATRIX: i64 = 1 << 24;

impl Gather {
    /// The product with the matrix that has a one where an index points: no two kernels add to one place. Where that
    /// would be large, each element looks for the indices that point to it.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, indices, dy) = (at.input(0), at.input(1), at.dy()?);
        let (shape, dtype) = (at.shape(x), at.ty(x).dtype);
        let size = shape[self.axis].clone();
        let taken = at.ty(indices).elements();
        let (before, after) = (product(&shape[..self.axis]), product(&shape[self.axis + 1..]));
        let stack = at.reshape(dy, vec![before.clone(), taken.clone(), after.clone()])?;
        let large = (&size * &taken).as_const().is_some_and(|n| n > MAX_MATRIX);
        let sums = if size.as_const().is_none() || large {
            let line = at.reshape(indices, vec![1.into(), taken.clone(), 1.into()])?;
            let indices = at.expand(line, vec![before.clone(), taken, after.clone()])?;
            added(at, vec![before, size, after], 1, indices, stack)?
        } else {
            let dtype_of_index = at.ty(indices).dtype;
            let column =
                Op::Iota(Iota { dtype: dtype_of_index, shape: vec![size.clone(), 1.into()], axis: 0 });
            let column = at.apply(column, &[])?;
            let row = at.reshape(indices, vec![1.into(), taken])?;
            let hits = hits(at, row, column, &size)?;
            let ones = at.apply(Op::Cast(Cast { to: dtype }), &[hits])?;
            at.matmul(MatMul::default(), ones, stack)?
        };
        Ok(vec![Some(at.reshape(sums, shape)?), None])
    }
}

/// Zeros of `shape`, to which `dy` is added where `indices` along `axis` point.
fn added(at: &mut Adjoint<'_>, shape: Vec<Dim>, axis: usize, indices: ValueId, dy: ValueId) -> Made {
    let zero = at.number(0.0, dy)?;
    let zeros = at.expand(zero, shape)?;
    let scatter = Scatter { axis, reduction: ScatterReduction::Add };
    at.apply(Op::Scatter(scatter), &[zeros, indices, dy])
}

impl GatherElements {
    /// Each element is the sum of what was taken of it; with one index a line there is nothing to sum.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, indices, dy) = (at.input(0), at.input(1), at.dy()?);
        let (shape, taken, axis) = (at.shape(x), at.shape(indices), self.axis);
        let size = shape[axis].clone();
        let others = |shape: &[Dim]| [&shape[..axis], &shape[axis + 1..]].concat();
        if !taken[axis].is(1) || size.as_const().is_none() || others(&taken) != others(&shape) {
            return Ok(vec![Some(added(at, shape, axis, indices, dy)?), None]);
        }
        let mut line = vec![Dim::from(1); shape.len()];
        line[axis] = size.clone();
        let dtype = at.ty(indices).dtype;
        let position = at.apply(Op::Iota(Iota { dtype, shape: line, axis }), &[])?;
        let hits = hits(at, indices, position, &size)?;
        let zero = at.number(0.0, dy)?;
        Ok(vec![Some(at.select(hits, dy, zero)?), None])
    }
}
