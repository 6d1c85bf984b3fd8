//! Pooling.

use kiln_graph::ops::{Pool, PoolKind};
use kiln_graph::{NodeId, product};

use super::anchor::{launch, launch_on, tail};
use super::context::Context;
use super::conv::{self, MAX_ITERATIONS, three};
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;

/// Neighbours that share their loads, and the reckoning of where they are.
const RUN: i64 = 4;

/// Width and stride of a window over a plane or a line that is narrow enough for a run of neighbours.
fn run_of(pool: &Pool) -> Option<(usize, usize)> {
    let (width, stride) = (*pool.kernel.last()?, *pool.strides.last()?);
    let plain = pool.kernel.len() <= 2 && pool.dilations.iter().all(|d| *d == 1);
    (plain && width <= 5 && stride <= width && stride <= 3).then_some((width, stride))
}

/// Lowers a pooling with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, pool: &Pool) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, anchor) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let (x_shape, out_shape) = (graph.ty(x).shape.clone(), graph.ty(anchor).shape.clone());
    let layout = channels_last(x_shape.len());
    let window: i64 = i64::try_from(pool.kernel.iter().product::<usize>()).unwrap_or(i64::MAX);
    if window > MAX_ITERATIONS {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: format!("has windows of {window} elements; this kernel handles {MAX_ITERATIONS}"),
        });
    }
    let rows = ctx.rows(x)?;
    let operands = [rows.storage];
    let tail = tail(ctx, group, anchor, &layout, &operands)?;
    let mut params = Params::default();
    rows.vectors(&mut params);
    conv::window(&mut params, [&x_shape, &out_shape], &pool.kernel, &pool.strides, &pool.dilations);
    conv::padding(&mut params, "pad", &pool.pads, 0);
    conv::padding(&mut params, "end", &pool.pads, 1);
    let (max, include_pad) = match pool.kind {
        PoolKind::Max => (true, false),
        PoolKind::Average { count_include_pad } => (false, count_include_pad),
    };
    let flops = product(&out_shape) * window.into();
    let kernel = if max { "max_pool" } else { "avg_pool" };
    if let Some((width, stride)) = run_of(pool) {
        let spatial = three(&out_shape[2..], 1.into());
        let runs_w = spatial[2].ceil_div(RUN);
        let runs = &(&out_shape[0] * &spatial[1]) * &runs_w;
        params.uint("runs", runs.clone());
        params.int("runs_w", runs_w);
        let holes = minijinja::context! { max, include_pad, R => RUN, K => width, S => stride };
        let grid = ctx.grid(&(&runs * &tail.space.inner()));
        let name = format!("{kernel}_{width}_stride_{stride}");
        return launch_on(ctx, group, tail, "pool_run", &name, &operands, params, holes, flops, grid);
    }
    let holes = minijinja::context! { max, include_pad };
    launch(ctx, group, tail, "pool", kernel, &operands, params, holes, flops)
}
