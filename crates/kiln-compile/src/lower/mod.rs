//! From fused groups to launches of kernels.
//!
//! Groups are lowered in the order they run. Each decides which layout it wants its operands in and which it leaves
//! its result in; [`Context::version`](context::Context::version) finds or makes the former. Elementwise parts are
//! compiled by [`expression`] whatever the anchor is, so an epilogue works the same everywhere.

mod anchor;
mod arg_reduce;
mod arithmetic;
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
mod scatter;
mod softmax;
mod sort;
pub mod states;
mod tile;
mod unfold;
mod update;

use std::sync::Arc;

use kiln_graph::{Bindings, DType, Graph, NodeId, Op};

use crate::error::CompileError;
use crate::fuse::{Fusion, Group};
use crate::layout::row_major;
use crate::shader::Shaders;
use crate::target::Target;
use context::{Context, Memory, Placed, StorageId};
use kernel::Launch;
use states::States;

/// Lowers all groups of a graph, leaves every output dense, and brings new states to the place of the old ones.
pub fn lower(
    name: &str,
    graph: &Graph,
    fusion: &Fusion,
    target: &Target,
    max: &Bindings,
    shaders: &mut Shaders,
    states: &States,
) -> Result<Lowered, CompileError> {
    let held = integers::held(graph, max);
    let (seen, graph) = (graph, &held);
    let mut ctx = Context::new(graph, seen, target, max, fusion, shaders, states)?;
    for (n, group) in fusion.groups.iter().enumerate() {
        ctx.group = n;
        lower_group(&mut ctx, group)?;
    }
    let mut outputs = graph
        .outputs()
        .iter()
        .map(|output| ctx.version(output.value, &row_major(graph.ty(output.value).rank(), 1)))
        .collect::<Result<Vec<_>, _>>()?;
    update::states(&mut ctx, &mut outputs)?;
    let inputs = graph.inputs().iter().filter_map(|id| ctx.versions(*id).first().copied()).collect();
    let names = graph.outputs().iter().map(|output| output.name.clone());
    Ok(Lowered {
        name: name.into(),
        symbols: graph.symbols(),
        inputs,
        outputs: names.zip(outputs).collect(),
        memory: ctx.memory,
        placed: ctx.placed,
        launches: ctx.launches,
    })
}

/// A program as launches of kernels on memory that has no place yet.
pub struct Lowered {
    /// The program's name.
    pub name: String,
    /// The symbols of its graph.
    pub symbols: Vec<Arc<str>>,
    /// The tensors that are given, by their place in `placed`.
    pub inputs: Vec<usize>,
    /// The results by name, and their places in `placed`.
    pub outputs: Vec<(String, usize)>,
    /// All memory.
    pub memory: Vec<Memory>,
    /// All tensors.
    pub placed: Vec<Placed>,
    /// Launches in order.
    pub launches: Vec<Launch>,
}

impl Lowered {
    /// The memory that is used, in order of first use, with repetitions.
    pub fn used(&self) -> impl Iterator<Item = StorageId> {
        let bound = self.launches.iter().flat_map(|launch| &launch.bindings).map(|(storage, _)| *storage);
        bound.chain(self.outputs.iter().map(|(_, placed)| self.placed[*placed].storage))
    }
}

/// Refuses a node whose kernels are written for 32-bit floats, where its operands have 64.
fn doubles(ctx: &Context<'_>, node: NodeId) -> Result<(), CompileError> {
    let node = ctx.graph.node(node);
    let double = node.inputs.iter().find(|id| ctx.graph.ty(**id).dtype == DType::F64);
    match (&node.op, double) {
        (
            Op::Conv(_)
            | Op::Pool(_)
            | Op::MatMul(_)
            | Op::Softmax(_)
            | Op::Resize(_)
            | Op::ConvGradWeight(_)
            | Op::PoolGrad(_),
            Some(id),
        ) => Err(ctx.no_such_type(*id)),
        _ => Ok(()),
    }
}

fn lower_group(ctx: &mut Context<'_>, group: &Group) -> Result<(), CompileError> {
    let Some(node) = group.anchor else {
        return elementwise::lower(ctx, group);
    };
    let graph = ctx.graph;
    doubles(ctx, node)?;
    let refuse = |message: String| Err(CompileError::Unsupported { node: group.name.clone(), message });
    match &graph.node(node).op {
        Op::Conv(op) => conv::lower(ctx, group, node, op),
        Op::Pool(op) => pool::lower(ctx, group, node, op),
        Op::MatMul(op) if conv_grad::is_outer(graph, node, op) => conv_grad::lower_product(ctx, group, node),
        Op::MatMul(op) => matmul::lower(ctx, group, node, op),
        Op::Reduce(op) => reduce::lower(ctx, group, node, op),
        Op::ArgReduce(op) => arg_reduce::lower(ctx, group, node, op),
        Op::Softmax(op) => softmax::lower(ctx, group, node, op),
        Op::Scatter(op) => scatter::lower(ctx, group, node, op),
        Op::ArgSort(op) => sort::lower(ctx, group, node, op),
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
        Op::Dropout(_) | Op::StopGradient => refuse("should have been removed by the pass `identity`".into()),
    }
}
