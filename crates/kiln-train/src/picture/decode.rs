//! From the bytes of a file to 8-bit values, as Pillow's `convert("RGB")` and `convert("L")` give them.

use image::{DynamicImage, ImageFormat, ImageReader};
use libjpeg_turbo_rs::{Decoder, PixelFormat};

use super::Picture;

/// JPEG files with more pixels are not decoded.
const MOST_DECODED: usize = 1 << 28;

/// Decodes a PNG or JPEG file, in colours or grey.
pub fn decode(bytes: &[u8], grey: bool) -> Result<Picture, String> {
    if bytes.starts_with(b"\xff\xd8") {
        return jpeg(bytes, grey);
    }
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes));
    reader.set_format(match bytes {
        [0x89, b'P', b'N', b'G', ..] => ImageFormat::Png,
        _ => return Err("it is neither PNG nor JPEG".into()),
    });
    let image = reader.decode().map_err(|error| error.to_string())?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let rgb = |values: Vec<u8>| {
        let values = if grey { values.chunks_exact(3).map(luma).collect() } else { values };
        picture(height, width, if grey { 1 } else { 3 }, values)
    };
    let single = |values: Vec<u8>| {
        let repeated = || values.iter().flat_map(|value| [*value; 3]).collect();
        picture(height, width, if grey { 1 } else { 3 }, if grey { values.clone() } else { repeated() })
    };
    // Transparency is passed over. Of 16 bits the upper eight are taken, but plain grey is clipped.
    match image {
        DynamicImage::ImageLuma8(pixels) => single(pixels.into_raw()),
        DynamicImage::ImageLumaA8(pixels) => single(firsts::<_, 2, 1>(pixels.as_raw(), |v| v)),
        DynamicImage::ImageRgb8(pixels) => rgb(pixels.into_raw()),
        DynamicImage::ImageRgba8(pixels) => rgb(firsts::<_, 4, 3>(pixels.as_raw(), |v| v)),
        DynamicImage::ImageLuma16(pixels) => {
            single(firsts::<_, 1, 1>(pixels.as_raw(), |v| u8::try_from(v).unwrap_or(u8::MAX)))
        }
        DynamicImage::ImageLumaA16(pixels) => single(firsts::<_, 2, 1>(pixels.as_raw(), upper)),
        DynamicImage::ImageRgb16(pixels) => rgb(firsts::<_, 3, 3>(pixels.as_raw(), upper)),
        DynamicImage::ImageRgba16(pixels) => rgb(firsts::<_, 4, 3>(pixels.as_raw(), upper)),
        other => Err(format!("pixels of the kind {:?} are not read", other.color())),
    }
}

fn jpeg(bytes: &[u8], grey: bool) -> Result<Picture, String> {
    let wrong = |error: libjpeg_turbo_rs::JpegError| error.to_string();
    let decoder = Decoder::new(bytes).map_err(wrong)?;
    let single = decoder.header().components.len() == 1;
    // Grey of a picture in colours is made of its colours, not taken from the file.
    let format = if grey && single { PixelFormat::Grayscale } else { PixelFormat::Rgb };
    let decoder = decoder.with_output_format(format).with_max_pixels(MOST_DECODED);
    let image = decoder.decode_image().map_err(wrong)?;
    let values = if grey && !single { image.data.chunks_exact(3).map(luma).collect() } else { image.data };
    picture(image.height, image.width, if grey { 1 } else { 3 }, values)
}

fn picture(height: usize, width: usize, channels: usize, values: Vec<u8>) -> Result<Picture, String> {
    if values.is_empty()
        || height.checked_mul(width).and_then(|n| n.checked_mul(channels)) != Some(values.len())
    {
        return Err(format!("it has {} values for {width} x {height} pixels", values.len()));
    }
    Ok(Picture { height, width, channels, values })
}

/// Of each `N` values the first `K`.
fn firsts<T: Copy, const N: usize, const K: usize>(values: &[T], byte: impl Fn(T) -> u8) -> Vec<u8> {
    values.chunks_exact(N).flat_map(|pixel| &pixel[..K]).map(|value| byte(*value)).collect()
}

fn upper(value: u16) -> u8 {
    value.to_be_bytes()[0]
}

/// Luma by the weights of ITU-R BT.601, in 16 bits behind the point: Pillow's `L`.
fn luma(pixel: &[u8]) -> u8 {
    let weights = [19_595u32, 38_470, 7_471];
    let sum: u32 = pixel.iter().zip(weights).map(|(value, weight)| u32::from(*value) * weight).sum();
    ((sum + 0x8000) >> 16) as u8
}
