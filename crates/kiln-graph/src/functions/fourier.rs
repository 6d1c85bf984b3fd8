//! Discrete Fourier transforms, as products with the matrix of their cosines and sines.
//!
//! Complex numbers are pairs in a last dimension of two. The matrices are known, so the transforms can be
//! differentiated, folded and fused like any other product; what is saved by fast algorithms matters for sizes far
//! beyond those that networks for sound have.

use std::f64::consts::TAU;

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Conv, MatMul, Op, SliceAxis};
use crate::tensor::{ShapeDisplay, Tensor};

/// More elements a matrix should not have.
const MAX_ELEMENTS: usize = 1 << 24;

/// Attributes of a transform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transform {
    /// From frequencies back to samples, divided by their number.
    pub inverse: bool,
    /// Frequencies are those up to the half, of which the others follow where samples are real.
    pub onesided: bool,
    /// The number of samples; what is missing is zero, what is too much is left out.
    pub length: Option<usize>,
}

/// Real and imaginary part of `exp(sign 2 pi i k n / length)`.
fn wave(k: usize, n: usize, length: usize, sign: f64) -> (f64, f64) {
    // The angle of the remainder is the same, and exact.
    #[allow(clippy::as_conversions, reason = "indices are far below 2^53")]
    let angle = TAU * (k.wrapping_mul(n) % length) as f64 / length as f64;
    (angle.cos(), sign * angle.sin())
}

/// The transform of `x [..., n, ..., 1 or 2]` along `axis`: `[..., k, ..., 2]`, or real numbers `[..., n, ..., 1]` back
/// from one-sided frequencies.
pub fn fourier(f: &mut Formula<'_>, x: ValueId, axis: usize, how: Transform) -> Made {
    let shape = f.shape(x);
    let last = shape.len().saturating_sub(1);
    let parts = shape.last().and_then(Dim::as_usize).filter(|parts| [1, 2].contains(parts));
    let (Some(parts), true) = (parts, axis < last) else {
        let message = format!("{} should be [..., 1] or [..., 2] with an axis before", f.ty(x));
        return f.mismatch("fourier", message);
    };
    let real_result = how.inverse && how.onesided;
    let given = shape[axis].as_usize();
    let Some((given, length)) = given.map(|given| {
        let spectrum = given.saturating_sub(1).saturating_mul(2);
        (given, how.length.unwrap_or(if real_result { spectrum } else { given }))
    }) else {
        let message = format!("a Fourier transform of {} values; their number has to be known", shape[axis]);
        return Err(GraphError::Unsuitable(message));
    };
    if how.onesided && parts != if how.inverse { 2 } else { 1 } {
        let message = format!("one-sided frequencies belong to real samples, but the input is {}", f.ty(x));
        return f.mismatch("fourier", message);
    }
    let half = length / 2 + 1;
    let used = given.min(if real_result { half } else { length });
    let (made, out_parts) = match (how.onesided, how.inverse) {
        (true, false) => (half, 2),
        (true, true) => (length, 1),
        (false, _) => (length, 2),
    };
    let size = used.saturating_mul(parts).saturating_mul(made).saturating_mul(out_parts);
    if size > MAX_ELEMENTS || length == 0 {
        let message = format!("a Fourier transform of {length} values; they should be 1 to some thousand");
        return Err(GraphError::Unsuitable(message));
    }
    // [n, real or imaginary, k, real or imaginary]
    let mut matrix = vec![0.0; size];
    for n in 0..used {
        for k in 0..made {
            let (cos, sin) = wave(n, k, length, if how.inverse { 1.0 } else { -1.0 });
            // A frequency that has a mirror image represents both.
            let twice = real_result && n != 0 && 2 * n != length;
            #[allow(clippy::as_conversions, reason = "lengths are small")]
            let scale = if how.inverse { 1.0 / length as f64 } else { 1.0 };
            let scale = if twice { 2.0 * scale } else { scale };
            let rotation = [[cos, sin], [-sin, cos]];
            for (part, row) in rotation.iter().enumerate().take(parts) {
                for (out, value) in row.iter().enumerate().take(out_parts) {
                    let place = ((n * parts + part) * made + k) * out_parts + out;
                    matrix[place] = (value * scale) as f32;
                }
            }
        }
    }
    let matrix = f.constant(Tensor::f32([used * parts, made * out_parts], matrix)?);
    let matrix = f.cast(matrix, f.ty(x).dtype)?;
    let x = if used < given {
        f.slice(x, vec![SliceAxis { axis, start: 0.into(), length: used.into(), step: 1 }])?
    } else {
        x
    };
    let others: Vec<usize> = (0..last).filter(|other| *other != axis).collect();
    let perm: Vec<usize> = others.iter().copied().chain([axis, last]).collect();
    let moved = f.transpose(x, perm.clone())?;
    let lead: Vec<Dim> = others.iter().map(|other| shape[*other].clone()).collect();
    let rows = f.reshape(moved, vec![product(&lead), (used * parts).into()])?;
    let y = f.matmul(MatMul::default(), rows, matrix)?;
    let y = f.reshape(y, lead.into_iter().chain([made.into(), out_parts.into()]).collect())?;
    let back: Vec<usize> = (0..=last).filter_map(|axis| perm.iter().position(|from| *from == axis)).collect();
    f.transpose(y, back)
}

