//! Interpolation, and pixels that become channels.

use kiln_graph::functions::movement;
use kiln_graph::functions::resampling::{self, Beyond, Filter, Shares};
use kiln_graph::ops::{CoordinateMode, NearestMode, ReduceKind, Resize, ResizeMode};
use kiln_graph::{Dim, Op, ShapeDisplay, binary_fraction};

use super::pool::adaptively;
use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "interpolate" or "upsample" ("input, size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None, antialias=False") => interpolate,
    TF "pixel_shuffle" ("input, upscale_factor") => shuffle,
    TF "pixel_unshuffle" ("input, downscale_factor") => unshuffle,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Upsample" ("size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None") => |_, _, _| Ok(()), interpolate;
    "UpsamplingNearest2d" ("size=None, scale_factor=None") => |_, _, _| Ok(()), interpolate;
    "UpsamplingBilinear2d" ("size=None, scale_factor=None") => |_, o, _| {
        o.set("mode", Value::str("bilinear"));
        o.set("align_corners", Value::Bool(true));
        Ok(())
    }, interpolate;
    "PixelShuffle" ("upscale_factor") => |_, _, _| Ok(()), shuffle;
    "PixelUnshuffle" ("downscale_factor") => |_, _, _| Ok(()), unshuffle;
};

fn shuffle(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, factor) = (i.tensor(b, "input")?, b.count("upscale_factor")?);
    Ok(Value::tensor(movement::pixel_shuffle(&mut i.formula(), x, factor)?))
}

fn unshuffle(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, factor) = (i.tensor(b, "input")?, b.count("downscale_factor")?);
    Ok(Value::tensor(movement::pixel_unshuffle(&mut i.formula(), x, factor)?))
}

/// How values between elements are made.
enum Mode {
    /// By the core operator.
    Core(ResizeMode, CoordinateMode),
    /// Axis by axis, by a filter.
    Filter(Filter),
    /// The mean of what an element covers.
    Area,
}

fn mode(b: &Bound, shape: &[Dim], align: bool, antialias: bool) -> Result<Mode> {
    let name = match b.get("mode") {
        Value::Str(mode) => mode,
        _ => "nearest".into(),
    };
    let spatial = shape.len() - 2;
    let linear = if align { CoordinateMode::AlignCorners } else { CoordinateMode::HalfPixel };
    let mode = match (&*name, spatial) {
        ("bilinear", 2) if antialias => Mode::Filter(Filter::Linear),
        // The coefficient is another one with antialiasing, as in Pillow.
        ("bicubic", 2) => Mode::Filter(Filter::Cubic(if antialias { -0.5 } else { -0.75 })),
        ("nearest", _) => Mode::Core(ResizeMode::Nearest(NearestMode::Floor), CoordinateMode::PytorchNearest),
        ("nearest-exact", _) => {
            Mode::Core(ResizeMode::Nearest(NearestMode::Floor), CoordinateMode::PytorchNearestExact)
        }
        ("area", _) => Mode::Area,
        ("linear", 1) | ("bilinear", 2) | ("trilinear", 3) => Mode::Core(ResizeMode::Linear, linear),
        ("linear" | "bilinear" | "bicubic" | "trilinear", _) => {
            return Err(Fault::value(format!("{}: '{name}' is not for {}", b.callee, ShapeDisplay(shape)))
                .help("linear is for one, bilinear and bicubic for two, trilinear for three dimensions"));
        }
        _ => {
            let known = "'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'";
            return Err(b.wrong("mode", known));
        }
    };
    if antialias && !matches!(mode, Mode::Filter(_)) {
        return Err(Fault::value(format!("{}: `antialias=True` is for 'bilinear' and 'bicubic'", b.callee)));
    }
    Ok(mode)
}

