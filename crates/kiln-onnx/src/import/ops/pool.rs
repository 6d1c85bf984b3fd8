//! Pooling.

use kiln_graph::ops::{BinaryOp, Pool, PoolKind, ReduceKind, UnaryOp};
use kiln_graph::{Op, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, unsupported};
use super::conv::{sizes, window};

fn pool(cx: &mut Cx<'_>, x: ValueId, kind: PoolKind) -> Result<ValueId> {
    let spatial = cx.spatial(x)?;
    let kernel = sizes(cx, "kernel_shape", spatial)?
        .ok_or_else(|| OpError::Invalid("attribute `kernel_shape` is missing".into()))?;
    let window = window(cx, x, kernel)?;
    let ceil_mode = cx.attributes.flag("ceil_mode", false)?;
    let pool = Pool {
        kind,
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads: window.pads,
        ceil_mode,
    };
    cx.op(Op::Pool(pool), &[x])
}

pub(crate) fn max_pool(cx: &mut Cx<'_>) -> Outputs {
    // Says how indices are counted, which are not given.
    cx.attributes.ignore("storage_order");
    let x = cx.input(0)?;
    Ok(vec![pool(cx, x, PoolKind::Max)?])
}

pub(crate) fn average_pool(cx: &mut Cx<'_>) -> Outputs {
    let count_include_pad = cx.attributes.flag("count_include_pad", false)?;
    let x = cx.input(0)?;
    Ok(vec![pool(cx, x, PoolKind::Average { count_include_pad })?])
}

/// The `p`-th root of the sum of `p`-th powers: from the mean over the whole window, padding included.
pub(crate) fn lp_pool(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let p = cx.attributes.int_or("p", 2)?;
    if p != 1 && p != 2 {
        return unsupported(format!("`p` = {p} is not supported; 1 and 2 are"));
    }
    let kernel = cx.attributes.ints("kernel_shape")?.unwrap_or_default();
    let count: f64 = kernel.iter().filter_map(|n| i32::try_from(*n).ok()).map(f64::from).product();
    let powers = if p == 1 { cx.unary(UnaryOp::Abs, x)? } else { cx.mul(x, x)? };
    let mean = pool(cx, powers, PoolKind::Average { count_include_pad: true })?;
    let sum = cx.with(BinaryOp::Mul, mean, count)?;
    Ok(vec![if p == 1 { sum } else { cx.unary(UnaryOp::Sqrt, sum)? }])
}

fn global(cx: &mut Cx<'_>, kind: ReduceKind) -> Outputs {
    let x = cx.input(0)?;
    let spatial = cx.spatial(x)?;
    let axes: Vec<usize> = (2..2 + spatial).collect();
    Ok(vec![cx.reduce(kind, x, &axes, true)?])
}

pub(crate) fn global_average_pool(cx: &mut Cx<'_>) -> Outputs {
    global(cx, ReduceKind::Mean)
}

pub(crate) fn global_max_pool(cx: &mut Cx<'_>) -> Outputs {
    global(cx, ReduceKind::Max)
}
