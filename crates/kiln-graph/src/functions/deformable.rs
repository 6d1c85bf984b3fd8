//! Deformable convolution: the positions of the taps are an input.

use super::convolution::conv_bias;
use super::sampling::{Between, Outside, Sampling, sample};
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, MatMul, SliceAxis};
use crate::tensor::{DType, ShapeDisplay, Tensor};

const NAME: &str = "deform_conv";

/// Attributes of a deformable convolution: two entries each, for height and width.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeformConv {
    /// Step between windows.
    pub strides: [usize; 2],
    /// Padding before.
    pub pads: [i64; 2],
    /// Step between taps.
    pub dilations: [usize; 2],
    /// Number of groups that channels fall into.
    pub groups: usize,
    /// Number of groups of channels that have offsets of their own.
    pub offset_groups: usize,
}

/// The inputs of a deformable convolution.
#[derive(Clone, Copy, Debug)]
pub struct Deformed {
    /// `[N, C, H, W]`
    pub x: ValueId,
    /// `[Cout, C / groups, kh, kw]`
    pub weight: ValueId,
    /// `[N, offset_groups * kh * kw * 2, H', W']`, vertical before horizontal.
    pub offset: ValueId,
    /// `[Cout]`
    pub bias: Option<ValueId>,
    /// `[N, offset_groups * kh * kw, H', W']`
    pub mask: Option<ValueId>,
}

/// `y [N, Cout, H', W']`: a convolution whose taps are moved by the offsets and multiplied by the mask (Dai et al. 2017;
/// with a mask, Zhu et al. 2019). Between elements the input is interpolated linearly, outside it is zero.
pub fn deform_conv(f: &mut Formula<'_>, inputs: Deformed, how: &DeformConv) -> Made {
    let Deformed { x, weight, offset, bias, mask } = inputs;
    let (shape, moves) = (f.shape(x), f.shape(offset));
    let kernel = f.ty(weight).static_shape();
    let (Some(&[c_out, _, kh, kw]), [n, c, h, w], [_, _, oh, ow]) =
        (kernel.as_deref(), &shape[..], &moves[..])
    else {
        let message = format!("an input {}, a weight {} and offsets {}", f.ty(x), f.ty(weight), f.ty(offset));
        return f.mismatch(NAME, format!("{message} do not form a deformable convolution of images"));
    };
    let taps = kh.saturating_mul(kw);
    let DeformConv { groups, offset_groups, .. } = *how;
    let split = |groups: usize| if groups == 0 { None } else { c.exact_div(&groups.into()) };
    let (Some(of_group), Some(of_offset)) = (split(groups), split(offset_groups)) else {
        let message = format!("{c} channels cannot be split into {groups} and {offset_groups} groups");
        return f.mismatch(NAME, message);
    };
    if c_out % groups != 0 {
        return f.mismatch(NAME, format!("{c_out} channels cannot be split into {groups} groups"));
    }
    let images = n * &offset_groups.into();
    let places = &Dim::from(taps) * &(oh * ow);
    // [N * offset_groups, taps, 2, H', W']
    let offset = f.reshape(offset, vec![images.clone(), taps.into(), 2.into(), oh.clone(), ow.clone()])?;
    let offset = if f.ty(offset).dtype == DType::F16 { f.cast(offset, DType::F32)? } else { offset };
    let mut at = Vec::with_capacity(2);
    for axis in 0..2 {
        let cut = SliceAxis { axis: 2, start: axis.into(), length: 1.into(), step: 1 };
        let moved = f.slice(offset, vec![cut])?;
        let moved = f.reshape(moved, vec![images.clone(), taps.into(), oh.clone(), ow.clone()])?;
        let tap = |tap: usize| if axis == 0 { tap / kw } else { tap % kw };
        let steps = numbers((0..taps).map(|t| tap(t).saturating_mul(how.dilations[axis])), -how.pads[axis]);
        let steps = f.constant(Tensor::f32([1, taps, 1, 1], steps)?);
        let steps = f.cast(steps, f.ty(moved).dtype)?;
        let out = [oh, ow][axis];
        let Some(out) = out.as_usize().filter(|n| *n <= 1 << 24) else {
            let message =
                format!("offsets {} have sizes that are symbols or too large", ShapeDisplay(&moves));
            return Err(GraphError::Unsuitable(message));
        };
        let starts = numbers((0..out).map(|o| o.saturating_mul(how.strides[axis])), 0);
        let mut line = vec![1; 4];
        line[axis + 2] = out;
        let starts = f.constant(Tensor::f32(line, starts)?);
        let starts = f.cast(starts, f.ty(moved).dtype)?;
        let regular = f.add(steps, starts)?;
        let place = f.add(moved, regular)?;
        at.push(f.reshape(place, vec![images.clone(), places.clone()])?);
    }
    let parts = f.reshape(x, vec![images.clone(), of_offset.clone(), h.clone(), w.clone()])?;
    let sampling = Sampling { between: Between::Linear, outside: Outside::Zeros };
    let mut samples = sample(f, parts, None, &at, sampling)?;
    if let Some(mask) = mask {
        let mask = f.reshape(mask, vec![images, 1.into(), places])?;
        samples = f.binary(BinaryOp::Mul, samples, mask)?;
    }
    // A product for each image and group: [Cout / groups, C / groups * taps] with [C / groups * taps, H' * W'].
    let rows = &of_group * &taps.into();
    let columns = oh * ow;
    let samples = f.reshape(samples, vec![n.clone(), groups.into(), rows.clone(), columns])?;
    let matrix = f.reshape(weight, vec![1.into(), groups.into(), (c_out / groups).into(), rows])?;
    let y = f.matmul(MatMul::default(), matrix, samples)?;
    debug_assert_eq!(product(&f.shape(y)), product([n, &c_out.into(), oh, ow]));
    let y = f.reshape(y, vec![n.clone(), c_out.into(), oh.clone(), ow.clone()])?;
    match bias {
        Some(bias) => conv_bias(f, y, bias, 2),
        None => Ok(y),
    }
}

#[allow(clippy::as_conversions, reason = "places beyond 2^24 are in no image")]
fn numbers(steps: impl Iterator<Item = usize>, first: i64) -> Vec<f32> {
    steps.map(|step| step as f32 + first as f32).collect()
}
