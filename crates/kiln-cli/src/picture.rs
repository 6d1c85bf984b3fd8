//! Pictures as tensors and back: `[C, H, W]`, red green blue or grey, 0 to 1.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, ImageReader};
use miette::{Result, bail, miette};

/// Pictures are not enlarged beyond this: 8,192 x 8,192.
const MOST_PIXELS: u64 = 1 << 26;

/// What is done to a picture before a network sees it.
#[derive(Clone, Debug, Default)]
pub struct Preparation {
    /// The shorter side is brought to this length first, and the middle is cut out.
    pub resize: Option<u32>,
    /// A square of this side is cut out of the middle, for a model that takes any size.
    pub crop: Option<u32>,
    /// Taken off each channel.
    pub mean: Vec<f32>,
    /// Each channel is divided by it.
    pub std: Vec<f32>,
}

/// A picture of `channels` channels. With `size` (height, width) it is brought to that size: cut out of the middle
/// after [`Preparation::resize`], else stretched.
pub fn read(
    path: &Path,
    channels: usize,
    size: Option<(u32, u32)>,
    preparation: &Preparation,
) -> Result<(Vec<f32>, [usize; 3])> {
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|error| miette!("cannot read `{}`: {error}", path.display()))?;
    let mut picture =
        reader.decode().map_err(|error| miette!("`{}` is no picture: {error}", path.display()))?;
    check_channels(preparation, channels)?;
    if let Some(side) = preparation.resize {
        picture = shorter_side(&picture, side).ok_or_else(|| {
            miette!("--resize {side} would make more than {MOST_PIXELS} pixels of `{}`", path.display())
        })?;
    }
    if let Some(side) = preparation.crop {
        picture = middle(&picture, side, side).ok_or_else(|| {
            let (width, height) = picture.dimensions();
            miette!("--crop {side} is more than there is of `{}`, {width} x {height} pixels", path.display())
        })?;
    }
    if let Some((height, width)) = size {
        picture = if preparation.crop.is_none() && preparation.resize.is_some() {
            middle(&picture, height, width).ok_or_else(|| {
                miette!(
                    "the model wants {width} x {height} pixels, more than --resize leaves of `{}`",
                    path.display()
                )
            })?
        } else {
            picture.resize_exact(width, height, FilterType::Triangle)
        };
    }
    let (width, height) = picture.dimensions();
    let bytes = match channels {
        1 => picture.to_luma8().into_raw(),
        3 => picture.to_rgb8().into_raw(),
        other => bail!("an input of {other} channels is no picture; 1 and 3 are"),
    };
    let count = width as usize * height as usize;
    let mut out = vec![0f32; channels * count];
    for (i, pixel) in bytes.chunks_exact(channels).enumerate() {
        for (c, byte) in pixel.iter().enumerate() {
            let value = f32::from(*byte) / 255.0;
            out[c * count + i] =
                (value - channel(&preparation.mean, c, 0.0)) / channel(&preparation.std, c, 1.0);
        }
    }
    Ok((out, [channels, height as usize, width as usize]))
}

/// Mean and deviation are for one channel, or for each.
fn check_channels(preparation: &Preparation, channels: usize) -> Result<()> {
    for (flag, values) in [("--mean", &preparation.mean), ("--std", &preparation.std)] {
        if !matches!(values.len(), 0 | 1) && values.len() != channels {
            bail!("{flag} has {} numbers; the input has {channels} channels", values.len());
        }
        if let Some(wrong) = values.iter().find(|x| !x.is_finite() || (flag == "--std" && **x <= 0.0)) {
            bail!(
                "{flag} {wrong} does not do; a {}finite number does",
                if flag == "--std" { "positive " } else { "" }
            );
        }
    }
    Ok(())
}

/// One number for all channels, or one for each.
fn channel(values: &[f32], c: usize, default: f32) -> f32 {
    match values {
        [] => default,
        [one] => *one,
        many => many.get(c).copied().unwrap_or(default),
    }
}

/// `None` if that would be unreasonably large.
fn shorter_side(picture: &DynamicImage, side: u32) -> Option<DynamicImage> {
    let (width, height) = picture.dimensions();
    let scale = f64::from(side) / f64::from(width.min(height).max(1));
    let scaled = |n: u32| ((f64::from(n) * scale).round() as u32).max(side);
    let (width, height) = (scaled(width), scaled(height));
    let fits = u64::from(width) * u64::from(height) <= MOST_PIXELS;
    fits.then(|| picture.resize_exact(width, height, FilterType::Triangle))
}

fn middle(picture: &DynamicImage, height: u32, width: u32) -> Option<DynamicImage> {
    let (has_width, has_height) = picture.dimensions();
    let x = has_width.checked_sub(width)? / 2;
    let y = has_height.checked_sub(height)? / 2;
    Some(picture.crop_imm(x, y, width, height))
}

/// Writes `[C, H, W]` with values from 0 to 1 as a PNG; what lies outside is clipped.
pub fn write(path: &Path, data: &[f32], [channels, height, width]: [usize; 3]) -> Result<()> {
    let count = height * width;
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let interleaved: Vec<u8> =
        (0..count).flat_map(|i| (0..channels).map(move |c| byte(data[c * count + i]))).collect();
    let color = if channels == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let (width, height) = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
    image::save_buffer_with_format(path, &interleaved, width, height, color, image::ImageFormat::Png)
        .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))
}
