//! Sound: Fourier transforms, windows, the mel scale.

use std::f64::consts::PI;

use kiln_graph::functions::fourier::{self, Transform};
use kiln_graph::{DType, Tensor, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use crate::tensor::dtype_of;

/// Windows are a second of sound at most; this is more than a minute.
const LONGEST_WINDOW: usize = 1 << 22;

/// The number in the constant input `i`, which is a size.
fn size(cx: &Cx<'_>, i: usize, what: &str) -> Result<usize> {
    /// Longer signals are no signals.
    const LARGEST: f64 = 16_777_216.0;
    let value = cx.floats(i, what)?.first().copied().unwrap_or(-1.0);
    #[allow(clippy::as_conversions, reason = "checked just here")]
    if (0.0..=LARGEST).contains(&value) {
        return Ok(value as usize);
    }
    invalid(format!("`{what}` is {value}, but should be a size up to {LARGEST}"))
}

/// The axis is an attribute before version 20, an input since.
pub(crate) fn dft(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axis = if cx.opset < 20 {
        cx.attributes.int_or("axis", 1)?
    } else if cx.optional(2).is_some() {
        cx.ints(2, "axis")?.first().copied().unwrap_or(-2)
    } else {
        -2
    };
    let axis = cx.axis(axis, cx.rank(x))?;
    let how = Transform {
        inverse: cx.attributes.flag("inverse", false)?,
        onesided: cx.attributes.flag("onesided", false)?,
        length: cx.optional(1).map(|_| size(cx, 1, "dft_length")).transpose()?,
    };
    Ok(vec![fourier::fourier(&mut cx.formula(), x, axis, how)?])
}

/// The window may be data; its length and the step decide shapes.
pub(crate) fn stft(cx: &mut Cx<'_>) -> Outputs {
    let signal = cx.input(0)?;
    let step = size(cx, 1, "frame_step")?;
    let window = cx.optional(2);
    let onesided = cx.attributes.flag("onesided", true)?;
    let length = match (cx.optional(3), window) {
        (Some(_), _) => Some(size(cx, 3, "frame_length")?),
        (None, Some(window)) => cx.dim(window, 0)?.as_usize(),
        (None, None) => cx.dim(signal, 1)?.as_usize(),
    };
    let Some(length) = length else {
        return unsupported("the length of a frame has to be known");
    };
    let f = &mut cx.formula();
    Ok(vec![fourier::short_time_fourier(f, signal, window, length, step, onesided)?])
}

/// The attribute `output_datatype`.
fn element_type(cx: &Cx<'_>) -> Result<DType> {
    let number = cx.attributes.int_or("output_datatype", 1)?;
    dtype_of(i32::try_from(number).unwrap_or(0))
        .map_err(|found| OpError::Unsupported(format!("elements of type {found} are not supported")))
}

fn made(cx: &mut Cx<'_>, shape: &[usize], numbers: Vec<f64>) -> Result<ValueId> {
    let dtype = element_type(cx)?;
    let numbers = Tensor::new(shape, kiln_graph::Data::F64(numbers))
        .map_err(|error| OpError::Invalid(error.to_string()))?;
    let numbers = cx.constant_value(numbers);
    cx.cast(numbers, dtype)
}

/// `a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)`, with as many steps as elements if it is one period of many, one less
/// if it is symmetric.
fn window(cx: &mut Cx<'_>, [a0, a1, a2]: [f64; 3]) -> Outputs {
    let count = size(cx, 0, "size")?;
    if count > LONGEST_WINDOW {
        return unsupported(format!("a window of {count} is not supported; up to {LONGEST_WINDOW} are"));
    }
    let periodic = cx.attributes.flag("periodic", true)?;
    let steps = if periodic { count } else { count.saturating_sub(1) }.max(1);
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    let angle = |n: usize| 2.0 * PI * n as f64 / steps as f64;
    let numbers = (0..count).map(angle).map(|x| a0 - a1 * x.cos() + a2 * (2.0 * x).cos()).collect();
    Ok(vec![made(cx, &[count], numbers)?])
}

pub(crate) fn hann_window(cx: &mut Cx<'_>) -> Outputs {
    window(cx, [0.5, 0.5, 0.0])
}

/// With the weights of Hamming's first paper, 25/46 and 21/46.
pub(crate) fn hamming_window(cx: &mut Cx<'_>) -> Outputs {
    window(cx, [25.0 / 46.0, 21.0 / 46.0, 0.0])
}

pub(crate) fn blackman_window(cx: &mut Cx<'_>) -> Outputs {
    window(cx, [0.42, 0.5, 0.08])
}

/// Triangles over the frequencies of a one-sided transform, at equal distances on the mel scale,
/// `mel(f) = 2595 log10(1 + f / 700)`. Corners are at whole frequencies: `floor((length + 1) f / rate)`.
pub(crate) fn mel_weight_matrix(cx: &mut Cx<'_>) -> Outputs {
    let (bands, length) = (size(cx, 0, "num_mel_bins")?, size(cx, 1, "dft_length")?);
    let rate = size(cx, 2, "sample_rate")?;
    let edge = |i: usize, what: &str| Ok::<f64, OpError>(cx.floats(i, what)?.first().copied().unwrap_or(0.0));
    let (low, high) = (edge(3, "lower_edge_hertz")?, edge(4, "upper_edge_hertz")?);
    let frequencies = length / 2 + 1;
    let elements = frequencies.saturating_mul(bands);
    if rate == 0 || elements > 1 << 24 {
        return invalid(format!("a mel scale of {bands} bands at a rate of {rate} is not supported"));
    }
    let mel = |f: f64| 2595.0 * (f / 700.0).ln_1p() / std::f64::consts::LN_10;
    let hertz = |mel: f64| 700.0 * (mel / 2595.0 * std::f64::consts::LN_10).exp_m1();
    #[allow(clippy::as_conversions, reason = "what is no place among the frequencies is refused")]
    let corners: Vec<usize> = (0..bands + 2)
        .map(|n| {
            let step = (mel(high) - mel(low)) / (bands + 2) as f64;
            let place = ((length + 1) as f64 * hertz(mel(low) + n as f64 * step) / rate as f64).floor();
            if place >= 0.0 && place < frequencies as f64 { Some(place as usize) } else { None }
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            let message = format!("{low} to {high} Hz are beyond the frequencies of a rate of {rate}");
            OpError::Invalid(message)
        })?;
    let mut numbers = vec![0.0; elements];
    for (band, corner) in corners.windows(3).enumerate() {
        let [left, centre, right] = corner else { continue };
        #[allow(clippy::as_conversions, reason = "places are far below 2^53")]
        let share = |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        for place in *left..=*centre {
            numbers[place * bands + band] = share(place - left, centre - left);
        }
        for place in *centre..*right {
            numbers[place * bands + band] = share(right - place, right - centre);
        }
    }
    Ok(vec![made(cx, &[frequencies, bands], numbers)?])
}
