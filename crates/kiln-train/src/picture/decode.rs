//! From the bytes of a file to 8-bit values, as Pillow's `convert("RGB")` and `convert("L")` give them.
//!
//! The header is checked before anything is allocated: an image of one colour takes a thousandth of its pixels
//! in a file. A file that ends before its image does is an error, as it is in Pillow.

use std::io::Cursor;

use kiln_files::{buffer, wide};
use libjpeg_turbo_rs::common::types::{ComponentInfo, FrameHeader};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, PixelFormat};
use png::{BitDepth, ColorType, InterlaceInfo, Transformations};

use kiln_runtime::picture::{Picture, luma};

/// Images with more pixels are not decoded: those that Pillow takes for an attack (twice its `MAX_IMAGE_PIXELS`).
pub(super) const MOST_DECODED: usize = 178_956_970;

/// Pixels of a side. JPEG cannot have more.
const LONGEST_SIDE: usize = 1 << 16;

/// Bytes that decoding a file may take beside the pixels of the result.
const MOST_MEMORY: usize = 1 << 30;

/// Progressive JPEG files have a scan for each step of refinement, about ten; all of them go over the whole image.
const MOST_SCANS: usize = 100;

/// Decodes a PNG or JPEG file, in colours or grey. Of a grey file only one channel is kept in both cases.
pub(super) fn decode(bytes: &[u8], grey: bool) -> Result<Picture, String> {
    let decoder = if bytes.starts_with(b"\xff\xd8") {
        jpeg
    } else if bytes.starts_with(b"\x89PNG") {
        png
    } else {
        return Err("it is neither PNG nor JPEG".into());
    };
    // What is known to make the decoders panic is checked; of what is not known, one file is lost and not a training.
    std::panic::catch_unwind(|| decoder(bytes, grey))
        .unwrap_or_else(|_| Err("it is damaged in a way that its decoder does not expect".into()))
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("it has no pixels".into());
    }
    if width > LONGEST_SIDE || height > LONGEST_SIDE {
        return Err(format!("it has {width} x {height} pixels; a side can have {LONGEST_SIDE}"));
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MOST_DECODED => Ok(()),
        _ => Err(format!(
            "it has {width} x {height} pixels, more than the {MOST_DECODED} that are decoded; a smaller copy can be read"
        )),
    }
}

/// Zeros for the values of an image.
fn zeros(count: usize) -> Result<Vec<u8>, String> {
    let mut values = buffer(count).map_err(|error| error.to_string())?;
    values.resize(count, 0);
    Ok(values)
}

fn png(bytes: &[u8], grey: bool) -> Result<Picture, String> {
    let wrong = |error: png::DecodingError| match error {
        png::DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it is truncated: pixels are missing".to_owned()
        }
        other => other.to_string(),
    };
    let limits = png::Limits { bytes: MOST_MEMORY };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::EXPAND);
    // Texts and profiles may be compressed, too, and are not looked at.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(wrong)?;
    let (width, height) = (length(header.width), length(header.height));
    check_size(width, height)?;
    let mut reader = decoder.read_info().map_err(wrong)?;
    check_palette(reader.info().palette.as_deref())?;
    let kind = Kind::of(reader.output_color_type())?;
    let (channels, bits) = if grey || kind.is_grey() { (1, 8) } else { (3, 24) };
    let stride = width * channels;
    let mut values = zeros(height * stride)?;
    let mut line = Vec::with_capacity(stride);
    let mut rows = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(wrong)? {
        line.clear();
        kind.convert(row.data(), grey, &mut line);
        match row.interlace() {
            InterlaceInfo::Adam7(info) => {
                png::expand_interlaced_row(&mut values, stride, &line, info, bits);
            }
            InterlaceInfo::Null(_) => {
                let target = values.get_mut(rows * stride..(rows + 1) * stride);
                match target.filter(|target| target.len() == line.len()) {
                    Some(target) => target.copy_from_slice(&line),
                    None => return Err("its rows are not as long as its header says".into()),
                }
            }
        }
        rows += 1;
    }
    whole(height, width, channels, values)
}

/// The image, if it has as many values as pixels.
fn whole(height: usize, width: usize, channels: usize, values: Vec<u8>) -> Result<Picture, String> {
    let count = values.len();
    Picture::new(height, width, channels, values)
        .ok_or_else(|| format!("it has {count} values for {width} x {height} pixels"))
}

/// The length of a side. Where it saturates, it is more than any image has, and refused.
fn length(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}

/// Refuses palettes that are not a list of up to 256 colours of three bytes, which the decoder takes for granted.
fn check_palette(palette: Option<&[u8]>) -> Result<(), String> {
    let Some(bytes) = palette else { return Ok(()) };
    if !bytes.is_empty() && bytes.len().is_multiple_of(3) && bytes.len() <= 3 * 256 {
        return Ok(());
    }
    Err(format!("its palette has {} bytes; it should have three for each of up to 256 colours", bytes.len()))
}

/// What the pixels of a PNG file are, with palettes and small numbers expanded to eight bits.
struct Kind {
    color: ColorType,
    /// Bytes of a value, the higher one first.
    bytes: usize,
}

