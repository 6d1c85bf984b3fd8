//! From a graph to a model file that any other ONNX tool can open.
//!
//! Each core operator becomes one node of ONNX, or a few where ONNX has no single one. Names of nodes and values are
//! kept (made unique where the format asks for it), symbolic dimensions stay symbolic.
//!
//! A state that a graph updates is an input, whose first value is its default, and its new value an output: whoever runs a
//! training step again feeds back what it has got.

mod conv;
mod counting;
mod forms;
mod functions;
mod gradient;
mod node;
mod quantized;
mod resize;
mod selection;
mod turned;
mod writer;

use std::collections::BTreeMap;

use kiln_graph::{DType, Graph, MOST_UNROLLED, Op, TensorType, unrolled};
use prost::Message;

pub(crate) use crate::error::ExportError;
use crate::proto::{
    Dimension, DimensionValue, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TensorTypeProto, TypeProto, TypeValue, ValueInfoProto,
};
use crate::tensor::data_type_of;
pub use functions::FunctionOf;
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
    write(graph, &[])
}

/// A graph as an ONNX file in which nodes that belong together are functions of the model. A graph with loops cannot have
/// these: there, a loop becomes as many nodes as it has steps.
pub fn export_with_functions(graph: &Graph, functions: &[FunctionOf]) -> Result<Vec<u8>, ExportError> {
    if let Some(node) = graph.nodes().iter().find(|node| matches!(node.op, Op::Loop(_))) {
        return Err(ExportError::NotExpressible {
            node: node.name.clone(),
            op: "loop",
            reason: "its steps are written out, and nodes of different steps cannot be one function".into(),
        });
    }
    Ok(write(graph, functions)?.encode_to_vec())
}

fn write(graph: &Graph, functions: &[FunctionOf]) -> Result<ModelProto, ExportError> {
    let mut writer = Writer::new(graph);
    let forms = forms::find(graph);
    let owners = functions::owners(graph, functions);
    let mut owner_of = Vec::new();
    for node in graph.node_ids().filter(|id| !forms.inside.contains(id)) {
        node::write(&mut writer, node, forms.heads.get(&node))?;
        owner_of.resize(writer.nodes.len(), owners[node.index()]);
    }
    let mut output = Vec::new();
    for result in graph.outputs() {
        writer.result(&result.name, result.value);
        output.push(info(&result.name, graph.ty(result.value)));
    }
    let mut input: Vec<ValueInfoProto> =
        graph.inputs().iter().map(|id| info(writer.name(*id), graph.ty(*id))).collect();
    for update in graph.updates() {
        let (state, ty) = (writer.name(update.state).to_owned(), graph.ty(update.state));
        let new = writer.fresh(&format!("{state}.new"));
        writer.result(&new, update.value);
        input.push(info(&state, ty));
        output.push(info(&new, ty));
    }
    let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
    let mut opset_import = vec![opset.clone()];
    let mut made = vec![];
    if !functions.is_empty() {
        owner_of.resize(writer.nodes.len(), None);
        let results = output.iter().map(|info| info.name.clone()).collect();
        made = functions::extract(&mut writer, &owner_of, functions, &results, &opset);
        opset_import.push(OperatorSetIdProto { domain: functions::DOMAIN.into(), version: 1 });
    }
    writer.known();
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
        opset_import,
        functions: made,
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
