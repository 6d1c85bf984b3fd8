//! What NaN becomes, by the evaluator and on the device, wherever it lies.

use std::collections::BTreeMap;

use kiln::graph::{DType, Graph, Precision, Tensor, compare, evaluate, text};
use kiln::{Options, Session};

use crate::machine::{Machine, answers};

use super::numbers::noise;

/// What chooses among elements: a NaN goes where the largest number would go (or the smallest). Of several an index is that
/// of the first, as in NumPy; a window's gradient goes to the last, as in PyTorch.
const CHOOSING: &[&str] = &[
    // Along rows: four at a time, one at a time, and what lies apart.
    "input %x : f32[3, 8]\n%y = reduce_max(%x) axes=[1]\noutput y = %y",
    "input %x : f32[3, 8]\n%y = reduce_min(%x) axes=[1] keep_dims\n%z = neg(%y)\noutput z = %z",
    "input %x : f32[3, 5]\n%y = reduce_max(%x) axes=[1]\noutput y = %y",
    "input %x : f32[3, 5]\n%y = reduce_min(%x) axes=[1]\noutput y = %y",
    "input %x : f32[2, 3, 4, 4]\n%y = reduce_max(%x) axes=[1, 3]\n%z = neg(%y)\noutput z = %z",
    "input %x : f32[3, 5]\n%y = reduce_max(%x) axes=[0, 1]\noutput y = %y",
    "input %x : f32[1]\n%y = reduce_max(%x) axes=[0]\noutput y = %y",
    // Along columns: four side by side, or one.
    "input %x : f32[5, 8]\n%y = reduce_max(%x) axes=[0]\noutput y = %y",
    "input %x : f32[5, 8]\n%y = reduce_min(%x) axes=[0]\noutput y = %y",
    "input %x : f32[4, 6]\n%y = reduce_min(%x) axes=[0]\noutput y = %y",
    // Beside lanes that are padding, and in a row of channels that ends in such.
    "input %x : f32[1, 5, 3, 4]\n%p = max_pool(%x) kernel=[2, 2]\n%y = reduce_max(%p) axes=[2, 3]\n\
     %z = reduce_max(%p) axes=[1]\noutput y = %y\noutput z = %z",
    "input %x : f32[1, 8, 3, 3]\n%p = max_pool(%x) kernel=[2, 2]\n%y = reduce_max(%p) axes=[2]\n\
     %z = reduce_max(%p) axes=[1]\noutput y = %y\noutput z = %z",
    "input %x : f16[3, 8]\n%y = reduce_max(%x) axes=[1]\n%z = reduce_max(%x) axes=[0]\n%i = arg_max(%x) axis=1\n\
     output y = %y\noutput z = %z\noutput i = %i",
    "input %x : f64[3, 8]\n%y = reduce_max(%x) axes=[1]\n%z = reduce_max(%x) axes=[0]\n%i = arg_max(%x) axis=1\n\
     output y = %y\noutput z = %z\noutput i = %i",
    "input %x : f64[3, 5]\n%y = reduce_min(%x) axes=[1]\n%z = reduce_min(%x) axes=[0]\n%i = arg_min(%x) axis=1\n\
     output y = %y\noutput z = %z\noutput i = %i",
    "input %x : f32[3, 5]\n%y = arg_max(%x) axis=1\n%z = arg_max(%x) axis=0 keep_dims\n\
     output y = %y\noutput z = %z",
    "input %x : f32[3, 5]\n%y = arg_max(%x) axis=1 select_last_index\noutput y = %y",
    "input %x : f32[4, 8]\n%y = arg_min(%x) axis=1\n%z = arg_min(%x) axis=0\noutput y = %y\noutput z = %z",
    "input %x : f32[4, 8]\n%y = arg_min(%x) axis=0 select_last_index\noutput y = %y",
    "input %x : f32[3, 5]\n%y = arg_sort(%x) axis=1 descending\noutput y = %y",
    // Runs of windows, with and without padding, and windows one by one.
    "input %x : f32[1, 5, 5, 6]\n%y = max_pool(%x) kernel=[2, 2] strides=[2, 2]\noutput y = %y",
    "input %x : f32[1, 4, 6, 5]\n%y = max_pool(%x) kernel=[3, 3] strides=[2, 2] pads=[[1, 1], [1, 1]]\noutput y = %y",
    "input %x : f32[1, 3, 5, 5]\n%y = max_pool(%x) kernel=[3, 3] pads=[[1, 1], [1, 1]]\n%z = neg(%y)\noutput z = %z",
    "input %x : f32[1, 3, 9]\n%y = max_pool(%x) kernel=[5] strides=[3] pads=[[2, 2]] ceil_mode\noutput y = %y",
    "input %x : f32[1, 5, 5, 7]\n%y = max_pool(%x) kernel=[2, 3] strides=[1, 2] dilations=[2, 2] pads=[[1, 1], [2, 2]]\n\
     output y = %y",
    "input %x : f32[1, 2, 3, 3, 4]\n%y = max_pool(%x) kernel=[2, 2, 2] pads=[[1, 0], [0, 1], [0, 0]]\noutput y = %y",
    "input %x : f32[1, 3, 2, 9]\n%y = max_pool(%x) kernel=[1, 7]\noutput y = %y",
    // Windows apart from each other, and windows that overlap.
    "input %dy : f32[1, 5, 2, 3]\ninput %x : f32[1, 5, 5, 6]\n\
     %y = max_pool_grad(%dy, %x) kernel=[2, 2] strides=[2, 2] shape=[1, 5, 5, 6]\noutput y = %y",
    "input %dy : f32[1, 3, 5, 5]\ninput %x : f32[1, 3, 5, 5]\n\
     %y = max_pool_grad(%dy, %x) kernel=[3, 3] pads=[[1, 1], [1, 1]] shape=[1, 3, 5, 5]\noutput y = %y",
    "input %u : f32[3, 5]\ninput %x : f32[4, 5]\nconst @i : i64[3, 5] = [0, 1, 2, 3, 0, 1, 1, 3, 3, 0, 2, 2, 2, 2, 2]\n\
     %y = scatter(%x, @i, %u) axis=0 reduction=max\noutput y = %y",
    "input %d : f32[4, 5]\ninput %x : f32[3, 5]\nconst @i : i64[3, 5] = [0, 1, 2, 3, 0, 1, 1, 3, 3, 0, 2, 2, 2, 2, 2]\n\
     %y = scatter(%d, @i, %x) axis=0 reduction=min\noutput y = %y",
    "input %x : f32[4, 5]\ninput %b : f32[4, 5]\n%y = max(%x, %b)\n%z = max(%b, %x)\noutput y = %y\noutput z = %z",
];

