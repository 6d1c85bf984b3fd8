//! Pooling.

use super::conv::{Window, tap_position};
use super::gradient::{Adjoint, Gradients};
use super::{Op, PoolGrad, take};
use crate::array::{Array, offsets, strides};
use crate::error::ShapeError;
use crate::number::Real;
use crate::tensor::TensorType;

/// The function of a pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest element, NaN if there is one, as in PyTorch (ONNX's engines disagree); padding does not count.
    Max,
    /// The mean.
    Average {
        /// Whether padding counts as zeros in the divisor.
        count_include_pad: bool,
    },
}

impl PoolKind {
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            PoolKind::Max => "max_pool",
            PoolKind::Average { .. } => "avg_pool",
        }
    }
}

/// Pooling in 1 to 3 spatial dimensions.
///
/// Input `x [N, C, spatial...]`, output `[N, C, spatial'...]`, sizes as for a convolution, rounded up with
/// `ceil_mode`. With `count_include_pad`, padding counts, but elements beyond it (possible with `ceil_mode`) do not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Max or average.
    pub kind: PoolKind,
    /// Window size, per spatial dimension.
    pub kernel: Vec<usize>,
    /// Step between windows, per spatial dimension.
    pub strides: Vec<usize>,
    /// Step between elements of a window, per spatial dimension.
    pub dilations: Vec<usize>,
    /// Padding before and after, per spatial dimension.
    pub pads: Vec<[i64; 2]>,
    /// Whether the number of windows is rounded up.
    pub ceil_mode: bool,
}

impl Pool {
    /// A window of `kernel`, moved by its own size, without padding (PyTorch's default).
    pub fn new(kind: PoolKind, kernel: impl Into<Vec<usize>>) -> Self {
        let kernel = kernel.into();
        let spatial = kernel.len();
        Self {
            kind,
            strides: kernel.clone(),
            dilations: vec![1; spatial],
            pads: vec![[0, 0]; spatial],
            ceil_mode: false,
            kernel,
        }
    }

    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        let spatial = self.kernel.len();
        let lengths = [self.strides.len(), self.dilations.len(), self.pads.len()];
        if !(1..=3).contains(&spatial) || lengths.iter().any(|n| *n != spatial) {
            return Err(ShapeError::Attribute {
                name: "kernel_shape",
                message:
                    "kernel, strides, pads and dilations need one entry for each of 1 to 3 spatial dimensions"
                        .into(),
            });
        }
        if x.rank() != spatial + 2 {
            return Err(ShapeError::Rank {
                operand: "the input",
                expected: format!("{}", spatial + 2),
                found: x.shape.clone(),
            });
        }
        if !x.dtype.is_float() {
            return Err(ShapeError::DType {
                operand: "the input",
                expected: "floating point".into(),
                found: x.dtype,
            });
        }
        let mut shape = x.shape[..2].to_vec();
        for i in 0..spatial {
            let window = Window {
                kernel: self.kernel[i],
                stride: self.strides[i],
                dilation: self.dilations[i],
                pads: self.pads[i],
                ceil_mode: self.ceil_mode,
            };
            shape.push(window.output(i + 2, &x.shape[i + 2])?);
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    /// For every window: where its elements are in a plane, and how many of its taps are in input or padding.
    pub(crate) fn windows(&self, in_shape: &[usize], out_shape: &[usize]) -> Vec<(Vec<usize>, usize)> {
        let steps = strides(in_shape);
        let (in_size, out_size) = (&in_shape[2..], &out_shape[2..]);
        let mut windows = vec![(vec![0], 1)];
        for (i, [before, after]) in self.pads.iter().copied().enumerate() {
            let (stride, dilation, size) = (self.strides[i], self.dilations[i], in_size[i]);
            let lines: Vec<(Vec<usize>, usize)> = (0..out_size[i])
                .map(|position| {
                    let at = |tap, pad| tap_position(position, stride, tap, dilation, pad);
                    let taps = 0..self.kernel[i];
                    let inside = taps.clone().filter_map(|tap| at(tap, before).filter(|at| *at < size));
                    // Relative to the end of the padding, elements before the end have no position.
                    let end = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(before + after);
                    let padded = taps.filter(|tap| at(*tap, end).is_none()).count();
                    (inside.map(|at| at * steps[i + 2]).collect(), padded)
                })
                .collect();
            let product = |(base, count): &(Vec<usize>, usize)| {
                let both =
                    |(line, n): &(Vec<usize>, usize)| (offsets(&[base.clone(), line.clone()]), count * n);
                lines.iter().map(both).collect::<Vec<_>>()
            };
            windows = windows.iter().flat_map(product).collect();
        }
        windows
    }

    pub(crate) fn eval<T: Real>(&self, x: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        let windows = self.windows(x.shape, out_shape);
        let mut out = Vec::with_capacity(out_shape.iter().product());
        // By number: planes of nothing but padding have results, too.
        let (planes, size): (usize, usize) = (x.shape[..2].iter().product(), x.shape[2..].iter().product());
        for plane in (0..planes).map(|n| &x.data[n * size..(n + 1) * size]) {
            out.extend(windows.iter().map(|(window, padded)| {
                let elements = window.iter().map(|at| plane[*at]);
                match self.kind {
                    PoolKind::Max => elements.fold(T::lowest(x.dtype), T::larger),
                    PoolKind::Average { count_include_pad } => {
                        let count = if count_include_pad { *padded } else { window.len() };
                        elements.fold(T::ZERO, T::add).over(T::from_size(count))
                    }
                }
            }));
        }
        out
    }
}

impl Pool {
    /// An operator of its own, [`PoolGrad`].
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (dy, x) = (at.dy()?, at.input(0));
        let grad = Op::PoolGrad(PoolGrad { pool: self.clone(), shape: at.shape(x) });
        let inputs = match self.kind {
            PoolKind::Max => vec![dy, x],
            PoolKind::Average { .. } => vec![dy],
        };
        Ok(vec![Some(at.apply(grad, &inputs)?)])
    }
}
