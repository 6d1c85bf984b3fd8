//! Sorting by each family of kernels: every element type, lengths around the sizes of blocks, and what compares in ways of
//! its own.

use std::collections::BTreeMap;

use kiln::graph::{DType, Graph, Precision, Tensor, evaluate, text};
use kiln::{Compiled, Options, Session, Target};

use crate::machine::{Machine, answers};
use crate::numbers::noise;
use crate::skip::skipped;

/// Families of sorts as pins.
const PINS: [&str; 4] =
    ["arg_sort", "arg_sort_radix block=32", "arg_sort_radix block=128", "arg_sort_radix block=512"];

/// Element types, what makes the values that are sorted of an input, and a scale for noise that covers the type.
const TYPES: &[(&str, DType, &str, f64)] = &[
    ("f32", DType::F32, "%w = neg(%x)", 2.0),
    ("f16", DType::F16, "%w = transpose(%x) perm=[0, 1, 2]", 2.0),
    ("i32", DType::I32, "%w = neg(%x)", 2e9),
    ("u32", DType::U32, "%w = transpose(%x) perm=[0, 1, 2]", 4e9),
    ("i16", DType::I16, "%w = neg(%x)", 3e4),
    ("u16", DType::U16, "%w = transpose(%x) perm=[0, 1, 2]", 6e4),
    ("i8", DType::I8, "%w = neg(%x)", 128.0),
    ("u8", DType::U8, "%w = transpose(%x) perm=[0, 1, 2]", 255.0),
    ("i32", DType::I32, "const @z : i32[] = [0]\n%w = greater(%x, @z)", 5.0),
    ("i64", DType::I64, "%a = abs(%x)\n%w = mul(%a, %x)", 2e9),
    ("f64", DType::F64, "%a = abs(%x)\n%w = mul(%a, %x)", 2e9),
];

/// What floats have beside numbers, and numbers that are equal.
const SPECIAL: [f64; 12] =
    [f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-40, -1e-40, 2e-40, 1.5, 1.5, 6e-8, -6e-8];

fn values(dtype: DType, scale: f64, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    let noise = noise(7, count).into_iter().enumerate();
    let numbers = noise.map(|(n, x)| match dtype {
        DType::F32 | DType::F16 | DType::F64 if n % 3 == 0 => SPECIAL[(n / 3) % SPECIAL.len()],
        DType::F32 | DType::F16 | DType::F64 => x * scale,
        DType::U8 | DType::U16 | DType::U32 | DType::Bool => (x.abs() * scale).round(),
        // Repeated, so that there are equal ones.
        DType::I8 | DType::I16 | DType::I32 | DType::I64 if n % 4 == 0 => f64::from(n as i32 % 7 - 3),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => (x * scale).round(),
    });
    Tensor::of_numbers(shape, &numbers.collect::<Vec<_>>(), dtype).expect("as many as the shape says")
}

