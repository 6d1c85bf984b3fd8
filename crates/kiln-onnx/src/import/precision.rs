//! Numbers that a model rounds to and that 32-bit floats stand for here.

use crate::proto::{DataType, GraphProto, ModelProto, NodeProto};

/// Whether a model casts to bfloat16 somewhere, so that it computes with fewer digits than its outputs may have.
pub(crate) fn rounds_to_bfloat16(model: &ModelProto) -> bool {
    let of_functions = model.functions.iter().flat_map(|function| &function.node).any(of_node);
    of_functions || model.graph.as_ref().is_some_and(of_graph)
}

fn of_graph(graph: &GraphProto) -> bool {
    graph.node.iter().any(of_node)
}

fn of_node(node: &NodeProto) -> bool {
    let casts = |to: i64| i32::try_from(to).ok() == Some(DataType::Bfloat16.into());
    let here =
        node.op_type == "Cast" && node.attribute.iter().any(|a| a.name == "to" && a.i.is_some_and(casts));
    here || node.attribute.iter().flat_map(|attribute| &attribute.g).any(of_graph)
}
