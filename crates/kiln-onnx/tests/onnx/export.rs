//! What is written can be read again, and keeps the user's names. That it means the same is tested with the other
//! forms of a graph.

use std::collections::BTreeMap;

use kiln_graph::ops::Iota;
use kiln_graph::{DType, Dim, Graph, Op, Precision, Tensor, TensorType, evaluate};
use kiln_onnx::proto::{DimensionValue, TypeValue, ValueInfoProto};
use kiln_onnx::{ImportOptions, export, export_model, export_with_metadata, import, import_bytes};

use crate::fixtures::{fixtures, models_in};

fn dims(info: &ValueInfoProto) -> Vec<String> {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return vec![];
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    dims.map(|dim| match &dim.value {
        Some(DimensionValue::Value(n)) => n.to_string(),
        Some(DimensionValue::Param(name)) => name.clone(),
        None => "?".into(),
    })
    .collect()
}

#[test]
fn names_and_symbols_are_kept() {
    for (name, folder) in models_in(&fixtures("")) {
        let graph =
            import(&folder.join("model.onnx"), &ImportOptions::default()).expect("a sound model").graph;
        let proto = export_model(&graph).unwrap_or_else(|e| panic!("{name}: {e}")).graph.expect("a graph");
        let wanted = |shape: &[Dim]| shape.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(proto.input.len(), graph.inputs().len(), "{name}");
        for (info, id) in proto.input.iter().zip(graph.inputs()) {
            assert_eq!(
                (&info.name, dims(info)),
                (&graph.value(*id).name, wanted(&graph.ty(*id).shape)),
                "{name}"
            );
        }
        assert_eq!(proto.output.len(), graph.outputs().len(), "{name}");
        for (info, output) in proto.output.iter().zip(graph.outputs()) {
            assert_eq!(
                (&info.name, dims(info)),
                (&output.name, wanted(&graph.ty(output.value).shape)),
                "{name}"
            );
        }
        for id in graph.states() {
            let weight = &graph.value(*id).name;
            assert!(proto.initializer.iter().any(|t| t.name == *weight), "{name}: {weight} is missing");
        }
    }
}

