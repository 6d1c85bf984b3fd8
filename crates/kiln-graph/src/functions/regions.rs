//! Regions of interest: parts of images, each brought to one size.

use super::sampling::{Between, Outside, Sampling, channels_second, taps};
use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, ReduceKind, SliceAxis};
use crate::tensor::{DType, Tensor};

const NAME: &str = "roi_align";

/// The most samples along an axis of the output.
const MAX_SAMPLES: usize = 1 << 12;

/// The reduction over the samples of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooled {
    /// Their mean.
    Mean,
    /// The largest of all elements that they are made of, each times its weight (as ONNX has it).
    LargestTap,
}

/// Attributes of [`roi_align`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlign {
    /// Height and width of the output.
    pub size: [usize; 2],
    /// Samples along each side of a bin.
    pub samples: usize,
    /// Elements of the image for one unit of the regions' coordinates.
    pub scale: f64,
    /// Whether coordinates are those of elements' edges; else of their middles, and a region is at least one element
    /// large (as it was in the first implementations).
    pub half_pixel: bool,
    /// How samples are combined.
    pub pooled: Pooled,
}

/// Of `x [N, C, H, W]` the regions `regions [R, 4]` (left, top, right, bottom) of the images `images [R]`, each as
/// `[C, height, width]` bins, which have samples at regular places (He et al. 2017, Mask R-CNN). Gives `[R, C, height,
/// width]`.
pub fn roi_align(f: &mut Formula<'_>, x: ValueId, regions: ValueId, images: ValueId, how: &RoiAlign) -> Made {
    let (shape, of) = (f.shape(x), f.shape(regions));
    let ([_, _, h, w], [r, four]) = (&shape[..], &of[..]) else {
        let message = format!("an image {} and regions {} do not belong together", f.ty(x), f.ty(regions));
        return f.mismatch(NAME, message);
    };
    if !four.is(4) || f.shape(images) != [r.clone()] {
        let message =
            format!("regions {} and images {} should be [R, 4] and [R]", f.ty(regions), f.ty(images));
        return f.mismatch(NAME, message);
    }
    let corner = |f: &mut Formula<'_>, i: usize| {
        let cut = SliceAxis { axis: 1, start: i.into(), length: 1.into(), step: 1 };
        let corner = f.slice(regions, vec![cut])?;
        let corner = if f.ty(corner).dtype == DType::F16 { f.cast(corner, DType::F32)? } else { corner };
        let scaled = f.with(BinaryOp::Mul, corner, how.scale)?;
        if how.half_pixel { f.with(BinaryOp::Sub, scaled, 0.5) } else { Ok(scaled) }
    };
    let mut places = Vec::with_capacity(2);
    let mut seen = None;
    for (axis, (size, bins)) in [h, w].into_iter().zip(how.size).enumerate() {
        let Some(known) = size.as_usize() else {
            let message = format!("the image {} has sizes that are symbols; bind them", f.ty(x));
            return Err(GraphError::Unsuitable(message));
        };
        let count = bins.checked_mul(how.samples).filter(|n| (1..=MAX_SAMPLES).contains(n));
        let Some(count) = count else {
            return f.mismatch(NAME, format!("{bins} bins of {} samples are too many or none", how.samples));
        };
        let (start, end) = (corner(f, 1 - axis)?, corner(f, 3 - axis)?);
        let extent = f.sub(end, start)?;
        let extent = if how.half_pixel { extent } else { f.with(BinaryOp::ClampMin, extent, 1.0)? };
        // Samples are in the centers of equal parts.
        #[allow(clippy::as_conversions, reason = "some thousand at most; rounding is what is meant")]
        let parts = (0..count).map(|i| ((i as f64 + 0.5) / count as f64) as f32).collect();
        let parts = f.constant(Tensor::f32([1, count], parts)?);
        let parts = f.cast(parts, f.ty(extent).dtype)?;
        let along = f.mul(extent, parts)?;
        let place = f.add(start, along)?;
        // Up to one element outside counts as the border, beyond that as zero.
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let (low, high) = (f.number_like(-1.0, place), f.number_like(known as f64, place));
        let (above, below) =
            (f.binary(BinaryOp::GreaterOrEqual, place, low)?, f.binary(BinaryOp::LessOrEqual, place, high)?);
        let near = f.binary(BinaryOp::And, above, below)?;
        let ones = [Dim::from(1), Dim::from(1)];
        let mut shape = vec![r.clone(), 1.into(), 1.into()];
        shape[axis + 1] = count.into();
        places.push(f.reshape(place, shape.clone())?);
        // As the taps are: [R, taps, taps, height, width, C]
        let near = f.reshape(near, [&shape[..1], &ones, &shape[1..], &ones[..1]].concat())?;
        seen = Some(match seen {
            None => near,
            Some(seen) => f.binary(BinaryOp::And, seen, near)?,
        });
    }
    let sampling = Sampling { between: Between::Linear, outside: Outside::Border };
    let values = taps(f, x, Some(images), &places, sampling)?.values;
    let zero = f.number_like(0.0, values);
    let values = match seen {
        Some(seen) => f.select(seen, values, zero)?,
        None => values,
    };
    let shape = f.shape(values);
    let [height, width] = how.size.map(Dim::from);
    let samples = Dim::from(how.samples);
    let apart = [&shape[..3], &[height, samples.clone(), width, samples], &shape[5..]].concat();
    let values = f.reshape(values, apart)?;
    let axes = vec![1, 2, 4, 6];
    let y = match how.pooled {
        Pooled::LargestTap => f.reduce(ReduceKind::Max, values, axes, false)?,
        Pooled::Mean => {
            let sum = f.sum(values, axes)?;
            #[allow(clippy::as_conversions, reason = "some thousand at most")]
            let count = (how.samples * how.samples) as f64;
            f.with(BinaryOp::Mul, sum, 1.0 / count)?
        }
    };
    channels_second(f, y)
}
