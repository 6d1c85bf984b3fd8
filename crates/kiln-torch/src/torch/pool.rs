//! Pooling.

use kiln_graph::functions::normalization::widened;
use kiln_graph::functions::pooling::{self, Numbering};
use kiln_graph::functions::reduce::of_positive;
use kiln_graph::ops::{BinaryOp, Concat, Pool, PoolKind, Reduce, ReduceKind, Slice, SliceAxis, UnaryOp};
use kiln_graph::{Dim, Op, ShapeDisplay, ValueId};

use super::window::{both, with_batch};
use super::{Function, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    TF "max_pool1d" ("input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False") => |i, b| with_batch(i, b, 1, None, |i, b| max(i, b, 1)),
    TF "max_pool2d" ("input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False") => |i, b| with_batch(i, b, 2, None, |i, b| max(i, b, 2)),
    TF "max_pool3d" ("input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False") => |i, b| with_batch(i, b, 3, None, |i, b| max(i, b, 3)),
    TF "avg_pool1d" ("input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True") => |i, b| with_batch(i, b, 1, None, |i, b| average(i, b, 1)),
    F "avg_pool2d" ("input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None") => |i, b| with_batch(i, b, 2, None, |i, b| average(i, b, 2)),
    F "avg_pool3d" ("input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None") => |i, b| with_batch(i, b, 3, None, |i, b| average(i, b, 3)),
    TF "adaptive_avg_pool1d" ("input, output_size") => |i, b| with_batch(i, b, 1, None, |i, b| adaptive(i, b, 1, ReduceKind::Mean)),
    F "adaptive_avg_pool2d" ("input, output_size") => |i, b| with_batch(i, b, 2, None, |i, b| adaptive(i, b, 2, ReduceKind::Mean)),
    F "adaptive_avg_pool3d" ("input, output_size") => |i, b| with_batch(i, b, 3, None, |i, b| adaptive(i, b, 3, ReduceKind::Mean)),
    F "adaptive_max_pool1d" ("input, output_size, return_indices=False") => |i, b| with_batch(i, b, 1, None, |i, b| adaptive(i, b, 1, ReduceKind::MaxFirst)),
    F "adaptive_max_pool2d" ("input, output_size, return_indices=False") => |i, b| with_batch(i, b, 2, None, |i, b| adaptive(i, b, 2, ReduceKind::MaxFirst)),
    F "adaptive_max_pool3d" ("input, output_size, return_indices=False") => |i, b| with_batch(i, b, 3, None, |i, b| adaptive(i, b, 3, ReduceKind::MaxFirst)),
    F "max_unpool1d" ("input, indices, kernel_size, stride=None, padding=0, output_size=None") => |i, b| with_batch(i, b, 1, None, |i, b| unpool(i, b, 1)),
    F "max_unpool2d" ("input, indices, kernel_size, stride=None, padding=0, output_size=None") => |i, b| with_batch(i, b, 2, None, |i, b| unpool(i, b, 2)),
    F "max_unpool3d" ("input, indices, kernel_size, stride=None, padding=0, output_size=None") => |i, b| with_batch(i, b, 3, None, |i, b| unpool(i, b, 3)),
    F "lp_pool1d" ("input, norm_type, kernel_size, stride=None, ceil_mode=False") => |i, b| with_batch(i, b, 1, None, |i, b| lp(i, b, 1)),
    F "lp_pool2d" ("input, norm_type, kernel_size, stride=None, ceil_mode=False") => |i, b| with_batch(i, b, 2, None, |i, b| lp(i, b, 2)),
    F "lp_pool3d" ("input, norm_type, kernel_size, stride=None, ceil_mode=False") => |i, b| with_batch(i, b, 3, None, |i, b| lp(i, b, 3)),
};

