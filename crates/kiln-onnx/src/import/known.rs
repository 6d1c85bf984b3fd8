//! Which values have to be known when the graph is built.

use std::collections::HashSet;

use super::is_standard;
use super::ops::{self, Support};
use super::order::{each_read, order};
use crate::error::ImportError;
use crate::proto::{GraphProto, NodeProto};

/// The names of values that an operator has to know, and of all they are computed from.
pub(crate) fn names(graph: &GraphProto) -> Result<HashSet<&str>, ImportError> {
    let mut known = HashSet::new();
    for index in order(&graph.node)?.into_iter().rev() {
        if let Some(node) = graph.node.get(index) {
            visit(node, &mut known);
        }
    }
    Ok(known)
}

fn visit<'a>(node: &'a NodeProto, known: &mut HashSet<&'a str>) {
    let standard = is_standard(&node.domain);
    let from_shapes = standard && matches!(node.op_type.as_str(), "Shape" | "Size");
    if !from_shapes && node.output.iter().any(|output| known.contains(output.as_str())) {
        each_read(node, &mut |name| {
            known.insert(name);
        });
    }
    if standard && node.op_type == "If" {
        known.extend(node.input.first().map(String::as_str));
    }
    let repeated = standard && node.op_type == "Loop";
    if repeated {
        // How often, and whether at all.
        known.extend(node.input.iter().take(2).map(String::as_str).filter(|name| !name.is_empty()));
    }
    if let Support::Yes(operator) = ops::support(&node.domain, &node.op_type, super::OPSETS.1) {
        let wanted = operator.constants.iter().filter_map(|i| node.input.get(*i));
        known.extend(wanted.map(String::as_str).filter(|name| !name.is_empty()));
    }
    // Branches read names from outside; their nodes ask as any others.
    for branch in node.attribute.iter().flat_map(|attribute| &attribute.g) {
        if repeated {
            known.extend(branch.output.first().map(|goes_on| goes_on.name.as_str()));
        }
        for inner in branch.node.iter().rev() {
            visit(inner, known);
        }
        // Inputs of a graph that have to be constant require constant arguments.
        if repeated {
            let pairs = branch.input.iter().zip(&node.input);
            let pairs =
                pairs.filter(|(inner, outer)| known.contains(inner.name.as_str()) && !outer.is_empty());
            let outer: Vec<&str> = pairs.map(|(_, outer)| outer.as_str()).collect();
            known.extend(outer);
        }
    }
}
