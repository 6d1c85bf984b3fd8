//! Interpolation.

use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode};
use kiln_graph::{Dim, Op, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};

/// Up to version 10: places are counted from the first element, and nearest rounds down.
pub(crate) fn upsample(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let scales = match cx.attributes.floats("scales")? {
        Some(scales) => scales.to_vec(),
        None => as_f32(&cx.floats(1, "scales")?),
    };
    old_style(cx, x, scales)
}

fn old_style(cx: &mut Cx<'_>, x: ValueId, scales: Vec<f32>) -> Outputs {
    let mode = mode(cx, NearestMode::Floor)?;
    let shape = scaled(&cx.shape(x), &scales)?;
    let resize = Resize { shape, scales: Some(scales), mode, coordinates: CoordinateMode::Asymmetric };
    Ok(vec![cx.op(Op::Resize(resize), &[x])?])
}

fn mode(cx: &Cx<'_>, nearest: NearestMode) -> Result<ResizeMode> {
    match cx.attributes.string_or("mode", "nearest")? {
        "nearest" => Ok(ResizeMode::Nearest(nearest)),
        "linear" | "bilinear" => Ok(ResizeMode::Linear),
        other => unsupported(format!("`mode` = \"{other}\" is not supported; nearest and linear are")),
    }
}

pub(crate) fn resize(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    if cx.opset < 11 {
        let scales = as_f32(&cx.floats(1, "scales")?);
        return old_style(cx, x, scales);
    }
    // These speak of modes that are not supported, and are reported with them.
    for attribute in ["cubic_coeff_a", "extrapolation_value"] {
        cx.attributes.ignore(attribute);
    }
    for attribute in ["exclude_outside", "antialias"] {
        if cx.attributes.flag(attribute, false)? {
            return unsupported(format!("`{attribute}` is not supported"));
        }
    }
    let nearest = match cx.attributes.string_or("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => NearestMode::RoundPreferFloor,
        "round_prefer_ceil" => NearestMode::RoundPreferCeil,
        "floor" => NearestMode::Floor,
        "ceil" => NearestMode::Ceil,
        other => return invalid(format!("`nearest_mode` is \"{other}\", which is none of those there are")),
    };
    let mode = mode(cx, nearest)?;
    let coordinates = match cx.attributes.string_or("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => CoordinateMode::HalfPixel,
        "pytorch_half_pixel" => CoordinateMode::PytorchHalfPixel,
        "align_corners" => CoordinateMode::AlignCorners,
        "asymmetric" => CoordinateMode::Asymmetric,
        other => {
            return unsupported(format!("`coordinate_transformation_mode` = \"{other}\" is not supported"));
        }
    };
    match cx.attributes.string_or("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => {}
        other => return unsupported(format!("`keep_aspect_ratio_policy` = \"{other}\" is not supported")),
    }
    let rank = cx.rank(x);
    let axes = match cx.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let given = if cx.optional(2).is_some() { as_f32(&cx.floats(2, "scales")?) } else { vec![] };
    let from = cx.shape(x);
    let (shape, scales) = if given.is_empty() {
        let sizes = cx.dims(3, "sizes")?;
        check_count("sizes", sizes.len(), axes.len())?;
        let mut shape = from;
        for (axis, size) in axes.into_iter().zip(sizes) {
            shape[axis] = size;
        }
        (shape, None)
    } else {
        check_count("scales", given.len(), axes.len())?;
        let mut scales = vec![1.0; rank];
        for (axis, scale) in axes.into_iter().zip(given) {
            scales[axis] = scale;
        }
        (scaled(&from, &scales)?, Some(scales))
    };
    Ok(vec![cx.op(Op::Resize(Resize { shape, scales, mode, coordinates }), &[x])?])
}

fn check_count(what: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        invalid(format!("`{what}` has {found} numbers; {wanted} are needed"))
    }
}

#[allow(clippy::as_conversions, reason = "they were 32-bit numbers in the file")]
fn as_f32(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|x| *x as f32).collect()
}

/// `floor(size * scale)`; a symbolic size can be scaled by a whole number.
fn scaled(shape: &[Dim], scales: &[f32]) -> Result<Vec<Dim>> {
    check_count("scales", scales.len(), shape.len())?;
    shape
        .iter()
        .zip(scales)
        .map(|(dim, scale)| {
            if !(*scale > 0.0 && *scale < 1e6) {
                return invalid(format!("a scale is {scale}, but should be positive and reasonable"));
            }
            #[allow(clippy::as_conversions, reason = "the scale is below a million")]
            if scale.fract() == 0.0 {
                return Ok(dim * &Dim::from(*scale as i64));
            }
            let size = dim.as_const().ok_or_else(|| {
                OpError::Unsupported(format!(
                    "a dimension of size `{dim}` cannot be scaled by {scale}; bind it"
                ))
            })?;
            #[allow(clippy::as_conversions, reason = "as the engines compute it, in 32 bits")]
            Ok(Dim::from((size as f32 * scale).floor() as i64))
        })
        .collect()
}
