//! Loops on the device against the evaluator: what is carried, moved, overwritten and put together in bodies of every kind,
//! one plan for several numbers of steps.

use std::collections::BTreeMap;
use std::fmt::Write;

use kiln::Options;
use kiln::graph::{DType, Graph, Precision, Tensor, evaluate, text};

use crate::machine::{Machine, answers};
use crate::numbers::noise;

/// Values of the symbols; the largest are the maxima.
const SIZES: [(usize, usize); 4] = [(5, 3), (1, 1), (2, 3), (5, 1)];

/// Lines of a body between its inputs and outputs, what these are, and the attributes of the loop.
struct Body {
    /// Types of what is carried.
    carried: Vec<&'static str>,
    /// Types of what is the same at each step, each named `w0`, `w1`, ...
    same: Vec<&'static str>,
    lines: String,
    /// What becomes of the carried values, then what is stacked.
    results: Vec<String>,
}

/// A graph with the loop: parts `p` of a sequence `[T, N, 4]` from the end, and `q` of one `[N, 3, T]`.
fn graph(body: &Body) -> Graph {
    let inputs = |out: &mut String, keyword: &str, indent: &str| {
        for (n, ty) in body.carried.iter().enumerate() {
            let _ = writeln!(out, "{indent}{keyword} %c{n} : {ty}");
        }
        if indent.is_empty() {
            *out += "input %p : f32[T, N, 4]\ninput %q : f32[N, 3, T]\n";
        } else {
            *out += "  input %p : f32[N, 4]\n  input %q : f32[N, 3]\n";
        }
        for (n, ty) in body.same.iter().enumerate() {
            let _ = writeln!(out, "{indent}{keyword} %w{n} : {ty}");
        }
    };
    let mut out = String::new();
    inputs(&mut out, "input", "");
    let stacked = body.results.len() - body.carried.len();
    let names = |mark: &str, count: usize, name: &str| {
        (0..count).map(|n| format!("{mark}{name}{n}")).collect::<Vec<_>>()
    };
    let given = [
        names("%", body.carried.len(), "c"),
        vec!["%p".into(), "%q".into()],
        names("%", body.same.len(), "w"),
    ]
    .concat();
    // The first is stacked as it is, the next ones from the end.
    let along: Vec<String> = (0..stacked)
        .map(|n| format!("[{}, {}]", n % 2, if n % 2 == 0 { "forward" } else { "reverse" }))
        .collect();
    let _ = writeln!(
        out,
        "{} = loop({}) steps=T carried={} scanned=[[0, reverse], [2, forward]] stacked=[{}] {{\n  graph body",
        names("%", body.results.len(), "r").join(", "),
        given.join(", "),
        body.carried.len(),
        along.join(", ")
    );
    inputs(&mut out, "input", "  ");
    out += &body.lines;
    for (n, result) in body.results.iter().enumerate() {
        let _ = writeln!(out, "  output r{n} = {result}");
    }
    out += "}\n";
    for n in 0..body.results.len() {
        let _ = writeln!(out, "output r{n} = %r{n}");
    }
    text::parse(&out).unwrap_or_else(|error| panic!("{error} in\n{out}"))
}

/// Numbers for an input.
fn given(graph: &Graph, name: &str, sizes: &BTreeMap<std::sync::Arc<str>, i64>, seed: u64) -> Tensor {
    let ty = graph.ty(graph.inputs_by_name()[name]);
    let shape: Vec<usize> =
        ty.shape.iter().map(|dim| dim.eval(sizes).expect("all symbols have sizes") as usize).collect();
    let count = shape.iter().product();
    let scale = if ty.dtype == DType::F32 { 1.0 } else { 4.0 };
    let numbers: Vec<f64> = noise(seed, count).into_iter().map(|x| x * scale).collect();
    Tensor::of_numbers(shape, &numbers, ty.dtype).expect("as many as the shape has")
}

/// Runs a loop of all sizes from one plan.
fn check(machine: &Machine, body: &Body, what: &str) {
    let graph = graph(body);
    let max = [("T", 5), ("N", 3)].map(|(name, max)| (name.to_owned(), max)).into();
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let compiled = kiln::compile(&graph, &options).unwrap_or_else(|error| panic!("{what}: {error}\n{graph}"));
    let mut session = machine.load(&compiled).unwrap_or_else(|error| panic!("{what}: {error}\n{graph}"));
    for (round, (steps, batch)) in SIZES.into_iter().enumerate() {
        let sizes = BTreeMap::from([("T".into(), steps as i64), ("N".into(), batch as i64)]);
        let names = graph.inputs().iter().map(|id| graph.value(*id).name.clone());
        let inputs: BTreeMap<String, Tensor> = names
            .enumerate()
            .map(|(n, name)| (name.clone(), given(&graph, &name, &sizes, (100 * round + n) as u64)))
            .collect();
        let expected = evaluate(&graph, &inputs, Precision::F32).expect("it computes");
        let found = answers(&mut session, &inputs).unwrap_or_else(|error| panic!("{what}: {error}\n{graph}"));
        for (name, expected) in expected.outputs() {
            let found = &found[name];
            assert_eq!(found.ty(), expected.ty(), "{what}: {name}");
            for (i, (f, e)) in found.to_f64().iter().zip(expected.to_f64()).enumerate() {
                let near = kiln::graph::compare::is_near(e, *f, 1e-5, 1e-5);
                assert!(
                    near,
                    "{what}, T = {steps}, N = {batch}: {name}[{i}] is {f}, but should be {e}\n{graph}"
                );
            }
        }
    }
}

