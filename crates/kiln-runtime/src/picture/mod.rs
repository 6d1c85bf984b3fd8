//! Images on the host, as PyTorch's users have them: resized and cropped as torchvision's `Resize` and `CenterCrop` do with
//! Pillow's images, value for value.
//!
//! A network sees the difference: rounding a size or an offset the other way moves an image by a pixel, and weights of
//! grey for television instead of those of Pillow change every pixel.

#![deny(clippy::as_conversions)]

#[cfg(feature = "image")]
mod image;
mod input;
mod resample;

use kiln_plan::{Channels, Pictures, Preprocessing, Resize};

/// Images are not made larger than this: 8,192 x 8,192 pixels.
pub const MOST_PIXELS: usize = 1 << 26;

/// What an image of the crate `image` cannot be: without pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image has no pixels")]
pub struct NoPixels;

/// An image of 8-bit values, rows from top to bottom, of each pixel one value (grey) or three (red, green, blue). What
/// is grey in its file is kept with one value, in whatever colours it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    channels: usize,
    values: Vec<u8>,
}

impl Picture {
    /// An image of values in rows from top to bottom: of each pixel one (grey) or three (red, green, blue). `None` if there are
    /// not as many values as that, or no pixels.
    pub fn new(height: usize, width: usize, channels: usize, values: Vec<u8>) -> Option<Self> {
        let count = height.checked_mul(width)?.checked_mul(channels)?;
        let is_one = matches!(channels, 1 | 3) && count > 0 && count == values.len();
        is_one.then_some(Self { height, width, channels, values })
    }

    /// Pixels from top to bottom.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Values of a pixel: one or three.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The values of the pixels, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.values
    }

    /// Whether a network is given so many pixels.
    pub fn is_within_limits(&self) -> bool {
        self.height.saturating_mul(self.width) <= MOST_PIXELS
    }

    /// Pixels from left to right.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The image with what is done to it before it becomes numbers: resized, then cut. `None` if that would be more
    /// than [`MOST_PIXELS`].
    pub fn prepared(self, pictures: &Pictures) -> Option<Self> {
        let resized = match pictures.resize {
            Some(resize) => {
                let (height, width) = self.size_by(resize)?;
                self.resized(height, width)?
            }
            None => self,
        };
        match pictures.crop {
            Some([height, width]) => {
                let (height, width) = (length(height), length(width));
                (height.checked_mul(width)? <= MOST_PIXELS).then(|| resized.middle(height, width))
            }
            None => Some(resized),
        }
    }

    /// The size that a rule asks for, as torchvision's `Resize` computes it.
    fn size_by(&self, resize: Resize) -> Option<(usize, usize)> {
        let (height, width) = match resize {
            Resize::Exact { height, width } => (length(height), length(width)),
            Resize::Shorter(side) => {
                let side = length(side);
                // `int(size * long / short)`: the longer side is cut off, not rounded.
                let longer = |long: usize, short: usize| side.checked_mul(long).map(|n| n / short.max(1));
                if self.width <= self.height {
                    (longer(self.height, self.width)?, side)
                } else {
                    (side, longer(self.width, self.height)?)
                }
            }
        };
        (height.checked_mul(width)? <= MOST_PIXELS).then_some((height, width))
    }

    /// The image at another size, which is not zero; `None` if that, or what it takes on the way there, is more than
    /// [`MOST_PIXELS`].
    pub fn resized(self, height: usize, width: usize) -> Option<Self> {
        // Columns come first, so that all rows get the new width.
        let most = height.max(self.height).checked_mul(width)?;
        (most <= MOST_PIXELS).then(|| resample::resize(self, height, width))
    }

    /// The middle of the image, as torchvision's `CenterCrop` cuts it out: what is missing at the borders is black.
    pub fn middle(&self, height: usize, width: usize) -> Self {
        let missing = |has: usize, wants: usize| wants.saturating_sub(has) / 2;
        let (above, left) = (missing(self.height, height), missing(self.width, width));
        let (top, from) = (offset(self.height, height), offset(self.width, width));
        let (rows, columns) = (self.height.min(height), self.width.min(width));
        let mut values = vec![0; height * width * self.channels];
        for row in 0..rows {
            let length = columns * self.channels;
            let source = ((top + row) * self.width + from) * self.channels;
            let target = ((above + row) * width + left) * self.channels;
            values[target..target + length].copy_from_slice(&self.values[source..source + length]);
        }
        Self { height, width, channels: self.channels, values }
    }

    /// The image in grey, with the weights of Pillow.
    pub fn grey(self) -> Self {
        match self.channels {
            1 => self,
            _ => Self {
                channels: 1,
                values: self.values.as_chunks().0.iter().copied().map(luma).collect(),
                ..self
            },
        }
    }

    /// The numbers that a network takes, channel by channel: normalized as `how` says.
    pub fn numbers(&self, pictures: &Pictures, how: &Preprocessing) -> Vec<f32> {
        let bytes = self.planes(pictures.channels).into_iter();
        let mut numbers: Vec<f32> = bytes.map(|byte| f32::from(byte) / 255.0 * pictures.pixel_max).collect();
        let plane = (self.height * self.width).max(1);
        for (channel, numbers) in numbers.chunks_mut(plane).enumerate() {
            how.normalize(channel, numbers);
        }
        numbers
    }

    /// The values channel by channel, `[C, H, W]`; colours in the order that `channels` says.
    pub fn planes(&self, channels: Channels) -> Vec<u8> {
        if self.channels == 1 {
            return self.values.repeat(channels.count());
        }
        let plane = self.height * self.width;
        let mut out = vec![0; self.channels * plane];
        for (i, pixel) in self.values.chunks_exact(self.channels).enumerate() {
            for (channel, value) in pixel.iter().enumerate() {
                let channel = match channels {
                    Channels::Bgr => self.channels - 1 - channel,
                    Channels::Rgb | Channels::Grey => channel,
                };
                out[channel * plane + i] = *value;
            }
        }
        out
    }
}

