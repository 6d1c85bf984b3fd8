//! Batch normalization is arithmetic, and so are variances: in inference a multiplication and an addition per channel.
//!
//! ```text
//! before: y = batch_norm(x, scale, bias, mean, var) epsilon=e
//! after:  t = mul(x, s)       s = scale / sqrt(var + e)
//!         y = add(t, b)       b = bias - mean * s
//! ```
//!
//! In training the statistics are those of the batch, and the running ones follow them:
//!
//! ```text
//! before: y, mean', var' = batch_norm(x, scale, bias, mean, var) epsilon=e training momentum=m
//! after:  n = (x - mean(x)) / sqrt(var(x) + e)        y = n * scale + bias
//!         mean' = m * mean + (1 - m) * mean(x)        var' = m * var + (1 - m) * var(x)
//! ```
//!
//! A variance over everything but the channels has a kernel; any other is two means:
//!
//! ```text
//! before: v = reduce_variance(x)
//! after:  m = reduce_mean(x)      d = sub(x, m)      s = mul(d, d)      v = reduce_mean(s)
//! ```
//!
//! All new nodes keep the name of the batch normalization, so a fused kernel is still called `conv1 + bn1 + relu`.

use kiln_graph::functions::reduce;
use kiln_graph::ops::{BatchNorm, Reduce, ReduceKind, UnaryOp};
use kiln_graph::{Dim, Formula, Graph, GraphError, Made, Node, Op, Rewriter, Tensor, ValueId, product};

use super::constant;
use crate::fuse::sums_columns;

/// Writes every [`BatchNorm`], and every variance without a kernel, as arithmetic.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        if let Op::BatchNorm(op) = &node.op {
            let inputs = rewriter.inputs(id)?;
            let outputs = if op.training {
                training(&mut rewriter.graph, node, op, &inputs)?
            } else {
                vec![batch_norm(&mut rewriter.graph, node, op, &inputs)?]
            };
            for (old, new) in node.outputs.iter().zip(outputs) {
                rewriter.map(*old, new);
            }
        } else if let Op::Reduce(op) = &node.op
            && op.kind == ReduceKind::Variance
            && !sums_columns(graph, id, op)
        {
            let inputs = rewriter.inputs(id)?;
            let new = variance(&mut rewriter.graph, node, op, &inputs)?;
            rewriter.map(node.outputs[0], new);
        } else {
            rewriter.copy(id)?;
        }
    }
    rewriter.finish()
}

fn variance(graph: &mut Graph, node: &Node, op: &Reduce, inputs: &[ValueId]) -> Made {
    let &[x] = inputs else {
        return Err(GraphError::Invalid(format!("`{}` should have one input", node.name)));
    };
    let mut f = Formula::new(graph, &node.name);
    reduce::variance(&mut f, x, &op.axes, op.keep_dims, 0.0)
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
    let mut f = Formula::new(graph, &node.name);
    let scaled = f.mul(x, factor)?;
    f.add(scaled, shift)
}

/// The output and the new running mean and variance.
fn training(
    graph: &mut Graph,
    node: &Node,
    op: &BatchNorm,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>, GraphError> {
    let &[x, scale, bias, mean, var] = inputs else {
        return Err(GraphError::Invalid(format!("`{}` should have 5 inputs", node.name)));
    };
    let shape = graph.ty(x).shape.clone();
    let mut line = vec![Dim::from(1); shape.len()];
    line[1] = shape[1].clone();
    let statistics = op.batch_statistics(graph, &node.name, x)?;
    let mut f = Formula::new(graph, &node.name);
    let normal = f.div(statistics.centered, statistics.deviation)?;
    let (scale, bias) = (f.reshape(scale, line.clone())?, f.reshape(bias, line)?);
    let scaled = f.mul(normal, scale)?;
    let y = f.add(scaled, bias)?;
    let mut seen = statistics.var;
    if op.unbiased {
        let others = shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim);
        let count = f.size(product(others))?;
        let one = f.graph.constant("one", Tensor::scalar(1f32));
        let less = f.sub(count, one)?;
        let ratio = f.div(count, less)?;
        seen = f.mul(seen, ratio)?;
    }
    let kept = f.graph.constant("momentum", Tensor::scalar(op.momentum));
    let share = f.graph.constant("momentum", Tensor::scalar(1.0 - op.momentum));
    let mut outputs = vec![y];
    for (old, seen) in [(mean, statistics.mean), (var, seen)] {
        let seen = f.reshape(seen, vec![shape[1].clone()])?;
        let old = f.mul(old, kept)?;
        let new = f.mul(seen, share)?;
        outputs.push(f.add(old, new)?);
    }
    Ok(outputs)
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
    let mut shape = vec![Dim::from(1); graph.ty(x).rank() - 1];
    shape[0] = graph.ty(x).shape[1].clone();
    let mut f = Formula::new(graph, name);
    let sum = f.add(var, epsilon)?;
    let deviation = f.unary(UnaryOp::Sqrt, sum)?;
    let factor = f.div(scale, deviation)?;
    let moved = f.mul(mean, factor)?;
    let shift = f.sub(bias, moved)?;
    Ok((f.reshape(factor, shape.clone())?, f.reshape(shift, shape)?))
}
