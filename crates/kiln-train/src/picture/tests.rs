//! Value for value what Pillow and torchvision make of the same files; `tests/oracles/picture_oracles.py` made them.

use std::path::{Path, PathBuf};

use kiln_plan::{Channels, Pictures, Resize};
use serde::Deserialize;

use super::{from_bytes, read};
use crate::npy::{Archive, Elements};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    mode: String,
    #[serde(default)]
    resize: Vec<u32>,
    crop: Option<[u32; 2]>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/pictures")
}

#[test]
fn pictures_are_those_of_pillow_and_torchvision() {
    let text = std::fs::read_to_string(fixtures().join("cases.json")).expect("the cases");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("a list of cases");
    let mut expected = Archive::open(&fixtures().join("expected.npz")).expect("an archive");
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let channels = Channels::called(&case.mode).expect("a mode");
        let pictures = Pictures {
            channels,
            resize: match case.resize[..] {
                [] => None,
                [side] => Some(Resize::Shorter(side)),
                [height, width] => Some(Resize::Exact { height, width }),
                _ => panic!("a size has one number or two"),
            },
            crop: case.crop,
            pixel_max: 1.0,
        };
        let what = format!("{} {} {:?} {:?}", case.file, case.mode, pictures.resize, case.crop);
        let whole = read(&fixtures().join(&case.file), channels).expect(&what);
        let found = whole.prepared(&pictures).expect(&what);
        let array = expected.get(&number.to_string()).expect("an array").expect("an array");
        let (shape, Elements::U8(values)) = (array.shape, array.elements) else { panic!("bytes") };
        let mut own = vec![found.height(), found.width()];
        own.extend((channels != Channels::Grey).then_some(3));
        // What is grey in its file is kept with one value.
        let colours = if channels == Channels::Grey { 1 } else { 3 };
        let repeated =
            found.pixels().iter().flat_map(|value| std::iter::repeat_n(value, colours / found.channels()));
        let off = repeated.zip(&values).filter(|(a, b)| a != b).count();
        if own != shape || off > 0 {
            wrong.push(format!("{what}: {own:?} instead of {shape:?}, {off} values differ"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file that is cut off or changed is refused, or read as some image; nothing else.
#[test]
fn damaged_files_do_no_harm() {
    let mut refused = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if !["jpg", "png"].contains(&path.extension().unwrap_or_default().to_string_lossy().as_ref()) {
            continue;
        }
        let good = std::fs::read(&path).expect("a file");
        // A part of a file is not an image.
        for tenth in 0..10 {
            let part = &good[..good.len() * tenth / 10];
            assert!(from_bytes(part, Channels::Rgb).is_err(), "{}, {tenth} tenths", path.display());
        }
        if good.starts_with(b"\xff\xd8") {
            assert!(from_bytes(&good[..good.len() - 1], Channels::Rgb).is_err(), "{}", path.display());
        }
        for step in 0..60usize {
            let mut bad = good.clone();
            let at = step * 7919 % bad.len();
            bad[at] ^= 1 << (step % 8);
            refused += usize::from(from_bytes(&bad, Channels::Grey).is_err());
        }
    }
    assert!(refused > 80, "{refused}");
    for nothing in [&b""[..], b"\xff\xd8", b"\x89PNG", b"GIF89a"] {
        assert!(from_bytes(nothing, Channels::Rgb).is_err());
    }
}

/// A PNG file of one colour whose header and data say so many pixels of one bit, and that has no data if they are many.
fn one_bit(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().expect("a header");
    let rows = if u64::from(width) * u64::from(height) < 1 << 24 { height as usize } else { 0 };
    let data = vec![0xff; rows * (width as usize).div_ceil(8)];
    let written = writer.write_image_data(&data);
    assert_eq!(written.is_ok(), rows > 0);
    drop(writer);
    bytes
}

/// What a header says is refused before anything is made of it.
#[test]
fn pictures_that_would_be_too_large() {
    let count = |bytes: &[u8]| from_bytes(bytes, Channels::Rgb).map(|picture| picture.pixels().len());
    assert_eq!(count(&one_bit(300, 200)), Ok(300 * 200));
    for (width, height, words) in [
        (20_000, 20_000, "20000 x 20000 pixels, more than the 178956970"),
        (1, 100_000_000, "a side can have 65536"),
        (4_000_000_000, 1, "a side can have 65536"),
    ] {
        let error = count(&one_bit(width, height)).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
    // The same for a JPEG file, in whose header the size is changed.
    let mut jpeg = std::fs::read(first_of(&["jpg"])).expect("a file");
    let frame = jpeg.windows(2).position(|two| matches!(two, [0xff, 0xc0 | 0xc2])).expect("a frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0x00, 0xff, 0x00]);
    let error = count(&jpeg).expect_err("too large");
    assert!(error.contains("65280 x 65280 pixels, more than"), "{error}");
}

/// A fixture with one of these endings.
fn first_of(endings: &[&str]) -> PathBuf {
    let paths =
        std::fs::read_dir(fixtures()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let is_one =
        |path: &PathBuf| endings.contains(&path.extension().unwrap_or_default().to_string_lossy().as_ref());
    paths.filter(is_one).min().expect("a fixture")
}

/// A CMYK file whose header says that the last component is smaller than the first, or the two between unlike each other:
/// the decoder reads past the end of a plane there.
#[test]
fn components_that_are_sampled_differently_are_refused() {
    let whole = std::fs::read(fixtures().join("cmyk.jpg")).expect("a file");
    assert!(from_bytes(&whole, Channels::Rgb).is_ok());
    let frame = whole.windows(2).position(|bytes| bytes == [0xff, 0xc0]).expect("a frame header");
    // Marker, length, precision, height, width, number of components; then identifier, sampling, table of each.
    let sampling = |component: usize| frame + 10 + 3 * component + 1;
    for changes in [&[(0, 0x13)][..], &[(0, 0x22)], &[(1, 0x21), (0, 0x22)], &[(3, 0x41)]] {
        let mut bytes = whole.clone();
        for (component, factors) in changes {
            bytes[sampling(*component)] = *factors;
        }
        let error = from_bytes(&bytes, Channels::Rgb).err().unwrap_or_default();
        assert!(error.contains("sampled differently"), "{changes:?}: {error}");
    }
}

/// A palette whose length is not a multiple of three, of which the decoder reads past the end.
#[test]
fn palettes_of_a_wrong_length_are_refused() {
    let mut bytes = std::fs::read(fixtures().join("palette8_alpha.png")).expect("a file");
    let palette = bytes.windows(4).position(|name| name == b"PLTE").expect("a palette");
    let length = u32::from_be_bytes(bytes[palette - 4..palette].try_into().expect("four bytes"));
    // One byte less, and a checksum for what is left.
    let end = palette + 4 + usize::try_from(length).expect("a length") - 1;
    bytes[palette - 4..palette].copy_from_slice(&(length - 1).to_be_bytes());
    bytes.remove(end);
    let checksum = crc(&bytes[palette..end]);
    bytes[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
    let error = from_bytes(&bytes, Channels::Rgb).expect_err("a palette with a part of a colour");
    assert!(error.contains("its palette has"), "{error}");
}

/// The checksum of PNG chunks (the PNG specification, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}
