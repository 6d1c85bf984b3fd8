//! Padding.

use super::gradient::{Adjoint, Gradients};
use super::{Op, take};
use crate::array::{Array, identity, offsets, strides};
use crate::error::ShapeError;
use crate::number::Number;
use crate::tensor::{DType, ShapeDisplay, TensorType};

/// The padding mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A value (converted to the element type).
    Constant(f32),
    /// The input mirrored at its first and last element, without repeating them.
    Reflect,
    /// The first and last element.
    Edge,
    /// The input repeated, as often as it takes; of an end that is cropped, only what is left.
    Wrap,
}

impl PadMode {
    /// Which of `size` input elements is at position `at`, counted from the first, where `pads` are added in front
    /// and behind; `None` for the constant.
    fn source(self, at: i64, size: i64, pads: [i64; 2]) -> Option<usize> {
        let index = match self {
            PadMode::Constant(_) => (0..size).contains(&at).then_some(at)?,
            // Mirrored at -0 and at size - 1; amounts of padding are less than the size.
            PadMode::Reflect if at < 0 => -at,
            PadMode::Reflect => at.min(2 * (size - 1) - at),
            PadMode::Edge => at.clamp(0, (size - 1).max(0)),
            PadMode::Wrap => {
                let [first, last] = pads.map(cropped);
                first + (at - first).checked_rem_euclid(size - first - last)?
            }
        };
        usize::try_from(index).ok()
    }
}

/// How many elements padding by a negative amount takes away.
fn cropped(amount: i64) -> i64 {
    amount.min(0).saturating_neg()
}

/// Padding before and after each dimension; negative amounts crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Padding before and after, per dimension.
    pub pads: Vec<[i64; 2]>,
    /// The padding mode.
    pub mode: PadMode,
}

impl Pad {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if self.pads.len() != x.rank() {
            return Err(ShapeError::Attribute {
                name: "pads",
                message: format!(
                    "{} pairs for an input of {} dimensions ({})",
                    self.pads.len(),
                    x.rank(),
                    ShapeDisplay(&x.shape)
                ),
            });
        }
        let mut shape = Vec::with_capacity(x.rank());
        for (axis, (dim, [before, after])) in x.shape.iter().zip(&self.pads).enumerate() {
            let out = dim.clone() + (*before).into() + (*after).into();
            if out.as_const().is_some_and(|n| n < 0) {
                return Err(ShapeError::EmptyOutput {
                    axis,
                    found: out,
                    reason: format!("{dim} elements padded by {before} and {after}"),
                });
            }
            let limit = match self.mode {
                PadMode::Constant(_) => None,
                // Where there are no elements, there is no edge.
                PadMode::Edge => dim.as_const().filter(|n| *n == 0),
                PadMode::Reflect => dim.as_const().map(|n| n - 1),
                // Nor is there anything to repeat where nothing is left.
                PadMode::Wrap => {
                    let left = dim.as_const().map(|n| n - cropped(*before) - cropped(*after));
                    left.filter(|left| *left <= 0).map(|_| 0)
                }
            };
            if limit.is_some_and(|limit| *before > limit || *after > limit) {
                return Err(ShapeError::Attribute {
                    name: "pads",
                    message: format!(
                        "padding by {before} and {after} needs more than the {dim} elements of axis {axis}"
                    ),
                });
            }
            shape.push(out);
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        // Per dimension the pairs (output, input) of offsets; what no pair reaches keeps the constant.
        let (mut to, mut from) = (Vec::new(), Vec::new());
        for (i, (out_step, in_step)) in strides(out_shape).into_iter().zip(strides(x.shape)).enumerate() {
            let pads = self.pads[i];
            let source =
                |o: &usize| self.mode.source(i64::from_size(*o) - pads[0], i64::from_size(x.shape[i]), pads);
            let pairs = (0..out_shape[i]).filter_map(|o| Some((o * out_step, source(&o)? * in_step)));
            let (outs, ins): (Vec<usize>, Vec<usize>) = pairs.unzip();
            to.push(outs);
            from.push(ins);
        }
        let fill = match self.mode {
            PadMode::Constant(value) => T::from_f64(value.into()),
            PadMode::Reflect | PadMode::Edge | PadMode::Wrap => T::ZERO,
        };
        let mut out = vec![fill; out_shape.iter().product()];
        for (to, value) in offsets(&to).into_iter().zip(x.pick(&offsets(&from))) {
            out[to] = value;
        }
        out
    }
}

impl Pad {
    /// The gradient of constant padding is cropped. The other modes are linear maps along each axis, and their
    /// gradient is the transposed map: rows of it are what the mode makes of the unit vectors.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let mut dx = at.dy()?;
        if let PadMode::Constant(_) = self.mode {
            let pads = self.pads.iter().map(|[before, after]| [-before, -after]).collect();
            return Ok(vec![Some(at.apply(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[dx])?)]);
        }
        let shape = at.shape(at.input(0));
        for (axis, pads) in self.pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
            let (Some(size), Some(padded)) = (shape[axis].as_usize(), at.shape(dx)[axis].as_usize()) else {
                return Err(at.none(format!("the size of axis {axis} ({}) is a symbol", shape[axis])));
            };
            let line = Pad { pads: vec![[0, 0], *pads], mode: self.mode };
            let unit = Array { shape: &[size, size], data: identity(size).into(), dtype: DType::F64 };
            let matrix = at.constant(vec![size, padded], line.eval(&unit, &[size, padded]), dx)?;
            dx = at.along_axis(dx, axis, size, matrix)?;
        }
        Ok(vec![Some(dx)])
    }
}
