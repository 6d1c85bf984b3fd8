//! From fused groups to launches of kernels.
//!
//! Groups are lowered in the order they run. Each decides which layout it wants its operands in and which it leaves
//! its result in; [`Context::version`](context::Context::version) finds or makes the former. Elementwise parts are
//! compiled by [`expression`] whatever the anchor is, so an epilogue works the same everywhere.

mod anchor;
pub mod context;
mod conv;
mod conv_grad;
mod destination;
mod elementwise;
mod expression;
mod integers;
pub mod kernel;
mod matmul;
mod movement;
mod operand;
mod pack;
mod pool;
mod pool_grad;
mod random;
mod reduce;
mod reduce_columns;
mod resize;
mod rows;
mod tile;

use kiln_graph::{Bindings, Graph, Op};

use crate::error::CompileError;
use crate::fuse::{Fusion, Group};
use crate::layout::row_major;
use crate::target::Target;
use context::Context;

/// Lowers all groups of a frozen graph, and leaves every output dense.
pub fn lower<'a>(
    graph: &'a Graph,
    fusion: &Fusion,
    target: &'a Target,
    max: &'a Bindings,
) -> Result<(Context<'a>, Vec<usize>), CompileError> {
    let mut ctx = Context::new(graph, target, max, fusion)?;
    for (n, group) in fusion.groups.iter().enumerate() {
        ctx.group = n;
        lower_group(&mut ctx, group)?;
    }
    let outputs = graph
        .outputs()
        .iter()
        .map(|output| ctx.version(output.value, &row_major(graph.ty(output.value).rank(), 1)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((ctx, outputs))
}

fn lower_group(ctx: &mut Context<'_>, group: &Group) -> Result<(), CompileError> {
    let Some(node) = group.anchor else {
        return elementwise::lower(ctx, group);
    };
    let graph = ctx.graph;
    let refuse = |message: String| Err(CompileError::Unsupported { node: group.name.clone(), message });
    match &graph.node(node).op {
        Op::Conv(op) => conv::lower(ctx, group, node, op),
        Op::Pool(op) => pool::lower(ctx, group, node, op),
        Op::MatMul(op) if conv_grad::is_outer(graph, node, op) => conv_grad::lower_product(ctx, group, node),
        Op::MatMul(op) => matmul::lower(ctx, group, node, op),
        Op::Reduce(op) => reduce::lower(ctx, group, node, op),
        Op::ArgReduce(op) => reduce::lower_arg(ctx, group, node, op),
        Op::Softmax(op) => reduce::lower_softmax(ctx, group, node, op),
        Op::Resize(op) => resize::lower(ctx, group, node, op),
        Op::Reshape(_) => movement::reshape(ctx, node),
        Op::Transpose(op) => movement::transpose(ctx, node, &op.perm),
        Op::Slice(op) => movement::slice(ctx, node, op),
        Op::Expand(_) => movement::expand(ctx, node),
        Op::Concat(op) => movement::concat(ctx, group, node, op),
        Op::Pad(op) => movement::pad(ctx, group, node, op),
        Op::Gather(op) => movement::gather(ctx, group, node, op),
        Op::GatherElements(op) => movement::gather_elements(ctx, group, node, op),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => elementwise::lower(ctx, group),
        Op::BatchNorm(_) => refuse("should have been written as arithmetic by the pass `decompose`".into()),
        Op::ShapeOf(op) => integers::shape_of(ctx, group, node, op),
        Op::Iota(op) => integers::iota(ctx, node, op),
        Op::Size(_) => elementwise::lower_size(ctx, group, node),
        Op::Random(op) => random::lower(ctx, group, node, op),
        Op::ConvGradWeight(op) => conv_grad::lower(ctx, group, node, op),
        Op::PoolGrad(op) => pool_grad::lower(ctx, group, node, op),
        Op::Dropout(_) => refuse("should have been removed by the pass `identity`".into()),
    }
}
