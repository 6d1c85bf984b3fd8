//! From a graph to its text.

use std::collections::HashSet;
use std::fmt;

use super::{attributes, attributes::Attribute, data};
use crate::graph::{Def, Graph, ValueId};
use crate::ops::Op;

/// Whether a name can be written without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/:~".contains(c))
}

/// A name, in quotes where it needs them.
pub(super) fn quoted(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("{name:?}") }
}

/// Writes a graph; data of more than `most` elements is left out.
pub(super) fn print(graph: &Graph, most: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = names(graph);
    let name = |id: ValueId| names[id.index()].as_str();
    writeln!(f, "graph {}", quoted(&graph.name))?;
    // Stored values are written before the first node that reads them, in the order in which they were created.
    for id in graph.value_ids() {
        let value = graph.value(id);
        let own = own_name(&value.name, &names[id.index()]);
        match &value.def {
            Def::Input => writeln!(f, "input {}{own} : {}", name(id), value.ty)?,
            Def::Constant(tensor) => {
                writeln!(f, "const {}{own} : {} = {}", name(id), value.ty, data::print(tensor, most))?;
            }
            Def::State(tensor) => {
                writeln!(f, "state {}{own} : {} = {}", name(id), value.ty, data::print(tensor, most))?;
            }
            Def::Node { node, index: 0 } => {
                let node = graph.node(*node);
                let outputs: Vec<&str> = node.outputs.iter().map(|id| name(*id)).collect();
                let inputs: Vec<&str> = node.inputs.iter().map(|id| name(*id)).collect();
                write!(f, "{} = {}({})", outputs.join(", "), node.op.name(), inputs.join(", "))?;
                for (key, value) in attributes::set_attributes(&node.op) {
                    match value {
                        Attribute::Flag => write!(f, " {key}")?,
                        Attribute::Word(_) | Attribute::List(_) => write!(f, " {key}={value}")?,
                    }
                }
                let types: Vec<String> = node.outputs.iter().map(|id| graph.ty(*id).to_string()).collect();
                write!(f, "{} : {}", own_name(&node.name, &names[id.index()]), types.join(", "))?;
                match &node.op {
                    Op::Loop(op) => body(&op.body, most, f)?,
                    _ => writeln!(f)?,
                }
            }
            Def::Node { .. } => {}
        }
    }
    for output in graph.outputs() {
        writeln!(f, "output {} = {}", quoted(&output.name), name(output.value))?;
    }
    for output in graph.outputs() {
        for size in &output.sizes {
            let says = graph.outputs().get(size.output).map_or("", |output| &output.name);
            writeln!(f, "size {} {} = {}", quoted(&output.name), size.axis, quoted(says))?;
        }
    }
    for update in graph.updates() {
        writeln!(f, "update {} = {}", name(update.state), name(update.value))?;
    }
    Ok(())
}

/// A graph in braces, each line moved to the right.
fn body(graph: &Graph, most: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, " {{")?;
    let text = fmt::from_fn(|f| print(graph, most, f)).to_string();
    text.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
    writeln!(f, "}}")
}

/// ` name="..."`, where the text calls something otherwise than the graph does.
fn own_name(real: &str, shown: &str) -> String {
    if quoted(real) == shown[1..] { String::new() } else { format!(" name={real:?}") }
}

/// The name of each value in the text, made unique.
fn names(graph: &Graph) -> Vec<String> {
    let mut taken = HashSet::new();
    graph
        .values()
        .iter()
        .map(|value| {
            let mark = match value.def {
                Def::Constant(_) | Def::State(_) => '@',
                Def::Input | Def::Node { .. } => '%',
            };
            let mut shown = format!("{mark}{}", quoted(&value.name));
            for n in 2.. {
                if taken.insert(shown.clone()) {
                    break;
                }
                shown = format!("{mark}{}", quoted(&format!("{}~{n}", value.name)));
            }
            shown
        })
        .collect()
}
