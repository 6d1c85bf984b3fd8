//! Metadata is the same after a way through strings, and what others write is understood where it is plain.

use std::collections::BTreeMap;

use super::literal::{self, Item, Literal};
use super::*;

/// Something of everything, and of each kind of input.
pub(crate) fn samples() -> Vec<Metadata> {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let pictures = Pictures {
        channels: Channels::Bgr,
        resize: Some(Resize::Shorter(256)),
        crop: Some([224, 192]),
        pixel_max: 255.0,
    };
    let classified = Metadata {
        task: Some(Task::Classification),
        classes: names(&["airplane", "bird \"of prey\"", "Löwe\n", "a\\b", "", "🦅\u{1}"]),
        preprocessing: Some(Preprocessing {
            source: InputSource::Pictures(pictures),
            mean: vec![0.4915, 0.4823, 1e-30],
            std: vec![0.1 + 0.2, f32::MIN_POSITIVE, f32::MAX],
        }),
        targets: None,
        provenance: Some(Provenance {
            producer: "kiln 0.1.0".into(),
            data: "folder:birds and \"airplanes\"".into(),
            loss: "cross-entropy".into(),
            epochs: 100,
            steps: u64::MAX,
            measures: vec![
                Measure { name: "loss".into(), value: 0.1 + 0.2 },
                Measure { name: "accuracy".into(), value: -1e-300 },
            ],
        }),
    };
    let input = |source| Preprocessing { source, mean: vec![-1.5], std: vec![] };
    let regression = Metadata {
        task: Some(Task::Regression),
        preprocessing: Some(input(InputSource::Table { columns: names(&["age", "mg/dl"]) })),
        targets: Some(Targets { names: names(&["price"]), mean: vec![3.5], std: vec![1e9] }),
        ..Metadata::default()
    };
    let exact = Pictures {
        channels: Channels::Grey,
        resize: Some(Resize::Exact { height: 28, width: 32 }),
        ..Pictures::default()
    };
    let grey = Metadata {
        task: Some(Task::Segmentation),
        preprocessing: Some(input(InputSource::Pictures(exact))),
        ..Metadata::default()
    };
    let plain = Metadata {
        preprocessing: Some(Preprocessing { std: vec![0.5, 2.0], ..input(InputSource::Numbers) }),
        ..Metadata::default()
    };
    vec![classified, regression, grey, plain, Metadata::default()]
}

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn strings_are_read_back_as_what_was_written() {
    for metadata in samples() {
        let properties = metadata.to_properties();
        assert_eq!(Metadata::from_properties(&properties).as_ref(), Ok(&metadata), "{properties:?}");
    }
}

/// The table of keys in `docs/metadata.md` is that of the code.
#[test]
fn all_keys_are_documented() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metadata.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let documented: std::collections::BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `kiln."))
        .filter_map(|line| line.split('`').next())
        .collect();
    let all: Vec<BTreeMap<String, String>> = samples().iter().map(Metadata::to_properties).collect();
    let written = all.iter().flat_map(BTreeMap::keys).filter_map(|key| key.strip_prefix("kiln.")).collect();
    assert_eq!(documented, written);
}

#[test]
fn strings_are_plain() {
    let all = samples()[0].to_properties();
    let expected = [
        ("kiln.task", "classification"),
        ("kiln.channels", "BGR"),
        ("kiln.resize", "256"),
        ("kiln.crop", "[224, 192]"),
        ("kiln.pixel_max", "255"),
        ("kiln.epochs", "100"),
    ];
    for (key, value) in expected {
        assert_eq!(all[key], value, "{key}");
    }
    assert_eq!(samples()[2].to_properties()["kiln.resize"], "[28, 32]");
}

#[test]
fn what_is_wrong_with_a_key_of_ours_is_said() {
    let cases = [
        ("kiln.task", "guessing", "classification, multi-label"),
        ("kiln.classes", "cat, dog", "a JSON list of"),
        ("kiln.classes", "[1, 2]", "a JSON list of"),
        ("kiln.mean", "[0.5", "a list of numbers"),
        ("kiln.mean", "[\"a\"]", "a list of numbers"),
        ("kiln.mean", "[nan]", "mean is NaN"),
        ("kiln.std", "[0]", "deviation is 0"),
        ("kiln.std", "[0.1, 0.2]", "2 numbers for the deviation; one, or 3, would fit"),
        ("kiln.channels", "CMYK", "RGB, BGR or L"),
        ("kiln.resize", "[1, 2, 3]", "[height, width]"),
        ("kiln.resize", "0", "shorter side is 0"),
        ("kiln.crop", "70000", "[height, width]"),
        ("kiln.crop", "[70000, 1]", "70000"),
        ("kiln.pixel_max", "white", "a number"),
        ("kiln.pixel_max", "inf", "white pixel is inf"),
        ("kiln.input", "sound", "pictures, table or numbers"),
        ("kiln.epochs", "-1", "a whole number"),
        ("kiln.measures", "{\"accuracy\": \"good\"}", "numbers by name"),
    ];
    for (key, value, expected) in cases {
        let error = Metadata::from_properties(&properties(&[(key, value)])).expect_err(key).to_string();
        assert!(error.contains(expected), "{key} = {value}: {error}");
    }
    let long = "x".repeat(METADATA_LIMITS.name_bytes + 1);
    let error = Metadata::from_properties(&properties(&[("names", &format!("['{long}']"))]));
    assert!(error.expect_err("too long").to_string().contains("1025 bytes"));
    // What only looks like ours, or is of a checkpoint, is nobody's business here.
    let unknown = properties(&[("kiln.progress", "{}"), ("author", "somebody")]);
    assert_eq!(Metadata::from_properties(&unknown), Ok(Metadata::default()));
}