impl Kind {
    fn of((color, depth): (ColorType, BitDepth)) -> Result<Self, String> {
        match (color, depth) {
            (ColorType::Indexed, _) | (_, BitDepth::One | BitDepth::Two | BitDepth::Four) => {
                Err(format!("pixels of the kind {color:?} with {depth:?} bits are not read"))
            }
            (_, BitDepth::Eight) => Ok(Self { color, bytes: 1 }),
            (_, BitDepth::Sixteen) => Ok(Self { color, bytes: 2 }),
        }
    }

    fn is_grey(&self) -> bool {
        matches!(self.color, ColorType::Grayscale | ColorType::GrayscaleAlpha)
    }

    /// Puts the pixels of a row behind `line`. Transparency is passed over. Of 16 bits the upper eight are taken, but
    /// plain grey is clipped.
    fn convert(&self, row: &[u8], grey: bool, line: &mut Vec<u8>) {
        let each = self.bytes * self.color.samples();
        match self.color {
            ColorType::Grayscale if self.bytes == 2 => {
                let clipped = |value: &[u8; 2]| u8::try_from(u16::from_be_bytes(*value)).unwrap_or(u8::MAX);
                line.extend(row.as_chunks().0.iter().map(clipped));
            }
            ColorType::Grayscale | ColorType::GrayscaleAlpha => {
                line.extend(row.chunks_exact(each).map(|pixel| pixel[0]));
            }
            ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => {
                let colours = |pixel: &[u8]| [0, 1, 2].map(|channel| pixel[channel * self.bytes]);
                if grey {
                    line.extend(row.chunks_exact(each).map(|pixel| luma(colours(pixel))));
                } else {
                    line.extend(row.chunks_exact(each).flat_map(colours));
                }
            }
        }
    }
}

fn jpeg(bytes: &[u8], grey: bool) -> Result<Picture, String> {
    let wrong = |error: libjpeg_turbo_rs::JpegError| match error {
        libjpeg_turbo_rs::JpegError::UnexpectedEof => "it is truncated: pixels are missing".to_owned(),
        libjpeg_turbo_rs::JpegError::LimitExceeded { what, actual, limit } => {
            format!(
                "{what} is {actual}, and {limit} at most; a smaller copy, or one that is not progressive, can be read"
            )
        }
        other => other.to_string(),
    };
    let decoder = Decoder::new(bytes).map_err(wrong)?;
    let header = decoder.header();
    check_size(header.width.into(), header.height.into())?;
    if !is_whole(bytes) {
        return Err("it is truncated: pixels are missing".into());
    }
    check_sampling(header)?;
    let single = header.components.len() == 1;
    // Grey of an image in colours is made of its colours, not taken from the file.
    let format = if single { PixelFormat::Grayscale } else { PixelFormat::Rgb };
    let limits = DecodeLimits {
        max_pixels: wide(MOST_DECODED),
        max_scans: MOST_SCANS,
        max_memory: Some(wide(MOST_MEMORY + 3 * MOST_DECODED)),
        ..DecodeLimits::default()
    };
    let image = decoder.with_output_format(format).with_limits(limits).decode_image().map_err(wrong)?;
    let (height, width) = (image.height, image.width);
    let mut values = image.data;
    let mut channels = if single { 1 } else { 3 };
    if values.is_empty()
        || height.checked_mul(width).and_then(|n| n.checked_mul(channels)) != Some(values.len())
    {
        return Err(format!("it has {} values for {width} x {height} pixels", values.len()));
    }
    if grey && !single {
        // In place: a pixel is read before what it becomes is written.
        for at in 0..height * width {
            values[at] = luma([values[3 * at], values[3 * at + 1], values[3 * at + 2]]);
        }
        values.truncate(height * width);
        channels = 1;
    }
    whole(height, width, channels, values)
}

/// Refuses four components (CMYK, YCCK) that are sampled as the decoder does not expect it: it takes the first and the last
/// to be of the full size, and the other two to be alike.
fn check_sampling(header: &FrameHeader) -> Result<(), String> {
    let [first, second, third, last] = &header.components[..] else { return Ok(()) };
    let size = |c: &ComponentInfo| (c.horizontal_sampling, c.vertical_sampling);
    let divides = |(h, v): (u8, u8), (part_h, part_v): (u8, u8)| {
        part_h > 0 && part_v > 0 && h % part_h == 0 && v % part_v == 0
    };
    if size(last) == size(first) && size(second) == size(third) && divides(size(first), size(second)) {
        return Ok(());
    }
    Err("its four components are sampled differently; a copy in RGB can be read".into())
}

/// Whether a JPEG file has its end: the marker that comes after all segments and scans. One that was cut does not, and
/// what is missing would be grey.
fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
        at += found;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            // A byte of data that is 255, or a marker without a length.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(_) => {
                let Some([high, low]) = bytes.get(at + 1..at + 3) else { return false };
                at += 1 + usize::from(u16::from_be_bytes([*high, *low])).max(2);
            }
        }
    }
    false
}
