//! Sizes that the data of a run decide become bounds that are known now.
//!
//! ```text
//! before: at = nonzero(x)           i64[count(at)]     y = gather(z, at)   f32[count(at), 4]   out y
//! after:  at = nonzero(x) size=64   i64[64]            y = gather(z, at)   f32[64, 4]          out y[..n]
//!         n = sum(x != 0)
//! ```
//!
//! A value keeps its elements and gets others behind them, which mean nothing. What goes along such an axis (a sum, a sort)
//! reads neutral elements in their place; what moves elements computes their places from the counts; what does neither is
//! refused. Outputs say how much of them is the result.

mod bounder;
mod combine;
mod places;
mod reshape;
mod sizes;

use std::cell::Cell;
use std::collections::BTreeMap;

use bounder::Bounder;
use kiln_graph::ops::{BinaryOp, Concat, Nonzero, ShapeOf, UnaryOp};
use kiln_graph::{DType, Dim, Graph, GraphError, Node, NodeId, Op, Output, Tensor, ValueId};

/// Replaces counts by their bounds.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    if !graph.nodes().iter().any(|node| finds(&node.op)) {
        return Ok(graph.clone());
    }
    let mut bounder = Bounder::new(graph)?;
    for id in graph.node_ids() {
        bounder.node(id)?;
    }
    bounder.finish()
}

/// Whether an operator, or one in the body of a loop, defines a count.
fn finds(op: &Op) -> bool {
    match op {
        Op::Loop(op) => op.body.nodes().iter().any(|node| finds(&node.op)),
        op => op.count().is_some(),
    }
}

