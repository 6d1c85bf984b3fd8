//! Why kernels are apart: for each group whose result other groups read, what kept those from being computed in it.

use std::fmt;

use kiln_graph::{Graph, NodeId};

use super::Fusion;

/// That the result of a group is stored, instead of being used where it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The group's place in [`Fusion::groups`].
    pub group: usize,
    /// The node at which the group could not grow. Usually its last one; a later one where what is in between would have had
    /// more than one result.
    pub node: NodeId,
    /// The reader that stays outside, if it is about one.
    pub reader: Option<NodeId>,
    /// Why.
    pub reason: Reason,
}

/// What keeps nodes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The value is an output or a new state.
    Result,
    /// The reader is no elementwise operator: it reads its operands from memory.
    ReadsMemory,
    /// The reader is in the kernel of another anchor, which has chosen before.
    Taken,
    /// The reader makes a value of another shape, and a kernel stores one shape.
    OtherShape,
    /// Several kernels read the value.
    SeveralKernels {
        /// How many.
        kernels: usize,
    },
    /// The kernel would read too many tensors.
    TooManyInputs {
        /// How many it would read.
        inputs: usize,
        /// How many it may.
        limit: usize,
    },
    /// The kernel would compute too many elementwise operators.
    TooManyNodes {
        /// How many there may be.
        limit: usize,
    },
    /// The operator's kernel stores its results as they are.
    NoEpilogue,
    /// The operator has several results.
    SeveralResults,
}

impl Reason {
    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::ReadsMemory => "reads_memory",
            Self::Taken => "taken",
            Self::OtherShape => "other_shape",
            Self::SeveralKernels { .. } => "several_kernels",
            Self::TooManyInputs { .. } => "too_many_inputs",
            Self::TooManyNodes { .. } => "too_many_nodes",
            Self::NoEpilogue => "no_epilogue",
            Self::SeveralResults => "several_results",
        }
    }
}

/// Where a group stopped growing, as it is noted while groups are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub node: NodeId,
    pub reader: Option<NodeId>,
    pub reason: Reason,
}

impl Stop {
    pub(super) fn new(node: NodeId, reader: Option<NodeId>, reason: Reason) -> Self {
        Self { node, reader, reason }
    }
}

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
                    let is_in =
                        |group: &&super::Group| group.nodes.contains(&id) || group.prologue.contains(&id);
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
