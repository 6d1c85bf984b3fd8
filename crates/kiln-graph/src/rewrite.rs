//! Making a new graph from an old one.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::graph::{Def, Graph, NodeId, ValueId};
use crate::ops::Op;

/// Copies a graph node by node, so that a pass only says what it does differently.
///
/// Inputs and states are all kept (they are the graph's interface); constants and nodes come over as they are
/// needed. A pass walks the old nodes in order and, for each, either [`Rewriter::copy`]s it or builds something else
/// in [`Rewriter::graph`] and [`Rewriter::map`]s the old outputs to it.
pub struct Rewriter<'a> {
    old: &'a Graph,
    /// The graph that is being made.
    pub graph: Graph,
    mapped: Vec<Option<ValueId>>,
}

impl<'a> Rewriter<'a> {
    /// Starts with the inputs and states of `old`.
    pub fn new(old: &'a Graph) -> Result<Self, GraphError> {
        let mut this = Self::without_interface(old);
        for id in old.inputs() {
            this.input(*id)?;
        }
        for id in old.states() {
            if let Def::State(tensor) = &old.value(*id).def {
                let new = this.graph.state(old.value(*id).name.clone(), tensor.clone())?;
                this.map(*id, new);
            }
        }
        Ok(this)
    }

    /// Starts with the name of `old` and what it assumes of sizes, for what makes other inputs or states: those of `old`
    /// that are needed have to be mapped first.
    pub fn without_interface(old: &'a Graph) -> Self {
        Self { old, graph: old.successor(), mapped: vec![None; old.values().len()] }
    }

    /// Takes an input over as it is.
    pub fn input(&mut self, id: ValueId) -> Result<(), GraphError> {
        let value = self.old.value(id);
        let new = self.graph.input(value.name.clone(), value.ty.clone())?;
        self.map(id, new);
        Ok(())
    }

    /// The new value that replaces the old value `id`.
    pub fn get(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        if let Some(new) = self.mapped[id.index()] {
            return Ok(new);
        }
        let value = self.old.value(id);
        match &value.def {
            Def::Constant(tensor) => {
                let new = self.graph.constant(value.name.clone(), tensor.clone());
                self.map(id, new);
                Ok(new)
            }
            Def::Input | Def::State(_) | Def::Node { .. } => {
                Err(GraphError::Invalid(format!("`{}` is used before it is defined", value.name)))
            }
        }
    }

    /// The new values that replace the inputs of a node.
    pub fn inputs(&mut self, node: NodeId) -> Result<Vec<ValueId>, GraphError> {
        self.old.node(node).inputs.iter().map(|id| self.get(*id)).collect()
    }

    /// Replaces the old value `id` by `new`.
    pub fn map(&mut self, id: ValueId, new: ValueId) {
        self.mapped[id.index()] = Some(new);
    }

    /// Takes a node over as it is.
    pub fn copy(&mut self, node: NodeId) -> Result<(), GraphError> {
        // Inputs have no symbols that were replaced any more.
        let guards = self.old.guards();
        let op = &self.old.node(node).op;
        let op = if guards.unified().is_empty() {
            op.clone()
        } else {
            with_sizes(op, |dim| guards.replaced(dim))?
        };
        self.copy_as(node, op)
    }

    /// Takes a node over, with what is known of its sizes.
    fn settle(&mut self, node: NodeId) -> Result<(), GraphError> {
        let guards = self.old.guards();
        let op = &self.old.node(node).op;
        let op = match op {
            // The size that it makes says how it relates to its input.
            Op::Resize(_) => with_sizes(op, |dim| guards.replaced(dim))?,
            _ => with_sizes(op, |dim| guards.canonical(dim))?,
        };
        self.copy_as(node, op)
    }

    /// Takes a node over with another operator.
    pub fn copy_as(&mut self, node: NodeId, op: Op) -> Result<(), GraphError> {
        let inputs = self.inputs(node)?;
        let old = self.old.node(node);
        let outputs = self.graph.apply(old.name.clone(), op, &inputs)?;
        for (id, new) in old.outputs.iter().zip(outputs) {
            self.map(*id, new);
        }
        Ok(())
    }

    /// Takes over outputs and updates and hands out the new graph.
    pub fn finish(mut self) -> Result<Graph, GraphError> {
        for output in self.old.outputs() {
            let value = self.get(output.value)?;
            self.graph.output(output.name.clone(), value)?;
        }
        for (place, output) in self.old.outputs().iter().enumerate() {
            for size in &output.sizes {
                self.graph.output_size(place, size.axis, size.output)?;
            }
        }
        for update in self.old.updates() {
            let (state, value) = (self.get(update.state)?, self.get(update.value)?);
            self.graph.update(state, value)?;
        }
        Ok(self.graph)
    }
}

/// The operator with other sizes in its attributes.
fn with_sizes(op: &Op, size: impl Fn(&Dim) -> Dim) -> Result<Op, GraphError> {
    op.map_dims(|dim| Ok(size(dim)))
}

impl Graph {
    /// The graph with everything that its guards say about sizes in all types and attributes, those before a guard was
    /// found included. What is built of a graph in which symbols have been found equal starts from this.
    pub fn settled(self) -> Result<Graph, GraphError> {
        if self.guards().is_empty() {
            return Ok(self);
        }
        let mut rewriter = Rewriter::new(&self)?;
        for node in self.node_ids() {
            rewriter.settle(node)?;
        }
        rewriter.finish()
    }
}
