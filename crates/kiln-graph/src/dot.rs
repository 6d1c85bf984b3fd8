//! A graph as a picture: the language of Graphviz.

use std::fmt;

use crate::graph::{Def, Graph};
use crate::ops::Op;

impl Graph {
    /// The graph in Graphviz's language: a box for each node, what is computed as arrows with their types.
    pub fn dot(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| dot(self, f))
    }
}

/// Text in quotes; `\n` stays a line break.
fn label(parts: &[&str]) -> String {
    let escape = |part: &&str| part.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", parts.iter().map(escape).collect::<Vec<_>>().join("\\n"))
}

fn dot(graph: &Graph, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "digraph {} {{", label(&[&graph.name]))?;
    writeln!(f, "  node [shape=box, fontname=\"sans-serif\"]")?;
    contents(graph, "", f)?;
    writeln!(f, "}}")
}

/// Nodes and arrows; all their ids begin with `prefix`.
fn contents(graph: &Graph, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for id in graph.inputs() {
        let value = graph.value(*id);
        writeln!(
            f,
            "  {prefix}v{} [shape=oval, label={}]",
            id.index(),
            label(&[&value.name, &value.ty.to_string()])
        )?;
    }
    for (n, node) in graph.nodes().iter().enumerate() {
        // Weights are written into the box: as arrows they would hide the network.
        let stored: Vec<String> = node
            .inputs
            .iter()
            .filter(|id| matches!(graph.value(**id).def, Def::Constant(_) | Def::State(_)))
            .map(|id| format!("{} {}", graph.value(*id).name, graph.ty(*id)))
            .collect();
        let mut parts = vec![node.name.as_str(), node.op.name()];
        parts.extend(stored.iter().map(String::as_str));
        writeln!(f, "  {prefix}n{n} [label={}]", label(&parts))?;
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
                    writeln!(f, "  {prefix}n{} -> {prefix}n{n} [label={}]", node.index(), label(&[&ty]))?
                }
                Def::Constant(_) | Def::State(_) => {}
            }
        }
    }
    for (n, output) in graph.outputs().iter().enumerate() {
        let ty = graph.ty(output.value).to_string();
        writeln!(f, "  {prefix}o{n} [shape=oval, label={}]", label(&[&output.name, &ty]))?;
        match graph.producer(output.value) {
            Some(node) => writeln!(f, "  {prefix}n{} -> {prefix}o{n}", node.index())?,
            None => writeln!(f, "  {prefix}v{} -> {prefix}o{n}", output.value.index())?,
        }
    }
    Ok(())
}
