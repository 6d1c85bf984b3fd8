//! The gradient of a convolution with respect to its weight.

use super::conv::{Conv, tap_position};
use super::take;
use crate::array::{Array, strides};
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{ShapeDisplay, TensorType};

/// The gradient of a convolution with respect to its weight: `dw[co, ci, k] = sum over n, o of dy[n, co, o] * x[n, ci,
/// o*stride + k*dilation - pad]`.
///
/// Inputs: `x [N, Cin, spatial...]`, `dy [N, Cout, spatial'...]`; output `[Cout, Cin/groups, kernel...]`.
/// (The gradient with respect to `x` needs no operator of its own: it is a convolution, see [`Conv`].)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvGradWeight {
    /// The convolution.
    pub conv: Conv,
    /// Kernel size, per spatial dimension.
    pub kernel: Vec<usize>,
}

impl ConvGradWeight {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [x, dy] = take(inputs)?;
        let channels = |ty: &TensorType| ty.shape.get(1).and_then(crate::dim::Dim::as_usize);
        let (Some(cin), Some(cout)) = (channels(x), channels(dy)) else {
            return Err(ShapeError::Mismatch(format!(
                "channel counts have to be numbers, but the shapes are {} and {}",
                ShapeDisplay(&x.shape),
                ShapeDisplay(&dy.shape)
            )));
        };
        if self.conv.groups == 0 || cin % self.conv.groups != 0 {
            return Err(ShapeError::Attribute {
                name: "groups",
                message: format!("{cin} input channels cannot be split into {} groups", self.conv.groups),
            });
        }
        let shape = [cout, cin / self.conv.groups].into_iter().chain(self.kernel.iter().copied());
        let weight = TensorType::new(x.dtype, shape.map(Into::into));
        let forward = self.conv.infer(&[x, &weight], guards)?;
        if !guards.same_type(&forward, dy) {
            return Err(ShapeError::Mismatch(format!("the convolution makes {forward}, not {dy}")));
        }
        Ok(weight)
    }

    /// For each tap, the sum over all places at which it meets an input element.
    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, dy: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        let conv = &self.conv;
        let (in_steps, out_steps) = (strides(&x.shape[2..]), strides(&dy.shape[2..]));
        let plane = |shape: &[usize]| shape[2..].iter().product::<usize>();
        let (in_plane, out_plane) = (plane(x.shape), plane(dy.shape));
        let (cin, cout, per_group) = (x.shape[1], dy.shape[1], out_shape[1]);
        let mut taps = vec![vec![]; self.kernel.iter().product()];
        for (tap, pairs) in taps.iter_mut().enumerate() {
            // Pairs (output place, input place) within a plane.
            *pairs = vec![(0, 0)];
            let mut rest = tap;
            for axis in (0..self.kernel.len()).rev() {
                let k = rest % self.kernel[axis];
                rest /= self.kernel[axis];
                let meets = |o: usize| {
                    let at =
                        tap_position(o, conv.strides[axis], k, conv.dilations[axis], conv.pads[axis][0])?;
                    let step = conv.input_dilations[axis];
                    (at % step == 0 && at / step < x.shape[axis + 2]).then_some((o, at / step))
                };
                let line: Vec<(usize, usize)> = (0..dy.shape[axis + 2]).filter_map(meets).collect();
                let (out_step, in_step) = (out_steps[axis], in_steps[axis]);
                *pairs = pairs
                    .iter()
                    .flat_map(|(o, i)| line.iter().map(move |(p, q)| (o + p * out_step, i + q * in_step)))
                    .collect();
            }
        }
        let mut out = vec![T::ZERO; out_shape.iter().product()];
        for (n, out) in out.iter_mut().enumerate() {
            let (tap, channels) = (n % taps.len(), n / taps.len());
            let (co, ci) = (channels / per_group, channels % per_group);
            let ci = co / (cout / conv.groups) * per_group + ci;
            for image in 0..x.shape[0] {
                let x = &x.data[(image * cin + ci) * in_plane..][..in_plane];
                let dy = &dy.data[(image * cout + co) * out_plane..][..out_plane];
                *out = taps[tap].iter().fold(*out, |sum, (o, i)| sum.add(dy[*o].mul(x[*i])));
            }
        }
        out
    }
}
