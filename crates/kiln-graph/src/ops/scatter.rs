//! Writing to places that are data.

use super::gather::{check_indices, fits_beside, position};
use super::gradient::{Adjoint, Gradients};
use super::{BinaryOp, GatherElements, Iota, Op, check_axis, take};
use crate::array::{Array, offsets, strides};
use crate::error::{EvalError, ShapeError};
use crate::formula::Formula;
use crate::graph::ValueId;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// How a scattered element is combined with the existing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the operations of the same name")]
pub enum ScatterReduction {
    /// It is replaced; of several new elements the last one counts.
    None,
    Add,
    Mul,
    Max,
    Min,
}

impl ScatterReduction {
    /// All of them.
    pub const ALL: [ScatterReduction; 5] = [
        ScatterReduction::None,
        ScatterReduction::Add,
        ScatterReduction::Mul,
        ScatterReduction::Max,
        ScatterReduction::Min,
    ];

    /// ONNX's name.
    pub fn name(self) -> &'static str {
        match self {
            ScatterReduction::None => "none",
            ScatterReduction::Add => "add",
            ScatterReduction::Mul => "mul",
            ScatterReduction::Max => "max",
            ScatterReduction::Min => "min",
        }
    }
}

/// The data with elements changed along an axis (ONNX's ScatterElements, PyTorch's `scatter_reduce`):
/// `out[indices[i][j]][j] = updates[i][j]` for axis 0, combined in the order of the indices.
///
/// Inputs `data`, `indices` (i32 or i64, negative ones count from the end) of the same number of dimensions, `updates` of
/// the shape of the indices; the output has the shape of the data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scatter {
    /// The axis.
    pub axis: usize,
    /// How elements are combined.
    pub reduction: ScatterReduction,
}