#[test]
fn what_others_write_is_understood() {
    let classes = |key, value| {
        let metadata = Metadata::from_properties(&properties(&[(key, value)])).expect(value);
        metadata.classes.join("|")
    };
    let cases = [
        (
            "names",
            "{0: 'person', 1: 'fire hydrant', 2: \"driver's seat\"}",
            "person|fire hydrant|driver's seat",
        ),
        ("id2label", "{\"1\": \"dog\", \"0\": \"c\\u0061t\", \"10\": \"x\"}", ""),
        ("id2label", "{\"1\": \"dog\", \"0\": \"c\\u0061t\"}", "cat|dog"),
        ("classes", "['a', 'b', ]", "a|b"),
        ("labels", "(\"\\ud83e\\udd85\",)", "🦅"),
        ("class_names", "a, b", ""),
        ("labels", "{0: 1}", ""),
        ("names", "[", ""),
    ];
    for (key, value, expected) in cases {
        assert_eq!(classes(key, value), expected, "{key} = {value}");
    }
    let both = properties(&[("kiln.classes", "[\"own\"]"), ("names", "['other']")]);
    assert_eq!(Metadata::from_properties(&both).expect("both").classes, ["own"]);

    let ultralytics = properties(&[("task", "classify"), ("imgsz", "[224, 224]"), ("names", "{0: 'tench'}")]);
    let metadata = Metadata::from_properties(&ultralytics).expect("a classifier");
    assert_eq!(metadata.task, Some(Task::Classification));
    let pictures =
        Pictures { resize: Some(Resize::Shorter(224)), crop: Some([224, 224]), ..Pictures::default() };
    let source = InputSource::Pictures(pictures);
    assert_eq!(metadata.preprocessing, Some(Preprocessing { source, mean: vec![], std: vec![] }));

    let standard = properties(&[
        ("Image.BitmapPixelFormat", "Bgr8"),
        ("Image.NominalPixelRange", "NominalRange_0_255"),
        ("task", "detect"),
        ("imgsz", "[640, 640]"),
    ]);
    let metadata = Metadata::from_properties(&standard).expect("a detector");
    let pictures = Pictures { channels: Channels::Bgr, pixel_max: 255.0, ..Pictures::default() };
    let source = InputSource::Pictures(pictures);
    assert_eq!(metadata.preprocessing, Some(Preprocessing { source, mean: vec![], std: vec![] }));
}

#[test]
fn literals() {
    let list = |items: &[f64]| Some(Literal::List(items.iter().copied().map(Item::Number).collect()));
    assert_eq!(Literal::read(" [1, -2.5e3 , .5] "), list(&[1.0, -2500.0, 0.5]));
    assert_eq!(Literal::read("()"), list(&[]));
    assert_eq!(Literal::read("7"), Some(Literal::Item(Item::Number(7.0))));
    for wrong in
        ["", "[", "[1", "[1,,2]", "[1] 2", "{1}", "{1: }", "'a", "'\\q'", "\"\\ud800\"", "[[1]]", "x"]
    {
        assert_eq!(Literal::read(wrong), None, "{wrong}");
    }
    for text in ["", "a\"b\\c\n\t\r\u{7f}\u{0}é🦅'"] {
        assert_eq!(Literal::read(&literal::quoted(text)), Some(Literal::Item(Item::Text(text.into()))));
    }
}

#[test]
fn numbers_are_applied() {
    let [classified, regression, ..] = &samples()[..] else { panic!("samples") };
    let preprocessing = Preprocessing {
        mean: vec![0.5, 1.0, 2.0],
        std: vec![0.25],
        ..classified.preprocessing.clone().expect("one")
    };
    let mut values = [1.0, 3.0];
    preprocessing.normalize(2, &mut values);
    assert_eq!(values, [-4.0, 4.0]);
    let targets = Targets { mean: vec![3.5], std: vec![2.0], ..regression.targets.clone().expect("some") };
    assert_eq!(targets.restore(0, -1.0), 1.5);
    assert_eq!(Targets::default().restore(3, -1.0), -1.0);
}
