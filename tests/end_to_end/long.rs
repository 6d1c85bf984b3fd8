//! Sums, largest elements, windows and products over more than any single invocation of a kernel may look at: their
//! values, and how exact they are.

use std::collections::BTreeMap;

use kiln::graph::{DType, Graph, Precision, Tensor, evaluate, text};
use kiln::{Options, Session};

use crate::machine::{Machine, answers};
use crate::numbers::noise;

/// What inputs are made of.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    /// Between -1 and 1.
    Noise,
    /// A map that is mostly flat: what is added one by one drifts away.
    Flat,
    /// Close to one, as factors of long products have to be.
    Near,
    /// Whole numbers from -50 to 50.
    Whole,
}

impl Numbers {
    fn some(self, seed: u64, count: usize) -> Vec<f64> {
        let scaled = |scale: f64, shift: f64| move |x: f64| x * scale + shift;
        let numbers = noise(seed, count).into_iter();
        match self {
            Numbers::Noise => numbers.collect(),
            Numbers::Flat => numbers.enumerate().map(|(i, x)| if i % 97 == 0 { x } else { 0.1 }).collect(),
            Numbers::Near => numbers.map(scaled(1e-3, 1.0)).collect(),
            Numbers::Whole => numbers.map(|x| (x * 50.0).round()).collect(),
        }
    }
}

use Numbers::{Flat, Near, Noise, Whole};

