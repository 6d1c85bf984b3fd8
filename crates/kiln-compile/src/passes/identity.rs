//! Operators that change nothing go, choices between equals, too, and movements that follow each other become one.
//!
//! ```text
//! before: a = transpose(x) {perm=[0, 2, 1]}   b = transpose(a) {perm=[0, 2, 1]}   c = mul(b, 1)   d = relu(c)
//! after:                                                                            d = relu(x)
//! ```

use kiln_graph::ops::{BinaryOp, Reshape, Transpose};
use kiln_graph::{Graph, GraphError, Node, Op, Rewriter, ValueId};

/// Removes what changes nothing. Only exact rules are used: `x * 1` is `x`, but `x + 0` is not where `x` is -0.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids() {
        let node = graph.node(id);
        let inputs = rewriter.inputs(id)?;
        if let Some(same) = unchanged(&rewriter.graph, graph, node, &inputs) {
            rewriter.map(node.outputs[0], same);
        } else if let Some((op, input)) = merged(&rewriter.graph, node, &inputs) {
            // Two that undo each other are nothing.
            let undone = matches!(&op, Op::Transpose(op) if in_order(&op.perm))
                || matches!(&op, Op::Reshape(op) if rewriter.graph.ty(input).shape == op.shape);
            let merged =
                if undone { input } else { rewriter.graph.apply1(node.name.clone(), op, &[input])? };
            rewriter.map(node.outputs[0], merged);
        } else {
            rewriter.copy(id)?;
        }
    }
    // What was merged over may have no reader left.
    super::dead_code::run(&rewriter.finish()?)
}

fn in_order(perm: &[usize]) -> bool {
    perm.iter().enumerate().all(|(i, axis)| i == *axis)
}

/// The input that a node hands on as it is.
fn unchanged(new: &Graph, old: &Graph, node: &Node, inputs: &[ValueId]) -> Option<ValueId> {
    let first = *inputs.first()?;
    let same_type = || new.ty(first) == old.ty(node.outputs[0]);
    // By its bits: what is less a negative zero is no zero of its own sign.
    let is = |id: Option<&ValueId>, number: f64| {
        let same = |x: &f64| x.to_bits() == number.to_bits();
        id.and_then(|id| new.as_constant(*id)).is_some_and(|t| t.to_f64().iter().all(same))
    };
    if let (Op::Select, [_, a, b]) = (&node.op, inputs) {
        return (a == b && new.ty(*a) == old.ty(node.outputs[0])).then_some(*a);
    }
    let nothing = match &node.op {
        Op::Cast(_) | Op::Reshape(_) | Op::Expand(_) => same_type(),
        Op::Transpose(op) => in_order(&op.perm),
        Op::Slice(op) => same_type() && op.axes.iter().all(|cut| cut.step == 1),
        Op::Pad(op) => op.pads.iter().all(|pads| *pads == [0, 0]),
        Op::Concat(_) => inputs.len() == 1,
        // A training step has arithmetic in its place.
        Op::Dropout(_) => true,
        // Passes come behind differentiation.
        Op::StopGradient => true,
        Op::Binary(BinaryOp::Mul | BinaryOp::Div | BinaryOp::Pow) => same_type() && is(inputs.get(1), 1.0),
        Op::Binary(BinaryOp::Sub) => same_type() && is(inputs.get(1), 0.0),
        Op::Binary(
            BinaryOp::Add
            | BinaryOp::Mod
            | BinaryOp::Rem
            | BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::ClampMin
            | BinaryOp::ClampMax
            | BinaryOp::Equal
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight,
        )
        | Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Unary(_)
        | Op::Select
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        | Op::Loop(_)
        | Op::Iota(_) => false,
    };
    nothing.then_some(first)
}

/// A reshape of a reshape, or a transpose of a transpose, as one.
fn merged(new: &Graph, node: &Node, inputs: &[ValueId]) -> Option<(Op, ValueId)> {
    let before = new.node(new.producer(*inputs.first()?)?);
    let input = *before.inputs.first()?;
    if let (Op::Reshape(_), Op::Reshape(op)) = (&before.op, &node.op) {
        Some((Op::Reshape(Reshape { shape: op.shape.clone() }), input))
    } else if let (Op::Transpose(first), Op::Transpose(second)) = (&before.op, &node.op) {
        let perm = second.perm.iter().map(|axis| first.perm.get(*axis).copied()).collect::<Option<_>>()?;
        Some((Op::Transpose(Transpose { perm }), input))
    } else {
        None
    }
}
