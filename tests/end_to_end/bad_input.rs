//! What is wrong is said in the user's terms. The snapshot is the table of all that was tried, with each message.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kiln::onnx::proto::{
    AttributeProto, AttributeType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    TypeValue, ValueInfoProto,
};
use kiln::{HostTensor, Options, Plan, Session, Target};
use prost::Message;

const FLOAT: i32 = 1;

fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |n: &i64| Dimension {
        value: Some(if *n == 0 { DimensionValue::Param("N".into()) } else { DimensionValue::Value(*n) }),
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: FLOAT, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

fn node(op_type: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: name.into(),
        input: inputs.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn weight(name: &str, dims: &[i64]) -> TensorProto {
    let count = usize::try_from(dims.iter().product::<i64>()).unwrap_or(0);
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        float_data: vec![0.5; count],
        ..TensorProto::default()
    }
}

fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
}

/// `x [N, 8] -> fc (Gemm) -> y`
fn linear() -> GraphProto {
    GraphProto {
        name: "net".into(),
        node: vec![node("Gemm", "fc", &["x", "fc.weight"], "y")],
        initializer: vec![weight("fc.weight", &[8, 4])],
        input: vec![info("x", &[0, 8])],
        output: vec![info("y", &[0, 4])],
        ..GraphProto::default()
    }
}

/// Files that are tried, by name; the folder is there for weights in files of their own.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = |graph: GraphProto| model(graph).encode_to_vec();
    let good = bytes(linear());
    let with = |change: &dyn Fn(&mut GraphProto)| {
        let mut graph = linear();
        change(&mut graph);
        bytes(graph)
    };
    vec![
        ("an empty file", vec![]),
        ("a text file", b"this is no model, but a text".to_vec()),
        ("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("a truncated file", good[..good.len() / 2].to_vec()),
        (
            "a cycle",
            with(&|g| {
                g.node = vec![node("Add", "a", &["x", "q"], "p"), node("Relu", "b", &["p"], "q")];
                g.output = vec![info("q", &[0, 8])];
            }),
        ),
        ("a missing initializer", with(&|g| g.initializer.clear())),
        ("an output that nothing makes", with(&|g| g.output = vec![info("z", &[0, 4])])),
        ("a value that is defined twice", with(&|g| g.node.push(node("Relu", "again", &["x"], "y")))),
        ("a negative dimension of an input", with(&|g| g.input = vec![info("x", &[-3, 8])])),
        ("an overflowing dimension of an input", with(&|g| g.input = vec![info("x", &[i64::MAX, 8])])),
        ("a negative dimension of a weight", with(&|g| g.initializer[0].dims = vec![-8, 4])),
        ("overflowing dimensions of a weight", with(&|g| g.initializer[0].dims = vec![1 << 40, 1 << 40])),
        ("a weight with too few elements", with(&|g| g.initializer[0].float_data.truncate(3))),
        ("a shape mismatch in Gemm", with(&|g| g.initializer = vec![weight("fc.weight", &[6, 4])])),
        ("a declared shape that contradicts inference", with(&|g| g.output = vec![info("y", &[0, 5])])),
        (
            "unknown operators",
            with(&|g| {
                g.node.push(node("SequenceAt", "nms", &["y"], "boxes"));
                g.node.push(node("FancyNorm", "norm", &["boxes"], "z"));
                g.output = vec![info("z", &[0, 4])];
            }),
        ),
        (
            "an unknown attribute",
            with(&|g| {
                g.node[0].attribute.push(AttributeProto {
                    name: "transZ".into(),
                    r#type: AttributeType::Int.into(),
                    i: Some(1),
                    ..AttributeProto::default()
                });
            }),
        ),
        (
            "an attribute of the wrong type",
            with(&|g| {
                g.node[0].attribute.push(AttributeProto {
                    name: "transA".into(),
                    r#type: AttributeType::String.into(),
                    s: Some(b"yes".to_vec()),
                    ..AttributeProto::default()
                });
            }),
        ),
        ("weights in a file that is not there", with(&|g| external(g, "weights.bin"))),
        ("weights in a file outside of the folder", with(&|g| external(g, "../../etc/passwd"))),
        ("an operator set from the future", {
            let mut future = model(linear());
            future.opset_import[0].version = 99;
            future.encode_to_vec()
        }),
        ("a model without a graph", ModelProto { graph: None, ..model(linear()) }.encode_to_vec()),
    ]
}