/// What computes with elements: NaN stays NaN.
const COMPUTING: &[&str] = &[
    "input %x : f32[3, 5]\n%y = softmax(%x) axis=1\n%z = softmax(%x) axis=0\noutput y = %y\noutput z = %z",
    "input %x : f32[2, 4, 3]\n%y = log_softmax(%x) axis=1\noutput y = %y",
    "input %x : f32[2, 8]\n%y = log_softmax(%x) axis=1\noutput y = %y",
    "input %x : f32[1, 5, 2, 3]\n%p = max_pool(%x) kernel=[1, 1]\n%y = softmax(%p) axis=1\n%z = softmax(%p) axis=2\noutput y = %y\noutput z = %z",
    "input %x : f64[6]\n%y = sign(%x)\noutput y = %y",
    "input %x : f64[3, 5]\n%y = softmax(%x) axis=1\n%z = log_softmax(%x) axis=0\noutput y = %y\noutput z = %z",
    "input %x : f32[3, 5]\n%a = relu(%x)\n%b = sigmoid(%x)\n%c = tanh(%x)\n%d = erf(%x)\n%e = softplus(%x)\n%f = sign(%x)\n\
     const @low : f32[] = [-0.5]\nconst @high : f32[] = [0.5]\n%g = max(%x, @low)\n%h = min(%g, @high)\n%i = abs(%x)\n\
     output a = %a\noutput b = %b\noutput c = %c\noutput d = %d\noutput e = %e\noutput f = %f\noutput h = %h\noutput i = %i",
    "input %x : f32[3, 5]\nconst @low : f32[] = [-0.5]\nconst @high : f32[] = [0.5]\n\
     %a = max(@low, %x)\n%b = min(@high, %x)\noutput a = %a\noutput b = %b",
    "input %x : f32[4, 6]\n%y = reduce_sum(%x) axes=[0]\n%z = reduce_mean(%x) axes=[1]\n%p = reduce_prod(%x) axes=[1]\noutput y = %y\noutput z = %z\noutput p = %p",
    "input %x : f32[1, 3, 4, 6]\n%y = avg_pool(%x) kernel=[2, 2] pads=[[1, 1], [1, 1]]\noutput y = %y",
];

/// Larger than all else, and larger still.
const LARGE: f64 = 3e4;
const LARGER: f64 = 6e4;

/// A graph and its plan, whose input `x` is what changes.
struct Case {
    graph: Graph,
    session: Session,
    others: BTreeMap<String, Tensor>,
    shape: Vec<usize>,
    dtype: DType,
}

