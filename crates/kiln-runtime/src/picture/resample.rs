//! Bilinear interpolation as Pillow's `resize` does it: where an image becomes smaller, every pixel under the widened
//! filter contributes. First rows, then columns, each rounded to 8 bits. (Version 13 takes columns first for some sizes,
//! mostly of high images, and then gives values that differ by one; all earlier versions do as is done here.)

use super::Picture;

/// Bits behind the point of a filter's weights: what is left of 32 for a value of 8 bits, a sign and a carry.
const PRECISION: u32 = 32 - 8 - 2;

/// The pixels that one pixel of the result is made of.
struct Window {
    first: usize,
    weights: Vec<i64>,
}

/// The image at another size, which is not zero.
pub(super) fn resize(picture: Picture, height: usize, width: usize) -> Picture {
    let Picture { channels, .. } = picture;
    let mut now = picture;
    if width != now.width {
        let windows = windows(now.width, width);
        let mut values = Vec::with_capacity(now.height * width * channels);
        for row in now.values.chunks_exact(now.width * channels) {
            for window in &windows {
                values.extend((0..channels).map(|c| window.of(|at| row[at * channels + c])));
            }
        }
        now = Picture { width, values, ..now };
    }
    if height != now.height {
        let stride = now.width * channels;
        let mut values = Vec::with_capacity(height * stride);
        for window in windows(now.height, height) {
            values.extend((0..stride).map(|column| window.of(|at| now.values[at * stride + column])));
        }
        now = Picture { height, values, ..now };
    }
    now
}

impl Window {
    #[allow(clippy::as_conversions, reason = "clamped to a byte")]
    fn of(&self, value: impl Fn(usize) -> u8) -> u8 {
        let half = 1 << (PRECISION - 1);
        let sum = (self.first..)
            .zip(&self.weights)
            .fold(half, |sum, (at, weight)| sum + i64::from(value(at)) * weight);
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

/// What each of `to` pixels is made of, out of `from`.
#[allow(clippy::as_conversions, reason = "sizes are limited; fractions are cut off, as in Pillow")]
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    // A filter reaches one pixel to either side, and as much farther as the image becomes smaller.
    let reach = scale.max(1.0);
    let window = |index: usize| {
        let centre = (index as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let triangle = |at: usize| (1.0 - ((at as f64 - centre + 0.5) * (1.0 / reach)).abs()).max(0.0);
        let shares: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = shares.iter().sum();
        let fixed = |share: &f64| (share / sum * f64::from(1 << PRECISION)).round() as i64;
        Window { first, weights: shares.iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}
