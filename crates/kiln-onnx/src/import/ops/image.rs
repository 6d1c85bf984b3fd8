//! Operators on images: reading them at computed places, and putting them together.

use kiln_graph::functions::deformable::{self, DeformConv, Deformed};
use kiln_graph::functions::patches::{self, Windows};
use kiln_graph::functions::regions::{self, Pooled, RoiAlign};
use kiln_graph::functions::sampling::{self, Between, Corners, Outside, Sampling};
use kiln_graph::ops::{Pad, PadMode, window_output};
use kiln_graph::{Dim, Op};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use super::conv::{groups, kernel_of, sizes, window};

fn corners(cx: &Cx<'_>) -> Result<Corners> {
    Ok(Corners { aligned: cx.attributes.flag("align_corners", false)? })
}

/// Until version 19 there were only images, and the names of modes are from them.
pub(crate) fn grid_sample(cx: &mut Cx<'_>) -> Outputs {
    let (x, grid) = (cx.input(0)?, cx.input(1)?);
    let corners = corners(cx)?;
    let between = match cx.attributes.string_or("mode", "linear")? {
        "linear" | "bilinear" => Between::Linear,
        "nearest" => Between::Nearest,
        "cubic" | "bicubic" => Between::Cubic(-0.75),
        other => return invalid(format!("`mode` is \"{other}\", which does not exist")),
    };
    let outside = match cx.attributes.string_or("padding_mode", "zeros")? {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Mirror { middle: corners.aligned },
        other => return invalid(format!("`padding_mode` is \"{other}\", which does not exist")),
    };
    let spatial = cx.spatial(x)?;
    if spatial > 3 {
        return unsupported(format!("images of {spatial} dimensions are not supported; up to 3 are"));
    }
    let how = Sampling { between, outside };
    Ok(vec![sampling::grid_sample(&mut cx.formula(), x, grid, how, corners)?])
}

pub(crate) fn affine_grid(cx: &mut Cx<'_>) -> Outputs {
    let theta = cx.input(0)?;
    let size = cx.dims(1, "size")?;
    let corners = corners(cx)?;
    let [n, _, image @ ..] = &size[..] else {
        return invalid(format!("`size` has {} numbers; it should be [N, C, ...]", size.len()));
    };
    if cx.ty(theta).shape.first() != Some(n) {
        return invalid(format!("`size` says {n} images, but `theta` is {}", cx.ty(theta)));
    }
    Ok(vec![sampling::affine_grid(&mut cx.formula(), theta, image, corners)?])
}

/// Since version 16 coordinates are those of elements' edges by default.
pub(crate) fn roi_align(cx: &mut Cx<'_>) -> Outputs {
    let (x, regions, images) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let half_pixel = cx.opset >= 16
        && match cx.attributes.string_or("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => true,
            "output_half_pixel" => false,
            other => {
                return invalid(format!(
                    "`coordinate_transformation_mode` is \"{other}\", which does not exist"
                ));
            }
        };
    let pooled = match cx.attributes.string_or("mode", "avg")? {
        "avg" => Pooled::Mean,
        "max" => Pooled::LargestTap,
        other => return invalid(format!("`mode` is \"{other}\", but should be \"avg\" or \"max\"")),
    };
    let positive = |name: &str, default: i64| {
        let given = cx.attributes.int_or(name, default)?;
        usize::try_from(given)
            .map_err(|_| OpError::Invalid(format!("`{name}` is {given}, but should be positive")))
    };
    let (height, width) = (positive("output_height", 1)?, positive("output_width", 1)?);
    let samples = positive("sampling_ratio", 0)?;
    if samples == 0 {
        return unsupported(
            "`sampling_ratio` = 0 takes as many samples as a region is large, which is not known ahead of time; \
             export the model with a number, 2 for example",
        );
    }
    let scale = cx.attributes.float_or("spatial_scale", 1.0)?.into();
    let how = RoiAlign { size: [height, width], samples, scale, half_pixel, pooled };
    Ok(vec![regions::roi_align(&mut cx.formula(), x, regions, images, &how)?])
}

