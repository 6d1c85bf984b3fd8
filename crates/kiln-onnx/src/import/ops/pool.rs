//! Pooling.

use kiln_graph::functions::normalization::widened;
use kiln_graph::functions::pooling::{self, Numbering};
use kiln_graph::functions::reduce::of_positive;
use kiln_graph::ops::{BinaryOp, Pad, PadMode, Pool, PoolKind, ReduceKind, UnaryOp};
use kiln_graph::{DType, Dim, Op, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use super::conv::{Window, sizes, window};

/// The pooling, and its window with the padding that depends on sizes.
fn pool(cx: &Cx<'_>, x: ValueId, kind: PoolKind) -> Result<(Pool, Window)> {
    let spatial = cx.spatial(x)?;
    let kernel = sizes(cx, "kernel_shape", spatial)?
        .ok_or_else(|| OpError::Invalid("attribute `kernel_shape` is missing".into()))?;
    let window = window(cx, x, kernel)?;
    let ceil_mode = cx.attributes.flag("ceil_mode", false)?;
    let pool = Pool {
        kind,
        kernel: window.kernel.clone(),
        strides: window.strides.clone(),
        dilations: window.dilations.clone(),
        pads: window.pads.clone(),
        ceil_mode,
    };
    Ok((pool, window))
}

/// The second output says which elements were the largest.
pub(crate) fn max_pool(cx: &mut Cx<'_>) -> Outputs {
    let numbering = match cx.attributes.int_or("storage_order", 0)? {
        0 => Numbering::All,
        1 => Numbering::AllColumnMajor,
        other => return invalid(format!("`storage_order` is {other}, but should be 0 or 1")),
    };
    let x = cx.input(0)?;
    let (pool, window) = pool(cx, x, PoolKind::Max)?;
    let indexed = cx.outputs_used.get(1).copied().unwrap_or(false);
    if indexed {
        window.known("indices of the largest elements")?;
    }
    let y = match cx.dtype(x) {
        // Small integers are floating point numbers, too.
        dtype @ (DType::U8 | DType::I8 | DType::U16 | DType::I16) => {
            let wide = cx.cast(x, DType::F32)?;
            let wide = window.padded(cx, wide, f64::NEG_INFINITY)?;
            let y = cx.op(Op::Pool(pool.clone()), &[wide])?;
            cx.cast(y, dtype)?
        }
        _ => {
            let x = window.padded(cx, x, f64::NEG_INFINITY)?;
            cx.op(Op::Pool(pool.clone()), &[x])?
        }
    };
    if !indexed {
        return Ok(vec![y]);
    }
    let indices = pooling::max_pool_indices(&mut cx.formula(), x, y, &pool, numbering)?;
    Ok(vec![y, indices])
}

pub(crate) fn average_pool(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![average(cx, x)?])
}

/// Average pooling of `x` as the node's attributes say.
pub(super) fn average(cx: &mut Cx<'_>, x: ValueId) -> Result<ValueId> {
    let count_include_pad = cx.attributes.flag("count_include_pad", false)?;
    let (pool, window) = pool(cx, x, PoolKind::Average { count_include_pad })?;
    let padded = window.padded(cx, x, 0.0)?;
    let y = cx.op(Op::Pool(pool.clone()), &[padded])?;
    if window.symbolic.is_empty() || count_include_pad {
        return Ok(y);
    }
    // The share of each window that is no padding.
    let one = cx.formula().number_like(1.0, x);
    let mut shape = cx.shape(x);
    shape[..2].fill(1.into());
    let ones = cx.expand(one, shape)?;
    let ones = window.padded(cx, ones, 0.0)?;
    let share = cx.op(Op::Pool(pool), &[ones])?;
    cx.div(y, share)
}

