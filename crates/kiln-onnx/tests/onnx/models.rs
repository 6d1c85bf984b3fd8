//! Small models, written as messages.

use kiln_onnx::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use prost::Message;

/// The format's number for 32-bit floats.
const FLOAT: i32 = 1;

/// A declared tensor of floats; a 0 stands for the symbol `batch`.
pub(crate) fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |n: &i64| Dimension {
        value: Some(if *n == 0 { DimensionValue::Param("batch".into()) } else { DimensionValue::Value(*n) }),
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: FLOAT, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

pub(crate) fn node(op_type: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: name.into(),
        input: inputs.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// `x [batch, 8] -> fc (Gemm) -> hidden -> nodes -> y`
pub(crate) fn linear(nodes: Vec<NodeProto>, width: i64) -> ModelProto {
    let weight = TensorProto {
        name: "fc.weight".into(),
        dims: vec![8, 4],
        data_type: FLOAT,
        float_data: vec![0.5; 32],
        ..TensorProto::default()
    };
    let graph = GraphProto {
        name: "net".into(),
        node: [node("Gemm", "fc", &["x", "fc.weight"], "hidden")].into_iter().chain(nodes).collect(),
        initializer: vec![weight],
        input: vec![info("x", &[0, 8])],
        output: vec![info("y", &[0, width])],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
}

pub(crate) fn bytes(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