#[test]
fn metadata_is_read_back() {
    let (_, folder) = models_in(&fixtures("")).into_iter().next().expect("a model");
    let graph = import(&folder.join("model.onnx"), &ImportOptions::default()).expect("a sound model").graph;
    let metadata: BTreeMap<String, String> =
        [("kiln.classes", "[\"cat\", \"Löwe\"]"), ("author", "somebody"), ("empty", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    let bytes = export_with_metadata(&graph, &metadata).expect("an ONNX file");
    let imported = import_bytes(&bytes, None, &ImportOptions::default()).expect("our own file");
    assert_eq!(imported.metadata, metadata);
    let bytes = export(&graph).expect("an ONNX file");
    assert!(import_bytes(&bytes, None, &ImportOptions::default()).expect("our own file").metadata.is_empty());
}

/// ONNX has nothing to say about gradients: where one stops, there is an identity.
#[test]
fn where_gradients_stop_there_is_an_identity() {
    let text = "graph \"g\"\ninput %x : f32[N, 2]\n%a = exp(%x)\n%b = stop_gradient(%a)\n%c = neg(%x)\n\
                %d = stop_gradient(%b, %c)\noutput y = %d\n";
    let graph = kiln_graph::text::parse(text).expect("a graph");
    let proto = export_model(&graph).expect("a model").graph.expect("a graph");
    let ops: Vec<&str> = proto.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(ops, ["Exp", "Identity", "Neg", "Identity"]);
    let again = import_bytes(&export(&graph).expect("a file"), None, &ImportOptions::default());
    let again = again.expect("our own file").graph;
    let x = Tensor::f32([1, 2], vec![0.5, -1.0]).expect("two");
    let value = |graph: &Graph| {
        let inputs = [("x".to_owned(), x.clone())].into();
        evaluate(graph, &inputs, Precision::F32).expect("numbers").output("y").expect("y").to_f64()
    };
    assert_eq!(value(&again), value(&graph));
}

/// Nothing is gained or lost on the way out and in.
#[test]
fn weights_stay_weights() {
    for (name, folder) in models_in(&fixtures("")) {
        let graph =
            import(&folder.join("model.onnx"), &ImportOptions::default()).expect("a sound model").graph;
        let file = export(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = import_bytes(&file, None, &ImportOptions::default());
        let again = again.unwrap_or_else(|e| panic!("{name}: {e}")).graph;
        let states = |graph: &kiln_graph::Graph| {
            let mut names: Vec<String> =
                graph.states().iter().map(|id| graph.value(*id).name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(states(&again), states(&graph), "{name}");
    }
}

/// Indices over open sizes, whatever their type.
#[test]
fn counting_to_a_symbol() {
    let rows = || Dim::symbol("rows");
    for (dtype, shape, axis) in [
        (DType::I64, vec![rows()], 0),
        (DType::F32, vec![rows()], 0),
        (DType::I64, vec![&rows() * &2.into()], 0),
        (DType::I32, vec![2.into(), rows() + 1.into(), 3.into()], 1),
        (DType::F32, vec![rows(), 4.into()], 1),
    ] {
        let mut graph = Graph::new("count");
        graph.input("x", TensorType::f32([2.into(), rows()])).expect("a new name");
        let op = Op::Iota(Iota { dtype, shape, axis });
        let numbers = graph.apply1("numbers", op, &[]).expect("a sound operator");
        graph.output("y", numbers).expect("a new name");
        let file = export(&graph).unwrap_or_else(|e| panic!("{dtype}: {e}"));
        let again = import_bytes(&file, None, &ImportOptions::default());
        let again = again.unwrap_or_else(|e| panic!("{dtype}: {e}")).graph;
        let x = Tensor::f32([2, 3], vec![0.0; 6]).expect("as many as there are");
        let inputs = BTreeMap::from([("x".to_owned(), x)]);
        let values = |graph| evaluate(graph, &inputs, Precision::F32).expect("a sound graph");
        assert_eq!(values(&again).output("y"), values(&graph).output("y"));
    }
}

/// Many numbers are counted, not written down: a few bytes of a file can ask for more than any memory holds.
#[test]
fn counting_far() {
    for dtype in [DType::I64, DType::F32] {
        let mut graph = Graph::new("count");
        let op = Op::Iota(Iota { dtype, shape: vec![2.into(), 3000.into(), 2.into()], axis: 1 });
        let numbers = graph.apply1("numbers", op, &[]).expect("a sound operator");
        graph.output("y", numbers).expect("a new name");
        let file = export(&graph).expect("ONNX can say it");
        let again = import_bytes(&file, None, &ImportOptions::default()).expect("what was written").graph;
        let values = |graph| evaluate(graph, &BTreeMap::new(), Precision::F32).expect("a sound graph");
        assert_eq!(values(&again).output("y"), values(&graph).output("y"));
    }
    let mut graph = Graph::new("count");
    let op = Op::Iota(Iota { dtype: DType::I64, shape: vec![1_000_000_000_000i64.into()], axis: 0 });
    let numbers = graph.apply1("numbers", op, &[]).expect("a sound operator");
    graph.output("y", numbers).expect("a new name");
    assert!(export(&graph).expect("ONNX can say it").len() < 1000);
}

/// Nodes that are one operator of ONNX together are written as one, and mean the same when they are read again.
#[test]
fn nodes_that_are_one_operator() {
    let conv = "const @w : f32[2, 3, 1, 2] = [1, 2, 3, -1, 0.5, 2, 1, 1, 4, -2, 0, 1]\n%c = conv(%x, @w)\n";
    let linear = "const @w : f32[2, 4] = [1, 2, 3, -1, 0.5, 2, 1, 1]\n";
    let wide = "const @w : f32[3, 2, 1, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
    let integers = "const @q : i8[2, 3, 1, 2] = [1, 2, 3, -1, 5, 2, 1, 1, 4, -2, 0, 1]\nconst @t : f32[2, 1, 1, 1] = [0.5, 0.25]\n\
                    %i = cast(@q) to=i32\n%f = cast(%i) to=f32\n%w = mul(%f, @t)\n";
    let steps = "const @s : f32[] = [0.25]\n%d = div(%x, @s)\n%r = round(%d)\n";
    let bias = "const @b : i32[2, 1, 1] = [7, -3]\nconst @u : f32[2, 1, 1] = [0.125, 0.5]\n%g = cast(@b) to=f32\n\
                %h = mul(%g, @u)\n";
    for (name, nodes, ops) in [
        ("a known bias", format!("{conv}const @b : f32[2, 1, 1] = [1, 2]\n%y = add(%c, @b)"), &["Conv"][..]),
        (
            "a state",
            format!(
                "{conv}state @b : f32[2] = [1, 2]\n%v = reshape(@b) shape=[1, 2, 1, 1]\n%y = add(%v, %c)"
            ),
            &["Conv"],
        ),
        (
            "along another axis",
            format!("{conv}const @b : f32[1, 2, 1] = [1, 2]\n%y = add(%c, @b)"),
            &["Conv", "Add"],
        ),
        ("one for all", format!("{conv}const @b : f32[] = [1]\n%y = add(%c, @b)"), &["Conv", "Add"]),
        (
            "read twice",
            format!("{conv}const @b : f32[2, 1, 1] = [1, 2]\n%s = add(%c, @b)\n%y = mul(%s, %c)"),
            &["Conv", "Add", "Mul"],
        ),
        (
            "a linear layer",
            format!(
                "{linear}const @b : f32[2] = [1, 2]\n%y0 = matmul(%x, @w) transpose_b\n%y = add(%y0, @b)"
            ),
            &["Transpose", "MatMul", "Add"],
        ),
        (
            "rows",
            format!(
                "{linear}const @b : f32[2] = [1, 2]\n%v = reshape(%x) shape=[6, 4]\n%m = matmul(%v, @w) transpose_b\n%y = add(@b, %m)"
            ),
            &["Reshape", "Gemm"],
        ),
        (
            "to integers",
            format!("{steps}const @z : f32[] = [7]\n%a = add(%r, @z)\n%y = cast(%a) to=u8"),
            &["QuantizeLinear"],
        ),
        ("without a zero point", format!("{steps}%y = cast(%r) to=i8"), &["QuantizeLinear"]),
        (
            "a zero point that is none",
            format!("{steps}const @z : f32[] = [0.5]\n%a = add(%r, @z)\n%y = cast(%a) to=u8"),
            &["Div", "Round", "Add", "Cast"],
        ),
        (
            "and back",
            format!(
                "{steps}%q = cast(%r) to=u8\nconst @z : u8[] = [3]\n%i = cast(%q) to=i32\n%k = cast(@z) to=i32\n%n = sub(%i, %k)\n%f = cast(%n) to=f32\n%y = mul(%f, @s)"
            ),
            &["QuantizeLinear", "DequantizeLinear"],
        ),
        ("a weight", format!("{integers}%y = conv(%x, %w)"), &["DequantizeLinear", "Conv"]),
        (
            "a weight with its bias",
            format!("{integers}{bias}%c = conv(%x, %w)\n%y = add(%c, %h)"),
            &["DequantizeLinear", "DequantizeLinear", "Conv"],
        ),
        (
            "transposed",
            format!("{wide}%y = conv(%x, @w) pads=[[0, 0], [2, 1]] input_dilations=[1, 2]"),
            &["ConvTranspose"],
        ),
        (
            "transposed, of integers",
            format!(
                "{integers}{bias}%c = conv(%x, %w) pads=[[0, 0], [0, 1]] input_dilations=[2, 3]\n%y = add(%h, %c)"
            ),
            &["DequantizeLinear", "DequantizeLinear", "ConvTranspose"],
        ),
        (
            "cropped",
            format!("{integers}%y = conv(%x, %w) pads=[[0, 0], [2, 2]] input_dilations=[1, 2]"),
            &["DequantizeLinear", "Unsqueeze"],
        ),
    ] {
        let channels = if name == "transposed" { 2 } else { 3 };
        let text = format!("graph \"g\"\ninput %x : f32[2, {channels}, 1, 4]\n{nodes}\noutput y = %y\n");
        let graph = kiln_graph::text::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let proto =
            export_model(&graph).unwrap_or_else(|error| panic!("{name}: {error}")).graph.expect("a graph");
        let written: Vec<&str> = proto.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(&written[..ops.len()], ops, "{name}: {written:?}");
        assert!(name == "cropped" || written.len() == ops.len(), "{name}: {written:?}");
        for tensor in &proto.initializer {
            let is_read = proto.node.iter().any(|node| node.input.contains(&tensor.name));
            assert!(is_read, "{name}: `{}` is read by nothing", tensor.name);
        }
        let bytes = export(&graph).expect("a file");
        let again = import_bytes(&bytes, None, &ImportOptions::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"))
            .graph;
        let count = 2 * channels * 4;
        let x: Vec<f32> = (0..count).map(|n| (n * 7 % 11) as f32 * 0.3 - 1.0).collect();
        let x = Tensor::f32([2, channels, 1, 4], x).expect("as many as the shape says");
        let run = |graph| {
            let found = evaluate(graph, &[("x".to_owned(), x.clone())].into(), Precision::F32).expect(name);
            found.outputs()[0].1.clone()
        };
        let (wanted, found) = (run(&graph), run(&again));
        assert_eq!((wanted.shape(), wanted.dtype()), (found.shape(), found.dtype()), "{name}");
        let apart = kiln_graph::compare::apart(&wanted.to_f64(), &found.to_f64(), 1e-3);
        assert!(apart <= 1e-6, "{name}: {apart}");
    }
}

/// The first output of an operator is not optional, also where only another one is read.
#[test]
fn sorted_elements_have_a_name() {
    let mut graph = Graph::new("sort");
    let x = graph.input("x", TensorType::f32([5.into()])).expect("a new name");
    let op = Op::ArgSort(kiln_graph::ops::ArgSort { axis: 0, descending: true });
    let order = graph.apply1("order", op, &[x]).expect("a sound operator");
    graph.output("y", order).expect("a new name");
    let nodes = export_model(&graph).expect("ONNX can say it").graph.expect("a graph").node;
    assert!(nodes.iter().any(|node| node.op_type == "TopK"));
    assert!(nodes.iter().flat_map(|node| node.output.first()).all(|output| !output.is_empty()));
}