impl Scatter {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [data, indices, updates] = take(inputs)?;
        check_axis("axis", self.axis, data.rank())?;
        check_indices(indices)?;
        fits_beside(data, indices, self.axis, guards)?;
        if !guards.same_shape(&updates.shape, &indices.shape) {
            return Err(ShapeError::Mismatch(format!(
                "the updates {updates} should have the shape of the indices {indices}"
            )));
        }
        if updates.dtype != data.dtype {
            let expected = format!("{} like the data", data.dtype);
            return Err(ShapeError::DType { operand: "the updates", expected, found: updates.dtype });
        }
        if data.dtype == DType::Bool && self.reduction != ScatterReduction::None {
            let expected = "a number".into();
            return Err(ShapeError::DType { operand: "the data", expected, found: data.dtype });
        }
        Ok((*data).clone())
    }

    pub(crate) fn eval<T: Number>(
        &self,
        data: &Array<T>,
        indices: &Array<i64>,
        updates: &Array<T>,
    ) -> Result<Vec<T>, EvalError> {
        let mut out = data.data.to_vec();
        let steps = strides(data.shape);
        let axis = |(i, size): (usize, &usize)| {
            (0..*size).map(|c| if i == self.axis { 0 } else { c * steps[i] }).collect()
        };
        let lines = offsets(&indices.shape.iter().enumerate().map(axis).collect::<Vec<_>>());
        for ((line, index), update) in lines.into_iter().zip(indices.data.iter()).zip(updates.data.iter()) {
            let at = line + position(*index, self.axis, data.shape[self.axis])? * steps[self.axis];
            out[at] = match self.reduction {
                ScatterReduction::None => *update,
                ScatterReduction::Add => out[at].add(*update),
                ScatterReduction::Mul => out[at].mul(*update),
                ScatterReduction::Max => out[at].larger(*update),
                ScatterReduction::Min => out[at].smaller(*update),
            };
        }
        Ok(out)
    }

    /// A replaced element had no influence. Of equal largest (smallest) elements each gets the same share, as in
    /// PyTorch; a factor's gradient is the product of all others, which a division gives where it is not zero.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (data, indices, updates, out, dy) =
            (at.input(0), at.input(1), at.input(2), at.output(0), at.dy()?);
        let zero = at.number(0.0, dy)?;
        let (d_data, d_updates) = match self.reduction {
            ScatterReduction::None => {
                let taken = at.shape(indices);
                let zeros = at.expand(zero, taken.clone())?;
                let d_data = self.scatter(at, ScatterReduction::None, dy, indices, zeros)?;
                // Of several updates of one element only the last one counts: the one whose number is left there.
                let mut line = vec![1.into(); taken.len()];
                line[self.axis] = taken[self.axis].clone();
                let number = Op::Iota(Iota { dtype: DType::I32, shape: line, axis: self.axis });
                let number = at.apply(number, &[])?;
                let numbers = at.expand(number, taken)?;
                let shape = at.shape(data);
                let none = at.number(0.0, number)?;
                let none = at.expand(none, shape)?;
                let last = self.scatter(at, ScatterReduction::None, none, indices, numbers)?;
                let last = self.gather(at, last, indices)?;
                let counts = at.binary(BinaryOp::Equal, last, numbers)?;
                let arrived = self.gather(at, dy, indices)?;
                (d_data, at.select(counts, arrived, zero)?)
            }
            ScatterReduction::Add => (dy, self.gather(at, dy, indices)?),
            ScatterReduction::Mul => self.gradient_of_product(at, zero)?,
            ScatterReduction::Max | ScatterReduction::Min => {
                let to = at.ty(dy).dtype;
                let kept = at.binary(BinaryOp::Equal, data, out)?;
                let kept = at.cast(kept, to)?;
                let result = self.gather(at, out, indices)?;
                let won = at.binary(BinaryOp::Equal, updates, result)?;
                let won = at.cast(won, to)?;
                let winners = self.scatter(at, ScatterReduction::Add, kept, indices, won)?;
                let share = at.div(dy, winners)?;
                let arrived = self.gather(at, share, indices)?;
                (at.mul(kept, share)?, at.mul(won, arrived)?)
            }
        };
        Ok(vec![Some(d_data), None, Some(d_updates)])
    }

    fn gradient_of_product(
        &self,
        at: &mut Adjoint<'_>,
        zero: ValueId,
    ) -> Result<(ValueId, ValueId), crate::GraphError> {
        let (data, indices, updates, out, dy) =
            (at.input(0), at.input(1), at.input(2), at.output(0), at.dy()?);
        let (to, shape, taken) = (at.ty(dy).dtype, at.shape(data), at.shape(indices));
        let one = at.number(1.0, dy)?;
        let ones = at.expand(one, shape.clone())?;
        let zeros = at.expand(zero, shape)?;
        let factors = self.scatter(at, ScatterReduction::Mul, ones, indices, updates)?;
        let d_data = at.mul(dy, factors)?;
        // Where a factor is the only zero, the others' product is what is left without it.
        let is_zero = at.binary(BinaryOp::Equal, updates, zero)?;
        let counted = at.cast(is_zero, to)?;
        let count = self.scatter(at, ScatterReduction::Add, zeros, indices, counted)?;
        let ones = at.expand(one, taken)?;
        let others = at.select(is_zero, ones, updates)?;
        let product = self.scatter(at, ScatterReduction::Mul, data, indices, others)?;
        let only = at.binary(BinaryOp::Equal, count, one)?;
        let product = at.select(only, product, zero)?;
        let (product, out) = (at.mul(product, dy)?, at.mul(out, dy)?);
        let (product, out) = (self.gather(at, product, indices)?, self.gather(at, out, indices)?);
        let quotient = at.div(out, others)?;
        Ok((d_data, at.select(is_zero, product, quotient)?))
    }

    fn gather(&self, f: &mut Formula<'_>, x: ValueId, indices: ValueId) -> crate::formula::Made {
        f.apply(Op::GatherElements(GatherElements { axis: self.axis }), &[x, indices])
    }

    fn scatter(
        &self,
        f: &mut Formula<'_>,
        reduction: ScatterReduction,
        data: ValueId,
        indices: ValueId,
        updates: ValueId,
    ) -> crate::formula::Made {
        f.apply(Op::Scatter(Scatter { axis: self.axis, reduction }), &[data, indices, updates])
    }
}
