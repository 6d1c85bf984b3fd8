//! Static quantization: what is a layer, where values become integers, and how near the result is.

use std::collections::BTreeMap;

use kiln_compile::quantize::{Network, QuantizeError, Range};
use kiln_graph::text::parse;
use kiln_graph::{DType, Graph, Op, Precision, Tensor, compare, evaluate};

use crate::models::numbers;

struct Case {
    name: &'static str,
    text: &'static str,
    keep: &'static [&'static str],
    /// `name operator` of layers, and `name: reason` of others.
    layers: &'static [&'static str],
    kept: &'static [&'static str],
    /// The values that become integers.
    points: &'static [&'static str],
    /// How far results may be off, relative to the largest.
    near: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "what only moves elements shares a scale",
        text: "input %x : f32[2, 3, 8, 8]\nstate @w : f32[4, 3, 3, 3] = numbers(1, 0.5)\n\
               const @b : f32[4, 1, 1] = [0.5, -0.25, 0.0, 1.0]\nstate @v : f32[5, 64] = numbers(2, 0.2)\n\
               %c = conv(%x, @w) pads=[[1, 1], [1, 1]]\n%s = add(%c, @b)\n%r = relu(%s)\n\
               %p = max_pool(%r) kernel=[2, 2] strides=[2, 2]\n%f = reshape(%p) shape=[2, 64]\n\
               %y = matmul(%f, @v) transpose_b\noutput y = %y",
        keep: &[],
        layers: &["c Conv", "y Gemm"],
        kept: &[],
        points: &["x", "r", "f"],
        near: 0.02,
    },
    Case {
        name: "groups, residual sums, clamps and concatenations",
        text: "input %x : f32[2, 4, 6, 6]\nconst @w : f32[4, 1, 3, 3] = numbers(1, 0.5)\n\
               const @v : f32[4, 4, 1, 1] = numbers(2, 0.5)\nconst @u : f32[2, 8, 1, 1] = numbers(3, 0.5)\n\
               const @six : f32[] = [0.75]\n%a = conv(%x, @w) pads=[[1, 1], [1, 1]] groups=4\n%c = clamp_max(%a, @six)\n\
               %b = conv(%c, @v)\n%s = add(%b, %x)\n%j = concat(%s, %c) axis=1\n%y = conv(%j, @u)\noutput y = %y\n\
               output s = %s",
        keep: &[],
        layers: &["a Conv", "b Conv", "y Conv"],
        kept: &[],
        points: &["x", "c", "b", "j"],
        near: 0.03,
    },
    Case {
        name: "transposed convolutions have one scale where there are groups",
        text: "input %x : f32[1, 4, 5, 5]\nconst @w : f32[6, 2, 3, 3] = numbers(1, 0.5)\n\
               const @v : f32[2, 6, 2, 2] = numbers(2, 0.5)\n\
               %a = conv(%x, @w) pads=[[1, 1], [1, 1]] input_dilations=[2, 2] groups=2\n\
               %y = conv(%a, @v) pads=[[1, 0], [1, 0]] input_dilations=[2, 2]\noutput y = %y",
        keep: &[],
        layers: &["a ConvTranspose", "y ConvTranspose"],
        kept: &[],
        points: &["x", "a"],
        near: 0.02,
    },
    Case {
        name: "batches of matrices, and what is no layer",
        text: "input %x : f32[2, 3, 8]\nconst @w : f32[8, 4] = numbers(1, 0.5)\n\
               const @b : f32[4] = [0.5, -0.25, 0.0, 1.0]\nconst @l : f32[2, 3] = numbers(2, 0.5)\n\
               %a = matmul(%x, @w)\n%s = add(%a, @b)\n%t = matmul(%s, %s) transpose_b\n%y = matmul(@l, %t)\noutput y = %y",
        keep: &[],
        layers: &["a MatMul"],
        kept: &["t: it has no weight", "y: its weight is the left operand"],
        points: &["x"],
        near: 0.02,
    },
    Case {
        name: "a small weight leaves room for a large bias",
        text: "input %x : f32[2, 2, 4]\nconst @w : f32[2, 2, 1] = [1e-12, 2e-12, 0.5, -0.25]\n\
               const @b : f32[2, 1] = [3.0, 0.5]\n%c = conv(%x, @w)\n%y = add(%c, @b)\noutput y = %y",
        keep: &[],
        layers: &["c Conv"],
        kept: &[],
        points: &["x"],
        near: 0.01,
    },
    Case {
        name: "layers that are kept",
        text: "input %x : f32[2, 4]\nconst @w : f32[4, 4] = numbers(1, 0.5)\n\
               %head.0 = matmul(%x, @w)\n%head.1 = matmul(%head.0, @w)\n%y = matmul(%head.1, @w)\noutput y = %y",
        keep: &["head.*"],
        layers: &["y Gemm"],
        kept: &["head.0: kept", "head.1: kept"],
        points: &["head.1"],
        near: 0.01,
    },
];

