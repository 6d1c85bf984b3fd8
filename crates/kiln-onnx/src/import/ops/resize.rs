//! Interpolation.
//!
//! Nearest and linear interpolation of images is a core operator. All else that `Resize` can do (cubic filters,
//! antialiasing, parts of an image, other axes) is written axis by axis, as the shares that each element has of the
//! input's; see [`resampling`].

use kiln_graph::functions::resampling::{self, Beyond, Filter, Shares};
use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode, ResizedAxis};
use kiln_graph::{DType, Dim, Op, Tensor, ValueId, binary_fraction};

use super::super::cx::{Cx, OpError, Outputs, Result, brief, deciding, invalid, unsupported};

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
    let mode = match cx.attributes.string_or("mode", "nearest")? {
        "nearest" => Mode::Nearest(NearestMode::Floor),
        "linear" | "bilinear" => Mode::Filter(Filter::Linear),
        other => return invalid(format!("`mode` is \"{other}\", but should be \"nearest\" or \"linear\"")),
    };
    let places = Places::Core(CoordinateMode::Asymmetric);
    let how = How { mode, places, antialias: false, beyond: Beyond::Edge, extrapolation: 0.0 };
    let shape = scaled(&cx.shape(x), &scales)?;
    let scales = scales.into_iter().map(f64::from).collect();
    let sizes = Sizes { axes: (0..shape.len()).collect(), shape, scales: Some(scales) };
    write(cx, x, &how, sizes)
}

/// How values between elements are made.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Nearest(NearestMode),
    Filter(Filter),
}

/// How places are found.
#[derive(Clone, Copy, PartialEq)]
enum Places {
    /// As the core operator knows them.
    Core(CoordinateMode),
    /// `HalfPixel` about the middle of the image, wherever a fractional size puts it.
    HalfPixelSymmetric,
    /// `AlignCorners` of a part of the image, given by its first and last place as shares of the axis.
    CropAndResize,
}

/// One axis of an interpolation.
struct Line {
    axis: usize,
    sizes: ResizedAxis,
    /// First and last place, for [`Places::CropAndResize`].
    part: [f32; 2],
}

/// Attributes of an interpolation.
struct How {
    mode: Mode,
    places: Places,
    antialias: bool,
    beyond: Beyond,
    /// The value outside of the image, for [`Places::CropAndResize`].
    extrapolation: f32,
}

pub(crate) fn resize(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    if cx.opset < 11 {
        let scales = as_f32(&cx.floats(1, "scales")?);
        return old_style(cx, x, scales);
    }
    let how = read(cx)?;
    let sizes = sizes(cx, &cx.shape(x))?;
    write(cx, x, &how, sizes)
}

fn write(cx: &mut Cx<'_>, x: ValueId, how: &How, sizes: Sizes) -> Outputs {
    let from = cx.shape(x);
    let Sizes { axes, shape, scales } = sizes;
    // As ONNX Runtime has it, also where a scale is a little more than one.
    if from == shape && how.places != Places::CropAndResize {
        return Ok(vec![x]);
    }
    // The kernel is for floating point numbers; others are selected axis by axis.
    let float = matches!(cx.dtype(x), DType::F32 | DType::F16);
    if let Some(resize) = core(how, &from, &shape, scales.as_deref()).filter(|_| float) {
        return Ok(vec![cx.op(Op::Resize(resize), &[x])?]);
    }
    let parts = parts(cx, how.places, &axes)?;
    let mut lines = Vec::new();
    for (axis, part) in axes.into_iter().zip(parts) {
        let scale = scales.as_ref().map(|scales| scales[axis]);
        if from[axis] == shape[axis] && scale.is_none_or(|scale| scale == 1.0) && part == [0.0, 1.0] {
            continue;
        }
        let (Some(old), Some(new)) = (from[axis].as_usize(), shape[axis].as_usize()) else {
            let reason = format!(
                "axis {axis} of size `{}` cannot be resized in this mode while it is open; {}",
                brief(&from[axis]),
                deciding([&from[axis], &shape[axis]])
            );
            return unsupported(reason);
        };
        if old == 0 && new > 0 {
            return invalid(format!("axis {axis} has no elements to make {new} from"));
        }
        if old.max(new) > 1 << 20 {
            return unsupported(format!("{old} elements cannot be resized to {new} in this mode"));
        }
        lines.push(Line { axis, sizes: ResizedAxis { from: old, to: new, scale }, part });
    }
    Ok(vec![interpolate(cx, x, &lines, how)?])
}