fn interpolate(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let spatial = shape.len().saturating_sub(2);
    if !(1..=3).contains(&spatial) {
        return Err(Fault::value(format!(
            "{} takes [N, C, ...], but gets {}",
            b.callee,
            ShapeDisplay(&shape)
        )));
    }
    let align = matches!(b.get("align_corners"), Value::Bool(true));
    let antialias = b.given("antialias").is_some() && b.bool("antialias")?;
    let mode = mode(b, &shape, align, antialias)?;
    let mut out = shape.clone();
    let mut scales = None;
    if b.is_none("scale_factor") {
        let sizes = match b.get("size") {
            value @ (Value::Tuple(_) | Value::List(_)) => i.items(&value)?,
            value => vec![value; spatial],
        };
        if sizes.len() != spatial {
            return Err(b.wrong("size", &format!("{spatial} integers")));
        }
        for (axis, size) in sizes.iter().enumerate() {
            let size = size.as_dim().filter(|d| d.as_const().is_none_or(|n| n > 0));
            out[axis + 2] = size.ok_or_else(|| b.wrong("size", "positive integers"))?;
        }
    } else {
        let factors = match b.get("scale_factor") {
            value @ (Value::Tuple(_) | Value::List(_)) => i.items(&value)?,
            value => vec![value; spatial],
        };
        if factors.len() != spatial {
            return Err(b.wrong("scale_factor", &format!("{spatial} numbers")));
        }
        let mut given = vec![1f64; shape.len()];
        for (axis, factor) in factors.iter().enumerate() {
            let factor = factor.as_f64().filter(|f| (1e-4..=1e4).contains(f));
            let factor = factor.ok_or_else(|| b.wrong("scale_factor", "positive numbers"))?;
            out[axis + 2] = scaled(&shape[axis + 2], factor).ok_or_else(|| {
                Fault::unsupported(format!(
                    "{}: a size of `{}` cannot be scaled by {factor}",
                    b.callee,
                    shape[axis + 2]
                ))
            })?;
            given[axis + 2] = factor;
        }
        let recompute = b.given("recompute_scale_factor").is_some_and(|v| matches!(v, Value::Bool(true)));
        scales = (!recompute).then_some(given);
    }
    match mode {
        Mode::Area => adaptively(i, b, x, out[2..].to_vec(), ReduceKind::Mean),
        Mode::Core(mode, coordinates) => {
            // Linear interpolation copies along an axis that keeps its size, whatever its scale.
            if let (ResizeMode::Linear, Some(scales)) = (mode, &mut scales) {
                let kept = scales.iter_mut().zip(shape.iter().zip(&out)).filter(|(_, (from, to))| from == to);
                kept.for_each(|(scale, _)| *scale = 1.0);
            }
            let op = Resize { shape: out, scales, mode, coordinates };
            Ok(Value::tensor(i.op(Op::Resize(op), &[x])?))
        }
        Mode::Filter(filter) => {
            let mut y = x;
            for (axis, (from, to)) in shape.iter().zip(&out).enumerate().skip(2) {
                let scale = scales.as_ref().map(|scales| scales[axis]);
                // With antialiasing, too.
                if from == to && (antialias || align || scale.is_none_or(|scale| scale == 1.0)) {
                    continue;
                }
                let small = |dim: &Dim| dim.as_usize().filter(|n| *n <= 1 << 20);
                let (Some(from), Some(to)) = (small(from), small(to)) else {
                    return Err(Fault::unsupported(format!(
                        "{}: height and width have to be numbers, but are {}",
                        b.callee,
                        ShapeDisplay(&shape)
                    ))
                    .help("`--dim H=224 --dim W=224` gives them"));
                };
                let rows = rows(filter, [from, to], scale, align, antialias)?;
                y = resampling::resample(&mut i.formula(), y, axis, &rows)?;
            }
            Ok(Value::tensor(y))
        }
    }
}

/// What each of `to` elements is made of, as PyTorch's `area_pixel_compute_scale` and what follows have it.
#[allow(clippy::as_conversions, reason = "sizes are below a million")]
fn rows(
    filter: Filter,
    [from, to]: [usize; 2],
    scale: Option<f64>,
    align: bool,
    antialias: bool,
) -> Result<Vec<Shares>> {
    let step = match scale {
        _ if align && to <= 1 => 0.0,
        _ if align => (from as f64 - 1.0) / (to as f64 - 1.0),
        Some(scale) => 1.0 / scale,
        None => from as f64 / to as f64,
    };
    let row = |out: usize| {
        if antialias {
            let place = step * (out as f64 + 0.5) - 0.5;
            return filter.shares(place, step.max(1.0), from, Beyond::Nothing);
        }
        let place = if align { step * out as f64 } else { step * (out as f64 + 0.5) - 0.5 };
        filter.shares(place, 1.0, from, Beyond::Edge)
    };
    Ok((0..to).map(row).collect::<std::result::Result<Vec<_>, _>>()?)
}

/// `floor(size * factor)`; a symbol can be scaled by whole numbers and binary fractions of few digits.
#[allow(clippy::as_conversions, reason = "sizes are far below 2^53, the factor is below ten thousand")]
fn scaled(size: &Dim, factor: f64) -> Option<Dim> {
    if factor.fract() == 0.0 {
        return Some(size * &Dim::from(factor as i64));
    }
    if size.as_const().is_none() {
        let (numerator, denominator) = binary_fraction(factor)?;
        return Some((size * &numerator.into()).floor_div(denominator));
    }
    let size = (size.as_const()? as f64 * factor).floor() as i64;
    (size > 0).then(|| Dim::from(size))
}