fn compiled(graph: &Graph, target: &Target, max: &[(&str, u32)], pin: Option<&str>) -> Compiled {
    let max = max.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    let mut options = Options { target: target.clone(), max, ..Options::default() };
    options.preferences.pinned.extend(pin.map(|choice| ("*".to_owned(), choice.to_owned())));
    kiln::compile(graph, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Holds what the device answers for `x` against the evaluator.
fn agree(session: &mut Session, graph: &Graph, x: Tensor, of: &str) {
    let given = BTreeMap::from([("x".to_owned(), x)]);
    let wanted = evaluate(graph, &given, Precision::F32).expect("values");
    let found = answers(session, &given).expect("a run");
    for (output, wanted) in wanted.outputs() {
        assert!(found[output] == *wanted, "{output} of {of}");
    }
}

/// The kernels that were chosen for sorts.
fn sorts(compiled: &Compiled) -> Vec<String> {
    let selections = compiled.programs[0].selections.iter();
    selections.map(|s| s.choice().to_string()).filter(|choice| choice.starts_with("arg_sort")).collect()
}

fn both_ways(input: &str, made: &str, shape: &str, axis: usize) -> Graph {
    let source = format!(
        "input %x : {input}{shape}\n{made}\n%y = arg_sort(%w) axis={axis}\n\
         %z = arg_sort(%w) axis={axis} descending\noutput y = %y\noutput z = %z"
    );
    text::parse(&source).unwrap_or_else(|e| panic!("{e}\n{source}"))
}

#[test]
fn every_type_is_sorted_as_the_evaluator_does() {
    let machine = Machine::open();
    for (name, dtype, made, scale) in TYPES {
        if matches!(dtype, DType::I64 | DType::F64) && !(machine.target.int64 && machine.target.float64) {
            skipped(&format!("{} has no 64-bit arithmetic", machine.device.capabilities().name));
            continue;
        }
        let graph = both_ways(name, made, "[3, N, 2]", 1);
        for pin in PINS {
            let compiled = compiled(&graph, &machine.target, &[("N", 1000)], Some(pin));
            let expected = if *dtype == DType::F64 { "arg_sort" } else { pin };
            assert_eq!(sorts(&compiled), [expected; 2], "{name}");
            let mut session = machine.load(&compiled).expect("a session");
            for n in [1, 2, 31, 32, 33, 255, 256, 257, 1000] {
                let x = values(*dtype, *scale, &[3, n, 2]);
                agree(&mut session, &graph, x, &format!("{n} {name} by {pin}: {made}"));
            }
        }
    }
}

#[test]
fn nothing_is_sorted_to_nothing() {
    let machine = Machine::open();
    for (shape, axis) in [("[0]", 0), ("[2, 0]", 1), ("[0, 5]", 1)] {
        let graph = both_ways("f32", "%w = relu(%x)", shape, axis);
        for pin in PINS {
            let compiled = compiled(&graph, &machine.target, &[], Some(pin));
            let mut session = machine.load(&compiled).expect("a session");
            let sizes = graph.ty(graph.inputs()[0]).static_shape().expect("numbers");
            agree(&mut session, &graph, values(DType::F32, 1.0, &sizes), &format!("{shape} by {pin}"));
        }
    }
}

/// Lines beyond what an invocation may look at, along any axis, several at once.
#[test]
fn long_lines_are_sorted_by_digits() {
    let machine = Machine::open();
    for (name, dtype, made, scale, sizes, axis) in [
        ("f32", DType::F32, "%w = neg(%x)", 1e5, vec![70_000], 0),
        ("f32", DType::F32, "%w = neg(%x)", 1e5, vec![1_000_000], 0),
        ("f32", DType::F32, "const @z : f32[] = [0.5]\n%w = greater(%x, @z)", 1.0, vec![3, 70_000], 1),
        ("i8", DType::I8, "%w = neg(%x)", 128.0, vec![70_000, 3], 0),
    ] {
        let graph = both_ways(name, made, &format!("{sizes:?}"), axis);
        let compiled = compiled(&graph, &machine.target, &[], None);
        assert!(sorts(&compiled).iter().all(|choice| choice.starts_with("arg_sort_radix")), "{sizes:?}");
        let mut session = machine.load(&compiled).expect("a session");
        agree(&mut session, &graph, values(dtype, scale, &sizes), &format!("{name}{sizes:?}"));
    }
}

/// Also on targets that are not here; the loops of an invocation do not grow with the line.
#[test]
fn sorts_of_ten_million_fit_every_target() {
    let graph = both_ways("f32", "%w = neg(%x)", "[10000000]", 0);
    for target in
        [Target::portable(), Target::gpu(), Target::gpu_subgroups(), Target::cpu(), Target::lavapipe()]
    {
        let compiled = compiled(&graph, &target, &[], None);
        assert!(sorts(&compiled).iter().all(|choice| choice.starts_with("arg_sort_radix")), "{target:?}");
        assert!(compiled.plan.requirements.max_loop_iterations <= 1000, "{target:?}");
    }
}