/// A graph; `numbers(seed, most)` stands for as many numbers as a shape needs.
fn graph(text: &str) -> Graph {
    let line = |line: &str| {
        let Some((head, tail)) = line.split_once(" = numbers(") else { return line.to_owned() };
        let (seed, most) = tail.trim_end_matches(')').split_once(", ").expect("a seed and a magnitude");
        let shape = head.split_once('[').expect("a shape").1.trim_end_matches(']');
        let count = shape.split(", ").map(|size| size.parse::<usize>().expect("a size")).product();
        let (seed, most): (u64, f32) = (seed.parse().expect("a seed"), most.parse().expect("a magnitude"));
        format!("{head} = {:?}", numbers(seed, count, -most, most))
    };
    let text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn inputs(graph: &Graph) -> BTreeMap<String, Tensor> {
    let one = |id| {
        let shape = graph.ty(id).static_shape().expect("numbers");
        let data = numbers(7, shape.iter().product(), -1.0, 2.0);
        (graph.value(id).name.clone(), Tensor::f32(shape, data).expect("as many as the shape says"))
    };
    graph.inputs().iter().copied().map(one).collect()
}

fn ranges(network: &Network, inputs: &BTreeMap<String, Tensor>) -> Vec<Range> {
    let observed = network.at_points().expect("a graph");
    let found = evaluate(&observed.graph, inputs, Precision::F32).expect("values");
    let values: BTreeMap<String, Tensor> =
        found.outputs().iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    let range = |name: &String| {
        let mut range = Range::NONE;
        range.observe(&values[name].to_f64().iter().map(|x| *x as f32).collect::<Vec<_>>());
        range
    };
    observed.inside.iter().map(range).collect()
}

#[test]
fn networks_are_quantized() {
    for case in CASES {
        let name = case.name;
        let made = graph(case.text);
        let keep: Vec<String> = case.keep.iter().map(ToString::to_string).collect();
        let network = Network::new(&made, &keep).unwrap_or_else(|error| panic!("{name}: {error}"));
        let layers: Vec<String> = network.layers().iter().map(|l| format!("{} {}", l.name, l.op)).collect();
        let kept: Vec<String> = network.kept().iter().map(|l| format!("{}: {}", l.name, l.reason)).collect();
        let mut points: Vec<&str> = network.points().iter().map(|point| point.name.as_str()).collect();
        let mut wanted = case.points.to_vec();
        points.sort_unstable();
        wanted.sort_unstable();
        assert_eq!((layers, kept, points), (strings(case.layers), strings(case.kept), wanted), "{name}");
        let inputs = inputs(&made);
        let quantized =
            network.quantized(&ranges(&network, &inputs)).unwrap_or_else(|e| panic!("{name}: {e}"));
        quantized.graph.verify().unwrap_or_else(|error| panic!("{name}: {error}"));
        let integers = quantized.graph.nodes().iter();
        let integers = integers.filter(|node| matches!(&node.op, Op::Cast(cast) if cast.to == DType::U8));
        assert_eq!(integers.count(), case.points.len(), "{name}");
        let run = |graph: &Graph| evaluate(graph, &inputs, Precision::F32).expect(name);
        let (before, after) = (run(&made), run(&quantized.graph));
        for ((output, wanted), (same, found)) in before.outputs().iter().zip(after.outputs()) {
            let apart = compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3);
            assert!(output == same && apart <= case.near, "{name}: {output} is off by {apart}");
            assert!(apart > 0.0 || output != "y", "{name}: nothing was rounded");
        }
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Points between which elements only move have the same scale: what they are rounded to is not rounded again.
#[test]
fn scales_are_shared() {
    let case = &CASES[0];
    let network = Network::new(&graph(case.text), &[]).expect("a network");
    let order: Vec<&str> = network.points().iter().map(|point| point.name.as_str()).collect();
    let range = |name: &&str| match *name {
        "r" => Range { low: 0.0, high: 4.0 },
        "f" => Range { low: 0.0, high: 51.0 },
        _ => Range { low: -1.0, high: 1.0 },
    };
    let quantized = network.quantized(&order.iter().map(range).collect::<Vec<_>>()).expect("a network");
    let graph = &quantized.graph;
    let scale = |name: &str| {
        let id = graph.value_ids().find(|id| graph.value(*id).name == format!("{name}.scale"));
        graph.as_constant(id.expect("a scale")).expect("a number").to_f64()[0] as f32
    };
    assert_eq!([scale("r"), scale("f"), scale("x")], [0.2, 0.2, 2.0 / 255.0]);
}

#[test]
fn what_cannot_be_quantized_is_refused() {
    let text = CASES[0].text;
    let doubles =
        "input %x : f64[2, 2]\nconst @w : f64[2, 2] = [1, 2, 3, 4]\n%y = matmul(%x, @w)\noutput y = %y";
    let layer = "const @w : f32[2, 2] = [0, 0, 0, 0]\n%y = matmul(%x, @w)\noutput y = %y";
    let cases = [
        (doubles.to_owned(), vec![], "`y` (not of 32-bit floats)"),
        (
            "input %x : f32[2, 2]\n%y = exp(%x)\noutput y = %y".into(),
            vec![],
            "no convolutions and matrix products",
        ),
        (text.to_owned(), vec!["fc".to_owned()], "no layer is called `fc`; the layers are `c`, `y`"),
        (
            format!("input %z : f32[2, 2]\n%q = cast(%z) to=u8\n%x = cast(%q) to=f32\n{layer}"),
            vec![],
            "`q` quantizes already",
        ),
    ];
    for (text, keep, message) in cases {
        let error = Network::new(&graph(&text), &keep).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let network = Network::new(&graph(text), &[]).expect("a network");
    let mut wrong = vec![Range { low: 0.0, high: 1.0 }; network.points().len()];
    wrong[1].observe(&[f32::NAN]);
    let error = network.quantized(&wrong).expect_err("NaN has no range");
    assert!(matches!(error, QuantizeError::NotFinite { .. }), "{error}");
}
