//! Strided part of a tensor.

use super::gradient::{Adjoint, Gradients};
use super::{Op, Pad, PadMode, check_axis, take};
use crate::array::{Array, offsets, strides};
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::TensorType;

/// A slice of one axis: `length` elements from `start`, `step` apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SliceAxis {
    /// The axis.
    pub axis: usize,
    /// Index of the first element, already counted from the front.
    pub start: Dim,
    /// Number of elements.
    pub length: Dim,
    /// Distance of elements; negative walks backwards, never zero.
    pub step: i64,
}

/// Strided part of a tensor. Axes that are not named are taken whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The axes that are cut, each once.
    pub axes: Vec<SliceAxis>,
}

impl Slice {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let mut shape = x.shape.clone();
        for (i, cut) in self.axes.iter().enumerate() {
            check_axis("axes", cut.axis, x.rank())?;
            if self.axes[..i].iter().any(|other| other.axis == cut.axis) {
                return Err(ShapeError::Attribute {
                    name: "axes",
                    message: format!("axis {} is named twice", cut.axis),
                });
            }
            if cut.step == 0 || i32::try_from(cut.step).is_err() {
                return Err(ShapeError::Attribute {
                    name: "steps",
                    message: format!("{} is not a valid step", cut.step),
                });
            }
            let last = cut.start.clone() + (cut.length.clone() - 1.into()) * cut.step.into();
            for end in [&cut.start, &last] {
                let below = end.as_const().is_some_and(|v| v < 0);
                let above = (x.shape[cut.axis].clone() - end.clone()).as_const().is_some_and(|v| v < 1);
                if (below || above) && !cut.length.is(0) {
                    return Err(ShapeError::Mismatch(format!(
                        "element {end} of axis {} is taken, but there are {}",
                        cut.axis, x.shape[cut.axis]
                    )));
                }
            }
            if cut.length.as_const().is_some_and(|n| n < 0) {
                return Err(ShapeError::Attribute {
                    name: "length",
                    message: format!("{} elements of axis {}", cut.length, cut.axis),
                });
            }
            shape[cut.axis] = cut.length.clone();
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    /// All symbols are numbers here.
    pub(crate) fn eval<T: Number>(&self, x: &Array<T>) -> Vec<T> {
        let axis = |(i, stride): (usize, usize)| -> Vec<usize> {
            let whole = || (0..x.shape[i]).collect();
            let cut = self.axes.iter().find(|cut| cut.axis == i);
            let taken: Vec<usize> = cut.map_or_else(whole, |cut| {
                let (start, length) = (cut.start.as_const().unwrap_or(0), cut.length.as_const().unwrap_or(0));
                (0..length).filter_map(|n| usize::try_from(start + n * cut.step).ok()).collect()
            });
            taken.into_iter().map(|c| c * stride).collect()
        };
        x.pick(&offsets(&strides(x.shape).into_iter().enumerate().map(axis).collect::<Vec<_>>()))
    }
}

impl Slice {
    /// Everything goes back to where it was taken, with zeros around and between.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let mut dy = at.dy()?;
        let whole = at.shape(at.input(0));
        let rank = whole.len();
        let mut pads = vec![[0, 0]; rank];
        for cut in &self.axes {
            let mut first = cut.start.clone();
            if cut.step < 0 {
                // Read forwards, the last element comes first.
                let last = cut.length.clone() - 1.into();
                first = first + &last * &cut.step.into();
                let back = SliceAxis { start: last, step: -1, ..cut.clone() };
                dy = at.apply(Op::Slice(Slice { axes: vec![back] }), &[dy])?;
            }
            let step = cut.step.unsigned_abs() as i64;
            let mut length = cut.length.clone();
            if step > 1 {
                // Zeros between: one more dimension, padded and merged again.
                let mut shape = at.shape(dy);
                shape.insert(cut.axis + 1, 1.into());
                let apart = at.reshape(dy, shape.clone())?;
                let mut between = vec![[0, 0]; rank + 1];
                between[cut.axis + 1] = [0, step - 1];
                let pad = Pad { pads: between, mode: PadMode::Constant(0.0) };
                let padded = at.apply(Op::Pad(pad), &[apart])?;
                length = &length * &step.into();
                shape.remove(cut.axis + 1);
                shape[cut.axis] = length.clone();
                dy = at.reshape(padded, shape)?;
            }
            let after = whole[cut.axis].clone() - first.clone() - length;
            let (Some(before), Some(after)) = (first.as_const(), after.as_const()) else {
                return Err(at.none(format!(
                    "how much of axis {} ({}) is left out depends on a symbolic size",
                    cut.axis, whole[cut.axis]
                )));
            };
            pads[cut.axis] = [before, after];
        }
        if pads.iter().any(|pad| *pad != [0, 0]) {
            dy = at.apply(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[dy])?;
        }
        Ok(vec![Some(dy)])
    }
}
