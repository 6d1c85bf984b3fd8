//! Functions that a model brings along, called with inputs, outputs and attributes left out.

use kiln_graph::Tensor;
use kiln_onnx::proto::{
    AttributeProto, AttributeType, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto,
};

use crate::control::{graph, import, named, output, with};
use crate::models::{bytes, info, linear, node};

const DOMAIN: &str = "own";

fn call(name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let output = outputs.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { domain: DOMAIN.into(), output, ..node(name, "", inputs, "") }
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    FunctionProto {
        name: name.into(),
        domain: DOMAIN.into(),
        input: owned(inputs),
        output: owned(outputs),
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    }
}

fn float(name: &str, number: f32) -> AttributeProto {
    let r#type = AttributeType::Float.into();
    AttributeProto { name: name.into(), r#type, f: number.into(), ..AttributeProto::default() }
}

/// The attribute `alpha` of the function whose body has it.
fn alpha() -> AttributeProto {
    AttributeProto {
        name: "alpha".into(),
        ref_attr_name: "alpha".into(),
        r#type: AttributeType::Float.into(),
        ..AttributeProto::default()
    }
}

fn number(name: &str, value: f32) -> TensorProto {
    TensorProto { name: name.into(), data_type: 1, float_data: vec![value], ..TensorProto::default() }
}

fn functions() -> Vec<FunctionProto> {
    let taken = with(
        node("If", "", &["yes"], "y"),
        graph(
            "then_branch",
            GraphProto {
                node: vec![node("Clip", "", &["x", "low", "high"], "clipped")],
                output: vec![named("clipped")],
                ..GraphProto::default()
            },
        ),
    );
    let yes = TensorProto { data_type: 9, int32_data: vec![1], ..TensorProto::default() };
    let value = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor.into(),
        t: Some(yes),
        ..AttributeProto::default()
    };
    let mut leaky =
        function("Leaky", &["x"], &["y"], vec![with(node("LeakyRelu", "", &["x"], "y"), alpha())]);
    leaky.attribute_proto = vec![float("alpha", 0.25)];
    let mut passes = function("Passes", &["x"], &["y"], vec![with(call("Leaky", &["x"], &["y"]), alpha())]);
    passes.attribute = vec!["alpha".into()];
    vec![
        function(
            "Bounded",
            &["x", "low", "high"],
            &["y"],
            vec![node("Clip", "", &["x", "low", "high"], "y")],
        ),
        function("Below", &["x", "high"], &["y"], vec![call("Bounded", &["x", "", "high"], &["y"])]),
        function("Above", &["x", "low"], &["y"], vec![call("Bounded", &["x", "low"], &["y"])]),
        function(
            "Either",
            &["x", "low", "high"],
            &["y"],
            vec![with(node("Constant", "", &[], "yes"), value), taken],
        ),
        function(
            "Both",
            &["x"],
            &["y", "z"],
            vec![node("Neg", "", &["x"], "y"), node("Identity", "", &["y"], "z")],
        ),
        leaky,
        passes,
    ]
}

fn model(nodes: Vec<NodeProto>) -> ModelProto {
    let mut model = linear(nodes, 4);
    model.functions = functions();
    model.opset_import.push(OperatorSetIdProto { domain: DOMAIN.into(), version: 1 });
    let graph = model.graph.as_mut().expect("it has one");
    graph.initializer.extend([number("three", 3.0), number("five", 5.0)]);
    graph.output = vec![info("y", &[0, 4])];
    model
}

/// `hidden` is 4 everywhere.
#[test]
fn what_a_call_leaves_out_is_left_out_within() {
    let cases: [(&[&str], &str, f64); 11] = [
        (&["hidden", "three", "five"], "Bounded", 4.0),
        (&["hidden", "", "three"], "Bounded", 3.0),
        (&["hidden", "five"], "Bounded", 5.0),
        (&["hidden", "five", ""], "Bounded", 5.0),
        (&["hidden"], "Bounded", 4.0),
        (&["hidden", "three"], "Below", 3.0),
        (&["hidden"], "Below", 4.0),
        (&["hidden", "five"], "Above", 5.0),
        (&["hidden"], "Above", 4.0),
        // Read by a graph within a node of the body.
        (&["hidden", "", "three"], "Either", 3.0),
        (&["hidden", "five"], "Either", 5.0),
    ];
    for (inputs, name, expected) in cases {
        let graph = import(&bytes(&model(vec![call(name, inputs, &["y"])])))
            .unwrap_or_else(|error| panic!("{name} {inputs:?}: {error}"));
        assert_eq!(output(&graph), [expected; 4], "{name} {inputs:?}");
    }
    // An input that has to be there.
    let error =
        import(&bytes(&model(vec![call("Leaky", &[""], &["y"])]))).expect_err("nothing to compute with");
    assert!(error.contains("LeakyRelu"), "{error}");
}

#[test]
fn outputs_may_be_left_out_and_attributes_have_defaults() {
    let negative = node("Neg", "", &["hidden"], "minus");
    let cases = [
        (call("Both", &["hidden"], &["y"]), -4.0),
        (call("Both", &["hidden"], &["y", ""]), -4.0),
        (call("Both", &["hidden"], &["", "y"]), -4.0),
        (call("Leaky", &["minus"], &["y"]), -1.0),
        (with(call("Leaky", &["minus"], &["y"]), float("alpha", 0.5)), -2.0),
        // Handed on, or not given and so the default within.
        (with(call("Passes", &["minus"], &["y"]), float("alpha", 0.5)), -2.0),
        (call("Passes", &["minus"], &["y"]), -1.0),
    ];
    for (call, expected) in cases {
        let shown = format!("{} {:?}", call.op_type, call.output);
        let graph = import(&bytes(&model(vec![negative.clone(), call])))
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(output(&graph), [expected; 4], "{shown}");
    }
}

#[test]
fn results_that_are_not_asked_for_need_not_be_there() {
    let mut pool = node("MaxPool", "", &["x"], "y");
    pool.output.push("places".into());
    pool.attribute = vec![AttributeProto {
        name: "kernel_shape".into(),
        r#type: AttributeType::Ints.into(),
        ints: vec![1],
        ..AttributeProto::default()
    }];
    let pooled = function("Pooled", &["x"], &["y", "places"], vec![pool]);
    let mut model = linear(
        vec![
            node("Unsqueeze", "", &["hidden", "axis"], "row"),
            call("Pooled", &["row"], &["pooled"]),
            node("Squeeze", "", &["pooled", "axis"], "y"),
        ],
        4,
    );
    model.functions = vec![pooled];
    model.opset_import.push(OperatorSetIdProto { domain: DOMAIN.into(), version: 1 });
    let axis = TensorProto {
        name: "axis".into(),
        dims: vec![1],
        data_type: 7,
        int64_data: vec![1],
        ..TensorProto::default()
    };
    model.graph.as_mut().expect("it has one").initializer.push(axis);
    let graph = import(&bytes(&model)).expect("only the values are asked for");
    assert_eq!(output(&graph), Tensor::f32([1, 4], vec![4.0; 4]).expect("four numbers").to_f64());
}
