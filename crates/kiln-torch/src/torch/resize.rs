//! Interpolation, and pixels that become channels.

use kiln_graph::functions::movement;
use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode};
use kiln_graph::{Dim, Op, ShapeDisplay};

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
    let mode_name = match b.get("mode") {
        Value::Str(mode) => mode,
        _ => "nearest".into(),
    };
    let linear = if align { CoordinateMode::AlignCorners } else { CoordinateMode::HalfPixel };
    let (mode, coordinates) = match (&*mode_name, spatial) {
        ("nearest", _) => (ResizeMode::Nearest(NearestMode::Floor), CoordinateMode::Asymmetric),
        ("nearest-exact", _) => {
            (ResizeMode::Nearest(NearestMode::RoundPreferCeil), CoordinateMode::HalfPixel)
        }
        ("linear", 1) | ("bilinear", 2) | ("trilinear", 3) => (ResizeMode::Linear, linear),
        ("linear" | "bilinear" | "trilinear", _) => {
            return Err(Fault::value(format!(
                "{}: '{mode_name}' is not for {}",
                b.callee,
                ShapeDisplay(&shape)
            ))
            .help("linear is for one, bilinear for two, trilinear for three dimensions"));
        }
        _ => return Err(b.wrong("mode", "'nearest', 'nearest-exact', 'linear', 'bilinear' or 'trilinear'")),
    };
    if b.given("antialias").is_some() && b.bool("antialias")? {
        return Err(Fault::unsupported(format!("{}: `antialias=True` is not supported", b.callee)));
    }
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
        let mut given = vec![1f32; shape.len()];
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
            given[axis + 2] = factor as f32;
        }
        let recompute = b.given("recompute_scale_factor").is_some_and(|v| matches!(v, Value::Bool(true)));
        scales = (!recompute).then_some(given);
    }
    let op = Resize { shape: out, scales, mode, coordinates };
    Ok(Value::tensor(i.op(Op::Resize(op), &[x])?))
}

/// `floor(size * factor)`; a symbol can be scaled by whole numbers.
#[allow(clippy::as_conversions, reason = "sizes are far below 2^53, the factor is below ten thousand")]
fn scaled(size: &Dim, factor: f64) -> Option<Dim> {
    if factor.fract() == 0.0 {
        return Some(size * &Dim::from(factor as i64));
    }
    let size = (size.as_const()? as f64 * factor).floor() as i64;
    (size > 0).then(|| Dim::from(size))
}