/// Bodies that once could have gone wrong: each is a hazard of overwriting what is still to be read, or of doing once what
/// changes from step to step.
#[test]
fn hazards() {
    let machine = Machine::open();
    let body = |carried: &[&'static str], same: &[&'static str], lines: &str, results: &[&str]| Body {
        carried: carried.to_vec(),
        same: same.to_vec(),
        lines: lines.lines().map(|line| format!("  {}\n", line.trim())).collect(),
        results: results.iter().map(|result| (*result).to_owned()).collect(),
    };
    let rows = [
        ("a sum in place", body(&["f32[N, 4]"], &[], "%a = add(%c0, %p)", &["%a"])),
        ("old and new", body(&["f32[N, 4]"], &[], "%a = add(%c0, %p)", &["%a", "%c0", "%a"])),
        ("nothing changes", body(&["f32[N, 4]", "f32[N, 3]"], &[], "", &["%c0", "%c1", "%p", "%q"])),
        (
            "two change places",
            body(&["f32[N, 4]", "f32[N, 4]"], &[], "%a = add(%c0, %p)", &["%c1", "%a", "%c0"]),
        ),
        (
            "three go round",
            body(
                &["f32[N, 4]", "f32[N, 4]", "f32[N, 4]"],
                &[],
                "%a = mul(%c1, %p)",
                &["%c1", "%c2", "%c0", "%a", "%a"],
            ),
        ),
        ("one value twice", body(&["f32[N, 4]", "f32[N, 4]"], &[], "%a = tanh(%p)", &["%a", "%a", "%a"])),
        (
            "the old is read late",
            body(
                &["f32[N, 4]"],
                &["f32[4, 4]"],
                "%m = matmul(%c0, %w0)\n%t = tanh(%m)\n%a = add(%t, %p)\n%s = reduce_sum(%c0) axes=[1] keep_dims\n%u = mul(%a, %s)\n%b = tanh(%u)",
                &["%b", "%t"],
            ),
        ),
        (
            "a product overwrites its operand",
            body(&["f32[N, 4]"], &["f32[4, 4]"], "%m = matmul(%c0, %w0)\n%a = add(%m, %p)", &["%a", "%a"]),
        ),
        (
            "what is the same is turned once",
            body(
                &["f32[N, 3]"],
                &["f32[3, 4]", "f32[3]"],
                "%n = neg(%w0)\n%m = matmul(%p, %n) transpose_b\n%b = exp(%w1)\n%u = mul(%q, %b)\n%a = add(%m, %u)\n%c = add(%a, %c0)",
                &["%c", "%u"],
            ),
        ),
        (
            "whole numbers and truths",
            body(
                &["i64[N]", "bool[N, 1]"],
                &["i64[N]"],
                "%d = bit_and(%c0, %w0)\n%i = add(%d, %w0)\n%l = greater(%p, %p)\n%m = reduce_max(%p) axes=[1] keep_dims\n%s = less(%m, %p)\n%x = cast(%c1) to=f32\n%y = add(%x, %m)\n%z = greater(%y, %x)\n%o = or(%c1, %z)",
                &["%i", "%o", "%c0"],
            ),
        ),
        (
            "a single number",
            body(&["f32[]"], &[], "%m = reduce_max(%p) axes=[0, 1]\n%a = max(%c0, %m)", &["%a", "%p"]),
        ),
        (
            "rows of five",
            body(
                &["f32[N, 5]"],
                &["f32[5, 5]", "f32[4, 5]"],
                "%m = matmul(%c0, %w0)\n%k = matmul(%p, %w1)\n%a = add(%m, %k)\n%h = tanh(%a)",
                &["%h", "%h", "%m"],
            ),
        ),
    ];
    for (what, body) in rows {
        check(&machine, &body, what);
    }
}

/// Bodies of random arithmetic, with a product here and there.
#[test]
fn random_bodies() {
    let machine = Machine::open();
    for seed in 0..24 {
        let mut numbers = noise(seed + 7000, 200).into_iter().map(|x| ((x + 1.0) * 5000.0) as usize);
        let mut dice = move |sides: usize| numbers.next().unwrap_or(0) % sides;
        let carried = 1 + dice(3);
        let mut values: Vec<String> = (0..carried).map(|n| format!("%c{n}")).collect();
        values.push("%p".into());
        let mut lines = String::new();
        for n in 0..2 + dice(6) {
            let pick = |k: usize| values[k % values.len()].clone();
            let (a, b) = (pick(dice(100)), pick(dice(100)));
            let made = match dice(7) {
                0 => format!("add({a}, {b})"),
                1 => format!("mul({a}, {b})"),
                2 => format!("sub({a}, {b})"),
                3 => format!("max({a}, {b})"),
                4 => format!("matmul({a}, %w0)"),
                5 => format!("softmax({a}) axis=1"),
                _ => format!("tanh({a})"),
            };
            // Bounded, or five steps of products would leave the range in which results can be compared.
            let _ = writeln!(lines, "  %u{n} = {made}\n  %v{n} = tanh(%u{n})");
            values.push(format!("%v{n}"));
        }
        let results = (0..carried + 1 + dice(2)).map(|_| values[dice(values.len())].clone()).collect();
        let body = Body { carried: vec!["f32[N, 4]"; carried], same: vec!["f32[4, 4]"], lines, results };
        check(&machine, &body, &format!("seed {seed}"));
    }
}
