//! Interpolation to another size.

use super::gradient::{Adjoint, Gradients};
use super::{ResizedAxis, take};
use crate::array::{Array, around, identity, offsets, strides};
use crate::dim::Dim;
use crate::error::ShapeError;
use crate::number::{Number, Real};
use crate::tensor::{DType, TensorType};

/// How an output coordinate becomes an input coordinate: ONNX's `coordinate_transformation_mode`, and what PyTorch does
/// for `mode='nearest'` and `'nearest-exact'`, where the arithmetic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinateMode {
    /// `(x + 1/2) / scale - 1/2`.
    HalfPixel,
    /// As `HalfPixel`, but 0 where the output has one element.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`, whatever the scale.
    AlignCorners,
    /// `x / scale`.
    Asymmetric,
    /// `x * step`, where the step is `in / out` or the reciprocal of the scale: PyTorch's `nearest`, rounded down.
    PytorchNearest,
    /// `(x + 1/2) * step`: PyTorch's `nearest-exact`, rounded down.
    PytorchNearestExact,
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
    pub scales: Option<Vec<f64>>,
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
        if self.mode == ResizeMode::Linear && !x.dtype.is_float() {
            return Err(ShapeError::DType {
                operand: "the input",
                expected: "floating point".into(),
                found: x.dtype,
            });
        }
        let is_pytorch = match self.coordinates {
            CoordinateMode::PytorchNearest | CoordinateMode::PytorchNearestExact => true,
            CoordinateMode::HalfPixel
            | CoordinateMode::PytorchHalfPixel
            | CoordinateMode::AlignCorners
            | CoordinateMode::Asymmetric => false,
        };
        if is_pytorch && self.mode != ResizeMode::Nearest(NearestMode::Floor) {
            return Err(ShapeError::Attribute {
                name: "coordinates",
                message: "PyTorch's coordinates of nearest elements come with the mode `floor` only".into(),
            });
        }
        if self.scales.iter().flatten().any(|scale| !(*scale > 0.0 && scale.is_finite())) {
            return Err(ShapeError::Attribute {
                name: "scales",
                message: format!("{:?} should be positive", self.scales.as_deref().unwrap_or_default()),
            });
        }
        for (axis, (from, to)) in x.shape.iter().zip(&self.shape).enumerate() {
            if from.is(0) && !to.is(0) {
                return Err(ShapeError::Mismatch(format!("axis {axis} has no elements to make {to} from")));
            }
        }
        Ok(TensorType::new(x.dtype, self.shape.iter().cloned()))
    }

    /// An axis that is resized from `from` to `to` elements.
    pub fn axis(&self, axis: usize, from: usize, to: usize) -> ResizedAxis {
        ResizedAxis { from, to, scale: self.scales.as_ref().and_then(|scales| scales.get(axis).copied()) }
    }

    pub(crate) fn eval_nearest<T: Number>(
        &self,
        x: &Array<T>,
        mode: NearestMode,
        out_shape: &[usize],
    ) -> Vec<T> {
        let axis = |(i, stride): (usize, usize)| {
            let axis = self.axis(i, x.shape[i], out_shape[i]);
            axis.nearest(self.coordinates, mode).into_iter().map(|at| at * stride).collect()
        };
        x.pick(&offsets(&strides(x.shape).into_iter().enumerate().map(axis).collect::<Vec<_>>()))
    }

    /// Linear interpolation along each dimension in turn.
    pub(crate) fn eval_linear<T: Real>(&self, x: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        let mut shape = x.shape.to_vec();
        let mut data = x.data.to_vec();
        for (axis, out_size) in out_shape.iter().copied().enumerate() {
            let (before, in_size, after) = around(&shape, axis);
            let resized = self.axis(axis, in_size, out_size);
            if resized.is_same() {
                continue;
            }
            let between = resized.between(self.coordinates);
            let mut out = Vec::with_capacity(before * out_size * after);
            for outer in 0..before {
                for (low, share) in between.iter().copied() {
                    let share = T::from_f64(share);
                    let line = |i: usize| &data[(outer * in_size + i.min(in_size - 1)) * after..][..after];
                    let mix = |(a, b): (&T, &T)| a.mul(T::ONE.sub(share)).add(b.mul(share));
                    out.extend(line(low).iter().zip(line(low + 1)).map(mix));
                }
            }
            shape[axis] = out_size;
            data = out;
        }
        data
    }
}

impl Resize {
    /// Interpolation is a linear map along each axis, and its gradient the transposed map: rows of it are what
    /// interpolation makes of the unit vectors.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let mut dx = at.dy()?;
        let shape = at.shape(at.input(0));
        for (axis, from) in shape.iter().enumerate() {
            let scale = self.scales.as_ref().map(|scales| scales[axis]);
            if *from == self.shape[axis] && scale.is_none_or(|scale| scale == 1.0) {
                continue;
            }
            let (Some(size), Some(resized)) = (from.as_usize(), self.shape[axis].as_usize()) else {
                return Err(at.none(format!("the size of axis {axis} ({from}) is a symbol")));
            };
            let line = Resize { scales: scale.map(|scale| vec![1.0, scale]), ..self.clone() };
            let unit = Array { shape: &[size, size], data: identity(size).into(), dtype: DType::F64 };
            let rows = match self.mode {
                ResizeMode::Nearest(mode) => line.eval_nearest(&unit, mode, &[size, resized]),
                ResizeMode::Linear => line.eval_linear(&unit, &[size, resized]),
            };
            let matrix = at.constant(vec![size, resized], rows, dx)?;
            dx = at.along_axis(dx, axis, size, matrix)?;
        }
        Ok(vec![Some(dx)])
    }
}
