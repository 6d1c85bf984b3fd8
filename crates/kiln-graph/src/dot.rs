//! A graph as a picture: the language of Graphviz.

use std::fmt;

use crate::graph::{Def, Graph, NodeId};
use crate::ops::{Kind, Op};
use crate::text::{Attribute, set_attributes};

/// Nodes that a picture shows in a box of their own, with what is written above it.
pub type Cluster = (String, Vec<NodeId>);

impl Graph {
    /// The graph in Graphviz's language: a box for each node in the colour of its kind, what is computed as arrows with their
    /// types.
    pub fn dot(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| dot(self, &[], f))
    }

    /// The same with boxes around nodes that belong together. A node is in one of them at most.
    pub fn dot_in_clusters<'a>(&'a self, clusters: &'a [Cluster]) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| dot(self, clusters, f))
    }
}

/// The background of a node: light enough for black text.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Product => "#cfe2ff",
        Kind::Window => "#d1f0d8",
        Kind::Normalization => "#fff0c2",
        Kind::Elementwise => "#ffdcd1",
        Kind::Reduction => "#e6d9f7",
        Kind::Movement => "#e8e8e8",
        Kind::Source => "#d3f1f4",
        Kind::Loop => "#f7d6e6",
    }
}

/// Text in quotes; parts are lines.
fn label(parts: &[&str]) -> String {
    let escape = |part: &&str| part.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    format!("\"{}\"", parts.iter().map(escape).collect::<Vec<_>>().join("\\n"))
}

fn dot(graph: &Graph, clusters: &[Cluster], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "digraph {} {{", label(&[&graph.name]))?;
    writeln!(f, "  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"]")?;
    writeln!(f, "  edge [fontname=\"sans-serif\", fontsize=10]")?;
    contents(graph, "", f)?;
    for (n, (name, nodes)) in clusters.iter().enumerate() {
        // A box around one node shows nothing that the node does not.
        if nodes.len() < 2 {
            continue;
        }
        let ids: Vec<String> = nodes.iter().map(|id| format!("n{}", id.index())).collect();
        writeln!(
            f,
            "  subgraph cluster_{n} {{ label={}; style=rounded; color=gray; {} }}",
            label(&[name]),
            ids.join("; ")
        )?;
    }
    writeln!(f, "}}")
}

/// Attributes in one line.
fn attributes(op: &Op) -> String {
    let shown = set_attributes(op).into_iter().map(|(name, value)| match value {
        Attribute::Flag => name,
        Attribute::Word(_) | Attribute::List(_) => format!("{name}={value}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Nodes and arrows; all their ids begin with `prefix`.
fn contents(graph: &Graph, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for id in graph.inputs() {
        let value = graph.value(*id);
        let label = label(&[&value.name, &value.ty.to_string()]);
        writeln!(f, "  {prefix}v{} [shape=oval, label={label}]", id.index())?;
    }
    for (n, node) in graph.nodes().iter().enumerate() {
        // Weights are written into the box: as arrows they would hide the network.
        let stored: Vec<String> = node
            .inputs
            .iter()
            .filter(|id| matches!(graph.value(**id).def, Def::Constant(_) | Def::State(_)))
            .map(|id| format!("{} {}", graph.value(*id).name, graph.ty(*id)))
            .collect();
        let attributes = attributes(&node.op);
        let mut parts = vec![node.name.as_str(), node.op.name(), attributes.as_str()];
        parts.extend(stored.iter().map(String::as_str));
        parts.retain(|part| !part.is_empty());
        writeln!(f, "  {prefix}n{n} [fillcolor=\"{}\", label={}]", colour(node.op.kind()), label(&parts))?;
        if let Op::Loop(op) = &node.op {
            // The body is a box of its own, beside the loop.
            let id = format!("{prefix}n{n}_");
            writeln!(f, "  subgraph cluster_{id} {{")?;
            writeln!(f, "  label={}", label(&[&node.name, &format!("{} steps", op.steps)]))?;
            contents(&op.body, &id, f)?;
            writeln!(f, "  }}")?;
        }
        for id in &node.inputs {
            let ty = graph.ty(*id).to_string();
            match &graph.value(*id).def {
                Def::Input => writeln!(f, "  {prefix}v{} -> {prefix}n{n}", id.index())?,
                Def::Node { node, .. } => {
                    writeln!(f, "  {prefix}n{} -> {prefix}n{n} [label={}]", node.index(), label(&[&ty]))?;
                }
                Def::Constant(_) | Def::State(_) => {}
            }
        }
    }
    results(graph, prefix, f)
}

/// Outputs and new states.
fn results(graph: &Graph, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let outputs = graph.outputs().iter().map(|output| (output.name.clone(), output.value, "oval"));
    let state = |update: &crate::graph::Update| format!("new {}", graph.value(update.state).name);
    let updates = graph.updates().iter().map(|update| (state(update), update.value, "cylinder"));
    for (n, (name, value, shape)) in outputs.chain(updates).enumerate() {
        let ty = graph.ty(value).to_string();
        writeln!(f, "  {prefix}o{n} [shape={shape}, label={}]", label(&[&name, &ty]))?;
        match (graph.producer(value), &graph.value(value).def) {
            (Some(node), _) => writeln!(f, "  {prefix}n{} -> {prefix}o{n}", node.index())?,
            (None, Def::Input) => writeln!(f, "  {prefix}v{} -> {prefix}o{n}", value.index())?,
            (None, Def::Constant(_) | Def::State(_) | Def::Node { .. }) => {}
        }
    }
    Ok(())
}
