//! Dropout.

use super::{check_axis, take};
use crate::error::ShapeError;
use crate::tensor::TensorType;

/// Dropout (Srivastava et al. 2014) as a model says it: in inference the identity. A training step has
/// [`Random`](super::Random) numbers and arithmetic in its place: `x / (1 - ratio)` where a number is not below
/// `ratio`, else 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share of elements that become zero, in `[0, 1]`.
    pub ratio: f32,
    /// Leading dimensions whose elements are dropped independently, the others are dropped together: `None` for
    /// every element by itself, 2 for whole channels (`nn.Dropout2d`).
    pub leading: Option<usize>,
}

impl Dropout {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if let Some(leading) = self.leading {
            check_axis("leading", leading.saturating_sub(1), x.rank())?;
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(ShapeError::Attribute {
                name: "ratio",
                message: format!("{} should be between 0 and 1", self.ratio),
            });
        }
        Ok(x.clone())
    }
}
