//! Images of the crate `image`.

use image::{DynamicImage, GrayImage, RgbImage};

use super::{NoPixels, Picture, length};

/// What is grey stays grey, with one value a pixel; values of more than 8 bits are rounded to 8, and alpha is dropped.
impl TryFrom<DynamicImage> for Picture {
    type Error = NoPixels;

    fn try_from(image: DynamicImage) -> Result<Self, NoPixels> {
        match image {
            DynamicImage::ImageLuma8(grey) => grey.try_into(),
            DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
                image.into_luma8().try_into()
            }
            other => other.into_rgb8().try_into(),
        }
    }
}

impl TryFrom<RgbImage> for Picture {
    type Error = NoPixels;

    fn try_from(image: RgbImage) -> Result<Self, NoPixels> {
        of(image.width(), image.height(), 3, image.into_raw())
    }
}

impl TryFrom<GrayImage> for Picture {
    type Error = NoPixels;

    fn try_from(image: GrayImage) -> Result<Self, NoPixels> {
        of(image.width(), image.height(), 1, image.into_raw())
    }
}

fn of(width: u32, height: u32, channels: usize, mut values: Vec<u8>) -> Result<Picture, NoPixels> {
    let (width, height) = (length(width), length(height));
    // The buffer of an image may be longer than its pixels are many.
    values.truncate(width.saturating_mul(height).saturating_mul(channels));
    Picture::new(height, width, channels, values).ok_or(NoPixels)
}