impl Bounder<'_> {
    fn node(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.old.node(id);
        let inside = Cell::new(false);
        let _ = node.op.map_dims(|dim| {
            inside.set(inside.get() || dim.is_counted());
            Ok::<_, ()>(dim.clone())
        });
        let around = node.inputs.iter().chain(&node.outputs).any(|id| self.counted(*id));
        if !inside.get() && !around && !finds(&node.op) {
            return self.rewriter.copy(id);
        }
        let new = match &node.op {
            Op::Nonzero(_) => self.nonzero(node)?,
            Op::ShapeOf(op) => self.shape_of(node, op)?,
            Op::Size(op) => {
                let size = self.size(&node.name, &op.dim)?;
                let to = self.old.ty(node.outputs[0]).dtype;
                self.formula(node).cast(size, to)?
            }
            Op::Reduce(op) => self.reduce(node, op)?,
            Op::ArgReduce(op) => self.arg_reduce(node, op)?,
            Op::Softmax(op) => self.softmax(node, op)?,
            Op::ArgSort(op) => self.arg_sort(node, op)?,
            Op::MatMul(op) => self.matmul(node, op)?,
            Op::Suppress(_) => self.suppress(node)?,
            Op::Reshape(op) => self.reshape(node, op)?,
            Op::Slice(op) => self.slice(node, op)?,
            Op::Concat(op) => self.concat(node, op)?,
            Op::Gather(op) => self.gather(node, op.axis)?,
            Op::GatherElements(op) => self.gather(node, op.axis)?,
            Op::Scatter(op) => self.scatter(node, op)?,
            // Elements stay where they are, and others behind them do not reach them.
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast(_)
            | Op::Expand(_)
            | Op::Transpose(_)
            | Op::Iota(_)
            | Op::Dropout(_)
            | Op::StopGradient => return self.bounded(id),
            Op::BatchNorm(op) if !op.training => return self.bounded(id),
            Op::Conv(_) | Op::Pool(_) | Op::Pad(_) | Op::Resize(_) => return self.images(id),
            Op::BatchNorm(_) | Op::Random(_) | Op::ConvGradWeight(_) | Op::PoolGrad(_) | Op::Loop(_) => {
                return self.refuse(node, "has no form for sizes that the data decide");
            }
        };
        self.rewriter.map(node.outputs[0], new);
        Ok(())
    }

    /// The node as it is, with bounds as sizes.
    fn bounded(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.old.node(id);
        let op = node.op.map_dims(|dim| self.bound(node, dim))?;
        self.rewriter.copy_as(id, op)
    }

    /// What treats each of a batch alone: only their number may be decided by the data.
    fn images(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.old.node(id);
        let (input, output) = (self.shape(node.inputs[0]), self.shape(node.outputs[0]));
        let same =
            |(axis, size): (usize, &Dim)| !size.is_counted() || axis == 0 && output.first() == Some(size);
        let weights = node.inputs.iter().skip(1).any(|id| self.counted(*id));
        if weights || !input.iter().enumerate().all(same) {
            return self.refuse(node, "cannot go along an axis of which the data decide the size");
        }
        self.bounded(id)
    }

    /// The elements that are not zero, up to as many as there are, and how many they are.
    fn nonzero(&mut self, node: &Node) -> Result<ValueId, GraphError> {
        let x = node.inputs[0];
        if !reshape::is_beginning(self.shape(x)) {
            let shape = kiln_graph::ShapeDisplay(self.shape(x));
            return self.refuse(node, format!("cannot tell positions in a tensor of shape {shape}"));
        }
        let valid = self.valid(node, x, &self.counted_axes(x))?;
        let new = self.rewriter.get(x)?;
        let f = &mut self.formula(node);
        let mut mask = new;
        if f.ty(new).dtype != DType::Bool {
            let zero = f.with(BinaryOp::Equal, new, 0.0)?;
            mask = f.unary(UnaryOp::Not, zero)?;
        }
        if let Some(valid) = valid {
            mask = f.binary(BinaryOp::And, mask, valid)?;
        }
        let size = f.ty(mask).elements();
        let ones = f.cast(mask, DType::I64)?;
        let count = f.total(ones)?;
        let positions = f.apply(Op::Nonzero(Nonzero { size: size.clone() }), &[mask])?;
        if let Some(name) = node.op.count() {
            self.bounds.insert(name.clone(), size);
            self.counts.insert(name.clone(), count);
            self.sizes.insert(Dim::count(name.clone()), count);
        }
        Ok(positions)
    }

    /// Sizes as they are, not their bounds.
    fn shape_of(&mut self, node: &Node, op: &ShapeOf) -> Result<ValueId, GraphError> {
        let mut sizes = Vec::new();
        for dim in &self.shape(node.inputs[0])[op.start..op.end] {
            let size = self.size(&node.name, dim)?;
            sizes.push(self.formula(node).reshape(size, vec![1.into()])?);
        }
        match sizes[..] {
            [] => Ok(self.formula(node).constant(Tensor::ints([]))),
            [one] => Ok(one),
            _ => self.formula(node).apply(Op::Concat(Concat { axis: 0 }), &sizes),
        }
    }

    /// Outputs, and behind them the sizes that say how much of them is the result; one serves all that have it.
    fn finish(mut self) -> Result<Graph, GraphError> {
        let outputs = self.old.outputs();
        for output in outputs {
            let value = self.rewriter.get(output.value)?;
            self.rewriter.graph.output(output.name.clone(), value)?;
        }
        let mut places: BTreeMap<&Dim, usize> = BTreeMap::new();
        for (place, output) in outputs.iter().enumerate() {
            for axis in self.counted_axes(output.value) {
                let dim = &self.shape(output.value)[axis];
                let size = match places.get(dim) {
                    Some(size) => *size,
                    None => {
                        let value = self.size(&output.name, dim)?;
                        let size = self.rewriter.graph.outputs().len();
                        self.rewriter.graph.output(free_name(outputs, dim), value)?;
                        places.insert(dim, size);
                        size
                    }
                };
                self.rewriter.graph.output_size(place, axis, size)?;
            }
        }
        for update in self.old.updates() {
            let (state, value) = (self.rewriter.get(update.state)?, self.rewriter.get(update.value)?);
            self.rewriter.graph.update(state, value)?;
        }
        Ok(self.rewriter.graph)
    }
}

/// A name for a size that no output has.
fn free_name(outputs: &[Output], dim: &Dim) -> String {
    let mut name = dim.to_string();
    while outputs.iter().any(|output| output.name == name) {
        name.push('\'');
    }
    name
}
