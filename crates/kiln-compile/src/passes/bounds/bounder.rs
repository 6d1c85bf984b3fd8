//! What is known while a graph gets bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_graph::{Dim, Formula, Graph, GraphError, Node, Rewriter, ShapeError, ValueId};

/// A graph that is rewritten with bounds.
pub(super) struct Bounder<'a> {
    pub(super) old: &'a Graph,
    pub(super) rewriter: Rewriter<'a>,
    /// The bounds of counts.
    pub(super) bounds: BTreeMap<Arc<str>, Dim>,
    /// The counts as values.
    pub(super) counts: BTreeMap<Arc<str>, ValueId>,
    /// Sizes as values.
    pub(super) sizes: BTreeMap<Dim, ValueId>,
}

impl<'a> Bounder<'a> {
    pub(super) fn new(old: &'a Graph) -> Result<Self, GraphError> {
        let (bounds, counts, sizes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { old, rewriter: Rewriter::new(old)?, bounds, counts, sizes })
    }

    pub(super) fn formula(&mut self, node: &Node) -> Formula<'_> {
        Formula::folding(&mut self.rewriter.graph, node.name.clone())
    }

    /// The shape of an old value.
    pub(super) fn shape(&self, id: ValueId) -> &'a [Dim] {
        &self.old.ty(id).shape
    }

    pub(super) fn counted(&self, id: ValueId) -> bool {
        self.shape(id).iter().any(Dim::is_counted)
    }

    /// Which axes of an old value have a size that the data decide.
    pub(super) fn counted_axes(&self, id: ValueId) -> Vec<usize> {
        (0..self.shape(id).len()).filter(|axis| self.shape(id)[*axis].is_counted()).collect()
    }

    pub(super) fn refuse<T>(&self, node: &Node, message: impl Into<String>) -> Result<T, GraphError> {
        let message =
            format!("{}; `--cut-at` with the name of the node compiles what lies before it", message.into());
        Err(GraphError::Node {
            node: node.name.clone(),
            op: node.op.name(),
            source: ShapeError::Mismatch(message),
        })
    }
}
