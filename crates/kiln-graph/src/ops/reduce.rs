//! Reductions.

use super::gradient::{Adjoint, Gradients};
use super::{BinaryOp, Iota, Op, UnaryOp, check_axis, take};
use crate::array::{Array, offsets, strides};
use crate::dim::{Dim, product};
use crate::error::{EvalError, GraphError, ShapeError};
use crate::graph::ValueId;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// How elements are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are the reductions of the same name")]
pub enum ReduceKind {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    /// The mean of the squared differences from the mean (the biased variance), of floats.
    Variance,
    /// The largest element. It differs from [`ReduceKind::Max`] in its gradient alone: of equal elements the first has
    /// all of it, where those of `Max` share.
    MaxFirst,
    /// The smallest element, likewise.
    MinFirst,
}

impl ReduceKind {
    /// All kinds.
    pub const ALL: [ReduceKind; 8] = [
        ReduceKind::Sum,
        ReduceKind::Mean,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::Prod,
        ReduceKind::Variance,
        ReduceKind::MaxFirst,
        ReduceKind::MinFirst,
    ];

    /// Whether the result is one of the elements.
    pub fn chooses(self) -> bool {
        match self {
            ReduceKind::Max | ReduceKind::Min | ReduceKind::MaxFirst | ReduceKind::MinFirst => true,
            ReduceKind::Sum | ReduceKind::Mean | ReduceKind::Prod | ReduceKind::Variance => false,
        }
    }

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            ReduceKind::Sum => "reduce_sum",
            ReduceKind::Mean => "reduce_mean",
            ReduceKind::Max => "reduce_max",
            ReduceKind::Min => "reduce_min",
            ReduceKind::Prod => "reduce_prod",
            ReduceKind::Variance => "reduce_variance",
            ReduceKind::MaxFirst => "reduce_max_first",
            ReduceKind::MinFirst => "reduce_min_first",
        }
    }
}

/// Reduction over axes. Reduced dimensions become 1, or vanish without `keep_dims`. Of elements with a NaN the largest and
/// the smallest are NaN, as NumPy and ONNX's reference have it; ONNX Runtime leaves it out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// How elements are combined.
    pub kind: ReduceKind,
    /// The axes, ascending, without repetition.
    pub axes: Vec<usize>,
    /// Whether reduced dimensions stay as 1.
    pub keep_dims: bool,
}

impl Reduce {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if x.dtype == DType::Bool {
            return Err(ShapeError::DType {
                operand: "the input",
                expected: "a number".into(),
                found: x.dtype,
            });
        }
        if self.kind == ReduceKind::Variance && !x.dtype.is_float() {
            return Err(ShapeError::DType {
                operand: "the input",
                expected: "a float".into(),
                found: x.dtype,
            });
        }
        Ok(TensorType::new(x.dtype, reduced_shape(x, &self.axes, self.keep_dims)?))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, out_shape: &[usize]) -> Result<Vec<T>, EvalError> {
        let (start, combine): (T, fn(T, T) -> T) = match self.kind {
            ReduceKind::Sum | ReduceKind::Mean | ReduceKind::Variance => (T::ZERO, T::add),
            ReduceKind::Max | ReduceKind::MaxFirst => (T::lowest(x.dtype), T::larger),
            ReduceKind::Min | ReduceKind::MinFirst => (T::highest(x.dtype), T::smaller),
            ReduceKind::Prod => (T::ONE, T::mul),
        };
        // Every element goes to the output at its own coordinates, with those of the reduced axes left out.
        let kept: Vec<usize> = x
            .shape
            .iter()
            .enumerate()
            .map(|(i, size)| if self.axes.contains(&i) { 1 } else { *size })
            .collect();
        let axes: Vec<Vec<usize>> = strides(&kept)
            .into_iter()
            .enumerate()
            .map(|(i, stride)| {
                (0..x.shape[i]).map(|c| if self.axes.contains(&i) { 0 } else { c * stride }).collect()
            })
            .collect();
        let mut out = vec![start; out_shape.iter().product()];
        let places = offsets(&axes);
        for (to, value) in places.iter().zip(x.data.iter()) {
            out[*to] = combine(out[*to], *value);
        }
        let count = T::from_size(self.axes.iter().map(|axis| x.shape[*axis]).product());
        let over_count = |sums: Vec<T>| {
            sums.into_iter().map(|sum| sum.div(count).ok_or(EvalError::DivisionByZero)).collect()
        };
        match self.kind {
            ReduceKind::Mean => over_count(out),
            ReduceKind::Variance => {
                let means: Vec<T> = over_count(out)?;
                let mut squares = vec![T::ZERO; means.len()];
                for (to, value) in places.iter().zip(x.data.iter()) {
                    let apart = value.sub(means[*to]);
                    squares[*to] = squares[*to].add(apart.mul(apart));
                }
                over_count(squares)
            }
            ReduceKind::Sum
            | ReduceKind::Prod
            | ReduceKind::Max
            | ReduceKind::Min
            | ReduceKind::MaxFirst
            | ReduceKind::MinFirst => Ok(out),
        }
    }
}

