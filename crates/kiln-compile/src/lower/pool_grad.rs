//! Gradients of pooling.

use kiln_graph::ops::{PoolGrad, PoolKind};
use kiln_graph::{Dim, NodeId, product};

use super::anchor::{launch, launch_on, tail};
use super::context::Context;
use super::conv::{self, MAX_ITERATIONS, per_axis, three};
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;

/// Lowers the gradient of a pooling with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &PoolGrad) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (inputs, anchor) = (graph.node(node).inputs.clone(), graph.node(node).outputs[0]);
    let (x_shape, y_shape) = (graph.ty(anchor).shape.clone(), graph.ty(inputs[0]).shape.clone());
    let pool = &op.pool;
    let window = i64::try_from(pool.kernel.iter().product::<usize>()).unwrap_or(i64::MAX);
    let max = pool.kind == PoolKind::Max;
    let windows = (0..pool.kernel.len())
        .map(|axis| Dim::from((pool.kernel[axis] - 1) * pool.dilations[axis] / pool.strides[axis] + 1))
        .collect::<Vec<_>>();
    let apart = max
        && windows.iter().all(|count| count.is(1))
        && pool.dilations.iter().all(|d| *d == 1)
        && pool.pads.iter().all(|pads| pads[0] == 0);
    // All windows that a place is in; for the largest, all places of each.
    let looked_at = windows.iter().fold(1i64, |all, count| all.saturating_mul(ctx.largest(count)));
    let iterations = match (apart, max) {
        (true, _) => window.saturating_mul(2),
        (false, true) => looked_at.saturating_mul(window.saturating_add(1)),
        (false, false) => looked_at,
    };
    if iterations > MAX_ITERATIONS {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: format!("has windows of {window} elements, too many for the kernel of its gradient"),
        });
    }
    let mut params = Params::default();
    let mut operands = Vec::new();
    for (name, id) in ["dy", "x"].into_iter().zip(&inputs) {
        let rows = ctx.rows(*id)?;
        rows.vectors_as(name, &mut params);
        operands.push(rows.storage);
    }
    let mut tail = tail(ctx, group, anchor, &channels_last(x_shape.len()), &operands)?;
    tail.finished.used.push("is_nan");
    conv::window(&mut params, [&x_shape, &y_shape], &pool.kernel, &pool.strides, &pool.dilations);
    conv::padding(&mut params, "pad", &pool.pads, 0);
    conv::padding(&mut params, "end", &pool.pads, 1);
    let flops = product(&y_shape) * window.into();
    if apart {
        let count = &product(y_shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim))
            * &tail.space.inner();
        params.uint("windows", count.clone());
        let grid = ctx.grid(&count);
        let holes = minijinja::context! {};
        let (template, kernel) = ("pool_grad_blocks", "max_pool_grad_blocks");
        return launch_on(ctx, group, tail, template, kernel, &operands, params, holes, flops, grid);
    }
    per_axis(&mut params, "windows", &three(&windows, 1.into()));
    let include_pad = pool.kind == PoolKind::Average { count_include_pad: true };
    let holes = minijinja::context! { max, include_pad };
    let kernel = if max { "max_pool_grad" } else { "avg_pool_grad" };
    launch(ctx, group, tail, "pool_grad", kernel, &operands, params, holes, flops)
}
