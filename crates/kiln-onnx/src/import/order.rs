//! Sorting nodes topologically.
//!
//! The format asks for that order already, so usually nothing moves; some tools write another one. A cycle has no
//! order and is reported with the names along it.

use std::collections::HashMap;

use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use super::describe;
use crate::error::ImportError;
use crate::proto::{GraphProto, NodeProto};

/// Positions of `nodes` in the order of computation.
pub(crate) fn order(nodes: &[NodeProto]) -> Result<Vec<usize>, ImportError> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if let Some(first) = makers.insert(output, index) {
                return Err(ImportError::MadeTwice {
                    value: output.clone(),
                    first: nodes.get(first).map(describe).unwrap_or_default(),
                    second: describe(node),
                });
            }
        }
    }
    let mut edges = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        each_read(node, &mut |name| edges.extend(makers.get(name).map(|maker| (*maker, index))));
    }
    if edges.iter().all(|(maker, reader)| maker < reader) {
        return Ok((0..nodes.len()).collect());
    }
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let ids: Vec<NodeIndex> = (0..nodes.len()).map(|i| graph.add_node(i)).collect();
    for (maker, reader) in edges {
        graph.add_edge(ids[maker], ids[reader], ());
    }
    match toposort(&graph, None) {
        Ok(sorted) => Ok(sorted.into_iter().map(|id| graph[id]).collect()),
        Err(_) => Err(ImportError::Cycle(cycle(&graph).into_iter().map(|i| describe(&nodes[i])).collect())),
    }
}

/// Calls `found` with each name `node` reads, those in its subgraphs included.
pub(crate) fn each_read<'a>(node: &'a NodeProto, found: &mut impl FnMut(&'a str)) {
    // Subgraphs hold nodes that hold subgraphs; the depth is bounded by the decoder.
    let mut open: Vec<&'a NodeProto> = vec![node];
    while let Some(node) = open.pop() {
        node.input.iter().filter(|name| !name.is_empty()).for_each(|name| found(name));
        for attribute in &node.attribute {
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                let GraphProto { node, output, .. } = graph;
                output.iter().for_each(|o| found(&o.name));
                open.extend(node);
            }
        }
    }
}

/// The nodes along some cycle, the first one again at the end.
fn cycle(graph: &DiGraph<usize, ()>) -> Vec<usize> {
    let in_cycle = |scc: &Vec<NodeIndex>| {
        scc.len() > 1 || scc.first().is_some_and(|id| graph.find_edge(*id, *id).is_some())
    };
    let Some(component) = tarjan_scc(graph).into_iter().find(in_cycle) else { return Vec::new() };
    // Any walk that stays in the component comes back to where it has been.
    let mut path: Vec<NodeIndex> = component.first().copied().into_iter().collect();
    while let Some(last) = path.last() {
        let Some(next) = graph.neighbors(*last).find(|n| component.contains(n)) else { break };
        if let Some(start) = path.iter().position(|id| *id == next) {
            path.push(next);
            return path[start..].iter().map(|id| graph[*id]).collect();
        }
        path.push(next);
    }
    Vec::new()
}
