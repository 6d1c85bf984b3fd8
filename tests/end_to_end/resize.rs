//! Interpolation beside PyTorch and ONNX Runtime: which elements are the nearest ones, for all sizes, and the same on the
//! device.

use std::collections::BTreeMap;
use std::path::Path;

use kiln::graph::ops::{CoordinateMode, NearestMode, ResizedAxis};
use kiln::graph::{DType, Precision, Tensor, evaluate, text};
use kiln::{Options, Target};
use serde_json::Value;

use crate::machine::{Machine, answers};
use crate::numbers::noise;

const COORDINATES: [(&str, CoordinateMode); 6] = [
    ("half_pixel", CoordinateMode::HalfPixel),
    ("pytorch_half_pixel", CoordinateMode::PytorchHalfPixel),
    ("align_corners", CoordinateMode::AlignCorners),
    ("asymmetric", CoordinateMode::Asymmetric),
    ("pytorch_nearest", CoordinateMode::PytorchNearest),
    ("pytorch_nearest_exact", CoordinateMode::PytorchNearestExact),
];

const NEAREST: [(&str, NearestMode); 4] = [
    ("round_prefer_floor", NearestMode::RoundPreferFloor),
    ("round_prefer_ceil", NearestMode::RoundPreferCeil),
    ("floor", NearestMode::Floor),
    ("ceil", NearestMode::Ceil),
];

fn named<T: Copy>(all: &[(&str, T)], case: &Value, key: &str) -> T {
    all.iter().find(|(name, _)| case[key] == *name).expect("a name that is known").1
}

/// All results of one size, as `tests/oracles/resize_oracles.py` has them.
fn row(case: &Value, from: usize) -> Vec<Vec<usize>> {
    let (coordinates, nearest) = (named(&COORDINATES, case, "coordinates"), named(&NEAREST, case, "nearest"));
    let of = |to: usize, scale: Option<f64>| ResizedAxis { from, to, scale }.nearest(coordinates, nearest);
    let Some(scales) = case["scales"].as_array() else {
        return (1..=128).map(|to| of(to, None)).collect();
    };
    let scales = scales.iter().map(|scale| scale.as_f64().expect("a number"));
    if case["engine"] == "pytorch" {
        let sizes = scales.map(|scale| ((from as f64 * scale).floor() as usize, scale));
        return sizes.filter(|(to, _)| *to > 0).map(|(to, scale)| of(to, Some(scale))).collect();
    }
    let sizes = scales.map(|scale| ((from as f32 * scale as f32).floor() as usize, f64::from(scale as f32)));
    sizes.filter(|(to, _)| *to > 0 && *to != from).map(|(to, scale)| of(to, Some(scale))).collect()
}

