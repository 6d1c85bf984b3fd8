//! Large windows of pooling, axis by axis.
//!
//! ```text
//! before: y = avg_pool(x) kernel=[320, 256]      x of 320 by 256
//! after:  y = reduce_mean(x) axes=[2, 3] keep_dims
//!
//! before: y = max_pool(x) kernel=[100, 90] strides=[10, 10]
//! after:  t = max_pool(x) kernel=[1, 90] strides=[1, 10]
//!         y = max_pool(t) kernel=[100, 1] strides=[10, 1]
//! ```
//!
//! A window over two axes reads the product of its sizes, two windows over one axis each their sum. How many elements an
//! average divides by is such a product, too, padding included or not. The gradients of averages follow the same way.

use kiln_graph::ops::{Pool, PoolGrad, PoolKind, Reduce, ReduceKind};
use kiln_graph::{Dim, Formula, Graph, GraphError, Node, Op, Rewriter, ValueId};

/// Windows of up to so many elements stay as they are.
const SMALL: usize = 1024;

/// Rewrites poolings with large windows.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let new = if let Op::Pool(op) = &node.op
            && is_large(op)
        {
            let inputs = rewriter.inputs(id)?;
            pool(&mut rewriter.graph, node, op, &inputs)?
        } else if let Op::PoolGrad(op) = &node.op
            && is_large(&op.pool)
            && op.pool.kind != PoolKind::Max
        {
            let inputs = rewriter.inputs(id)?;
            average_grad(&mut rewriter.graph, node, op, &inputs)?
        } else {
            None
        };
        match new {
            Some(new) => rewriter.map(node.outputs[0], new),
            None => rewriter.copy(id)?,
        }
    }
    rewriter.finish()
}

fn is_large(pool: &Pool) -> bool {
    pool.kernel.iter().fold(1usize, |all, size| all.saturating_mul(*size)) > SMALL
}

/// Whether there is one window, which is all of the input.
fn is_global(pool: &Pool, shape: &[Dim]) -> bool {
    (0..pool.kernel.len()).all(|axis| {
        let size = pool.kernel[axis];
        shape[axis + 2].as_usize() == Some(size)
            && pool.pads[axis] == [0, 0]
            && (size == 1 || pool.dilations[axis] == 1)
    })
}

/// The window along one axis.
fn along(pool: &Pool, axis: usize) -> Pool {
    let mut line = Pool::new(pool.kind, vec![1; pool.kernel.len()]);
    line.ceil_mode = pool.ceil_mode;
    line.kernel[axis] = pool.kernel[axis];
    line.strides[axis] = pool.strides[axis];
    line.dilations[axis] = pool.dilations[axis];
    line.pads[axis] = pool.pads[axis];
    line
}

/// The axes along which something happens; one would be the pooling itself.
fn axes(pool: &Pool) -> Option<Vec<usize>> {
    let moves = |axis: &usize| along(pool, *axis) != Pool { ceil_mode: pool.ceil_mode, ..unmoved(pool) };
    let axes: Vec<usize> = (0..pool.kernel.len()).rev().filter(moves).collect();
    (axes.len() > 1).then_some(axes)
}

fn unmoved(pool: &Pool) -> Pool {
    Pool::new(pool.kind, vec![1; pool.kernel.len()])
}

fn pool(
    graph: &mut Graph,
    node: &Node,
    pool: &Pool,
    inputs: &[ValueId],
) -> Result<Option<ValueId>, GraphError> {
    let [x] = inputs[..] else { return Ok(None) };
    let global = is_global(pool, &graph.ty(x).shape);
    let mut f = Formula::new(graph, &node.name);
    if global {
        let kind = if pool.kind == PoolKind::Max { ReduceKind::Max } else { ReduceKind::Mean };
        let axes = (2..pool.kernel.len() + 2).collect();
        return f.apply(Op::Reduce(Reduce { kind, axes, keep_dims: true }), &[x]).map(Some);
    }
    let Some(axes) = axes(pool) else { return Ok(None) };
    let mut y = x;
    for axis in axes {
        y = f.apply(Op::Pool(along(pool, axis)), &[y])?;
    }
    Ok(Some(y))
}

fn average_grad(
    graph: &mut Graph,
    node: &Node,
    op: &PoolGrad,
    inputs: &[ValueId],
) -> Result<Option<ValueId>, GraphError> {
    let [dy] = inputs[..] else { return Ok(None) };
    let pool = &op.pool;
    if is_global(pool, &op.shape) {
        let mut f = Formula::new(graph, &node.name);
        let count = pool.kernel.iter().product::<usize>();
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let count = f.number_like(count as f64, dy);
        let share = f.div(dy, count)?;
        return f.expand(share, op.shape.clone()).map(Some);
    }
    let Some(axes) = axes(pool) else { return Ok(None) };
    // What each step of the forward pass reads.
    let mut shapes = vec![op.shape.clone()];
    for axis in &axes {
        let mut shape = shapes[shapes.len() - 1].clone();
        shape[axis + 2] = graph.ty(dy).shape[axis + 2].clone();
        shapes.push(shape);
    }
    let mut f = Formula::new(graph, &node.name);
    let mut dx = dy;
    for (axis, shape) in axes.into_iter().zip(shapes).rev() {
        dx = f.apply(Op::PoolGrad(PoolGrad { pool: along(pool, axis), shape }), &[dx])?;
    }
    Ok(Some(dx))
}
