//! Windows over an image as columns, and columns added up to an image.

use super::convolution::{ConvTranspose, conv_transpose};
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Conv, Op, window_output};
use crate::tensor::Tensor;

/// The largest window.
const MAX_TAPS: usize = 1 << 10;

/// Windows, one entry for each spatial dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Their size.
    pub kernel: Vec<usize>,
    /// Step between them.
    pub strides: Vec<usize>,
    /// Padding before and after.
    pub pads: Vec<[i64; 2]>,
    /// Step between elements.
    pub dilations: Vec<usize>,
}

impl Windows {
    /// How many elements a window has; an error if they cannot be made.
    fn taps(&self, f: &Formula<'_>, name: &'static str) -> Result<usize, GraphError> {
        let spatial = self.kernel.len();
        let lengths = [self.strides.len(), self.pads.len(), self.dilations.len()];
        let zero = self.kernel.iter().chain(&self.strides).chain(&self.dilations).any(|n| *n == 0);
        if !(1..=3).contains(&spatial) || lengths.iter().any(|n| *n != spatial) || zero {
            let message =
                "kernel, strides, pads and dilations need a positive entry for each of 1 to 3 dimensions";
            return f.mismatch(name, message);
        }
        let taps = self.kernel.iter().fold(1usize, |n, k| n.saturating_mul(*k));
        if taps > MAX_TAPS {
            let message = format!("a window of {taps} elements is not supported; up to {MAX_TAPS} are");
            return Err(GraphError::Unsuitable(message));
        }
        Ok(taps)
    }

    /// The number of windows over `image` along each dimension.
    fn count(&self, image: &[Dim]) -> Vec<Dim> {
        let one = |(i, size): (usize, &Dim)| {
            window_output(size, self.kernel[i], self.strides[i], self.dilations[i], self.pads[i], false)
        };
        image.iter().enumerate().map(one).collect()
    }

    /// A kernel for each element of a window, which has a one there: `[taps, 1, kernel...]`.
    fn unit(&self, f: &mut Formula<'_>, taps: usize, like: ValueId) -> Made {
        let unit = (0..taps * taps).map(|i| if i / taps == i % taps { 1.0 } else { 0.0 }).collect();
        let unit = f.constant(Tensor::f32([&[taps, 1], &self.kernel[..]].concat(), unit)?);
        f.cast(unit, f.ty(like).dtype)
    }
}

/// Columns `[N, C * taps, count]`, the elements of windows over an image `[N, C, image...]`, added up where they overlap:
/// PyTorch's `fold`, ONNX's `Col2Im`. It is a transposed convolution of each channel with units.
pub fn fold(f: &mut Formula<'_>, x: ValueId, image: &[Dim], windows: &Windows) -> Made {
    const NAME: &str = "fold";
    let taps = windows.taps(f, NAME)?;
    let shape = f.shape(x);
    let [n, rows, columns] = &shape[..] else {
        return f.mismatch(NAME, format!("its input is {}, but should be [N, C * taps, windows]", f.ty(x)));
    };
    if image.len() != windows.kernel.len() {
        return f.mismatch(NAME, format!("an image of {} dimensions", image.len()));
    }
    let count = windows.count(image);
    let none = count.iter().any(|n| n.as_const().is_some_and(|n| n < 1));
    let channels = rows.exact_div(&taps.into()).filter(|_| product(&count) == *columns && !none);
    let Some(channels) = channels else {
        let message = format!(
            "{} has no {} windows of {taps} elements, as there are over the image",
            f.ty(x),
            product(&count)
        );
        return f.mismatch(NAME, message);
    };
    let mut output_padding = Vec::with_capacity(image.len());
    for (i, (size, count)) in image.iter().zip(&count).enumerate() {
        let reach = Dim::from(windows.dilations[i].saturating_mul(windows.kernel[i] - 1));
        let [before, after] = windows.pads[i].map(Dim::from);
        let covered = (count.clone() - 1.into()) * windows.strides[i].into() + reach + 1.into();
        let left = size.clone() - (covered - before - after);
        let Some(left) = left.as_const() else {
            let message = format!("how much of `{size}` elements windows leave out is not known; bind it");
            return Err(GraphError::Unsuitable(message));
        };
        output_padding.push(left);
    }
    let lines = [&[n * &channels, taps.into()], &count[..]].concat();
    let lines = f.reshape(x, lines)?;
    let unit = windows.unit(f, taps, x)?;
    let how = ConvTranspose {
        strides: windows.strides.clone(),
        pads: windows.pads.clone(),
        dilations: windows.dilations.clone(),
        output_padding,
        groups: 1,
    };
    let y = conv_transpose(f, lines, unit, &how)?;
    f.reshape(y, [&[n.clone(), channels], image].concat())
}

/// The elements of windows over `x [N, C, image...]` as columns `[N, C * taps, count]`: PyTorch's `unfold`. It is a
/// convolution of each channel with units.
pub fn unfold(f: &mut Formula<'_>, x: ValueId, windows: &Windows) -> Made {
    const NAME: &str = "unfold";
    let taps = windows.taps(f, NAME)?;
    let shape = f.shape(x);
    let [n, c, image @ ..] = &shape[..] else { return f.mismatch(NAME, "its input has too few dimensions") };
    if image.len() != windows.kernel.len() {
        return f.mismatch(NAME, format!("windows of {} dimensions over {}", windows.kernel.len(), f.ty(x)));
    }
    let planes = f.reshape(x, [&[n * c, 1.into()], image].concat())?;
    let unit = windows.unit(f, taps, x)?;
    let conv = Conv {
        strides: windows.strides.clone(),
        pads: windows.pads.clone(),
        dilations: windows.dilations.clone(),
        ..Conv::new(image.len())
    };
    let y = f.apply(Op::Conv(conv), &[planes, unit])?;
    f.reshape(y, vec![n.clone(), c * &taps.into(), product(&windows.count(image))])
}
