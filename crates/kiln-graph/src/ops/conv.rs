//! Convolution.

use super::gradient::{Adjoint, Gradients};
use super::{ConvGradWeight, Op, Slice, SliceAxis, take};
use crate::array::Array;
use crate::dim::Dim;
use crate::error::{GraphError, ShapeError};
use crate::graph::ValueId;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{DType, ShapeDisplay, TensorType};

/// Convolution (cross-correlation, as everywhere in deep learning) in 1 to 3 spatial dimensions.
///
/// Inputs: `x [N, Cin, spatial...]`, `weight [Cout, Cin/groups, kernel...]`. Output `[N, Cout, spatial'...]` with
/// `out = floor((dilated + pad_begin + pad_end - dilation*(kernel-1) - 1) / stride) + 1`, where
/// `dilated = (in - 1)*input_dilation + 1`. There is no bias: it is an addition, and fused like any other.
///
/// Transposed convolution is this operator with `input_dilation` set to its stride, flipped and transposed
/// weights, and padding `dilation*(kernel-1) - pad` (Dumoulin and Visin, "A guide to convolution arithmetic").
/// Padding may be negative, which crops.
///
/// Elements are floats, or i32: the sums of quantized networks, which have to be exact, and wrap around.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Step between windows, per spatial dimension.
    pub strides: Vec<usize>,
    /// Padding before and after, per spatial dimension.
    pub pads: Vec<[i64; 2]>,
    /// Step between kernel taps, per spatial dimension.
    pub dilations: Vec<usize>,
    /// Step between input elements (zeros between), per spatial dimension.
    pub input_dilations: Vec<usize>,
    /// Number of groups that channels fall into.
    pub groups: usize,
}

impl Conv {
    /// Stride 1, no padding, no dilation, one group, in `spatial` dimensions.
    pub fn new(spatial: usize) -> Self {
        Self {
            strides: vec![1; spatial],
            pads: vec![[0, 0]; spatial],
            dilations: vec![1; spatial],
            input_dilations: vec![1; spatial],
            groups: 1,
        }
    }

