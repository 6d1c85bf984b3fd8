//! Concatenation.

use super::gradient::{Adjoint, Gradients};
use super::{Op, Slice, SliceAxis, check_axis};
use crate::array::{Array, around};
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{ShapeDisplay, TensorType};

/// Concatenation of one or more inputs along an axis; all other dimensions are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Concat {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [first, rest @ ..] = inputs else {
            return Err(ShapeError::InputCount { expected: "at least 1".into(), found: 0 });
        };
        check_axis("axis", self.axis, first.rank())?;
        let mut out = (*first).clone();
        for other in rest {
            let mut fits = other.dtype == first.dtype && other.rank() == first.rank();
            for i in (0..first.rank()).filter(|i| *i != self.axis) {
                let size = if fits { guards.equal(&out.shape[i], &other.shape[i]) } else { None };
                fits = size.is_some();
                out.shape[i] = size.unwrap_or_default();
            }
            if !fits {
                return Err(ShapeError::Mismatch(format!(
                    "{}{} and {}{} differ in more than axis {}",
                    first.dtype,
                    ShapeDisplay(&first.shape),
                    other.dtype,
                    ShapeDisplay(&other.shape),
                    self.axis
                )));
            }
            out.shape[self.axis] = out.shape[self.axis].clone() + other.shape[self.axis].clone();
        }
        Ok(out)
    }

    pub(crate) fn eval<T: Number>(&self, inputs: &[Array<T>]) -> Vec<T> {
        let mut out = Vec::new();
        let before = inputs.first().map_or(0, |first| around(first.shape, self.axis).0);
        for i in 0..before {
            for input in inputs {
                let (_, size, after) = around(input.shape, self.axis);
                out.extend_from_slice(&input.data[i * size * after..][..size * after]);
            }
        }
        out
    }
}

impl Concat {
    /// To each part its own.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let dy = at.dy()?;
        let mut start = Dim::from(0);
        let mut gradients = Vec::new();
        for i in 0..at.inputs().len() {
            let length = at.shape(at.input(i))[self.axis].clone();
            let cut = SliceAxis { axis: self.axis, start: start.clone(), length: length.clone(), step: 1 };
            let slice = Op::Slice(Slice { axes: vec![cut] });
            gradients.push(if at.wants(i) { Some(at.apply(slice, &[dy])?) } else { None });
            start = start + length;
        }
        Ok(gradients)
    }
}
