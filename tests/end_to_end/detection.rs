//! What detectors end in: the positions of elements that are not zero, and non-maximum suppression.

use std::collections::BTreeMap;

use kiln::graph::{DType, Graph, Precision, Tensor, evaluate, text};
use kiln::{Compiled, Options, Session, Target};

use crate::machine::{Machine, answers};
use crate::numbers::noise;
use crate::skip::skipped;

fn parsed(source: &str) -> Graph {
    text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"))
}

fn compiled(graph: &Graph, target: &Target, max: &[(&str, u32)], pin: Option<&str>) -> Compiled {
    let max = max.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    let mut options = Options { target: target.clone(), max, ..Options::default() };
    options.preferences.pinned.extend(pin.map(|choice| ("*".to_owned(), choice.to_owned())));
    kiln::compile(graph, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// The evaluator's answers; an error if the device has others.
fn agree(session: &mut Session, graph: &Graph, given: &BTreeMap<String, Tensor>, of: &str) -> Vec<Tensor> {
    let wanted = evaluate(graph, given, Precision::F32).expect("values");
    let found = answers(session, given).expect("a run");
    for (output, wanted) in wanted.outputs() {
        let (found, wanted) = (found[output].to_f64(), wanted.to_f64());
        let first = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
        assert_eq!((found.len(), first), (wanted.len(), None), "{output} of {of}");
    }
    wanted.outputs().iter().map(|(_, tensor)| tensor.clone()).collect()
}

fn tensor(shape: &[usize], numbers: &[f64], dtype: DType) -> Tensor {
    Tensor::of_numbers(shape, numbers, dtype).expect("as many as the shape says")
}

/// Mostly zeros, and what else counts as zero or does not.
fn sparse(dtype: DType, count: usize) -> Vec<f64> {
    let special = [f64::NAN, 0.0, -0.0, 1e-40, f64::INFINITY, -1.0];
    let number = |(n, x): (usize, f64)| match dtype {
        DType::F32 | DType::F16 | DType::F64 if n % 5 == 0 => special[(n / 5) % special.len()],
        _ => f64::from(u8::from(x > 0.6)),
    };
    noise(11, count).into_iter().enumerate().map(number).collect()
}

#[test]
fn positions_are_found_in_every_type() {
    let machine = Machine::open();
    let target = &machine.target;
    for (name, dtype, made) in [
        ("f32", DType::F32, "%w = neg(%x)"),
        ("f16", DType::F16, "%w = neg(%x)"),
        ("u8", DType::U8, "%w = mul(%x, %x)"),
        ("i32", DType::I32, "%w = neg(%x)"),
        ("i32", DType::I32, "const @z : i32[] = [0]\n%w = greater(%x, @z)"),
        ("f32", DType::F32, "%w = transpose(%x) perm=[1, 0]"),
        ("i64", DType::I64, "const @z : i64[] = [4000000000]\n%w = mul(%x, @z)"),
        ("f64", DType::F64, "%w = neg(%x)"),
    ] {
        if matches!(dtype, DType::I64 | DType::F64) && !(target.int64 && target.float64) {
            skipped(&format!("{} has no 64-bit arithmetic", machine.device.capabilities().name));
            continue;
        }
        // As many as can be, fewer than there are, and more than there can be.
        let source = format!(
            "input %x : {name}[3, N]\n{made}\n%a = nonzero(%w) size=3*N\n%b = nonzero(%w) size=2\n\
             %c = nonzero(%w) size=3*N+300\noutput a = %a\noutput b = %b\noutput c = %c"
        );
        let graph = parsed(&source);
        for pin in ["nonzero block=32", "nonzero block=256"] {
            let compiled = compiled(&graph, target, &[("N", 1000)], Some(pin));
            let chosen = compiled.programs[0].selections.iter().map(|s| s.choice().to_string());
            assert_eq!(chosen.filter(|choice| choice == pin).count(), 3, "{name}");
            let mut session = machine.load(&compiled).expect("a session");
            for n in [1, 10, 11, 85, 86, 255, 256, 257, 1000] {
                let x = tensor(&[3, n], &sparse(dtype, 3 * n), dtype);
                let given = BTreeMap::from([("x".to_owned(), x)]);
                agree(&mut session, &graph, &given, &format!("{n} {name} by {pin}"));
            }
        }
    }
}

#[test]
fn positions_are_found_in_nothing_and_in_much() {
    let machine = Machine::open();
    for (shape, size) in [(vec![0], 0), (vec![2, 0], 3), (vec![], 1), (vec![700, 1000], 700_000)] {
        let graph = parsed(&format!("input %x : f32{shape:?}\n%y = nonzero(%x) size={size}\noutput y = %y"));
        let mut session = machine.load(&compiled(&graph, &machine.target, &[], None)).expect("a session");
        let count = shape.iter().product();
        for numbers in [vec![0.0; count], vec![1.0; count], sparse(DType::F32, count)] {
            let given = BTreeMap::from([("x".to_owned(), tensor(&shape, &numbers, DType::F32))]);
            agree(&mut session, &graph, &given, &format!("{shape:?}"));
        }
    }
}

/// How boxes suppress one another: attributes of the operator.
const SUPPRESSIONS: &[&str] = &[
    "iou_threshold=0.5",
    "iou_threshold=0.45 center",
    "iou_threshold=0.25 most=0",
    "iou_threshold=0.25 most=1",
    "iou_threshold=0.1 most=40",
    "iou_threshold=0.3 most=3000",
    "iou_threshold=0",
    "iou_threshold=-1",
    "iou_threshold=1 center",
    "iou_threshold=nan",
];

/// Corners on a grid, in any order, so that shares are often exactly a threshold and some boxes are empty; others anywhere;
/// and a few that are none.
fn boxes(lines: usize, n: usize) -> Vec<f64> {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    let number = |(i, x): (usize, f64)| match (i / 4) % 8 {
        0 if i % 97 == 0 => special[i % special.len()],
        0..4 => (x * 8.0).round() / 8.0,
        _ => x,
    };
    noise(5, 4 * lines * n).into_iter().enumerate().map(number).collect()
}

fn suppression(attributes: &str, float: &str) -> Graph {
    parsed(&format!(
        "input %b : {float}[L, N, 4]\ninput %a : bool[L, N]\n%k = suppress(%b, %a) {attributes}\noutput k = %k"
    ))
}

#[test]
fn boxes_are_suppressed_as_the_evaluator_does() {
    let machine = Machine::open();
    for attributes in SUPPRESSIONS {
        let graph = suppression(attributes, "f32");
        let compiled = compiled(&graph, &machine.target, &[("L", 80), ("N", 3000)], None);
        let mut session = machine.load(&compiled).expect("a session");
        for (lines, n) in [(1, 1), (3, 2), (80, 255), (1, 256), (3, 257), (1, 3000)] {
            let given = boxes(lines, n);
            // All, none, about half, and few.
            for least in [-2.0, 2.0, 0.0, 0.9] {
                let alive: Vec<f64> =
                    noise(9, lines * n).iter().map(|x| f64::from(u8::from(*x > least))).collect();
                let given = BTreeMap::from([
                    ("b".to_owned(), tensor(&[lines, n, 4], &given, DType::F32)),
                    ("a".to_owned(), tensor(&[lines, n], &alive, DType::Bool)),
                ]);
                let of = format!("{lines} x {n} boxes, {attributes}, alive above {least}");
                let kept = agree(&mut session, &graph, &given, &of);
                assert!(least != 2.0 || kept[0].to_f64().iter().all(|kept| *kept == 0.0), "{of}");
            }
        }
    }
}

/// Shares that are next to a threshold: a box of a size in one that has about three times (..) the size.
#[test]
fn thresholds_are_decided_exactly() {
    let machine = Machine::open();
    let mut decided = [0, 0];
    for threshold in [1.0_f32 / 3.0, 0.5, 0.45, 0.7, 0.1, 0.999_999_9, 1e-6] {
        let graph = suppression(&format!("iou_threshold={threshold:?}"), "f32");
        let compiled = compiled(&graph, &machine.target, &[("L", 4000), ("N", 2)], None);
        let mut session = machine.load(&compiled).expect("a session");
        let pair = |(n, x): (usize, &f64)| {
            let whole = (x.abs() * 8_388_607.0).round().max(16.0);
            let part = ((whole * f64::from(threshold)).round() + (n % 5) as f64 - 2.0).max(1.0);
            [0.0, 0.0, 1.0, whole, 0.0, 0.0, 1.0, part]
        };
        let boxes: Vec<f64> = noise(3, 4000).iter().enumerate().flat_map(pair).collect();
        let given = BTreeMap::from([
            ("b".to_owned(), tensor(&[4000, 2, 4], &boxes, DType::F32)),
            ("a".to_owned(), tensor(&[4000, 2], &[1.0; 8000], DType::Bool)),
        ]);
        let kept = agree(&mut session, &graph, &given, &format!("pairs about {threshold}"));
        for kept in kept[0].to_f64().chunks(2) {
            decided[usize::from(kept[1] == 1.0)] += 1;
        }
    }
    assert!(decided.iter().all(|count| *count > 5000), "{decided:?}");
}

#[test]
fn boxes_of_few_bits_and_no_boxes() {
    let machine = Machine::open();
    let graph = suppression("iou_threshold=0.4", "f16");
    let mut session =
        machine.load(&compiled(&graph, &machine.target, &[("L", 2), ("N", 300)], None)).expect("a session");
    let given = BTreeMap::from([
        ("b".to_owned(), tensor(&[2, 300, 4], &boxes(2, 300), DType::F16)),
        ("a".to_owned(), tensor(&[2, 300], &[1.0; 600], DType::Bool)),
    ]);
    agree(&mut session, &graph, &given, "f16 boxes");
    for shape in ["0", "3, 0", "0, 5", "2, 0, 7"] {
        let graph = parsed(&format!(
            "input %b : f32[{shape}, 4]\ninput %a : bool[{shape}]\n%k = suppress(%b, %a) iou_threshold=0.5\noutput k = %k"
        ));
        let sizes = |n: usize| graph.ty(graph.inputs()[n]).static_shape().expect("numbers");
        let given = BTreeMap::from([
            ("b".to_owned(), tensor(&sizes(0), &[], DType::F32)),
            ("a".to_owned(), tensor(&sizes(1), &[], DType::Bool)),
        ]);
        let mut session = machine.load(&compiled(&graph, &machine.target, &[], None)).expect("a session");
        agree(&mut session, &graph, &given, shape);
    }
}

/// Also on targets that are not here.
#[test]
fn detection_fits_every_target() {
    let boxes = "input %b : f32[80, N, 4]\ninput %a : bool[80, N]\n%k = suppress(%b, %a) iou_threshold=0.5 most=100\noutput k = %k";
    let mask = "input %x : bool[10000000]\n%y = nonzero(%x) size=10000000\noutput y = %y";
    for target in
        [Target::portable(), Target::gpu(), Target::gpu_subgroups(), Target::cpu(), Target::lavapipe()]
    {
        for (source, max) in [(boxes, &[("N", 50_000)][..]), (mask, &[])] {
            let compiled = compiled(&parsed(source), &target, max, None);
            let needs = compiled.plan.requirements;
            let limit = u64::try_from(target.max_loop_iterations).expect("a limit");
            assert!(needs.max_loop_iterations <= limit, "{target:?}");
            assert!(needs.max_compute_workgroup_storage_size <= target.max_compute_workgroup_storage_size);
        }
    }
    let graph = parsed(
        "input %b : f64[5, 4]\ninput %a : bool[5]\n%k = suppress(%b, %a) iou_threshold=0.5\noutput k = %k",
    );
    let options = Options { target: Target::default(), ..Options::default() };
    let error = kiln::compile(&graph, &options).expect_err("64 bits").to_string();
    assert!(error.contains("`b` is f64"), "{error}");
}