/// Luma by the weights of ITU-R BT.601, in 16 bits behind the point: Pillow's `L`.
pub fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000;
    sum.to_le_bytes()[2]
}

/// The length of a side. Where it saturates, it is more than any image has, and refused.
fn length(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}

/// Where the middle begins: half of what is too much, rounded to the even number as Python's `round` does.
fn offset(has: usize, wants: usize) -> usize {
    let spare = has.saturating_sub(wants);
    let half = spare / 2;
    half + usize::from(spare % 2 == 1 && half % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, channels: usize, values: Vec<u8>) -> Picture {
        Picture::new(height, width, channels, values).expect("an image")
    }

    #[test]
    fn planes_are_in_the_order_asked_for() {
        let picture = picture(1, 2, 3, vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(picture.planes(Channels::Rgb), [1, 4, 2, 5, 3, 6]);
        assert_eq!(picture.planes(Channels::Bgr), [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn offsets_are_rounded_to_even() {
        let offsets: Vec<usize> = (0..9).map(|spare| offset(10 + spare, 10)).collect();
        assert_eq!(offsets, [0, 0, 1, 2, 2, 2, 3, 4, 4]);
        assert_eq!(offset(3, 10), 0);
    }

    #[test]
    fn what_would_be_too_large_is_refused() {
        let picture = picture(1, 3, 1, vec![1, 2, 3]);
        let large = |resize, crop| Pictures { resize, crop, ..Pictures::default() };
        let cases = [
            large(Some(Resize::Shorter(u32::MAX)), None),
            large(Some(Resize::Exact { height: 1 << 16, width: 1 << 16 }), None),
            large(None, Some([u32::MAX, u32::MAX])),
        ];
        for pictures in cases {
            assert_eq!(picture.clone().prepared(&pictures), None, "{pictures:?}");
        }
    }

    /// What resizing takes on the way, and images that stay as large as they are.
    #[test]
    fn sizes_that_are_not_made() {
        let tall = picture(60_000, 1, 1, vec![0; 60_000]);
        assert_eq!(tall.clone().resized(1, 60_000), None);
        assert!(tall.resized(100, 100).is_some());
        let large = picture(1 << 14, 1 << 13, 1, vec![0; 1 << 27]);
        assert!(!large.is_within_limits());
    }
}
