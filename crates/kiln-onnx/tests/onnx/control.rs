//! Graphs within nodes, which are written out, and random numbers, which are those of a seed.

use std::collections::HashMap;

use kiln_graph::{EvaluateOptions, Graph, Precision, Tensor, evaluate_with};
use kiln_onnx::proto::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use kiln_onnx::{ImportOptions, import_bytes};

use crate::models::{bytes, linear, node};

pub(crate) const INT64: i32 = 7;

pub(crate) fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), ..ValueInfoProto::default() }
}

pub(crate) fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

pub(crate) fn graph(name: &str, body: GraphProto) -> AttributeProto {
    let r#type = AttributeType::Graph.into();
    AttributeProto { name: name.into(), r#type, g: Some(body), ..AttributeProto::default() }
}

fn float(name: &str, number: f32) -> AttributeProto {
    let r#type = AttributeType::Float.into();
    AttributeProto { name: name.into(), r#type, f: Some(number), ..AttributeProto::default() }
}

fn ints(name: &str, numbers: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints.into();
    AttributeProto { name: name.into(), r#type, ints: numbers.to_vec(), ..AttributeProto::default() }
}

/// `state -> next`, with what a loop has besides.
pub(crate) fn body(next: &str, nodes: Vec<NodeProto>) -> GraphProto {
    GraphProto {
        node: nodes,
        input: ["step", "goes_on", "state"].map(named).into(),
        output: ["goes_on", next].map(named).into(),
        ..GraphProto::default()
    }
}

/// A model that repeats `body` on `hidden`.
pub(crate) fn repeated(count: i64, body: GraphProto) -> Vec<u8> {
    let repeated = node("Loop", "again", &["count", "", "hidden"], "y");
    let mut model = linear(vec![with(repeated, graph("body", body))], 4);
    let count = TensorProto {
        name: "count".into(),
        data_type: INT64,
        int64_data: vec![count],
        ..TensorProto::default()
    };
    model.graph.as_mut().expect("it has one").initializer.push(count);
    bytes(&model)
}

pub(crate) fn import(content: &[u8]) -> Result<Graph, String> {
    let imported = import_bytes(content, None, &ImportOptions::default());
    imported.map(|imported| imported.graph).map_err(|error| error.to_string())
}

pub(crate) fn output(graph: &Graph) -> Vec<f64> {
    let x = Tensor::f32([1, 8], vec![1.0; 8]).expect("eight numbers");
    let inputs = HashMap::from([("x".to_owned(), x)]).into_iter().collect();
    let options = EvaluateOptions::new(Precision::F32);
    let found = evaluate_with(graph, &inputs, &options).expect("it computes");
    found.outputs()[0].1.to_f64()
}

#[test]
fn a_loop_is_written_out() {
    let twice = node("Add", "twice", &["state", "state"], "next");
    let graph = import(&repeated(3, body("next", vec![twice]))).expect("a loop of three steps");
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["fc", "again", "again", "again"]);
    assert_eq!(output(&graph), [32.0; 4]);
}

#[test]
fn a_long_loop_is_a_loop() {
    let half = node("Mul", "half", &["state", "factor"], "next");
    let halved = |nodes: Vec<NodeProto>| {
        let factor = TensorProto {
            name: "factor".into(),
            data_type: 1,
            float_data: vec![0.5],
            ..TensorProto::default()
        };
        GraphProto { initializer: vec![factor], ..body("next", nodes) }
    };
    let graph = import(&repeated(100, halved(vec![half]))).expect("a loop of a hundred steps");
    let names: Vec<(&str, &str)> =
        graph.nodes().iter().map(|node| (node.name.as_str(), node.op.name())).collect();
    assert_eq!(names, [("fc", "matmul"), ("again", "iota"), ("again", "loop")]);
    assert_eq!(output(&graph), [4.0 * 0.5f64.powi(100); 4]);
    // What a step has to know of its number can only be known when all are written out.
    let mut cast = node("Cast", "", &["sum"], "float");
    cast.attribute = vec![AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int.into(),
        i: Some(1),
        ..AttributeProto::default()
    }];
    let nodes = vec![
        node("Range", "", &["step", "end", "one"], "numbers"),
        node("ReduceSum", "", &["numbers"], "sum"),
        cast,
        node("Add", "", &["state", "float"], "next"),
    ];
    let number = |name: &str, number: i64| TensorProto {
        name: name.into(),
        data_type: INT64,
        int64_data: vec![number],
        ..TensorProto::default()
    };
    let written_out =
        GraphProto { initializer: vec![number("end", 100), number("one", 1)], ..body("next", nodes) };
    let graph = import(&repeated(100, written_out)).expect("a loop of a hundred steps");
    assert!(graph.nodes().iter().all(|node| node.op.name() != "loop"));
    // The sum over steps of those of all numbers from theirs to 99.
    let expected = 4.0 + (0..100).map(|n| (n..100).sum::<i32>()).sum::<i32>() as f64;
    assert_eq!(output(&graph), [expected; 4]);
}

#[test]
fn a_condition_that_is_computed_is_refused() {
    let nodes = vec![
        node("Add", "twice", &["state", "state"], "next"),
        node("ReduceMax", "", &["next"], "largest"),
        node("Cast", "", &["largest"], "goes_on_then"),
    ];
    let mut content = body("next", nodes);
    content.output[0] = named("goes_on_then");
    content.node[2].attribute = vec![AttributeProto {
        name: "to".into(),
        r#type: AttributeType::Int.into(),
        i: Some(9),
        ..AttributeProto::default()
    }];
    for count in [3, 100, 5000] {
        let message = import(&repeated(count, content.clone())).expect_err("it depends on data");
        assert!(message.contains("its condition has to be constant, but is computed from data"), "{message}");
    }
}

#[test]
fn loops_have_limits() {
    let add = |next: &str| body(next, vec![node("Add", "", &["state", "state"], next)]);
    let within = |inner: GraphProto, next: &str| {
        let again = node("Loop", "", &["count", "", "state"], next);
        body(next, vec![with(again, graph("body", inner))])
    };
    let idle = (0..600).map(|n| node("Relu", "", &["state"], &format!("idle_{n}")));
    let long = body("state", idle.collect());
    let table = [
        (repeated(1 << 40, add("next")), "1099511627776 iterations are not supported; at most 1048576 are"),
        (repeated(60, long), "60 iterations of 600 nodes are too many"),
        (repeated(60, within(within(add("inner"), "middle"), "next")), "more than 32768 nodes"),
    ];
    for (content, words) in table {
        let message = import(&content).map_or_else(|message| message, |_| "it is imported".into());
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn random_numbers_are_those_of_their_seed() {
    let drawn = |attributes: &[AttributeProto]| {
        let mut noise = node("RandomNormal", "noise", &[], "noise");
        noise.attribute =
            [&[ints("shape", &[64, 64]), float("mean", 3.0), float("scale", 0.5)], attributes].concat();
        let mut mean = node("ReduceMean", "mean", &["noise"], "mean");
        mean.attribute = vec![ints("axes", &[0])];
        let mut model = linear(vec![noise, node("Identity", "same", &["noise"], "y")], 4);
        model.graph.as_mut().expect("it has one").output[0] = named("y");
        import(&bytes(&model))
    };
    let message = drawn(&[]).expect_err("no seed");
    assert!(message.contains("without a `seed`"), "{message}");
    let numbers = output(&drawn(&[float("seed", 7.0)]).expect("a seed"));
    let mean = numbers.iter().sum::<f64>() / 4096.0;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4096.0;
    // Three standard errors of each.
    assert!((mean - 3.0).abs() < 0.025 && (variance.sqrt() - 0.5).abs() < 0.017, "{mean} {variance}");
    assert_eq!(numbers, output(&drawn(&[float("seed", 7.0)]).expect("a seed")));
    assert_ne!(numbers, output(&drawn(&[float("seed", 8.0)]).expect("another seed")));
}
