//! Sums over everything but the channels, or over everything: in two kernels, so that there is work for all of the
//! device however few results there are. What is summed may be computed on the way (the prologue).

use kiln_graph::ops::Reduce;
use kiln_graph::{Dim, NodeId, product};
use kiln_plan::{Access, Storage};

use super::context::{Contents, Context, View};
use super::elementwise::expression;
use super::expression::Ends;
use super::kernel::{Params, Request};
use super::operand::Space;
use super::reduce::{BLOCK, Walk, combine};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;
use crate::target::Strategy;

/// Most rows of a part.
const LONGEST: i64 = 4096;

/// Lowers a reduction of which [`sums_columns`](crate::fuse::sums_columns) holds, with what comes before and behind it.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Reduce) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, anchor) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    let layout = channels_last(ty.rank());
    let space = Space { width: 4, ..Space::new(&ty.shape, &layout) };
    let inner = space.inner();
    let rows = product(layout.order.iter().rev().skip(1).map(|axis| &ty.shape[*axis]));
    // The prologue is a group of its own, whose value is what is summed.
    let nodes = group.prologue.clone();
    let inputs = if nodes.is_empty() { vec![x] } else { group.prologue_inputs(graph) };
    let before =
        Group { name: group.name.clone(), anchor: None, prologue: vec![], nodes, inputs, outputs: vec![x] };
    let ends = Ends { transient: true, ..Ends::default() };
    let finished = expression(ctx, &before, space, None, &[], ends)?;
    let most = ctx.largest(&rows).max(1);
    let wanted = match ctx.target.strategy {
        Strategy::Broadcast { .. } | Strategy::RegisterTile => 64,
        Strategy::WorkgroupTile => 256,
    };
    // As many parts as rows in a part, until there are enough.
    let parts = most.isqrt().clamp(1, wanted).max(most / LONGEST + 1);
    let mut params = Params::default();
    params.uint("count", &inner * &parts.into());
    params.uint("inner", inner.clone());
    params.uint("rows", rows.clone());
    params.uint("part", if most <= parts { Dim::from(1) } else { rows.ceil_div(parts) });
    let holes = finished.holes();
    let mut bindings = finished.reads;
    let out_binding = bindings.len() + 1;
    let vectors = &inner * &parts.into();
    let name = format!("{} (parts)", group.name);
    let to = ctx.allocate(&name, Storage::F32, &(&vectors * &4.into()), Contents::Activation);
    bindings.push((to, Access::ReadWrite));
    params.extend(finished.params);
    let workgroups = ctx.grid(&vectors);
    ctx.request(Request {
        template: "reduce_columns",
        kernel: format!("{}_columns", op.kind.name()),
        name: &group.name,
        holes: minijinja::context! { out_binding, block => BLOCK, ..holes },
        bindings,
        params,
        workgroups,
        writes: vec![],
        flops: product(&ty.shape) * (1 + before.nodes.len()).into(),
    })?;
    let count = product(op.axes.iter().map(|axis| &ty.shape[*axis]));
    let row = &inner * &4.into();
    let mut loops = vec![(Dim::from(parts), row.clone())];
    let all = op.axes.len() == ty.rank();
    let channel = layout.order.last().copied().unwrap_or(0);
    if all {
        loops = vec![(&row * &parts.into(), 1.into())];
    }
    let kept = |axis: &usize| op.keep_dims || !op.axes.contains(axis);
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(kept)
        .map(|axis| if !all && axis == channel { 1.into() } else { 0.into() })
        .collect();
    let rank = strides.len();
    let order = channels_last_of(rank, strides.iter().position(|s| s.is(1)));
    let view = View { storage: to, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let flops = Dim::from(parts);
    combine(ctx, group, anchor, Walk { view, order, loops, count, kind: op.kind, flops })
}

/// The order of `rank` dimensions with `last` at the end.
fn channels_last_of(rank: usize, last: Option<usize>) -> Vec<usize> {
    (0..rank).filter(|axis| Some(*axis) != last).chain(last).collect()
}