pub(super) static LAYERS: &[Layer] = layers! {
    "MaxPool1d" ("kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| max(i, b, 1));
    "MaxPool2d" ("kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| max(i, b, 2));
    "MaxPool3d" ("kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| max(i, b, 3));
    "AvgPool1d" ("kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| average(i, b, 1));
    "AvgPool2d" ("kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| average(i, b, 2));
    "AvgPool3d" ("kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| average(i, b, 3));
    "AdaptiveAvgPool1d" ("output_size") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| adaptive(i, b, 1, ReduceKind::Mean));
    "AdaptiveAvgPool2d" ("output_size") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| adaptive(i, b, 2, ReduceKind::Mean));
    "AdaptiveAvgPool3d" ("output_size") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| adaptive(i, b, 3, ReduceKind::Mean));
    "AdaptiveMaxPool1d" ("output_size, return_indices=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| adaptive(i, b, 1, ReduceKind::MaxFirst));
    "AdaptiveMaxPool2d" ("output_size, return_indices=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| adaptive(i, b, 2, ReduceKind::MaxFirst));
    "AdaptiveMaxPool3d" ("output_size, return_indices=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| adaptive(i, b, 3, ReduceKind::MaxFirst));
    "MaxUnpool1d" ("kernel_size, stride=None, padding=0") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| unpool(i, b, 1));
    "MaxUnpool2d" ("kernel_size, stride=None, padding=0") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| unpool(i, b, 2));
    "MaxUnpool3d" ("kernel_size, stride=None, padding=0") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| unpool(i, b, 3));
    "LPPool1d" ("norm_type, kernel_size, stride=None, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 1, None, |i, b| lp(i, b, 1));
    "LPPool2d" ("norm_type, kernel_size, stride=None, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 2, None, |i, b| lp(i, b, 2));
    "LPPool3d" ("norm_type, kernel_size, stride=None, ceil_mode=False") => |_, _, _| Ok(()), |i, b| with_batch(i, b, 3, None, |i, b| lp(i, b, 3));
};

/// A window with its steps, as the arguments say.
fn window(i: &Interpreter, b: &Bound, x: ValueId, spatial: usize, kind: PoolKind) -> Result<Pool> {
    let shape = i.image(b, x, spatial)?;
    let kernel = b.counts("kernel_size", spatial)?;
    let strides = if b.is_none("stride") { kernel.clone() } else { b.counts("stride", spatial)? };
    let dilations =
        if b.given("dilation").is_some() { b.counts("dilation", spatial)? } else { vec![1; spatial] };
    let padding = if b.given("padding").is_some() { b.sizes("padding", spatial)? } else { vec![0; spatial] };
    for (axis, pad) in padding.iter().enumerate() {
        // PyTorch's own rule: else a window could contain padding only.
        if *pad < 0 || pad.saturating_mul(2) > i64::try_from(kernel[axis]).unwrap_or(i64::MAX) {
            return Err(b.wrong("padding", "at most half of the kernel's size"));
        }
        let size = &shape[axis + 2];
        let padded = size.clone() + Dim::from(pad.saturating_mul(2));
        let reach = dilations[axis].saturating_mul(kernel[axis] - 1).saturating_add(1);
        if padded.as_const().is_some_and(|p| usize::try_from(p).is_ok_and(|p| p < reach)) {
            return Err(Fault::value(format!(
                "{}: the window covers {reach} pixels, but `{}` delivers {size} ({})",
                b.callee,
                i.maker(x),
                ShapeDisplay(&shape)
            ))
            .help("fewer poolings before, or a larger `--input`, would fit"));
        }
    }
    let ceil_mode = b.bool("ceil_mode")?;
    Ok(Pool { kind, kernel, strides, dilations, pads: both(&padding), ceil_mode })
}

fn max(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let pool = window(i, b, x, spatial, PoolKind::Max)?;
    let y = i.op(Op::Pool(pool.clone()), &[x])?;
    if !b.bool("return_indices")? {
        return Ok(Value::tensor(y));
    }
    let indices = pooling::max_pool_indices(&mut i.formula(), x, y, &pool, Numbering::Plane)?;
    Ok(Value::tuple([Value::tensor(y), Value::tensor(indices)]))
}

/// What was the largest goes back to where it was; all else is zero.
fn unpool(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let (x, indices) = (i.tensor(b, "input")?, i.tensor(b, "indices")?);
    let shape = i.image(b, x, spatial)?;
    if i.shape(indices) != shape {
        let found = i.shape(indices);
        return Err(Fault::value(format!(
            "{}: `indices` is {}, but `input` is {}",
            b.callee,
            ShapeDisplay(&found),
            ShapeDisplay(&shape)
        )));
    }
    let kernel = b.counts("kernel_size", spatial)?;
    let strides = if b.is_none("stride") { kernel.clone() } else { b.counts("stride", spatial)? };
    let padding = b.sizes("padding", spatial)?;
    let size = |(axis, pooled): (usize, &Dim)| {
        let covered = (pooled.clone() - 1.into()) * strides[axis].into();
        covered + kernel[axis].into() - Dim::from(padding[axis].saturating_mul(2))
    };
    let mut image: Vec<Dim> = shape[2..].iter().enumerate().map(size).collect();
    if !b.is_none("output_size") {
        let sizes = i.items(&b.get("output_size"))?;
        // With batch and channels, or without.
        let sizes = sizes.get(sizes.len().saturating_sub(spatial)..).unwrap_or_default();
        let sizes = sizes.iter().map(Value::as_dim).collect::<Option<Vec<Dim>>>();
        let near = |(axis, size): (usize, &Dim)| {
            let more = (size.clone() - image[axis].clone()).as_const().map(i64::unsigned_abs);
            more.is_some_and(|more| usize::try_from(more).is_ok_and(|more| more < strides[axis]))
        };
        image = sizes
            .filter(|sizes| sizes.len() == spatial && sizes.iter().enumerate().all(near))
            .ok_or_else(|| b.wrong("output_size", "a size that is pooled to that of the input"))?;
    }
    Ok(Value::tensor(pooling::max_unpool(&mut i.formula(), x, indices, &image, Numbering::Plane)?))
}

fn average(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    if b.is_none("divisor_override") {
        let kind = PoolKind::Average { count_include_pad: b.bool("count_include_pad")? };
        let pool = window(i, b, x, spatial, kind)?;
        return Ok(Value::tensor(i.op(Op::Pool(pool), &[x])?));
    }
    if b.bool("ceil_mode")? {
        return Err(Fault::unsupported(format!(
            "{}: `divisor_override` is not supported with `ceil_mode=True`",
            b.callee
        )));
    }
    let divisor = b.float("divisor_override")?;
    if divisor == 0.0 {
        return Err(b.wrong("divisor_override", "other than zero"));
    }
    let pool = window(i, b, x, spatial, PoolKind::Average { count_include_pad: true })?;
    let count = elements(&pool);
    let mut f = i.formula();
    let mean = f.apply(Op::Pool(pool), &[x])?;
    Ok(Value::tensor(f.with(BinaryOp::Mul, mean, count / divisor)?))
}

/// How many elements are in a window.
#[allow(clippy::as_conversions, reason = "a window's size is small")]
fn elements(pool: &Pool) -> f64 {
    pool.kernel.iter().fold(1usize, |n, k| n.saturating_mul(*k)) as f64
}

/// `sum(x^p)^(1/p)` over windows; PyTorch takes powers of `x` itself, and no root of what is negative.
fn lp(i: &mut Interpreter, b: &Bound, spatial: usize) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let p = b.float("norm_type")?;
    if !(p > 0.0 && p.is_finite()) {
        return Err(b.wrong("norm_type", "a positive number"));
    }
    let pool = window(i, b, x, spatial, PoolKind::Average { count_include_pad: true })?;
    let count = elements(&pool);
    let mut f = i.formula();
    let dtype = f.ty(x).dtype;
    let x = widened(&mut f, x)?;
    let powers = match p {
        1.0 => x,
        2.0 => f.mul(x, x)?,
        p => f.with(BinaryOp::Pow, x, p)?,
    };
    let mean = f.apply(Op::Pool(pool), &[powers])?;
    let sum = f.with(BinaryOp::Mul, mean, count)?;
    // Where the sum is zero so is the gradient, also for `p = 1`. Of a negative sum the size is taken and its sign
    // given back.
    let y = of_positive(&mut f, sum, |f, sum| match p {
        1.0 => Ok(sum),
        2.0 => f.unary(UnaryOp::Sqrt, sum),
        p => {
            let sign = f.unary(UnaryOp::Sign, sum)?;
            let size = f.unary(UnaryOp::Abs, sum)?;
            let signed = f.mul(sign, size)?;
            f.with(BinaryOp::Pow, signed, 1.0 / p)
        }
    })?;
    Ok(Value::tensor(f.cast(y, dtype)?))
}

/// As many windows as asked for, over `floor(k * in / out)` to `ceil((k + 1) * in / out)`; a rectangle's mean is the mean
/// of its rows' means, so each dimension is pooled in turn where windows differ.
fn adaptive(i: &mut Interpreter, b: &Bound, spatial: usize, kind: ReduceKind) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.image(b, x, spatial)?;
    let sizes = output_sizes(i, b, &shape, spatial)?;
    if b.given("return_indices").is_some_and(|v| matches!(v, Value::Bool(true))) {
        return Err(Fault::unsupported(format!("{}: `return_indices=True` is not supported", b.callee)));
    }
    adaptively(i, b, x, sizes, kind)
}

/// To the spatial sizes `sizes`.
pub(super) fn adaptively(
    i: &mut Interpreter,
    b: &Bound,
    x: ValueId,
    sizes: Vec<Dim>,
    kind: ReduceKind,
) -> Result<Value> {
    let shape = i.shape(x);
    let spatial = sizes.len();
    if sizes.iter().all(|size| size.is(1)) {
        let op = Reduce { kind, axes: (2..2 + spatial).collect(), keep_dims: true };
        return Ok(Value::tensor(i.op(Op::Reduce(op), &[x])?));
    }
    if shape[2..] == sizes[..] {
        return Ok(Value::tensor(x));
    }
    let known = |dims: &[Dim]| dims.iter().map(Dim::as_usize).collect::<Option<Vec<usize>>>();
    let (Some(from), Some(to)) = (known(&shape[2..]), known(&sizes)) else {
        return Err(Fault::unsupported(format!(
            "{}: pooling {} to {} needs numbers for height and width",
            b.callee,
            ShapeDisplay(&shape),
            ShapeDisplay(&sizes)
        ))
        .help("`--dim H=224 --dim W=224` gives them"));
    };
    if from.iter().zip(&to).all(|(from, to)| from % to == 0) {
        let kernel: Vec<usize> = from.iter().zip(&to).map(|(from, to)| from / to).collect();
        let kind = match kind {
            ReduceKind::MaxFirst => PoolKind::Max,
            _ => PoolKind::Average { count_include_pad: false },
        };
        return Ok(Value::tensor(i.op(Op::Pool(Pool::new(kind, kernel)), &[x])?));
    }
    let mut y = x;
    // The last axis first, so that of equal elements the first in the order of memory has the gradient.
    for (axis, (from, to)) in from.into_iter().zip(to).enumerate().filter(|(_, (from, to))| from != to).rev()
    {
        y = adaptive_axis(i, y, axis + 2, [from, to], kind)?;
    }
    Ok(Value::tensor(y))
}

fn adaptive_axis(
    i: &mut Interpreter,
    x: ValueId,
    axis: usize,
    [from, to]: [usize; 2],
    kind: ReduceKind,
) -> Result<ValueId> {
    let mut parts = vec![];
    for k in 0..to {
        let (start, end) = (k * from / to, ((k + 1) * from).div_ceil(to));
        let cut = SliceAxis { axis, start: start.into(), length: (end - start).into(), step: 1 };
        let part = i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])?;
        let op = Reduce { kind, axes: vec![axis], keep_dims: true };
        parts.push(if end - start == 1 { part } else { i.op(Op::Reduce(op), &[part])? });
    }
    i.op(Op::Concat(Concat { axis }), &parts)
}

/// The sizes asked for; `None` keeps what is there.
fn output_sizes(i: &mut Interpreter, b: &Bound, shape: &[Dim], spatial: usize) -> Result<Vec<Dim>> {
    let value = b.get("output_size");
    let items = match &value {
        Value::Tuple(_) | Value::List(_) => i.items(&value)?,
        other => vec![other.clone(); spatial],
    };
    if items.len() != spatial {
        return Err(b.wrong("output_size", &format!("{spatial} integers")));
    }
    let size = |(axis, item): (usize, &Value)| match item {
        Value::None => Ok(shape[axis + 2].clone()),
        // Each window becomes a node or two if windows differ.
        item => item
            .as_int()
            .filter(|n| (1..=1024).contains(n))
            .map(Dim::from)
            .ok_or_else(|| b.wrong("output_size", "positive integers")),
    };
    items.iter().enumerate().map(size).collect()
}
