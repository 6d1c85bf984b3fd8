//! A graph as JSON, from which it can be built again.

use std::collections::HashSet;

use kiln::graph::text::{Attribute, all_attributes, data_text};
use kiln::graph::{Def, Dim, Graph, NodeId, Op, ValueId};
use serde_json::{Map, Value, json};

/// Names of the values of a graph, each once. A node is called as its first result.
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Those of a graph: its own, and `~2` behind the second of a name.
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut taken = HashSet::new();
        let unique = |value: &kiln::graph::Value| {
            let mut name = value.name.clone();
            for n in 2.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{}~{n}", value.name);
            }
            name
        };
        Self(graph.values().iter().map(unique).collect())
    }

    /// That of a value.
    pub(crate) fn value(&self, id: ValueId) -> &str {
        self.0.get(id.index()).map_or("", String::as_str)
    }

    /// Those of several.
    pub(crate) fn values<'a>(&self, ids: impl IntoIterator<Item = &'a ValueId>) -> Vec<&str> {
        ids.into_iter().map(|id| self.value(*id)).collect()
    }

    /// That of a node.
    pub(crate) fn node(&self, graph: &Graph, id: NodeId) -> &str {
        graph.node(id).outputs.first().map_or("", |id| self.value(*id))
    }

    /// Those of several.
    pub(crate) fn nodes(&self, graph: &Graph, ids: &[NodeId]) -> Vec<&str> {
        ids.iter().map(|id| self.node(graph, *id)).collect()
    }
}

/// A graph. Constants and first values of states of at most `most` elements are in it; the others are in the files that
/// `--stage weights` and `--format onnx` write.
pub(crate) fn graph(graph: &Graph, most: usize) -> Value {
    let names = Names::of(graph);
    let outputs: Vec<_> = graph
        .outputs()
        .iter()
        .map(|output| {
            let size = |size: &kiln::graph::OutputSize| {
                let says = graph.outputs().get(size.output).map(|output| output.name.as_str());
                json!({ "axis": size.axis, "output": says })
            };
            let mut shown = json!({ "name": output.name, "value": names.value(output.value) });
            if !output.sizes.is_empty() {
                shown["sizes"] = output.sizes.iter().map(size).collect();
            }
            shown
        })
        .collect();
    let update = |update: &kiln::graph::Update| json!({ "state": names.value(update.state), "value": names.value(update.value) });
    json!({
        "name": graph.name,
        "symbols": graph.symbols().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "inputs": names.values(graph.inputs()),
        "values": graph.value_ids().map(|id| value(graph, id, &names, most)).collect::<Vec<_>>(),
        "nodes": graph.node_ids().map(|id| node(graph, id, &names, most)).collect::<Vec<_>>(),
        "outputs": outputs,
        "updates": graph.updates().iter().map(update).collect::<Vec<_>>(),
    })
}

/// A value: its type, where it comes from, and what it is if that is known.
fn value(graph: &Graph, id: ValueId, names: &Names, most: usize) -> Value {
    let value = graph.value(id);
    let ty = &value.ty;
    let mut shown = json!({
        "name": names.value(id),
        "type": ty.dtype.name(),
        "shape": ty.shape.iter().map(dim).collect::<Vec<_>>(),
    });
    if names.value(id) != value.name {
        shown["original"] = json!(value.name);
    }
    let (from, tensor) = match &value.def {
        Def::Input => ("input", None),
        Def::Constant(tensor) => ("constant", Some(tensor)),
        Def::State(tensor) => ("state", Some(tensor)),
        Def::Node { .. } => ("node", None),
    };
    shown["from"] = json!(from);
    if let Some(tensor) = tensor {
        let data = data_text(tensor, most);
        if data != "..." {
            shown["data"] = json!(data);
        }
    }
    shown
}

/// A node with its attributes; in that of a loop, the graph that it repeats.
fn node(graph: &Graph, id: NodeId, names: &Names, most: usize) -> Value {
    let node = graph.node(id);
    let mut shown = json!({
        "name": names.node(graph, id),
        "layer": node.name,
        "operator": node.op.name(),
        "kind": node.op.kind().name(),
        "attributes": attributes(&node.op),
        "inputs": names.values(&node.inputs),
        "outputs": names.values(&node.outputs),
    });
    if let Op::Loop(op) = &node.op {
        shown["body"] = self::graph(&op.body, most);
    }
    shown
}

fn attributes(op: &Op) -> Value {
    let all = all_attributes(op).into_iter().map(|(name, value)| (name, attribute(&value)));
    Value::Object(all.collect::<Map<_, _>>())
}

fn attribute(value: &Attribute) -> Value {
    match value {
        Attribute::Flag => json!(true),
        Attribute::List(items) => items.iter().map(attribute).collect(),
        Attribute::Word(word) if word == "false" => json!(false),
        Attribute::Word(word) => number(word).unwrap_or_else(|| json!(word)),
    }
}

/// A word that is a number. Infinities and NaN stay words, since JSON has none.
fn number(word: &str) -> Option<Value> {
    if let Ok(whole) = word.parse::<i64>() {
        return Some(json!(whole));
    }
    word.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| json!(n))
}

/// A number, or the text of an expression over symbols.
pub(crate) fn dim(dim: &Dim) -> Value {
    dim.as_const().map_or_else(|| json!(dim.to_string()), |n| json!(n))
}