/// Graphs, what their inputs are made of, and how far results may be off in terms of what was added up.
const GRAPHS: &[(&str, Numbers, f64)] = &[
    // A plane, rows in a tensor of channels, columns, and everything.
    ("input %x : f32[1, 1, 240, 240]\n%y = reduce_mean(%x) axes=[2, 3]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[1, 8, 320, 256]\n%y = reduce_mean(%x) axes=[2, 3] keep_dims\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[2, 70001]\n%y = reduce_sum(%x) axes=[1]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[2, 70001]\n%y = reduce_mean(%x) axes=[1]\n%z = neg(%y)\noutput z = %z", Noise, 1e-6),
    ("input %x : f32[70001, 3]\n%y = reduce_sum(%x) axes=[0]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[70001, 8]\n%y = reduce_mean(%x) axes=[0] keep_dims\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[40, 3, 41, 43, 2]\n%y = reduce_sum(%x) axes=[0, 2, 3]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[7, 300, 5, 300]\n%y = reduce_sum(%x) axes=[1, 3]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[1500, 1000]\n%y = reduce_mean(%x) axes=[0, 1]\noutput y = %y", Flat, 1e-6),
    (
        "input %x : f32[64, 8, 56, 56]\n%q = mul(%x, %x)\n%y = reduce_sum(%q) axes=[0, 2, 3]\noutput y = %y",
        Flat,
        1e-6,
    ),
    ("input %x : f32[3, 1500]\n%y = reduce_sum(%x) axes=[1]\noutput y = %y", Flat, 1e-6),
    ("input %x : f32[70001, 8]\n%y = reduce_variance(%x) axes=[0]\noutput y = %y", Noise, 1e-6),
    ("input %x : f32[2, 70001]\n%y = reduce_variance(%x) axes=[1]\noutput y = %y", Noise, 1e-6),
    ("input %x : f32[80000]\n%y = reduce_prod(%x) axes=[0]\noutput y = %y", Near, 1e-4),
    ("input %x : f32[2, 80003]\n%y = reduce_prod(%x) axes=[1]\noutput y = %y", Near, 1e-4),
    (
        "input %x : f32[2, 90001]\n%y = reduce_max(%x) axes=[1]\n%z = reduce_min(%x) axes=[1]\noutput y = %y\noutput z = %z",
        Noise,
        0.0,
    ),
    (
        "input %x : f32[90001, 4]\n%y = reduce_max(%x) axes=[0]\n%z = reduce_min(%x) axes=[0]\noutput y = %y\noutput z = %z",
        Noise,
        0.0,
    ),
    (
        "input %x : i32[2, 90001]\n%y = reduce_sum(%x) axes=[1]\n%z = reduce_max(%x) axes=[1]\n%w = reduce_min(%x) axes=[0, 1]\noutput y = %y\noutput z = %z\noutput w = %w",
        Whole,
        0.0,
    ),
    (
        "input %x : u8[2, 70001]\n%y = reduce_sum(%x) axes=[1]\n%z = reduce_max(%x) axes=[1]\noutput y = %y\noutput z = %z",
        Whole,
        0.0,
    ),
    ("input %x : f16[2, 70001]\n%y = reduce_mean(%x) axes=[1]\noutput y = %y", Flat, 1e-3),
    (
        "input %x : f32[2, 70001]\n%y = arg_max(%x) axis=1\n%z = arg_min(%x) axis=1 keep_dims\noutput y = %y\noutput z = %z",
        Noise,
        0.0,
    ),
    ("input %x : f32[1300000]\n%y = arg_max(%x) axis=0 select_last_index\noutput y = %y", Whole, 0.0),
    (
        "input %x : f32[70001, 3]\n%y = arg_min(%x) axis=0 select_last_index\n%z = arg_min(%x) axis=0\noutput y = %y\noutput z = %z",
        Whole,
        0.0,
    ),
    ("input %x : i32[2, 70001]\n%y = arg_max(%x) axis=1\noutput y = %y", Whole, 0.0),
    // Rows of classes, four rows side by side, and more than fit into two steps.
    (
        "input %x : f32[3, 18385]\n%y = softmax(%x) axis=1\n%z = log_softmax(%x) axis=1\noutput y = %y\noutput z = %z",
        Noise,
        3e-6,
    ),
    (
        "input %x : f32[18385, 6]\n%y = softmax(%x) axis=0\n%z = log_softmax(%x) axis=0\noutput y = %y\noutput z = %z",
        Noise,
        3e-6,
    ),
    ("input %x : f32[70001]\n%y = softmax(%x) axis=0\noutput y = %y", Noise, 1e-6),
    ("input %x : f16[2, 5000]\n%y = softmax(%x) axis=1\noutput y = %y", Noise, 1e-3),
    // Windows over everything, over much, and their gradients.
    (
        "input %x : f32[1, 3, 320, 256]\n%y = avg_pool(%x) kernel=[320, 256]\n%z = max_pool(%x) kernel=[320, 256]\noutput y = %y\noutput z = %z",
        Flat,
        1e-6,
    ),
    ("input %x : f32[1, 3, 70001]\n%y = avg_pool(%x) kernel=[70001]\noutput y = %y", Flat, 1e-6),
    (
        "input %x : f32[1, 3, 300, 310]\n%y = avg_pool(%x) kernel=[260, 250] strides=[20, 30] pads=[[9, 5], [0, 12]] count_include_pad\noutput y = %y",
        Flat,
        5e-6,
    ),
    (
        "input %x : f32[1, 3, 100, 110]\n%y = avg_pool(%x) kernel=[60, 50] strides=[20, 30] pads=[[9, 5], [0, 12]] ceil_mode\noutput y = %y",
        Flat,
        1e-6,
    ),
    (
        "input %x : f32[1, 3, 100, 110]\n%y = max_pool(%x) kernel=[60, 50] strides=[20, 30] pads=[[9, 5], [0, 12]]\noutput y = %y",
        Noise,
        0.0,
    ),
    (
        "input %x : f32[1, 3, 20, 30, 40]\n%y = avg_pool(%x) kernel=[12, 13, 14] strides=[3, 4, 5]\noutput y = %y",
        Flat,
        1e-6,
    ),
    (
        "input %x : f32[1, 3, 1, 1]\n%y = avg_pool_grad(%x) kernel=[320, 256] shape=[1, 3, 320, 256]\noutput y = %y",
        Noise,
        1e-6,
    ),
    (
        "input %x : f32[1, 3, 3, 4]\n%y = avg_pool_grad(%x) kernel=[60, 50] strides=[20, 20] pads=[[9, 5], [0, 12]] shape=[1, 3, 90, 110]\noutput y = %y",
        Noise,
        1e-6,
    ),
    (
        "input %x : f32[1, 3, 2, 2]\ninput %b : f32[1, 3, 80, 80]\n%y = max_pool_grad(%x, %b) kernel=[40, 40] strides=[40, 40] shape=[1, 3, 80, 80]\noutput y = %y",
        Noise,
        0.0,
    ),
    // Products of matrices with long rows: parts of 2,048 products, four of them at a time or one by one.
    (
        "input %x : f32[3, 100001]\ninput %b : f32[100001, 5]\n%y = matmul(%x, %b)\n%z = relu(%y)\noutput z = %z",
        Flat,
        3e-5,
    ),
    ("input %x : f32[9, 100000]\ninput %b : f32[100000, 36]\n%y = matmul(%x, %b)\noutput y = %y", Flat, 1e-5),
    (
        "input %x : f32[2, 5, 20000]\ninput %b : f32[2, 7, 20000]\n%y = matmul(%x, %b) transpose_b\noutput y = %y",
        Flat,
        1e-5,
    ),
    (
        "input %x : f32[100000, 9]\ninput %b : f32[100000, 12]\n%y = matmul(%x, %b) transpose_a\noutput y = %y",
        Flat,
        2e-6,
    ),
    // More indices than one look takes; several of one element.
    (
        "input %x : f32[5, 2]\ninput %b : f32[130000, 2]\n%i = cast(%b) to=i32\n%k = abs(%i)\nconst @m : i32[] = [5]\n%j = mod(%k, @m)\n%y = scatter(%x, %j, %b) axis=0 reduction=add\n%z = scatter(%x, %j, %b) axis=0\noutput y = %y\noutput z = %z",
        Whole,
        0.0,
    ),
];

