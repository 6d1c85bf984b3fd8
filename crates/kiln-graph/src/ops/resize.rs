//! Interpolation to another size.

use super::take;
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::tensor::TensorType;

/// How an output coordinate becomes an input coordinate (ONNX `coordinate_transformation_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinateMode {
    /// `(x + 1/2) / scale - 1/2`.
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one element.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
}

/// Which neighbour the nearest one is (ONNX `nearest_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NearestMode {
    /// Halves down.
    RoundPreferFloor,
    /// Halves up.
    RoundPreferCeil,
    /// Always down.
    Floor,
    /// Always up.
    Ceil,
}

/// How values between input elements are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest(NearestMode),
    /// Linear in each dimension (bilinear, trilinear).
    Linear,
}

/// Interpolation of all dimensions to `shape`. Input coordinates are clamped to the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// The shape of the output, of the input's rank.
    pub shape: Vec<Dim>,
    /// Scale per dimension as given by the model; where it is not, `out / in`.
    pub scales: Option<Vec<f32>>,
    /// Nearest or linear.
    pub mode: ResizeMode,
    /// Coordinates.
    pub coordinates: CoordinateMode,
}

impl Resize {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let scales = self.scales.as_ref().map_or(x.rank(), Vec::len);
        if self.shape.len() != x.rank() || scales != x.rank() {
            return Err(ShapeError::Rank {
                operand: "the input",
                expected: format!("{}", self.shape.len()),
                found: x.shape.clone(),
            });
        }
        Ok(TensorType::new(x.dtype, self.shape.iter().cloned()))
    }
}