    /// Number of spatial dimensions.
    pub fn spatial(&self) -> usize {
        self.strides.len()
    }

    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [x, w] = take(inputs)?;
        let spatial = self.spatial();
        let lengths = [self.pads.len(), self.dilations.len(), self.input_dilations.len()];
        if !(1..=3).contains(&spatial) || lengths.iter().any(|n| *n != spatial) {
            return Err(ShapeError::Attribute {
                name: "strides",
                message: "strides, pads and dilations need one entry for each of 1 to 3 spatial dimensions"
                    .into(),
            });
        }
        for (operand, ty) in [("the input", x), ("the weight", w)] {
            if !ty.dtype.is_float() && ty.dtype != DType::I32 {
                return Err(ShapeError::DType {
                    operand,
                    expected: "floating point or i32".into(),
                    found: ty.dtype,
                });
            }
            if ty.rank() != spatial + 2 {
                return Err(ShapeError::Rank {
                    operand,
                    expected: format!("{}", spatial + 2),
                    found: ty.shape.clone(),
                });
            }
        }
        if x.dtype != w.dtype {
            return Err(ShapeError::DType {
                operand: "the weight",
                expected: format!("{} like the input", x.dtype),
                found: w.dtype,
            });
        }
        let groups = self.groups;
        let (Some(cout), Some(per_group)) = (w.shape[0].as_usize(), w.shape[1].as_usize()) else {
            return Err(ShapeError::Mismatch(format!(
                "channel counts of the weight have to be numbers, but its shape is {}",
                ShapeDisplay(&w.shape)
            )));
        };
        let expected = Dim::from(per_group.saturating_mul(self.groups));
        let channels =
            if x.shape[1].as_const().is_some() { None } else { guards.equal(&x.shape[1], &expected) };
        let Some(cin) = channels.as_ref().unwrap_or(&x.shape[1]).as_usize() else {
            return Err(ShapeError::Mismatch(format!(
                "the number of input channels has to be known, but the input's shape is {}",
                ShapeDisplay(&x.shape)
            )));
        };
        if groups == 0 || cout % groups != 0 {
            return Err(ShapeError::Attribute {
                name: "group",
                message: format!("{cout} output channels cannot be split into {groups} groups"),
            });
        }
        if per_group.checked_mul(groups) != Some(cin) {
            return Err(ShapeError::Mismatch(format!(
                "expects {} input channels (weight {}, {groups} group{}), but the input has {cin} (shape {})",
                per_group.saturating_mul(groups),
                ShapeDisplay(&w.shape),
                if groups == 1 { "" } else { "s" },
                ShapeDisplay(&x.shape),
            )));
        }
        let mut shape = vec![x.shape[0].clone(), w.shape[0].clone()];
        for i in 0..spatial {
            let Some(kernel) = w.shape[i + 2].as_usize().filter(|k| *k > 0) else {
                return Err(ShapeError::Mismatch(format!(
                    "kernel sizes have to be positive numbers, but the weight's shape is {}",
                    ShapeDisplay(&w.shape)
                )));
            };
            let input = &x.shape[i + 2];
            let step = self.input_dilations[i];
            let dilated =
                if step == 1 { input.clone() } else { (input.clone() - 1.into()) * step.into() + 1.into() };
            let window = Window {
                kernel,
                stride: self.strides[i],
                dilation: self.dilations[i],
                pads: self.pads[i],
                ceil_mode: false,
            };
            shape.push(window.output(i + 2, &dilated)?);
        }
        Ok(TensorType::new(x.dtype, shape))
    }

    /// Every tap of every kernel is added to all outputs it reaches; rows are contiguous.
    pub(crate) fn eval<T: Number>(&self, x: &Array<T>, weight: &Array<T>, out_shape: &[usize]) -> Vec<T> {
        // One and two dimensions are three with leading dimensions of one.
        let spatial = |shape: &[usize]| {
            let mut sizes = [1; 3];
            sizes[3 - self.spatial()..].copy_from_slice(&shape[2..]);
            sizes
        };
        let (in_size, kernel, out_size) = (spatial(x.shape), spatial(weight.shape), spatial(out_shape));
        let meetings: [Vec<Meeting>; 3] = std::array::from_fn(|axis| {
            let i = axis.checked_sub(3 - self.spatial());
            let (stride, dilation, step, pad) = i.map_or((1, 1, 1, 0), |i| {
                (self.strides[i], self.dilations[i], self.input_dilations[i], self.pads[i][0])
            });
            let meet = |tap| {
                move |position| {
                    let dilated = tap_position(position, stride, tap, dilation, pad)?;
                    (dilated % step == 0).then_some(dilated / step)
                }
            };
            (0..kernel[axis]).map(|tap| Meeting::find(out_size[axis], in_size[axis], meet(tap))).collect()
        });
        let [depth, rows, columns] = &meetings;
        let plane = |size: [usize; 3]| size[0] * size[1] * size[2];
        let (channels_in, channels_out, per_group) = (x.shape[1], weight.shape[0], weight.shape[1]);
        let mut out = vec![T::ZERO; out_shape.iter().product()];
        for (image, out) in out.chunks_mut((channels_out * plane(out_size)).max(1)).enumerate() {
            for (channel, out) in out.chunks_mut(plane(out_size).max(1)).enumerate() {
                let first = channel / (channels_out / self.groups) * per_group;
                for c in 0..per_group {
                    let x = &x.data[(image * channels_in + first + c) * plane(in_size)..][..plane(in_size)];
                    let w = &weight.data[(channel * per_group + c) * plane(kernel)..][..plane(kernel)];
                    let taps = depth.iter().flat_map(|z| rows.iter().map(move |y| (z, y)));
                    for ((z, y), w) in taps.zip(w.chunks(kernel[2])) {
                        for (oz, iz) in z.pairs() {
                            for (oy, iy) in y.pairs() {
                                let out = &mut out[(oz * out_size[1] + oy) * out_size[2]..][..out_size[2]];
                                let x = &x[(iz * in_size[1] + iy) * in_size[2]..][..in_size[2]];
                                for (column, w) in columns.iter().zip(w) {
                                    column.accumulate(out, *w, x);
                                }
                            }
                        }
                    }
                }
            }
        }
        out
    }
}

