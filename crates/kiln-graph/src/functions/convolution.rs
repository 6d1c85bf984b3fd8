//! Transposed convolution, and the bias of either kind.

use super::normalization::per_channel;
use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Conv, Op, SliceAxis};
use crate::tensor::ShapeDisplay;

const NAME: &str = "conv_transpose";

/// Attributes of a transposed convolution, one entry for each spatial dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvTranspose {
    /// Distance in the output of what neighbours of the input add to.
    pub strides: Vec<usize>,
    /// Elements cropped from the output before and after.
    pub pads: Vec<[i64; 2]>,
    /// Step between kernel taps.
    pub dilations: Vec<usize>,
    /// Elements added at the end of the output.
    pub output_padding: Vec<i64>,
    /// Number of groups that channels fall into.
    pub groups: usize,
}

/// `x [N, Cin, in...]` and `weight [Cin, Cout / groups, kernel...]` give `[N, Cout, out...]`, with
/// `out = (in - 1) * stride - pads + dilation * (kernel - 1) + output_padding + 1`. There is no bias.
///
/// It is a convolution over the input with zeros between its elements, with the kernel flipped (Dumoulin and
/// Visin, "A guide to convolution arithmetic for deep learning", 2016).
pub fn conv_transpose(f: &mut Formula<'_>, x: ValueId, weight: ValueId, how: &ConvTranspose) -> Made {
    let shape = f.ty(weight).static_shape().filter(|shape| shape.iter().all(|n| *n > 0));
    let Some(shape) = shape else {
        let ty = f.ty(weight);
        let message = format!("a weight of type {ty} is not supported; its sizes have to be numbers");
        return Err(GraphError::Unsuitable(message));
    };
    let kernel = shape.get(2..).unwrap_or_default();
    let spatial = kernel.len();
    if f.ty(x).rank() != spatial + 2 {
        let x = f.ty(x);
        return f.mismatch(NAME, format!("a kernel of {spatial} dimensions cannot move over {x}"));
    }
    let lengths = [how.strides.len(), how.pads.len(), how.dilations.len(), how.output_padding.len()];
    if lengths.iter().any(|n| *n != spatial) {
        let message =
            format!("strides, pads, dilations and output padding need {spatial} entries, as the kernel");
        return f.mismatch(NAME, message);
    }
    let mut pads = Vec::with_capacity(spatial);
    for (i, size) in kernel.iter().enumerate() {
        let Ok(reach) = i64::try_from(how.dilations[i].saturating_mul(size - 1)) else {
            return f.mismatch(NAME, "the kernel is too large");
        };
        let [begin, end] = how.pads[i];
        let end = end.saturating_sub(how.output_padding[i]);
        pads.push([reach.saturating_sub(begin), reach.saturating_sub(end)]);
    }
    let conv = Conv {
        strides: vec![1; spatial],
        pads,
        dilations: how.dilations.clone(),
        input_dilations: how.strides.clone(),
        groups: how.groups,
    };
    let weight = turned(f, weight, &shape, how.groups)?;
    f.apply(Op::Conv(conv), &[x, weight])
}

/// A weight `[in, out / groups, ...]` as the convolution wants it: `[out, in / groups, ...]`, turned around.
fn turned(f: &mut Formula<'_>, weight: ValueId, shape: &[usize], groups: usize) -> Made {
    let [channels_in, channels_out, kernel @ ..] = shape else {
        return f.mismatch(NAME, format!("the weight {} has too few dimensions", ShapeDisplay(shape)));
    };
    if groups == 0 || channels_in % groups != 0 {
        return f
            .mismatch(NAME, format!("{channels_in} input channels cannot be split into {groups} groups"));
    }
    let kernel: Vec<Dim> = kernel.iter().map(|n| Dim::from(*n)).collect();
    let grouped = [groups.into(), (channels_in / groups).into(), (*channels_out).into()];
    let w = f.reshape(weight, [&grouped[..], &kernel].concat())?;
    let perm = [0, 2, 1].into_iter().chain(3..3 + kernel.len()).collect();
    let w = f.transpose(w, perm)?;
    let merged = [channels_out.saturating_mul(groups).into(), (channels_in / groups).into()];
    let w = f.reshape(w, [&merged[..], &kernel].concat())?;
    let flips = kernel
        .iter()
        .enumerate()
        .filter(|(_, size)| !size.is(1))
        .map(|(i, size)| SliceAxis {
            axis: i + 2,
            start: size.clone() - 1.into(),
            length: size.clone(),
            step: -1,
        })
        .collect();
    f.slice(w, flips)
}

/// `y + bias` with `y [N, C, spatial...]` and `bias [C]`.
pub fn conv_bias(f: &mut Formula<'_>, y: ValueId, bias: ValueId, spatial: usize) -> Made {
    let bias = per_channel(f, bias, spatial)?;
    f.add(y, bias)
}
