//! Pooling.

use kiln_graph::ops::{Pool, PoolKind};
use kiln_graph::{Dim, NodeId, product};

use super::anchor::{launch, tail};
use super::context::Context;
use super::conv::{MAX_ITERATIONS, per_axis, three};
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;

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
    let spatial = |v: &[usize]| three(&v.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>(), 1.into());
    per_axis(&mut params, "in", &three(&x_shape[2..], 1.into()));
    per_axis(&mut params, "out", &three(&out_shape[2..], 1.into()));
    per_axis(&mut params, "kernel", &spatial(&pool.kernel));
    per_axis(&mut params, "stride", &spatial(&pool.strides));
    per_axis(&mut params, "dilation", &spatial(&pool.dilations));
    for (name, side) in [("pad", 0), ("end", 1)] {
        let pads: Vec<Dim> = pool.pads.iter().map(|p| p[side].into()).collect();
        per_axis(&mut params, name, &three(&pads, 0.into()));
    }
    let (max, include_pad) = match pool.kind {
        PoolKind::Max => (true, false),
        PoolKind::Average { count_include_pad } => (false, count_include_pad),
    };
    let flops = product(&out_shape) * window.into();
    let kernel = if max { "max_pool" } else { "avg_pool" };
    let holes = minijinja::context! { max, include_pad };
    launch(ctx, group, tail, "pool", kernel, &operands, params, holes, flops)
}