impl Case {
    fn new(machine: &Machine, source: &str) -> Self {
        let graph = text::parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
        let options = Options { target: machine.target.clone(), max: BTreeMap::new(), ..Options::default() };
        let compiled = kiln::compile(&graph, &options).unwrap_or_else(|e| panic!("{e}\n{source}"));
        let session = machine.load(&compiled).expect("a session");
        let mut others = BTreeMap::new();
        let (mut shape, mut dtype) = (Vec::new(), DType::F32);
        for id in graph.inputs() {
            let (name, ty) = (graph.value(*id).name.clone(), graph.ty(*id));
            let own = ty.static_shape().expect("numbers");
            if name == "x" {
                (shape, dtype) = (own, ty.dtype);
                continue;
            }
            // Few digits, so that sums are exact.
            let numbers: Vec<f64> =
                noise(3, own.iter().product()).iter().map(|v| (v * 64.0).round() / 64.0).collect();
            others.insert(name, Tensor::of_numbers(own, &numbers, ty.dtype).expect("as many"));
        }
        Self { graph, session, others, shape, dtype }
    }

    fn inputs(&self, x: &[f64]) -> BTreeMap<String, Tensor> {
        let x = Tensor::of_numbers(self.shape.clone(), x, self.dtype).expect("as many as the shape says");
        self.others.clone().into_iter().chain([("x".to_owned(), x)]).collect()
    }

    fn evaluated(&self, x: &[f64]) -> Vec<f64> {
        let values = evaluate(&self.graph, &self.inputs(x), Precision::F32).expect("values");
        values.outputs().iter().flat_map(|(_, tensor)| tensor.to_f64()).collect()
    }

    fn computed(&mut self, x: &[f64]) -> Vec<f64> {
        let given = self.inputs(x);
        let found = answers(&mut self.session, &given).expect("a run");
        self.graph.outputs().iter().flat_map(|output| found[&output.name].to_f64()).collect()
    }
}

fn same(a: &[f64], b: &[f64]) -> bool {
    compare::farthest(b, a) == 0.0
}

/// What is not as it should be: each place of `x`, and each pair of places, is NaN among numbers and among infinities.
fn check(case: &mut Case, source: &str) -> Vec<String> {
    let least = source.contains("min");
    let sign = if least { -1.0 } else { 1.0 };
    let count = case.shape.iter().product();
    let mut wrong = Vec::new();
    let mut compare = |what: String, found: &[f64], wanted: &[f64]| {
        if !same(found, wanted) {
            wrong.push(format!("{what}: {found:?}, but should be {wanted:?}\n{source}"));
        }
    };
    let infinite = |sign: f64| vec![sign * f64::INFINITY; count];
    for (what, behind) in [("numbers", noise(1, count)), ("low", infinite(-sign)), ("high", infinite(sign))] {
        compare(format!("{what}: device"), &case.computed(&behind), &case.evaluated(&behind));
        for place in 0..count {
            let other = (place + 7) % count;
            for places in [vec![place], vec![place.min(other), place.max(other)]] {
                let (mut x, mut marked) = (behind.clone(), behind.clone());
                for (n, at) in places.iter().enumerate() {
                    x[*at] = if place % 2 == 0 { f64::NAN } else { -f64::NAN };
                    let the_last = n > 0 && source.contains("_grad");
                    marked[*at] = sign * if the_last { LARGER } else { LARGE };
                }
                let evaluated = case.evaluated(&x);
                // Nothing is larger than infinity.
                let wanted = if what == "high" {
                    evaluated.clone()
                } else {
                    let mark = |v: f64| if [LARGE, LARGER].contains(&v.abs()) { f64::NAN } else { v };
                    case.evaluated(&marked).into_iter().map(mark).collect()
                };
                compare(format!("{what}, {places:?}: evaluator"), &evaluated, &wanted);
                compare(format!("{what}, {places:?}: device"), &case.computed(&x), &wanted);
            }
        }
    }
    wrong
}

#[test]
fn what_chooses_chooses_nan() {
    let machine = Machine::open();
    let mut failed = Vec::new();
    for source in CHOOSING.iter().filter(|source| machine.target.float64 || !source.contains("f64")) {
        let wrong = check(&mut Case::new(&machine, source), source);
        failed.extend(wrong.first().map(|first| format!("{} wrong, first {first}", wrong.len())));
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}

/// Equal to within rounding.
fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| compare::is_near(*b, *a, 1e-5, 1e-5))
}

#[test]
fn what_computes_keeps_nan() {
    let machine = Machine::open();
    let mut failed = Vec::new();
    for source in COMPUTING.iter().filter(|source| machine.target.float64 || !source.contains("f64")) {
        let mut case = Case::new(&machine, source);
        let count = case.shape.iter().product();
        for place in 0..count {
            for value in [f64::NAN, -f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
                for behind in [noise(1, count), vec![f64::NEG_INFINITY; count]] {
                    let mut x = behind;
                    x[place] = value;
                    let (wanted, found) = (case.evaluated(&x), case.computed(&x));
                    if !close(&found, &wanted) {
                        failed.push(format!("{x:?}\n{found:?}, but should be\n{wanted:?}\n{source}"));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n\n"));
}