#[test]
fn the_nearest_elements_are_those_of_other_engines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/resize.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    assert!(cases.len() > 30, "{} cases", cases.len());
    let mut failed = Vec::new();
    for case in &cases {
        let rows = case["rows"].as_array().expect("checksums");
        assert_eq!(rows.len(), 128);
        let wrong = |from: &usize| {
            let indices = row(case, *from).into_iter().flatten();
            let bytes: Vec<u8> =
                indices.flat_map(|at| u16::try_from(at).expect("small").to_le_bytes()).collect();
            rows[*from - 1] != crc32fast::hash(&bytes)
        };
        let wrong: Vec<usize> = (1..=128).filter(wrong).collect();
        if !wrong.is_empty() {
            let name = |key: &str| case[key].as_str().unwrap_or_default();
            let scales = if case["scales"].is_null() { "sizes" } else { "scales" };
            failed.push(format!("{} {} by {scales}: {wrong:?}", name("coordinates"), name("nearest")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Sizes of two axes before and after, and scales.
type Sizes = ([usize; 2], [usize; 2], Option<[f64; 2]>);

/// Some where the last bit decides.
const SIZES: &[Sizes] = &[
    ([28, 49], [4, 7], None),
    ([14, 56], [2, 4], None),
    ([26, 39], [44, 33], None),
    ([2, 6], [41, 37], None),
    ([14, 7], [1, 39], None),
    ([5, 7], [5, 14], None),
    ([3, 4], [1, 1], None),
    ([9, 8], [15, 4], Some([1.7, 0.5])),
    ([5, 3], [10, 6], Some([2.0, 2.3])),
];

fn graph_of([from, to]: [&[String]; 2], mode: &str, coordinates: &str, scales: Option<&[f64]>) -> String {
    let list = |sizes: &[String]| sizes.join(", ");
    let scales = scales.map_or(String::new(), |scales| format!(" scales={scales:?}"));
    format!(
        "input %x : f32[2, 5, {}]\n%y = resize(%x) shape=[2, 5, {}] mode={mode} coordinates={coordinates}{scales}\noutput y = %y",
        list(from),
        list(to)
    )
}

fn check(
    machine: &Machine,
    source: &str,
    shape: &[usize],
    max: BTreeMap<String, u32>,
    failed: &mut Vec<String>,
) {
    let graph = text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let compiled = kiln::compile(&graph, &options).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let mut session = machine.load(&compiled).expect("a session");
    let numbers = noise(11, shape.iter().product());
    let given = BTreeMap::from([(
        "x".to_owned(),
        Tensor::of_numbers(shape.to_vec(), &numbers, DType::F32).expect("as many"),
    )]);
    let wanted = evaluate(&graph, &given, Precision::F32).expect("values").outputs()[0].1.to_f64();
    let found = answers(&mut session, &given).expect("a run")["y"].to_f64();
    let most = if source.contains("mode=linear") { 1e-6 } else { 0.0 };
    let off = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if wanted.len() != found.len() || off > most {
        failed.push(format!("off by {off:e}\n{source}"));
    }
}

#[test]
fn the_device_takes_the_same_elements() {
    let machine = Machine::open();
    let mut failed = Vec::new();
    for (coordinates, _) in COORDINATES {
        for (mode, _) in NEAREST.iter().chain(&[("linear", NearestMode::Floor)]) {
            if coordinates.starts_with("pytorch_nearest") && *mode != "floor" {
                continue;
            }
            for (from, to, scales) in SIZES {
                let texts = [from, to].map(|sizes| sizes.map(|n| n.to_string()).to_vec());
                let scales = scales.map(|[h, w]| [1.0, 1.0, h, w]);
                let source =
                    graph_of([&texts[0], &texts[1]], mode, coordinates, scales.as_ref().map(|s| &s[..]));
                check(&machine, &source, &[2, 5, from[0], from[1]], BTreeMap::new(), &mut failed);
            }
            // One axis, and three of which one stays.
            let texts = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>();
            for (from, to) in [(vec![28], vec![4]), (vec![3, 14, 7], vec![5, 14, 4])] {
                let source = graph_of([&texts(&from), &texts(&to)], mode, coordinates, None);
                check(&machine, &source, &[vec![2, 5], from].concat(), BTreeMap::new(), &mut failed);
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}

/// Where sizes are symbols, kernels reckon with integers, or are refused where the rounding of other engines is no rule.
#[test]
fn symbolic_sizes_are_resized_exactly() {
    let machine = Machine::open();
    let (mut failed, mut refused) = (Vec::new(), Vec::new());
    for (coordinates, _) in COORDINATES {
        for (mode, _) in NEAREST.iter().chain(&[("linear", NearestMode::Floor)]) {
            // PyTorch rounds down; its coordinates come with no other mode.
            if coordinates.starts_with("pytorch_nearest") && *mode != "floor" {
                continue;
            }
            for to in [["2*H", "3*W"], ["H", "1"], ["H+3", "W+2"], ["7", "4*W"]] {
                let [from, sizes] = [["H", "W"], to].map(|sizes| sizes.map(str::to_owned).to_vec());
                let source = graph_of([&from, &sizes], mode, coordinates, None);
                let max: BTreeMap<_, _> = [("H", 9), ("W", 12)].map(|(name, n)| (name.to_owned(), n)).into();
                let graph = text::parse(&source).expect("a graph");
                let options =
                    Options { target: machine.target.clone(), max: max.clone(), ..Options::default() };
                match kiln::compile(&graph, &options) {
                    Ok(_) => check(&machine, &source, &[2, 5, 5, 7], max, &mut failed),
                    Err(error) if error.to_string().contains("follow no rule") => {
                        refused.push(format!("{coordinates} {mode} {}", to.join(" ")));
                    }
                    Err(error) => failed.push(format!("{error}\n{source}")),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
    // What networks do: sizes doubled and tripled, and whatever is linear.
    let usual = |case: &&String| case.contains("2*H") && !case.contains("ceil") || case.contains("linear");
    assert_eq!(refused.iter().find(usual), None, "{}", refused.join("\n"));
}

#[test]
fn what_only_numbers_can_say_is_refused_for_symbols() {
    for (to, scales, word) in [
        ("2*H", " scales=[1, 1, 2.3]", "cannot be scaled by 2.3"),
        ("41*H", "", "follow no rule"),
        ("H+1", "", "cannot be resized to"),
    ] {
        let source = format!(
            "input %x : f32[2, 5, H]\n%y = resize(%x) shape=[2, 5, {to}] mode=floor coordinates=pytorch_nearest{scales}\noutput y = %y"
        );
        let graph = text::parse(&source).expect("a graph");
        let options = Options {
            target: Target::default(),
            max: [("H".to_owned(), 100_000)].into(),
            ..Options::default()
        };
        let error = kiln::compile(&graph, &options).expect_err("not to be known").to_string();
        assert!(error.contains(word), "{error}");
    }
}