/// The attributes.
fn read(cx: &Cx<'_>) -> Result<How> {
    let nearest = match cx.attributes.string_or("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => NearestMode::RoundPreferFloor,
        "round_prefer_ceil" => NearestMode::RoundPreferCeil,
        "floor" => NearestMode::Floor,
        "ceil" => NearestMode::Ceil,
        other => return invalid(format!("`nearest_mode` is \"{other}\", which does not exist")),
    };
    let coefficient = f64::from(cx.attributes.float_or("cubic_coeff_a", -0.75)?);
    let mode = match cx.attributes.string_or("mode", "nearest")? {
        "nearest" => Mode::Nearest(nearest),
        "linear" => Mode::Filter(Filter::Linear),
        "cubic" if coefficient.is_finite() => Mode::Filter(Filter::Cubic(coefficient)),
        "cubic" => return invalid(format!("`cubic_coeff_a` is {coefficient}")),
        other => {
            return invalid(format!(
                "`mode` is \"{other}\", but should be \"nearest\", \"linear\" or \"cubic\""
            ));
        }
    };
    let antialias = cx.attributes.flag("antialias", false)?;
    if antialias && matches!(mode, Mode::Nearest(_)) {
        return invalid("`antialias` is for `mode` = \"linear\" and \"cubic\"");
    }
    let excluded = cx.attributes.flag("exclude_outside", false)?;
    let name = cx.attributes.string_or("coordinate_transformation_mode", "half_pixel")?;
    let places = match name {
        "half_pixel" => Places::Core(CoordinateMode::HalfPixel),
        "pytorch_half_pixel" => Places::Core(CoordinateMode::PytorchHalfPixel),
        "align_corners" => Places::Core(CoordinateMode::AlignCorners),
        "asymmetric" => Places::Core(CoordinateMode::Asymmetric),
        "half_pixel_symmetric" => Places::HalfPixelSymmetric,
        "tf_crop_and_resize" => Places::CropAndResize,
        other => {
            return unsupported(format!("`coordinate_transformation_mode` = \"{other}\" is not supported"));
        }
    };
    Ok(How {
        mode,
        places,
        antialias,
        beyond: if excluded { Beyond::Nothing } else { Beyond::Edge },
        extrapolation: cx.attributes.float_or("extrapolation_value", 0.0)?,
    })
}

/// The resized axes and their new sizes.
struct Sizes {
    axes: Vec<usize>,
    shape: Vec<Dim>,
    /// For every axis, if the model gives them or they follow from how the proportions are to be kept.
    scales: Option<Vec<f64>>,
}

fn sizes(cx: &Cx<'_>, from: &[Dim]) -> Result<Sizes> {
    let rank = from.len();
    let axes = match cx.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let policy = cx.attributes.string_or("keep_aspect_ratio_policy", "stretch")?;
    let given = if cx.optional(2).is_some() { as_f32(&cx.floats(2, "scales")?) } else { vec![] };
    if !given.is_empty() {
        check_count("scales", given.len(), axes.len())?;
        let mut scales = vec![1.0; rank];
        for (axis, scale) in axes.iter().zip(given) {
            scales[*axis] = scale;
        }
        let shape = scaled(from, &scales)?;
        return Ok(Sizes { axes, shape, scales: Some(scales.into_iter().map(f64::from).collect()) });
    }
    let sizes = cx.dims(3, "sizes")?;
    check_count("sizes", sizes.len(), axes.len())?;
    let mut shape = from.to_vec();
    if policy == "stretch" {
        for (axis, size) in axes.iter().zip(sizes) {
            shape[*axis] = size;
        }
        return Ok(Sizes { axes, shape, scales: None });
    }
    let ratio = |(axis, size): (&usize, &Dim)| {
        let pair = Some((from[*axis].as_usize().filter(|n| *n > 0)?, size.as_usize()?));
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        pair.map(|(from, to)| to as f64 / from as f64)
    };
    let Some(ratios) = axes.iter().zip(&sizes).map(ratio).collect::<Option<Vec<f64>>>() else {
        return unsupported(format!(
            "`keep_aspect_ratio_policy` = \"{policy}\" needs sizes that are numbers"
        ));
    };
    let scale = match policy {
        "not_larger" => ratios.into_iter().fold(f64::INFINITY, f64::min),
        "not_smaller" => ratios.into_iter().fold(0.0, f64::max),
        other => return invalid(format!("`keep_aspect_ratio_policy` is \"{other}\"")),
    };
    let mut scales = vec![1.0; rank];
    for axis in &axes {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53; halves are rounded up")]
        if let Some(old) = shape[*axis].as_usize() {
            shape[*axis] = Dim::from((old as f64 * scale + 0.5) as i64);
            scales[*axis] = scale;
        }
    }
    Ok(Sizes { axes, shape, scales: Some(scales) })
}

/// First and last place of each axis, as a share of it.
fn parts(cx: &Cx<'_>, places: Places, axes: &[usize]) -> Result<Vec<[f32; 2]>> {
    if places != Places::CropAndResize {
        return Ok(vec![[0.0, 1.0]; axes.len()]);
    }
    let roi = as_f32(&cx.floats(1, "roi")?);
    check_count("roi", roi.len(), 2 * axes.len())?;
    let (first, last) = roi.split_at(axes.len());
    Ok(first.iter().zip(last).map(|(first, last)| [*first, *last]).collect())
}