pub(crate) fn deform_conv(cx: &mut Cx<'_>) -> Outputs {
    let (x, weight, offset) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let kernel = kernel_of(cx, weight)?;
    let window = window(cx, x, kernel)?;
    window.known("deformed windows")?;
    let [kernel, strides, dilations] = [&window.kernel, &window.strides, &window.dilations].map(|list| {
        <[usize; 2]>::try_from(&list[..])
            .map_err(|_| OpError::Unsupported(format!("only images are supported, not {}", cx.ty(x))))
    });
    let (kernel, strides, dilations) = (kernel?, strides?, dilations?);
    let of_offset = cx.attributes.int_or("offset_group", 1)?;
    let Ok(offset_groups) = usize::try_from(of_offset) else {
        return invalid(format!("`offset_group` is {of_offset}, but should be positive"));
    };
    for axis in 0..2 {
        let pads = window.pads[axis];
        let size = cx.dim(x, axis + 2)?;
        let size = window_output(&size, kernel[axis], strides[axis], dilations[axis], pads, false);
        let found = cx.dim(offset, axis + 2)?;
        if found != size {
            return invalid(format!(
                "the offsets are {}, but axis {} should be {size}",
                cx.ty(offset),
                axis + 2
            ));
        }
    }
    let pads = [window.pads[0][0], window.pads[1][0]];
    let how = DeformConv { strides, pads, dilations, groups: groups(cx)?, offset_groups };
    let inputs = Deformed { x, weight, offset, bias: cx.optional(3), mask: cx.optional(4) };
    Ok(vec![deformable::deform_conv(&mut cx.formula(), inputs, &how)?])
}

pub(crate) fn col2im(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let image = cx.dims(1, "image_shape")?;
    let kernel = cx.ints(2, "block_shape")?;
    let spatial = image.len();
    let Ok(kernel) = kernel.iter().map(|n| usize::try_from(*n)).collect::<Result<Vec<usize>, _>>() else {
        return invalid(format!("`block_shape` is {kernel:?}, but should be positive"));
    };
    let ones = || vec![1; spatial];
    let pads = cx.attributes.ints("pads")?.map_or_else(|| vec![0; 2 * spatial], <[i64]>::to_vec);
    if pads.len() != 2 * spatial {
        return invalid(format!("`pads` is {pads:?}; {} numbers are needed", 2 * spatial));
    }
    let (before, after) = pads.split_at(spatial);
    let windows = Windows {
        kernel,
        strides: sizes(cx, "strides", spatial)?.unwrap_or_else(ones),
        dilations: sizes(cx, "dilations", spatial)?.unwrap_or_else(ones),
        pads: before.iter().zip(after).map(|(before, after)| [*before, *after]).collect(),
    };
    Ok(vec![patches::fold(&mut cx.formula(), x, &image, &windows)?])
}

/// Cut or padded at both ends alike, at the end by one more where that is not possible.
pub(crate) fn center_crop_pad(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let shape = cx.dims(1, "shape")?;
    let rank = cx.rank(x);
    let axes = match cx.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if shape.len() != axes.len() {
        return invalid(format!("`shape` has {} numbers; {} are needed", shape.len(), axes.len()));
    }
    let mut pads = vec![[0, 0]; rank];
    for (axis, wanted) in axes.into_iter().zip(shape) {
        let size = cx.dim(x, axis)?;
        let more: Dim = wanted.clone() - size.clone();
        let Some(more) = more.as_const() else {
            return unsupported(format!("how much `{wanted}` is more than `{size}` is not known; bind it"));
        };
        // Rounded towards zero.
        pads[axis] = [more / 2, more - more / 2];
    }
    if pads.iter().all(|pads| *pads == [0, 0]) {
        return Ok(vec![x]);
    }
    Ok(vec![cx.op(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[x])?])
}
