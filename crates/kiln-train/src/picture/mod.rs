//! Images from files, as PyTorch's users have them: decoded as Pillow does, resized and cropped as torchvision's
//! `Resize` and `CenterCrop` do with Pillow's images, value for value.
//!
//! A network sees the difference: rounding a size or an offset the other way moves an image by a pixel, and weights of
//! grey for television instead of those of Pillow change every pixel.

#![deny(clippy::as_conversions)]

mod decode;
mod resample;
#[cfg(test)]
#[allow(clippy::as_conversions, reason = "tests know their numbers")]
mod tests;

use std::path::Path;

use kiln_plan::{Channels, Pictures, Resize};

use crate::error::DataError;

/// Images are not made larger than this: 8,192 x 8,192 pixels.
pub const MOST_PIXELS: usize = 1 << 26;

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
    /// Reads a PNG or JPEG file: grey for [`Channels::Grey`], else in colours.
    pub fn read(path: &Path, channels: Channels) -> Result<Self, DataError> {
        let bytes = kiln_files::read(path).map_err(|error| DataError::read(path, error))?;
        Self::from_bytes(&bytes, channels)
            .map_err(|message| DataError::file(path, format!("cannot be read as an image: {message}")))
    }

    /// Decodes the contents of a file; the error describes what is wrong with it.
    pub fn from_bytes(bytes: &[u8], channels: Channels) -> Result<Self, String> {
        decode::decode(bytes, channels == Channels::Grey)
    }

    /// Pixels from top to bottom.
    pub fn height(&self) -> usize {
        self.height
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
