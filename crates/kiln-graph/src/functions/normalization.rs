//! Normalizations, without the scale and shift that follow most of them.

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Op, Pool, PoolKind, ReduceKind, UnaryOp};
use crate::tensor::DType;

/// A vector `[C]` in the shape `[1, C, 1...]` in which it broadcasts over `[N, C, spatial...]`.
pub fn per_channel(f: &mut Formula<'_>, vector: ValueId, spatial: usize) -> Made {
    let [channels] = &f.shape(vector)[..] else {
        return f.mismatch("per_channel", format!("{} should be one number per channel", f.ty(vector)));
    };
    let ones = std::iter::repeat_n(Dim::from(1), spatial);
    let shape = [1.into(), channels.clone()].into_iter().chain(ones).collect();
    f.reshape(vector, shape)
}

/// 16-bit floats as 32-bit ones, of which there are squares: with 16 bits they overflow from 256 on.
pub fn widened(f: &mut Formula<'_>, x: ValueId) -> Made {
    if f.ty(x).dtype == DType::F16 { f.cast(x, DType::F32) } else { Ok(x) }
}

/// `x - mean` over `axes`, [`widened`].
pub fn centre(f: &mut Formula<'_>, x: ValueId, axes: &[usize]) -> Made {
    let mean = f.reduce(ReduceKind::Mean, x, axes.to_vec(), true)?;
    let (x, mean) = (widened(f, x)?, widened(f, mean)?);
    f.sub(x, mean)
}

/// `(x - mean) / sqrt(variance + epsilon)` over `axes`: layer normalization over the last ones (Ba et al. 2016),
/// instance normalization over the spatial ones (Ulyanov et al. 2016).
pub fn normalize(f: &mut Formula<'_>, x: ValueId, axes: &[usize], epsilon: f64) -> Made {
    Ok(normalized(f, x, axes, epsilon)?.result)
}

/// The normalized axes and the statistics.
#[derive(Clone, Copy, Debug)]
pub struct Normalized {
    /// `(x - mean) / deviation`
    pub result: ValueId,
    /// The mean, with 1 in place of the axes, [`widened`].
    pub mean: ValueId,
    /// `sqrt(variance + epsilon)`, likewise.
    pub deviation: ValueId,
}

/// As [`normalize`], with the statistics.
pub fn normalized(
    f: &mut Formula<'_>,
    x: ValueId,
    axes: &[usize],
    epsilon: f64,
) -> Result<Normalized, GraphError> {
    let dtype = f.ty(x).dtype;
    let mean = f.reduce(ReduceKind::Mean, x, axes.to_vec(), true)?;
    let (x, mean) = (widened(f, x)?, widened(f, mean)?);
    let centred = f.sub(x, mean)?;
    let deviation = root_mean_square(f, centred, axes, epsilon)?;
    let result = f.div(centred, deviation)?;
    let result = f.cast(result, dtype)?;
    Ok(Normalized { result, mean, deviation })
}

/// `sqrt(mean(x^2) + epsilon)` over `axes`, which are kept as 1, [`widened`].
pub fn root_mean_square(f: &mut Formula<'_>, x: ValueId, axes: &[usize], epsilon: f64) -> Made {
    let x = widened(f, x)?;
    let square = f.mul(x, x)?;
    let mean = f.reduce(ReduceKind::Mean, square, axes.to_vec(), true)?;
    let mean = f.with(BinaryOp::Add, mean, epsilon)?;
    f.unary(UnaryOp::Sqrt, mean)
}

/// `x / sqrt(mean(x^2) + epsilon)` over `axes` (Zhang and Sennrich 2019).
pub fn rms_norm(f: &mut Formula<'_>, x: ValueId, axes: &[usize], epsilon: f64) -> Made {
    let size = root_mean_square(f, x, axes, epsilon)?;
    let wide = widened(f, x)?;
    let y = f.div(wide, size)?;
    f.cast(y, f.ty(x).dtype)
}

/// `[N, C, ...]` as `[N, groups, C / groups * ...]`.
pub fn grouped(f: &mut Formula<'_>, x: ValueId, groups: usize) -> Made {
    let shape = f.shape(x);
    let [n, channels, rest @ ..] = &shape[..] else {
        return f.mismatch("group_norm", format!("the input is {}, but should be [N, C, ...]", f.ty(x)));
    };
    let per_group = if groups > 0 { channels.exact_div(&groups.into()) } else { None };
    let Some(per_group) = per_group else {
        let message = format!("{channels} channels cannot be split into {groups} groups");
        return f.mismatch("group_norm", message);
    };
    f.reshape(x, vec![n.clone(), groups.into(), &per_group * &product(rest)])
}

/// Group normalization (Wu and He 2018) of `[N, C, ...]`, in the same shape: mean 0 and variance 1 in each group of
/// `C / groups` channels.
pub fn group_norm(f: &mut Formula<'_>, x: ValueId, groups: usize, epsilon: f64) -> Made {
    let parts = grouped(f, x, groups)?;
    let y = normalize(f, parts, &[2], epsilon)?;
    let shape = f.shape(x);
    f.reshape(y, shape)
}

/// Local response normalization (Krizhevsky et al. 2012) of `[N, C, ...]`: `x / (k + alpha / size * sum)^beta` with
/// the sum of squares over `size` channels: its own, so many before it and so many after it. The sum is a pooling over
/// channels, moved to the place of a spatial dimension.
///
/// An even `size` has no middle. ONNX has `[(size - 1) / 2, size / 2]` channels around, PyTorch
/// `[size / 2, (size - 1) / 2]`.
pub fn local_response_norm(
    f: &mut Formula<'_>,
    x: ValueId,
    around: [usize; 2],
    alpha: f64,
    beta: f64,
    k: f64,
) -> Made {
    let shape = f.shape(x);
    let [n, c, rest @ ..] = &shape[..] else {
        return f.mismatch("local_response_norm", "its input has too few dimensions");
    };
    let [Ok(before), Ok(after)] = around.map(i64::try_from) else {
        return f.mismatch("local_response_norm", format!("{around:?} channels around are too many"));
    };
    let dtype = f.ty(x).dtype;
    let x = widened(f, x)?;
    let square = f.mul(x, x)?;
    let plane = f.reshape(square, vec![n.clone(), Dim::from(1), c.clone(), product(rest)])?;
    let pool = Pool {
        kind: PoolKind::Average { count_include_pad: true },
        kernel: vec![around[0].saturating_add(around[1]).saturating_add(1), 1],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads: vec![[before, after], [0, 0]],
        ceil_mode: false,
    };
    let mean = f.apply(Op::Pool(pool), &[plane])?;
    let mean = f.reshape(mean, shape.clone())?;
    let scaled = f.with(BinaryOp::Mul, mean, alpha)?;
    let base = f.with(BinaryOp::Add, scaled, k)?;
    let divisor = f.with(BinaryOp::Pow, base, beta)?;
    let y = f.div(x, divisor)?;
    f.cast(y, dtype)
}