fn inputs(graph: &Graph, numbers: Numbers) -> BTreeMap<String, Tensor> {
    let one = |(n, id): (u64, &kiln::graph::ValueId)| {
        let ty = graph.ty(*id);
        let shape = ty.static_shape().expect("numbers");
        let values = numbers.some(3 + n, shape.iter().product());
        let values = if ty.dtype == DType::U8 { values.iter().map(|x| x.abs()).collect() } else { values };
        (graph.value(*id).name.clone(), Tensor::of_numbers(shape, &values, ty.dtype).expect("as many"))
    };
    (0..).zip(graph.inputs()).map(one).collect()
}

fn load(machine: &Machine, source: &str, max: &[(&str, u32)]) -> (Graph, Session) {
    let graph = text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let max = max.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let compiled = kiln::compile(&graph, &options).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let session = machine.load(&compiled).expect("a session");
    (graph, session)
}

/// The largest difference of the device's answers, in terms of the largest number of what is right.
fn apart(session: &mut Session, graph: &Graph, given: &BTreeMap<String, Tensor>) -> Vec<(String, f64)> {
    let wanted = evaluate(graph, given, Precision::F32).expect("values");
    let found = answers(session, given).expect("a run");
    let compare = |(name, wanted): (&str, &Tensor)| {
        let (wanted, found) = (wanted.to_f64(), found[name].to_f64());
        assert_eq!(wanted.len(), found.len(), "{name}");
        let size = wanted.iter().filter(|x| x.is_finite()).fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
        let off = |(a, b): (&f64, &f64)| if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
        let worst = wanted
            .iter()
            .zip(&found)
            .map(off)
            .fold(0.0, |worst, off| if off > worst || off.is_nan() { off } else { worst });
        (name.to_owned(), worst / size)
    };
    wanted.outputs().iter().map(|(name, tensor)| compare((name.as_str(), tensor))).collect()
}

