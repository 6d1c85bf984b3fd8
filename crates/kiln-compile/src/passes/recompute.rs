//! Cheap activations are computed again by whoever reads them, instead of being stored.
//!
//! ```text
//! before: c = sub(x, m)   v = mul(c, c)   y = mul(c, s)   z = relu(x)
//! after:  c = sub(x, m)   v = mul(c, c)
//!         d = sub(x, m)   y = mul(d, s)                   z = relu(x)
//! ```
//!
//! Done where an elementwise node reads a single tensor of its size, one that others read too and that is in memory
//! therefore, and where all readers can compute the value on the way: elementwise nodes, and reductions with a
//! prologue. A kernel then reads the one tensor instead of the other, and one tensor less has to be kept, from the
//! forward pass to the backward pass above all.

use std::collections::HashMap;

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Graph, GraphError, NodeId, Op, Rewriter, ValueId};

use super::uses::uses;
use crate::fuse::sums_columns;

/// Gives each reader of a cheap node a copy of its own.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let consumers = graph.consumers();
    let uses = uses(graph);
    let mut is_result = vec![false; graph.values().len()];
    for id in graph.results() {
        is_result[id.index()] = true;
    }
    // Last to first, so that a node knows all that will read it: the copies of nodes behind it, too.
    let mut copied = vec![false; graph.nodes().len()];
    for id in graph.node_ids().rev() {
        let node = graph.node(id);
        let output = node.outputs[0];
        let Some(source) = single_source(graph, id) else { continue };
        let readers = &consumers[output.index()];
        let several = readers.iter().any(|reader| *reader != readers[0] || copied[reader.index()]);
        let on_the_way = readers.iter().all(|reader| computes_operands(graph, *reader));
        let kept_anyway =
            uses[source.index()] > graph.node(id).inputs.iter().filter(|i| **i == source).count();
        copied[id.index()] =
            is_cheap(&node.op) && several && on_the_way && kept_anyway && !is_result[output.index()];
    }
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids() {
        if copied[id.index()] {
            continue;
        }
        let mut own = HashMap::new();
        let inputs = graph.node(id).inputs.clone();
        let inputs = inputs
            .iter()
            .map(|input| value(graph, &mut rewriter, &copied, &mut own, *input))
            .collect::<Result<Vec<_>, _>>()?;
        let node = graph.node(id);
        let outputs = rewriter.graph.apply(node.name.clone(), node.op.clone(), &inputs)?;
        for (old, new) in node.outputs.iter().zip(outputs) {
            rewriter.map(*old, new);
        }
    }
    rewriter.finish()
}

/// Whether whoever reads the result of a node may rather compute it again than have it stored.
pub(crate) fn is_recomputed(graph: &Graph, id: NodeId) -> bool {
    is_cheap(&graph.node(id).op) && single_source(graph, id).is_some()
}

/// A value for one reader, which has `own` copies already.
fn value(
    graph: &Graph,
    rewriter: &mut Rewriter<'_>,
    copied: &[bool],
    own: &mut HashMap<ValueId, ValueId>,
    id: ValueId,
) -> Result<ValueId, GraphError> {
    let Some(maker) = graph.producer(id).filter(|maker| copied[maker.index()]) else {
        return rewriter.get(id);
    };
    if let Some(copy) = own.get(&id) {
        return Ok(*copy);
    }
    let node = graph.node(maker);
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        inputs.push(value(graph, rewriter, copied, own, *input)?);
    }
    let copy = rewriter.graph.apply1(node.name.clone(), node.op.clone(), &inputs)?;
    own.insert(id, copy);
    Ok(copy)
}

/// Whether a kernel for `reader` can compute its operands on the way.
fn computes_operands(graph: &Graph, reader: NodeId) -> bool {
    let op = &graph.node(reader).op;
    is_elementwise(op) || matches!(op, Op::Reduce(op) if sums_columns(graph, reader, op))
}

/// The operand of an elementwise node's own shape, if there is exactly one and the others are stretched.
fn single_source(graph: &Graph, id: NodeId) -> Option<ValueId> {
    let node = graph.node(id);
    if !is_elementwise(&node.op) {
        return None;
    }
    let shape = &graph.ty(node.outputs[0]).shape;
    let mut whole = node.inputs.iter().copied().filter(|input| graph.ty(*input).shape == *shape);
    let source = whole.next()?;
    (shape.len() > 1 && whole.all(|other| other == source)).then_some(source)
}

/// Whether each element of the results follows from one element of each operand.
pub(crate) fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_))
}

/// Whether an operator is a few instructions.
fn is_cheap(op: &Op) -> bool {
    if let Op::Unary(op) = op {
        matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Relu | UnaryOp::Not)
    } else if let Op::Binary(op) = op {
        !matches!(op, BinaryOp::Pow | BinaryOp::Mod | BinaryOp::Rem)
    } else {
        is_elementwise(op)
    }
}
