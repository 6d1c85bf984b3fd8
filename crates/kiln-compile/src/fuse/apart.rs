//! Why kernels are apart: for each group whose result other groups read, what kept those from being computed in it.

use kiln_graph::NodeId;

/// That the result of a group is stored, instead of being used where it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The group's place in [`Fusion::groups`](super::Fusion::groups).
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