/// The core operator, if it supports all attributes.
fn core(how: &How, from: &[Dim], shape: &[Dim], scales: Option<&[f64]>) -> Option<Resize> {
    let Places::Core(coordinates) = how.places else { return None };
    let mode = match how.mode {
        Mode::Nearest(nearest) => ResizeMode::Nearest(nearest),
        Mode::Filter(Filter::Linear) if !how.antialias && how.beyond == Beyond::Edge => ResizeMode::Linear,
        Mode::Filter(_) => return None,
    };
    if !(3..=5).contains(&from.len()) || from[..2] != shape[..2] {
        return None;
    }
    Some(Resize { shape: shape.to_vec(), scales: scales.map(<[f64]>::to_vec), mode, coordinates })
}

fn interpolate(cx: &mut Cx<'_>, x: ValueId, lines: &[Line], how: &How) -> Result<ValueId> {
    if matches!(how.mode, Mode::Filter(_)) && !cx.dtype(x).is_float() {
        return unsupported(format!("only `mode` = \"nearest\" is supported for {}", cx.ty(x)));
    }
    let mut y = x;
    for line in lines {
        let rows = (0..line.sizes.to).map(|out| line.shares(out, how)).collect::<Result<Vec<_>>>()?;
        y = resampling::resample(&mut cx.formula(), y, line.axis, &rows)?;
    }
    if how.places != Places::CropAndResize {
        return Ok(y);
    }
    for line in lines {
        let inside: Vec<bool> = (0..line.sizes.to).map(|out| line.is_inside(line.crop(out))).collect();
        if inside.iter().all(|inside| *inside) {
            continue;
        }
        let mut shape = vec![1; cx.rank(x)];
        shape[line.axis] = line.sizes.to;
        let mask = Tensor::new(shape, kiln_graph::Data::Bool(inside));
        let mask = cx.constant_value(mask.map_err(|e| OpError::Invalid(e.to_string()))?);
        let f = &mut cx.formula();
        let outside = f.number_like(how.extrapolation.into(), y);
        y = f.select(mask, y, outside)?;
    }
    Ok(y)
}

/// In 32 bits and step by step as ONNX Runtime computes it, since rounding and the borders of an image depend on it.
#[allow(clippy::as_conversions, reason = "sizes are below a million")]
impl Line {
    /// The position of element `out` relative to the center of the image.
    fn symmetric(&self, out: usize) -> f32 {
        let ResizedAxis { from, to, .. } = self.sizes;
        let scale = self.sizes.scale_f32();
        let adjustment = to as f32 / (scale * from as f32);
        let offset = from as f32 / 2.0 * (1.0 - adjustment);
        (f64::from(offset) + (out as f64 + 0.5) / f64::from(scale) - 0.5) as f32
    }

    /// The position of element `out` in the part of the image.
    fn crop(&self, out: usize) -> f32 {
        let ([first, end], last) = (self.part, (self.sizes.from - 1) as f32);
        if self.sizes.to == 1 {
            return 0.5 * (first + end) * last;
        }
        first * last + out as f32 * (end - first) * last / (self.sizes.to - 1) as f32
    }

    fn is_inside(&self, place: f32) -> bool {
        (0.0..=(self.sizes.from - 1) as f32).contains(&place)
    }

    fn shares(&self, out: usize, how: &How) -> Result<Shares> {
        let ResizedAxis { from, to, scale } = self.sizes;
        if how.places == Places::CropAndResize && !self.is_inside(self.crop(out)) {
            // Something else is put there.
            return Ok(vec![(0, 1.0)]);
        }
        match how.mode {
            Mode::Filter(filter) => {
                let place = match how.places {
                    Places::Core(mode) => self.sizes.place(mode, out),
                    Places::HalfPixelSymmetric => self.symmetric(out).into(),
                    Places::CropAndResize => self.crop(out).into(),
                };
                let scale = scale.unwrap_or(to as f64 / from as f64);
                let width = if how.antialias { (1.0 / scale).max(1.0) } else { 1.0 };
                Ok(filter.shares(place, width, from, how.beyond)?)
            }
            Mode::Nearest(rounding) => {
                let place = match how.places {
                    Places::Core(mode) => self.sizes.place_f32(mode, out),
                    Places::HalfPixelSymmetric => self.symmetric(out),
                    Places::CropAndResize => self.crop(out),
                };
                Ok(vec![(rounding.element(place, from - 1), 1.0)])
            }
        }
    }
}

fn check_count(what: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        invalid(format!("`{what}` has {found} numbers; {wanted} are needed"))
    }
}

#[allow(clippy::as_conversions, reason = "rounding is what is meant; most were 32-bit numbers in the file")]
fn as_f32(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|x| *x as f32).collect()
}

/// `floor(size * scale)`; a symbolic size can be scaled by a whole number or a binary fraction of few digits, of which the
/// product is exact in 32 bits.
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
            let Some(size) = dim.as_const() else {
                let Some((numerator, denominator)) = binary_fraction((*scale).into()) else {
                    return unsupported(format!(
                        "a dimension of size `{}` cannot be scaled by {scale} while it is open; {}",
                        brief(dim),
                        deciding([dim])
                    ));
                };
                return Ok((dim * &numerator.into()).floor_div(denominator));
            };
            #[allow(clippy::as_conversions, reason = "as the engines compute it, in 32 bits")]
            Ok(Dim::from((size as f32 * scale).floor() as i64))
        })
        .collect()
}