/// The transforms of `length` samples each, `step` apart: `signal [batch, samples, 1 or 2]` gives
/// `[batch, frames, k, 2]`. Each is multiplied by `window [length]` first, if there is one.
///
/// It is a convolution whose kernels are the waves under the window.
pub fn short_time_fourier(
    f: &mut Formula<'_>,
    signal: ValueId,
    window: Option<ValueId>,
    length: usize,
    step: usize,
    onesided: bool,
) -> Made {
    const NAME: &str = "short_time_fourier";
    let shape = f.shape(signal);
    let [batch, _, parts] = &shape[..] else {
        return f.mismatch(NAME, format!("{} should be [batch, samples, 1 or 2]", ShapeDisplay(&shape)));
    };
    let Some(parts) = parts.as_usize().filter(|parts| *parts == 1 || *parts == 2 && !onesided) else {
        let message =
            format!("the signal is {}; a one-sided transform has real ones, [..., 1]", f.ty(signal));
        return f.mismatch(NAME, message);
    };
    let made = if onesided { length / 2 + 1 } else { length };
    let size = made.saturating_mul(2 * parts).saturating_mul(length);
    if size > MAX_ELEMENTS || length == 0 || step == 0 {
        let message = format!("frames of {length} samples, {step} apart, are not supported");
        return Err(GraphError::Unsuitable(message));
    }
    // [k and real or imaginary, real or imaginary, n]
    let mut kernels = Vec::with_capacity(size);
    for k in 0..made {
        for out in 0..2 {
            for part in 0..parts {
                for n in 0..length {
                    let (cos, sin) = wave(k, n, length, -1.0);
                    kernels.push([[cos, sin], [-sin, cos]][part][out] as f32);
                }
            }
        }
    }
    let kernels = f.constant(Tensor::f32([made * 2, parts, length], kernels)?);
    let mut kernels = f.cast(kernels, f.ty(signal).dtype)?;
    if let Some(window) = window {
        if f.shape(window) != [length.into()] {
            return f.mismatch(NAME, format!("the window is {}, but should be [{length}]", f.ty(window)));
        }
        kernels = f.mul(kernels, window)?;
    }
    let channels_first = f.transpose(signal, vec![0, 2, 1])?;
    let conv = Conv {
        strides: vec![step],
        pads: vec![[0, 0]],
        dilations: vec![1],
        input_dilations: vec![1],
        groups: 1,
    };
    let y = f.apply(Op::Conv(conv), &[channels_first, kernels])?;
    // [batch, 2 k, frames]
    let y = f.transpose(y, vec![0, 2, 1])?;
    let frames = f.shape(y).get(1).cloned().unwrap_or_default();
    f.reshape(y, vec![batch.clone(), frames, made.into(), 2.into()])
}
