//! Value for value what Pillow and torchvision make of the same files; `tests/oracles/picture_oracles.py` made them.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use kiln_plan::{Channels, Pictures, Resize};
use serde::Deserialize;

use super::{Picture, offset};

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
    let file = File::open(fixtures().join("expected.npz")).expect("the values");
    let mut expected = npyz::npz::NpzArchive::new(BufReader::new(file)).expect("an archive");
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
        let read = Picture::read(&fixtures().join(&case.file), channels).expect(&what);
        let found = read.prepared(&pictures).expect(&what);
        let array = expected.by_name(&number.to_string()).expect("an array").expect("an array");
        let shape: Vec<usize> = array.shape().iter().map(|n| *n as usize).collect();
        let values: Vec<u8> = array.into_vec().expect("bytes");
        let mut own = vec![found.height(), found.width()];
        own.extend((channels != Channels::Grey).then_some(3));
        let off = found.values.iter().zip(&values).filter(|(a, b)| a != b).count();
        if own != shape || off > 0 {
            wrong.push(format!("{what}: {own:?} instead of {shape:?}, {off} values differ"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn planes_are_in_the_order_asked_for() {
    let picture = Picture { height: 1, width: 2, channels: 3, values: vec![1, 2, 3, 4, 5, 6] };
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
    let picture = Picture { height: 1, width: 3, channels: 1, values: vec![1, 2, 3] };
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

/// A file that is cut off or changed is refused, or read as some picture; nothing else.
#[test]
fn damaged_files_do_no_harm() {
    let mut refused = 0;
    for entry in std::fs::read_dir(fixtures()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if !["jpg", "png"].contains(&path.extension().unwrap_or_default().to_string_lossy().as_ref()) {
            continue;
        }
        let good = std::fs::read(&path).expect("a file");
        // Half of a file is no picture.
        assert!(Picture::from_bytes(&good[..good.len() / 2], Channels::Rgb).is_err(), "{}", path.display());
        for step in 0..60usize {
            let mut bad = good.clone();
            let at = step * 7919 % bad.len();
            bad[at] ^= 1 << (step % 8);
            refused += usize::from(Picture::from_bytes(&bad, Channels::Grey).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
    for nothing in [&b""[..], b"\xff\xd8", b"\x89PNG", b"GIF89a"] {
        assert!(Picture::from_bytes(nothing, Channels::Rgb).is_err());
    }
}