fn external(graph: &mut GraphProto, location: &str) {
    let entry = StringStringEntryProto { key: "location".into(), value: location.into() };
    let tensor = &mut graph.initializer[0];
    tensor.float_data.clear();
    tensor.external_data = vec![entry];
    tensor.data_location = 1;
}

/// A folder for this test's files.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad_input");
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

#[test]
fn messages() {
    let folder = folder();
    let mut table = String::new();
    for (what, bytes) in files() {
        let message = match kiln::onnx::import_bytes(&bytes, Some(&folder), &Default::default()) {
            Ok(_) => "NOTHING IS SAID".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = message.replace(&folder.display().to_string(), "FOLDER");
        let _ = writeln!(table, "{what}:\n  {}", message.replace('\n', "\n  "));
    }
    for (what, message) in while_running(&folder) {
        let _ = writeln!(table, "{what}:\n  {}", message.replace('\n', "\n  "));
    }
    insta::assert_snapshot!(table);
}

/// What is wrong with a right model is how it is used.
fn while_running(folder: &Path) -> Vec<(&'static str, String)> {
    let graph = kiln::onnx::import_bytes(&model(linear()).encode_to_vec(), None, &Default::default());
    let graph = graph.expect("a right model").graph;
    let compile = |max: &[(&str, u32)]| {
        let max = max.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        kiln::compile(&graph, &Options { target: Target::default(), max, ..Options::default() })
    };
    let error = |result: Result<kiln::Compiled, kiln::CompileError>| match result {
        Ok(_) => "NOTHING IS SAID".to_owned(),
        Err(error) => error.to_string(),
    };
    let mut rows = vec![
        ("no largest batch", error(compile(&[]))),
        ("a largest value for a dimension that is not there", error(compile(&[("N", 4), ("M", 2)]))),
    ];
    let plan = compile(&[("N", 4)]).expect("it compiles").plan;
    let bytes = plan.to_bytes().expect("a right plan");
    let read = |bytes: &[u8]| match Plan::read(bytes) {
        Ok(_) => "NOTHING IS SAID".to_owned(),
        // Checksums change with every change of the compiler.
        Err(error) => error.to_string().split(": checksum").next().unwrap_or_default().to_owned(),
    };
    rows.push(("a truncated plan", read(&bytes[..bytes.len() - 40])));
    rows.push(("a model where a plan should be", read(&model(linear()).encode_to_vec())));
    let mut flipped = bytes.clone();
    if let Some(byte) = flipped.get_mut(100) {
        *byte ^= 4;
    }
    rows.push(("a plan with a changed byte", read(&flipped)));
    let file = folder.join("plan.kplan");
    plan.save(&file).expect("a writable folder");
    let mut session = Session::open(&Plan::load(&file).expect("what was written")).expect("a device");
    let x = |shape: &[usize]| HostTensor::zeros(kiln::DType::F32, shape);
    let (right, wide, large) = (x(&[2, 8]), x(&[2, 9]), x(&[5, 8]));
    let whole = HostTensor::zeros(kiln::DType::I32, [2, 8]);
    let tries: [(&'static str, Vec<(&str, &HostTensor)>); 5] = [
        ("no input", vec![]),
        ("a wrong input name", vec![("image", &right)]),
        ("a wrong input shape", vec![("x", &wide)]),
        ("a batch larger than the plan's", vec![("x", &large)]),
        ("a wrong element type", vec![("x", &whole)]),
    ];
    for (what, inputs) in tries {
        let message = session.run(&inputs).map_or_else(|e| e.to_string(), |_| "NOTHING IS SAID".into());
        rows.push((what, message));
    }
    let outputs = session.run(&[("x", &right)]).expect("a right input");
    rows.push((
        "a wrong output name",
        outputs.get("logits").map_or_else(|e| e.to_string(), |_| String::new()),
    ));
    rows
}