#[test]
fn what_is_long_is_right_and_exact() {
    let machine = Machine::open();
    let mut failed = Vec::new();
    for (source, numbers, most) in GRAPHS {
        let (graph, mut session) = load(&machine, source, &[]);
        for (name, off) in apart(&mut session, &graph, &inputs(&graph, *numbers)) {
            if off > *most || off.is_nan() {
                failed.push(format!("{name} is off by {off:e}, more than {most:e}\n{source}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}

/// Sizes that are symbols are split for the largest; smaller ones leave parts empty.
#[test]
fn what_may_be_long_is_right_when_short() {
    let source = "input %x : f32[N, 4]\n%s = reduce_sum(%x) axes=[0]\n%p = reduce_prod(%x) axes=[0]\n%h = reduce_max(%x) axes=[0]\n\
                  %l = reduce_min(%x) axes=[0]\n%t = transpose(%x) perm=[1, 0]\n%a = reduce_max(%t) axes=[1]\n%i = arg_max(%x) axis=0\n\
                  %e = softmax(%x) axis=0\n%m = reduce_mean(%x) axes=[0, 1]\n%d = matmul(%t, %x)\n%c = cast(%x) to=i32\n\
                  %w = reduce_max(%c) axes=[0]\n%v = reduce_min(%c) axes=[0]\n\
                  output s = %s\noutput p = %p\noutput h = %h\noutput l = %l\noutput a = %a\noutput i = %i\noutput e = %e\noutput m = %m\n\
                  output d = %d\noutput w = %w\noutput v = %v";
    let machine = Machine::open();
    let (graph, mut session) = load(&machine, source, &[("N", 80_000)]);
    for n in [1, 2, 5, 283, 1024, 79_999, 80_000] {
        let values = Near.some(5, 4 * n);
        let x = Tensor::of_numbers([n, 4], &values, DType::F32).expect("as many");
        for (name, off) in apart(&mut session, &graph, &BTreeMap::from([("x".to_owned(), x)])) {
            let most = if name == "p" { 1e-4 } else { 2e-6 };
            assert!(off <= most, "{name} of {n} is off by {off:e}");
        }
    }
}

/// NaN stays, and what is masked by minus infinity counts for nothing, also where it is all of a part.
#[test]
fn what_is_long_keeps_nan_and_infinity() {
    let source = "input %x : f32[2, 9000]\n%s = reduce_sum(%x) axes=[1]\n%h = reduce_max(%x) axes=[1]\n%l = reduce_min(%x) axes=[1]\n\
                  %e = softmax(%x) axis=1\n%g = log_softmax(%x) axis=1\n%t = transpose(%x) perm=[1, 0]\n%u = softmax(%t) axis=0\n%i = arg_max(%x) axis=1\n\
                  output s = %s\noutput h = %h\noutput l = %l\noutput e = %e\noutput g = %g\noutput u = %u\noutput i = %i";
    let machine = Machine::open();
    let (graph, mut session) = load(&machine, source, &[]);
    let (nan, least, most) = (f64::NAN, f64::NEG_INFINITY, f64::INFINITY);
    let row = noise(4, 18_000);
    let with = |places: std::ops::Range<usize>, value: f64| {
        let mut x = row.clone();
        x[places].fill(value);
        x
    };
    let cases = [
        with(7000..7001, nan),
        with(0..1, nan),
        with(100..8900, least),
        with(0..9000, least),
        with(0..1, most),
        with(8999..9000, most),
        with(300..700, most),
    ];
    for (n, values) in cases.iter().enumerate() {
        let x = Tensor::of_numbers([2, 9000], values, DType::F32).expect("as many");
        for (name, off) in apart(&mut session, &graph, &BTreeMap::from([("x".to_owned(), x)])) {
            assert!(off <= 1e-5, "{name} of case {n} is off by {off:e}");
        }
    }
}