/// The window positions at which one kernel tap meets an input element: outputs `out, out + out_step, ...` meet
/// inputs `input, input + in_step, ...`.
struct Meeting {
    count: usize,
    out: usize,
    out_step: usize,
    input: usize,
    in_step: usize,
}

impl Meeting {
    fn find(out_size: usize, in_size: usize, meet: impl Fn(usize) -> Option<usize>) -> Self {
        let met: Vec<(usize, usize)> =
            (0..out_size).filter_map(|o| Some((o, meet(o).filter(|i| *i < in_size)?))).collect();
        let (out, input) = met.first().copied().unwrap_or((0, 0));
        // Both grow evenly: the input position is a linear function of the output position.
        let (out_step, in_step) = met.get(1).map_or((1, 1), |(o, i)| (o - out, i - input));
        Self { count: met.len(), out, out_step, input, in_step }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { count, out, out_step, input, in_step } = *self;
        (0..count).map(move |n| (out + n * out_step, input + n * in_step))
    }

    /// `out += weight * x` wherever they meet.
    fn accumulate<T: Number>(&self, out: &mut [T], weight: T, x: &[T]) {
        if self.out_step == 1 && self.in_step == 1 {
            // The same loop without index arithmetic, for speed.
            let (out, x) = (&mut out[self.out..][..self.count], &x[self.input..][..self.count]);
            for (o, i) in out.iter_mut().zip(x) {
                *o = o.add(weight.mul(*i));
            }
        } else {
            for (o, i) in self.pairs() {
                out[o] = out[o].add(weight.mul(x[i]));
            }
        }
    }
}

/// The position of tap number `tap` of a window when the window is at `position`, in elements from the start of the
/// padding taken off; `None` in the padding before.
pub(crate) fn tap_position(
    position: usize,
    stride: usize,
    tap: usize,
    dilation: usize,
    pad: i64,
) -> Option<usize> {
    let padded = i64::try_from(position * stride + tap * dilation).ok()?;
    usize::try_from(padded - pad).ok()
}

/// One spatial dimension of a sliding window.
pub(crate) struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pads: [i64; 2],
    pub ceil_mode: bool,
}

impl Window {
    /// Output size for an input of `input` elements; `axis` is for the message.
    pub(super) fn output(&self, axis: usize, input: &Dim) -> Result<Dim, ShapeError> {
        let Window { kernel, stride, dilation, pads, ceil_mode } = *self;
        for (name, value) in [("strides", stride), ("dilations", dilation), ("kernel_shape", kernel)] {
            if value == 0 || i32::try_from(value).is_err() {
                return Err(ShapeError::Attribute {
                    name,
                    message: format!("{value} is not a positive 32-bit number"),
                });
            }
        }
        if pads.iter().any(|p| i32::try_from(*p).is_err()) {
            return Err(ShapeError::Attribute { name: "pads", message: format!("{pads:?} is out of range") });
        }
        let out = window_output(input, kernel, stride, dilation, pads, ceil_mode);
        if out.as_const().is_some_and(|n| n < 1) {
            return Err(ShapeError::EmptyOutput {
                axis,
                found: out,
                reason: format!(
                    "a window of {} (kernel {kernel}, dilation {dilation}) does not fit into {input} elements padded by {} and {}",
                    dilation * (kernel - 1) + 1,
                    pads[0],
                    pads[1],
                ),
            });
        }
        Ok(out)
    }
}