pub(crate) fn reduced_shape(x: &TensorType, axes: &[usize], keep_dims: bool) -> Result<Vec<Dim>, ShapeError> {
    for axis in axes {
        check_axis("axes", *axis, x.rank())?;
    }
    if !axes.is_sorted_by(|a, b| a < b) {
        return Err(ShapeError::Attribute {
            name: "axes",
            message: format!("{axes:?} should be ascending, each axis once"),
        });
    }
    Ok(x.shape
        .iter()
        .enumerate()
        .filter_map(|(i, dim)| match (axes.contains(&i), keep_dims) {
            (false, _) => Some(dim.clone()),
            (true, true) => Some(1.into()),
            (true, false) => None,
        })
        .collect())
}

impl Reduce {
    /// Of a sum or a mean every element has the same share. Of a largest or smallest element, equal ones share
    /// (PyTorch's `amax`), or the first has it (PyTorch's `max` over a dimension). Of a product each has the product of the
    /// others, also where some are zero.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, dy) = (at.input(0), at.dy()?);
        let shape = at.shape(x);
        let kept: Vec<Dim> = shape
            .iter()
            .enumerate()
            .map(|(i, dim)| if self.axes.contains(&i) { 1.into() } else { dim.clone() })
            .collect();
        let dy = at.reshape(dy, kept.clone())?;
        let sum = |at: &mut Adjoint<'_>, x| at.reduce(ReduceKind::Sum, x, self.axes.clone(), true);
        let dx = match self.kind {
            ReduceKind::Sum => at.expand(dy, shape)?,
            ReduceKind::Mean => {
                let count = at.size(product(self.axes.iter().map(|axis| &shape[*axis])), dy)?;
                let share = at.div(dy, count)?;
                at.expand(share, shape)?
            }
            ReduceKind::Variance => {
                // Each element moves the mean, too, but what that adds is the sum of all differences from it: zero.
                let mean = at.reduce(ReduceKind::Mean, x, self.axes.clone(), true)?;
                let apart = at.sub(x, mean)?;
                let count = at.size(product(self.axes.iter().map(|axis| &shape[*axis])), dy)?;
                let share = at.div(dy, count)?;
                let twice = at.add(share, share)?;
                at.mul(apart, twice)?
            }
            ReduceKind::Max | ReduceKind::Min => {
                let y = at.output(0);
                let y = at.reshape(y, kept)?;
                let (zero, one) = (at.number(0.0, dy)?, at.number(1.0, dy)?);
                let chosen = at.binary(BinaryOp::Equal, x, y)?;
                let ones = at.select(chosen, one, zero)?;
                let count = sum(at, ones)?;
                let share = at.div(dy, count)?;
                at.mul(ones, share)?
            }
            ReduceKind::MaxFirst | ReduceKind::MinFirst => {
                let y = at.output(0);
                let y = at.reshape(y, kept)?;
                let first = self.first(at, x, y)?;
                let zero = at.number(0.0, dy)?;
                at.select(first, dy, zero)?
            }
            ReduceKind::Prod => {
                let (zero, one) = (at.number(0.0, dy)?, at.number(1.0, dy)?);
                let is_zero = at.binary(BinaryOp::Equal, x, zero)?;
                let zeros = at.select(is_zero, one, zero)?;
                let zeros = sum(at, zeros)?;
                let others = at.select(is_zero, one, x)?;
                let product = at.reduce(ReduceKind::Prod, others, self.axes.clone(), true)?;
                let none = at.binary(BinaryOp::Equal, zeros, zero)?;
                let single = at.binary(BinaryOp::Equal, zeros, one)?;
                let at_zero = at.select(single, product, zero)?;
                let all = at.select(none, product, zero)?;
                let elsewhere = at.div(all, others)?;
                let rest = at.select(is_zero, at_zero, elsewhere)?;
                at.mul(rest, dy)?
            }
        };
        Ok(vec![Some(dx)])
    }

    /// Of the elements of `x` that equal `y` (or are NaN, where it is NaN), the first, counted with the last axis the
    /// fastest.
    fn first(&self, at: &mut Adjoint<'_>, x: ValueId, y: ValueId) -> Result<ValueId, GraphError> {
        let shape = at.shape(x);
        let mut place: Option<ValueId> = None;
        for axis in &self.axes {
            let mut line = vec![Dim::from(1); shape.len()];
            line[*axis] = shape[*axis].clone();
            let along = at.apply(Op::Iota(Iota { dtype: DType::I32, shape: line, axis: *axis }), &[])?;
            place = Some(match place {
                Some(slower) => {
                    let size = at.size(shape[*axis].clone(), along)?;
                    let slower = at.mul(slower, size)?;
                    at.add(slower, along)?
                }
                None => along,
            });
        }
        // Without axes each element is the first of one.
        let Some(place) = place else { return at.binary(BinaryOp::Equal, y, y) };
        let equal = at.binary(BinaryOp::Equal, x, y)?;
        let is_nan = at.unary(UnaryOp::IsNan, x)?;
        let candidate = at.binary(BinaryOp::Or, equal, is_nan)?;
        let beyond = at.number(f64::from(i32::MAX), place)?;
        let numbers = at.select(candidate, place, beyond)?;
        let first = at.reduce(ReduceKind::Min, numbers, self.axes.clone(), true)?;
        at.binary(BinaryOp::Equal, place, first)
    }
}