/// The indices are into what the window says the image was; a given `output_shape` may be more.
pub(crate) fn max_unpool(cx: &mut Cx<'_>) -> Outputs {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let spatial = cx.spatial(x)?;
    let kernel = sizes(cx, "kernel_shape", spatial)?
        .ok_or_else(|| OpError::Invalid("attribute `kernel_shape` is missing".into()))?;
    let window = window(cx, x, kernel)?;
    window.known("the places of largest elements")?;
    let shape = cx.shape(x);
    let size = |(i, pooled): (usize, &Dim)| {
        let [before, after] = window.pads[i].map(Dim::from);
        (pooled.clone() - 1.into()) * window.strides[i].into() - before - after + window.kernel[i].into()
    };
    let image: Vec<Dim> = shape[2..].iter().enumerate().map(size).collect();
    let y = pooling::max_unpool(&mut cx.formula(), x, indices, &image, Numbering::All)?;
    if cx.optional(2).is_none() {
        return Ok(vec![y]);
    }
    let (wanted, found) = (cx.dims(2, "output_shape")?, cx.shape(y));
    if wanted.len() != found.len() {
        return invalid(format!("`output_shape` has {} numbers for {}", wanted.len(), cx.ty(y)));
    }
    let more = wanted.into_iter().zip(found).map(|(wanted, found)| (wanted - found).as_const());
    let Some(more) = more.collect::<Option<Vec<i64>>>() else {
        return unsupported("`output_shape` differs from the image by something that is not a number");
    };
    let pads = more.into_iter().map(|more| [0, more]).collect();
    Ok(vec![cx.op(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[y])?])
}

/// The `p`-th root of the sum of `p`-th powers: from the mean over the whole window, padding included.
pub(crate) fn lp_pool(cx: &mut Cx<'_>) -> Outputs {
    let given = cx.input(0)?;
    let x = widened(&mut cx.formula(), given)?;
    // A floating point number in the first version.
    let p = if cx.opset < 2 {
        cx.attributes.float_or("p", 2.0)?.into()
    } else {
        i32::try_from(cx.attributes.int_or("p", 2)?).map_or(0.0, f64::from)
    };
    if !(p > 0.0 && p.is_finite()) {
        return invalid(format!("`p` is {p}, but should be positive"));
    }
    let (pool, window) = pool(cx, x, PoolKind::Average { count_include_pad: true })?;
    let x = window.padded(cx, x, 0.0)?;
    let count: f64 = pool.kernel.iter().filter_map(|n| i32::try_from(*n).ok()).map(f64::from).product();
    let powers = if p == 2.0 {
        cx.mul(x, x)?
    } else {
        let size = cx.unary(UnaryOp::Abs, x)?;
        if p == 1.0 { size } else { cx.with(BinaryOp::Pow, size, p)? }
    };
    let mean = mean_of_whole_windows(cx, powers, pool)?;
    let sum = cx.with(BinaryOp::Mul, mean, count)?;
    let y = of_positive(&mut cx.formula(), sum, |f, sum| match p {
        1.0 => Ok(sum),
        2.0 => f.unary(UnaryOp::Sqrt, sum),
        p => f.with(BinaryOp::Pow, sum, 1.0 / p),
    })?;
    Ok(vec![cx.cast(y, cx.dtype(given))?])
}

/// A last window that extends beyond the padding (`ceil_mode`) is divided by the number of elements within; more
/// padding makes all windows whole.
fn mean_of_whole_windows(cx: &mut Cx<'_>, x: ValueId, mut pool: Pool) -> Result<ValueId> {
    let mean = cx.op(Op::Pool(pool.clone()), &[x])?;
    if !pool.ceil_mode {
        return Ok(mean);
    }
    let (from, to) = (cx.shape(x), cx.shape(mean));
    let mut pads = vec![[0, 0]; from.len()];
    for (i, pad) in pads.iter_mut().skip(2).enumerate() {
        let (Some(size), Some(count)) = (from[i + 2].as_const(), to[i + 2].as_const()) else {
            return unsupported(format!("`ceil_mode` is not supported for {}; bind its sizes", cx.ty(x)));
        };
        let [before, after] = pool.pads[i].map(Dim::from);
        let window = Dim::from(pool.kernel[i] - 1) * pool.dilations[i].into() + 1.into();
        let last = Dim::from(count - 1) * pool.strides[i].into();
        let over = last + window - Dim::from(size) - before - after;
        pad[1] = over.as_const().unwrap_or(0).max(0);
    }
    if pads.iter().all(|pad| *pad == [0, 0]) {
        return Ok(mean);
    }
    let x = cx.op(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[x])?;
    pool.ceil_mode = false;
    let mean = cx.op(Op::Pool(pool), &[x])?;
    if cx.shape(mean) != to {
        return unsupported("`ceil_mode` is not supported for windows that begin in the padding");
    }
    Ok(mean)
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
    global(cx, ReduceKind::MaxFirst)
}
