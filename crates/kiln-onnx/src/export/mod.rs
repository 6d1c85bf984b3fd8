//! From a graph to a model file that any other ONNX tool can open.
//!
//! Each core operator becomes one node of ONNX, or a few where ONNX has no single one. Names of nodes and values are
//! kept (made unique where the format asks for it), symbolic dimensions stay symbolic.

mod conv;
mod counting;
mod forms;
mod gradient;
mod node;
mod quantized;
mod resize;
mod selection;
mod turned;
mod writer;

use std::collections::BTreeMap;

use kiln_graph::{DType, Graph, MOST_UNROLLED, TensorType, unrolled};
use prost::Message;

pub(crate) use crate::error::ExportError;
use crate::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use crate::tensor::data_type_of;
use writer::Writer;

/// The version of the operator set that is written.
const OPSET: i64 = 20;
/// The version of the file format that goes with it.
const IR_VERSION: i64 = 9;

/// A graph as the bytes of an ONNX file.
pub fn export(graph: &Graph) -> Result<Vec<u8>, ExportError> {
    export_with_metadata(graph, &BTreeMap::new())
}

/// The same with metadata in free form, its `metadata_props`.
pub fn export_with_metadata(
    graph: &Graph,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, ExportError> {
    let entry =
        |(key, value): (&String, &String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
    let metadata_props = metadata.iter().map(entry).collect();
    Ok(ModelProto { metadata_props, ..export_model(graph)? }.encode_to_vec())
}

/// A graph as an ONNX model.
pub fn export_model(graph: &Graph) -> Result<ModelProto, ExportError> {
    let graph = &unrolled(graph, MOST_UNROLLED).map_err(|error| ExportError::NotExpressible {
        node: graph.name.clone(),
        op: "loop",
        reason: error.to_string(),
    })?;
    let mut writer = Writer::new(graph);
    let forms = forms::find(graph);
    for node in graph.node_ids().filter(|id| !forms.inside.contains(id)) {
        node::write(&mut writer, node, forms.heads.get(&node))?;
    }
    let mut output = Vec::new();
    for result in graph.outputs() {
        writer.result(&result.name, result.value);
        output.push(info(&result.name, graph.ty(result.value)));
    }
    writer.known();
    let input = graph.inputs().iter().map(|id| info(writer.name(*id), graph.ty(*id))).collect();
    let proto = GraphProto {
        name: graph.name.clone(),
        node: writer.nodes,
        initializer: writer.initializers,
        input,
        output,
        ..GraphProto::default()
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "kiln".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(proto),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        ..ModelProto::default()
    })
}

fn info(name: &str, ty: &TensorType) -> ValueInfoProto {
    let dim = ty
        .shape
        .iter()
        .map(|dim| Dimension {
            value: Some(match dim.as_const() {
                Some(number) => DimensionValue::Value(number),
                None => DimensionValue::Param(dim.to_string()),
            }),
        })
        .collect();
    let tensor = TensorTypeProto { elem_type: elem_type(ty.dtype), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) }
}

fn elem_type(dtype: DType) -> i32 {
    data_type_of(dtype)
}
