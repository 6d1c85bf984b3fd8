//! Batch normalization in inference is a multiplication and an addition per channel.
//!
//! ```text
//! before: y = batch_norm(x, scale, bias, mean, var) epsilon=e
//! after:  t = mul(x, s)       s = scale / sqrt(var + e)
//!         y = add(t, b)       b = bias - mean * s
//! ```
//!
//! Both new nodes keep the name of the batch normalization, so a fused kernel is still called `conv1 + bn1 + relu`.

use kiln_graph::ops::{BatchNorm, BinaryOp, Reshape, UnaryOp};
use kiln_graph::{Dim, Graph, GraphError, Node, Op, Rewriter, Tensor, ValueId};

use super::constant;

/// Writes every inference [`BatchNorm`] as arithmetic. Those that train stay.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        if let Op::BatchNorm(op) = &node.op
            && !op.training
        {
            let inputs = rewriter.inputs(id)?;
            let y = batch_norm(&mut rewriter.graph, node, op, &inputs)?;
            rewriter.map(node.outputs[0], y);
        } else {
            rewriter.copy(id)?;
        }
    }
    rewriter.finish()
}

fn batch_norm(
    graph: &mut Graph,
    node: &Node,
    op: &BatchNorm,
    inputs: &[ValueId],
) -> Result<ValueId, GraphError> {
    let &[x, scale, bias, mean, var] = inputs else {
        return Err(GraphError::Invalid(format!("`{}` should have 5 inputs", node.name)));
    };
    let constants = [scale, bias, mean, var].map(|id| graph.as_constant(id));
    let folded = match constants {
        [Some(scale), Some(bias), Some(mean), Some(var)] => {
            per_channel(op, [scale, bias, mean, var], graph.ty(x).rank())
        }
        _ => None,
    };
    let (factor, shift) = match folded {
        Some((factor, shift)) => (
            graph.constant(format!("{}.scale", node.name), factor),
            graph.constant(format!("{}.shift", node.name), shift),
        ),
        None => computed(graph, node, op, [x, scale, bias, mean, var])?,
    };
    let scaled = graph.apply1(&node.name, Op::Binary(BinaryOp::Mul), &[x, factor])?;
    graph.apply1(&node.name, Op::Binary(BinaryOp::Add), &[scaled, shift])
}

/// Factor and shift of shape `[C, 1, ...]` from constants `[scale, bias, mean, var]`, each `[C]`.
fn per_channel(
    op: &BatchNorm,
    [scale, bias, mean, var]: [&Tensor; 4],
    rank: usize,
) -> Option<(Tensor, Tensor)> {
    let mut shape = vec![1; rank.checked_sub(1)?];
    *shape.first_mut()? = scale.len();
    let epsilon = f64::from(op.epsilon);
    let factors: Vec<f64> =
        scale.to_f64().iter().zip(var.to_f64()).map(|(scale, var)| scale / (var + epsilon).sqrt()).collect();
    let shifts = bias.to_f64().into_iter().zip(mean.to_f64()).zip(&factors);
    let shift =
        constant::floats(bias.dtype(), &shape, shifts.map(|((bias, mean), factor)| bias - mean * factor))?;
    Some((constant::floats(scale.dtype(), &shape, factors.iter().copied())?, shift))
}

/// The same, where statistics or parameters are only known at run time.
fn computed(
    graph: &mut Graph,
    node: &Node,
    op: &BatchNorm,
    [x, scale, bias, mean, var]: [ValueId; 5],
) -> Result<(ValueId, ValueId), GraphError> {
    let name = &node.name;
    let dtype = graph.ty(var).dtype;
    let epsilon = constant::floats(dtype, &[], [f64::from(op.epsilon)].into_iter())
        .ok_or_else(|| GraphError::Invalid(format!("`{name}` has a variance of type {dtype}")))?;
    let epsilon = graph.constant(format!("{name}.epsilon"), epsilon);
    let sum = graph.apply1(name, Op::Binary(BinaryOp::Add), &[var, epsilon])?;
    let deviation = graph.apply1(name, Op::Unary(UnaryOp::Sqrt), &[sum])?;
    let factor = graph.apply1(name, Op::Binary(BinaryOp::Div), &[scale, deviation])?;
    let moved = graph.apply1(name, Op::Binary(BinaryOp::Mul), &[mean, factor])?;
    let shift = graph.apply1(name, Op::Binary(BinaryOp::Sub), &[bias, moved])?;
    let mut shape = vec![Dim::from(1); graph.ty(x).rank() - 1];
    shape[0] = graph.ty(x).shape[1].clone();
    let reshape = Op::Reshape(Reshape { shape });
    Ok((graph.apply1(name, reshape.clone(), &[factor])?, graph.apply1(name, reshape, &[shift])?))
}