/// Number of window positions along one dimension: `floor((input + pads - dilation*(kernel-1) - 1) / stride) + 1`.
///
/// With `ceil_mode` the division rounds up, and a last window that would start in the padding at the end is
/// left out, as PyTorch does (and ONNX since opset 22 says).
pub fn window_output(
    input: &Dim,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: [i64; 2],
    ceil_mode: bool,
) -> Dim {
    let stride_i = i64::try_from(stride.max(1)).unwrap_or(i64::MAX);
    let reach = Dim::from(dilation) * Dim::from(kernel.saturating_sub(1)) + 1.into();
    let room = input.clone() + Dim::from(pads[0]) + Dim::from(pads[1]) - reach;
    if !ceil_mode {
        return room.floor_div(stride_i) + 1.into();
    }
    // Rounding up gives `ceil((input + pad_begin + excess) / stride)`, of which those windows count that start
    // before the end of the input, `ceil((input + pad_begin) / stride)`: the smaller one, for every input.
    let excess = room.clone() + Dim::from(stride_i) - input.clone() - Dim::from(pads[0]);
    let excess = excess.as_const().map_or(0, |n| n.min(0));
    (input.clone() + Dim::from(pads[0]) + Dim::from(excess)).ceil_div(stride_i)
}

impl Conv {
    /// With respect to the input: a convolution with the weight flipped, input and output channels swapped, stride and
    /// input dilation swapped. With respect to the weight: [`ConvGradWeight`].
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, w, dy) = (at.input(0), at.input(1), at.dy()?);
        let kernel: Vec<usize> = at.shape(w)[2..].iter().filter_map(Dim::as_usize).collect();
        let dx = if at.wants(0) { Some(self.gradient_of_input(at, dy, &kernel)?) } else { None };
        let dw = if at.wants(1) {
            Some(at.apply(Op::ConvGradWeight(ConvGradWeight { conv: self.clone(), kernel }), &[x, dy])?)
        } else {
            None
        };
        Ok(vec![dx, dw])
    }

    fn gradient_of_input(
        &self,
        at: &mut Adjoint<'_>,
        dy: ValueId,
        kernel: &[usize],
    ) -> Result<ValueId, GraphError> {
        let (x, w) = (at.input(0), at.input(1));
        let (x_shape, w_shape, y_shape) = (at.shape(x), at.shape(w), at.shape(dy));
        let spatial = self.spatial();
        let size = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut pads = Vec::new();
        for i in 0..spatial {
            let reach = size(self.dilations[i]) * (size(kernel[i]) - 1);
            let before = reach - self.pads[i][0];
            // As many zeros behind as it takes to get the size of the input.
            let dilated = (y_shape[i + 2].clone() - 1.into()) * self.strides[i].into() + 1.into();
            let needed = (x_shape[i + 2].clone() - 1.into()) * self.input_dilations[i].into();
            let after = needed + Dim::from(reach + 1 - before) - dilated;
            let after = after.as_const().ok_or_else(|| {
                at.none(format!(
                    "the size of its input in dimension {} ({}) has to be a number where the stride is not 1",
                    i + 2,
                    x_shape[i + 2]
                ))
            })?;
            pads.push([before, after]);
        }
        let mut perm: Vec<usize> = (0..w_shape.len()).collect();
        let mut swapped = if self.groups == 1 {
            perm.swap(0, 1);
            at.transpose(w, perm)?
        } else {
            // [groups * out, in, ..] to [groups * in, out, ..]
            let groups = Dim::from(self.groups);
            let out = w_shape[0].exact_div(&groups).unwrap_or_default();
            let split = [&[groups.clone(), out.clone()], &w_shape[1..]].concat();
            perm.insert(0, 0);
            perm.iter_mut().skip(1).for_each(|axis| *axis += 1);
            perm.swap(1, 2);
            let split = at.reshape(w, split)?;
            let swapped = at.transpose(split, perm)?;
            at.reshape(swapped, [&[&groups * &w_shape[1], out], &w_shape[2..]].concat())?
        };
        let flipped = kernel.iter().enumerate().filter(|(_, k)| **k > 1);
        let axes: Vec<SliceAxis> = flipped
            .map(|(i, k)| SliceAxis { axis: i + 2, start: (*k - 1).into(), length: (*k).into(), step: -1 })
            .collect();
        if !axes.is_empty() {
            swapped = at.apply(Op::Slice(Slice { axes }), &[swapped])?;
        }
        let back = Conv {
            strides: self.input_dilations.clone(),
            pads,
            dilations: self.dilations.clone(),
            input_dilations: self.strides.clone(),
            groups: self.groups,
        };
        at.apply(Op::Conv(back), &[dy, swapped])
    }
}
