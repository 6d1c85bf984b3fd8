//! Padding.

use super::take;
use crate::error::ShapeError;
use crate::tensor::{ShapeDisplay, TensorType};

/// What stands in the padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A value (converted to the element type).
    Constant(f32),
    /// The input mirrored at its first and last element, without repeating them.
    Reflect,
    /// The first and last element.
    Edge,
    /// The input repeated.
    Wrap,
}

/// Padding before and after each dimension; negative amounts crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Padding before and after, per dimension.
    pub pads: Vec<[i64; 2]>,
    /// What stands in the padding.
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
                PadMode::Constant(_) | PadMode::Edge => None,
                PadMode::Reflect => dim.as_const().map(|n| n - 1),
                PadMode::Wrap => dim.as_const(),
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
}
