//! Images made of pixels: filters, and histograms over time as colours.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use kiln_runtime::HostTensor;

use crate::activations::{BINS, LayerStats};
use crate::error::TrainError;

/// An image as a PNG file.
pub(super) fn png(picture: &RgbImage) -> Result<Vec<u8>, TrainError> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .map_err(|error| TrainError::Setting(format!("an image cannot be written: {error}")))?;
    Ok(bytes)
}

/// The filters of a first layer, a weight `[out, in, height, width]`, side by side: colours where there are three
/// channels, else the first channel as grey, each from its smallest to its largest element.
pub(super) fn filters(weight: &HostTensor) -> Option<RgbImage> {
    const PIXEL: usize = 8;
    const ACROSS: usize = 16;
    const MOST: usize = 128;
    let [filters, channels, height, width] = *weight.shape() else { return None };
    let filters = filters.min(MOST);
    if filters * channels * height * width == 0 {
        return None;
    }
    let values = weight.to_f64();
    let (tall, wide) = (height * PIXEL + 4, width * PIXEL + 4);
    let (across, down) = (filters.min(ACROSS), filters.div_ceil(ACROSS));
    let mut picture =
        RgbImage::from_pixel((across * wide) as u32, (down * tall) as u32, image::Rgb([255; 3]));
    for filter in 0..filters {
        let own = &values[filter * channels * height * width..(filter + 1) * channels * height * width];
        let (low, high) =
            own.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
        let level = |x: f64| ((x - low) / (high - low).max(1e-12) * 255.0) as u8;
        for row in 0..height * PIXEL {
            for column in 0..width * PIXEL {
                let at = |channel: usize| own[(channel * height + row / PIXEL) * width + column / PIXEL];
                let colour = std::array::from_fn(|c| level(at(if channels == 3 { c } else { 0 })));
                let (x, y) = (filter % ACROSS * wide + column + 2, filter / ACROSS * tall + row + 2);
                picture.put_pixel(x as u32, y as u32, image::Rgb(colour));
            }
        }
    }
    Some(picture)
}

/// fastai's "colourful dimension": a column for each step, a row for each bin, the brighter the more elements
/// (logarithms of the counts).
pub(super) fn colourful(layer: &LayerStats) -> Option<RgbImage> {
    const PIXEL: u32 = 4;
    let most =
        layer.snapshots.iter().flat_map(|snapshot| snapshot.histogram).max().filter(|most| *most > 0)?;
    let brightest = f64::from(most).ln_1p();
    let width = layer.snapshots.len() as u32;
    Some(RgbImage::from_fn(width * PIXEL, BINS as u32 * PIXEL, |x, y| {
        let snapshot = &layer.snapshots[(x / PIXEL) as usize];
        let count = snapshot.histogram[BINS - 1 - (y / PIXEL) as usize];
        colour(f64::from(count).ln_1p() / brightest)
    }))
}

/// From dark blue to yellow, by way of purple and orange.
fn colour(share: f64) -> image::Rgb<u8> {
    const STOPS: [[f64; 3]; 4] =
        [[13.0, 8.0, 80.0], [150.0, 20.0, 140.0], [240.0, 110.0, 60.0], [250.0, 240.0, 90.0]];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    let part = place - stop as f64;
    image::Rgb(std::array::from_fn(|c| (STOPS[stop][c] * (1.0 - part) + STOPS[stop + 1][c] * part) as u8))
}
