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
fn loops_have_limits() {
    let add = |next: &str| body(next, vec![node("Add", "", &["state", "state"], next)]);
    let within = |inner: GraphProto, next: &str| {
        let again = node("Loop", "", &["count", "", "state"], next);
        body(next, vec![with(again, graph("body", inner))])
    };
    let idle = (0..40).map(|n| node("Relu", "", &["state"], &format!("idle_{n}")));
    let long = body("state", idle.collect());
    let table = [
        (repeated(1 << 40, add("next")), "too many to unroll"),
        (repeated(1025, add("next")), "more than 1024 iterations"),
        (repeated(1000, long), "1000 iterations of 40 nodes are too many"),
        (repeated(1000, within(within(add("inner"), "middle"), "next")), "more than 32768 nodes"),
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
