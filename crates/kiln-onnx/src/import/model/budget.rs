//! Limits on the expansion of a file. A few hundred bytes can describe a loop around a recurrent network, or windows of
//! millions of elements; data in the file itself is as large as the file and is not counted.

use kiln_graph::{Def, Graph};

use crate::error::ImportError;

/// How many nodes a graph may have.
const MAX_NODES: usize = 1 << 18;
/// How many bytes the constants may have that operators made.
const MAX_BYTES: usize = 1 << 30;
/// What a constant takes beside its elements, roughly: its name, its shape, its place.
const EACH: usize = 1 << 9;

/// What has been created so far.
#[derive(Default)]
pub(super) struct Budget {
    /// How many of the graph's values have been looked at.
    seen: usize,
    bytes: usize,
}

impl Budget {
    /// What has been added to `graph` came from the file.
    pub(super) fn pass(&mut self, graph: &Graph) {
        self.seen = graph.values().len();
    }

    /// Goes on to a graph of its own, the body of a loop; says what [`Budget::leave`] needs.
    pub(super) fn enter(&mut self) -> usize {
        std::mem::take(&mut self.seen)
    }

    /// Comes back from it.
    pub(super) fn leave(&mut self, seen: usize) {
        self.seen = seen;
    }

    /// Adds up what the node `name` has added to `graph`.
    pub(super) fn check(&mut self, graph: &Graph, name: &str, operator: &str) -> Result<(), ImportError> {
        for value in graph.values().iter().skip(self.seen) {
            if let Def::Constant(tensor) = &value.def {
                let bytes = tensor.len().saturating_mul(tensor.dtype().size());
                self.bytes = self.bytes.saturating_add(bytes).saturating_add(EACH);
            }
        }
        self.seen = graph.values().len();
        let limit = if graph.nodes().len() > MAX_NODES {
            format!("{MAX_NODES} nodes")
        } else if self.bytes > MAX_BYTES {
            format!("{} MiB of constants that operators make", MAX_BYTES >> 20)
        } else {
            return Ok(());
        };
        Err(ImportError::TooLarge { node: name.into(), operator: operator.into(), limit })
    }
}
