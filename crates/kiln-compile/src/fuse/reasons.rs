//! Reasons why kernels are apart, in words.

use std::fmt;

use kiln_graph::{Graph, NodeId};

use super::apart::{Apart, Reason};
use super::{Fusion, Group};

impl Fusion {
    /// Why the group at a place does not go on, if others read its result.
    pub fn apart(&self, group: usize) -> Option<&Apart> {
        self.apart.iter().find(|apart| apart.group == group)
    }
}

impl Apart {
    /// The reason in words.
    pub fn display<'a>(&'a self, fusion: &'a Fusion, graph: &'a Graph) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.write(fusion, graph, f))
    }

    fn write(&self, fusion: &Fusion, graph: &Graph, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = graph.node(self.node);
        let group = fusion.groups.get(self.group);
        let last = group.and_then(|group| group.nodes.last().copied().max(group.anchor));
        if last.is_some_and(|last| last < self.node) {
            write!(f, "up to `{}` ({}), more than one value would be stored: ", node.name, node.op.name())?;
        }
        let reader = self.reader.map(|id| (id, graph.node(id)));
        let called = fmt::from_fn(|f| match reader {
            Some((_, reader)) => write!(f, "`{}` ({})", reader.name, reader.op.name()),
            None => f.write_str("what reads it"),
        });
        match self.reason {
            Reason::Result => write!(f, "its value is a result of the program"),
            Reason::ReadsMemory => write!(f, "{called} reads its operands from memory"),
            Reason::Taken => {
                let holds = |id: NodeId| {
                    let is_in = |group: &&Group| group.nodes.contains(&id) || group.prologue.contains(&id);
                    fusion.groups.iter().find(is_in)
                };
                match reader.and_then(|(id, _)| holds(id)) {
                    Some(group) => write!(f, "{called} is in the kernel `{}` already", group.name),
                    None => write!(f, "{called} is in another kernel already"),
                }
            }
            Reason::OtherShape => {
                let shape =
                    |node: &kiln_graph::Node| node.outputs.first().map(|id| graph.ty(*id).to_string());
                let of = shape(node).unwrap_or_default();
                let makes = reader.and_then(|(_, reader)| shape(reader)).unwrap_or_default();
                write!(f, "{called} makes {makes} of {of}, and a kernel stores one shape")
            }
            Reason::SeveralKernels { kernels } => write!(f, "{kernels} kernels read its value"),
            Reason::TooManyInputs { inputs, limit } => {
                write!(f, "the kernel would read {inputs} tensors, of at most {limit}")
            }
            Reason::TooManyNodes { limit } => {
                write!(f, "the kernel would compute more than {limit} elementwise operators")
            }
            Reason::NoEpilogue => {
                write!(f, "the kernel of `{}` stores its results as they are", node.op.name())
            }
            Reason::SeveralResults => write!(f, "`{}` has several results", node.op.name()),
        }
    }
}
