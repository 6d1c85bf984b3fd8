//! The graph with some of its values rounded to 16 bits.

use std::collections::HashMap;

use kiln_graph::ops::Cast;
use kiln_graph::{DType, Graph, GraphError, NodeId, Op, Rewriter, Tensor, ValueId};

use super::kept::{Kind, is_single, kind, moved};

/// A graph that is being rewritten.
pub(crate) struct Rounding<'a> {
    old: &'a Graph,
    rounds: &'a [bool],
    rewriter: Rewriter<'a>,
    /// By old value: the 16-bit floats.
    halves: HashMap<ValueId, ValueId>,
}

/// Begins to rewrite `graph`: the values of which `rounds` says so are rounded. All that read them get the rounded ones.
pub(crate) fn round<'a>(graph: &'a Graph, rounds: &'a [bool]) -> Result<Rounding<'a>, GraphError> {
    Ok(Rounding { old: graph, rounds, rewriter: Rewriter::new(graph)?, halves: HashMap::new() })
}

impl Rounding<'_> {
    /// Puts another tensor in the place of a constant.
    pub(crate) fn replace(&mut self, id: ValueId, tensor: Tensor) {
        let new = self.rewriter.graph.constant(self.old.value(id).name.clone(), tensor);
        self.rewriter.map(id, new);
    }

    /// Rewrites all nodes.
    pub(crate) fn run(mut self) -> Result<Self, GraphError> {
        for id in self.old.node_ids() {
            if self.moves_halves(id) {
                self.moved(id)?;
            } else {
                self.computed(id)?;
            }
        }
        Ok(self)
    }

    /// What stands for an old value.
    pub(crate) fn get(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        self.rewriter.get(id)
    }

    /// The new graph.
    pub(crate) fn finish(self) -> Result<Graph, GraphError> {
        self.rewriter.finish()
    }

    fn moves_halves(&self, id: NodeId) -> bool {
        let node = self.old.node(id);
        kind(&node.op) == Kind::Moved && self.rounds[node.outputs[0].index()]
    }

    /// A node that moves elements moves 16-bit floats.
    fn moved(&mut self, id: NodeId) -> Result<(), GraphError> {
        let old = self.old;
        let node = old.node(id);
        let elements = moved(node).len();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (n, input) in node.inputs.iter().enumerate() {
            inputs.push(if n < elements {
                self.half(&node.name, *input)?
            } else {
                self.rewriter.get(*input)?
            });
        }
        let half = self.rewriter.graph.apply1(node.name.clone(), node.op.clone(), &inputs)?;
        self.keep(&node.name, node.outputs[0], half)
    }

    /// Any other node computes with 32 bits; its result is rounded, if it is to be.
    fn computed(&mut self, id: NodeId) -> Result<(), GraphError> {
        self.rewriter.copy(id)?;
        let old = self.old;
        let node = old.node(id);
        let output = node.outputs[0];
        if !self.rounds[output.index()] {
            return Ok(());
        }
        let half = self.half(&node.name, output)?;
        self.keep(&node.name, output, half)
    }

    /// A value in 16 bits.
    fn half(&mut self, name: &str, id: ValueId) -> Result<ValueId, GraphError> {
        if let Some(half) = self.halves.get(&id) {
            return Ok(*half);
        }
        let value = self.rewriter.get(id)?;
        debug_assert!(is_single(self.old, id));
        let half = self.rewriter.graph.apply1(name, Op::Cast(Cast { to: DType::F16 }), &[value])?;
        self.halves.insert(id, half);
        Ok(half)
    }

    /// Lets all readers of an old value read what 16 bits have kept of it.
    fn keep(&mut self, name: &str, id: ValueId, half: ValueId) -> Result<(), GraphError> {
        self.halves.insert(id, half);
        let wide = self.rewriter.graph.apply1(name, Op::Cast(Cast { to: DType::F32 }), &[half])?;
        self.rewriter.map(id, wide);
        Ok(())
    }
}
