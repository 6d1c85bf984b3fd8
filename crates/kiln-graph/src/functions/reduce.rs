//! Reductions that take more than one step.

use super::normalization::{centre, widened};
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{ArgKind, ArgReduce, BinaryOp, Iota, Op, ReduceKind, UnaryOp};

/// `log(sum(exp(x - m))) + m` over `axes` with the largest element `m`, so that nothing overflows; with zero where that
/// is infinite, since infinities have no difference.
pub fn log_sum_exp(f: &mut Formula<'_>, x: ValueId, axes: &[usize], keep_dims: bool) -> Made {
    if axes.is_empty() {
        return Ok(x);
    }
    let largest = f.reduce(ReduceKind::Max, x, axes.to_vec(), true)?;
    let infinite = f.unary(UnaryOp::IsInf, largest)?;
    let zero = f.number_like(0.0, largest);
    let largest = f.select(infinite, zero, largest)?;
    let below = f.sub(x, largest)?;
    let exp = f.unary(UnaryOp::Exp, below)?;
    let sum = f.reduce(ReduceKind::Sum, exp, axes.to_vec(), true)?;
    let log = f.unary(UnaryOp::Log, sum)?;
    let y = f.add(log, largest)?;
    if keep_dims {
        return Ok(y);
    }
    let shape = f.shape(y).into_iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let shape = shape.map(|(_, dim)| dim).collect();
    f.reshape(y, shape)
}

/// The sum of squared deviations from the mean over `axes`, divided by their number `n` less `correction`: 0 for the
/// variance of what is there, 1 for an estimate from a sample (Bessel's correction).
pub fn variance(f: &mut Formula<'_>, x: ValueId, axes: &[usize], keep_dims: bool, correction: f64) -> Made {
    let shape = f.shape(x);
    let count = product(axes.iter().filter_map(|axis| shape.get(*axis)));
    let centred = centre(f, x, axes)?;
    let square = f.mul(centred, centred)?;
    let mean = f.reduce(ReduceKind::Mean, square, axes.to_vec(), keep_dims)?;
    let dtype = f.ty(x).dtype;
    if correction == 0.0 {
        return f.cast(mean, dtype);
    }
    let Some(known) = count.as_const() else {
        let count = f.size(count)?;
        let rest = f.with(BinaryOp::Sub, count, correction)?;
        let factor = f.div(count, rest)?;
        let factor = f.cast(factor, f.ty(mean).dtype)?;
        let estimate = f.mul(mean, factor)?;
        return f.cast(estimate, dtype);
    };
    #[allow(clippy::as_conversions, reason = "numbers of elements are far below 2^53")]
    let known = known as f64;
    if known <= correction {
        let message =
            format!("the variance of {known} elements with a correction of {correction} is not defined");
        return Err(GraphError::Unsuitable(message));
    }
    let estimate = f.with(BinaryOp::Mul, mean, known / (known - correction))?;
    f.cast(estimate, dtype)
}

/// The sum of sizes `|x|` over `axes`.
pub fn l1_norm(f: &mut Formula<'_>, x: ValueId, axes: &[usize], keep_dims: bool) -> Made {
    let size = f.unary(UnaryOp::Abs, x)?;
    f.reduce(ReduceKind::Sum, size, axes.to_vec(), keep_dims)
}

/// The root of `x`, which is not negative, with a gradient of zero at zero, where a root has none that is finite: that
/// of a length or a deviation is zero there (PyTorch).
pub fn root(f: &mut Formula<'_>, x: ValueId) -> Made {
    of_positive(f, x, |f, x| f.unary(UnaryOp::Sqrt, x))
}

/// A function of `x` where that is not zero, else zero, its gradient too.
pub fn of_positive(
    f: &mut Formula<'_>,
    x: ValueId,
    function: impl FnOnce(&mut Formula<'_>, ValueId) -> Made,
) -> Made {
    let (zero, one) = (f.number_like(0.0, x), f.number_like(1.0, x));
    let none = f.binary(BinaryOp::Equal, x, zero)?;
    let some = f.select(none, one, x)?;
    let y = function(f, some)?;
    f.select(none, zero, y)
}

/// `sum(|x|^p)^(1/p)` over `axes`; how many elements are not zero for `p = 0`, the largest size for an infinite `p` and
/// the smallest for `-p`. For other `p` below zero it is zero where an element is, without a gradient, as in PyTorch.
/// Nothing for a `p` that is no number.
pub fn norm(
    f: &mut Formula<'_>,
    x: ValueId,
    p: f64,
    axes: &[usize],
    keep_dims: bool,
) -> Result<Option<ValueId>, GraphError> {
    let dtype = f.ty(x).dtype;
    let y = match p {
        1.0 => l1_norm(f, x, axes, keep_dims)?,
        2.0 => l2_norm(f, x, axes, keep_dims)?,
        0.0 => {
            let zero = f.number_like(0.0, x);
            let is_zero = f.binary(BinaryOp::Equal, x, zero)?;
            let counts = f.unary(UnaryOp::Not, is_zero)?;
            let counts = f.cast(counts, dtype)?;
            f.reduce(ReduceKind::Sum, counts, axes.to_vec(), keep_dims)?
        }
        f64::INFINITY | f64::NEG_INFINITY => {
            let kind = if p > 0.0 { ReduceKind::Max } else { ReduceKind::Min };
            let size = f.unary(UnaryOp::Abs, x)?;
            f.reduce(kind, size, axes.to_vec(), keep_dims)?
        }
        p if p > 0.0 => {
            let size = f.unary(UnaryOp::Abs, x)?;
            let wide = widened(f, size)?;
            let power = |f: &mut Formula<'_>, x: ValueId| f.with(BinaryOp::Pow, x, p);
            // Below 1, powers are infinitely steep at zero.
            let powers = if p < 1.0 { of_positive(f, wide, power)? } else { power(f, wide)? };
            let sum = f.reduce(ReduceKind::Sum, powers, axes.to_vec(), keep_dims)?;
            let norm = of_positive(f, sum, |f, sum| f.with(BinaryOp::Pow, sum, 1.0 / p))?;
            f.cast(norm, dtype)?
        }
        p if p < 0.0 => {
            let size = f.unary(UnaryOp::Abs, x)?;
            let wide = widened(f, size)?;
            let power = |f: &mut Formula<'_>, x: ValueId| f.with(BinaryOp::Pow, x, p);
            let powers = of_positive(f, wide, power)?;
            let sum = f.reduce(ReduceKind::Sum, powers, axes.to_vec(), keep_dims)?;
            let norm = f.with(BinaryOp::Pow, sum, 1.0 / p)?;
            let smallest = f.reduce(ReduceKind::Min, wide, axes.to_vec(), keep_dims)?;
            let zero = f.number_like(0.0, smallest);
            let has_zero = f.binary(BinaryOp::Equal, smallest, zero)?;
            let norm = f.select(has_zero, zero, norm)?;
            f.cast(norm, dtype)?
        }
        _ => return Ok(None),
    };
    Ok(Some(y))
}

/// The root of the sum of squares over `axes`.
pub fn l2_norm(f: &mut Formula<'_>, x: ValueId, axes: &[usize], keep_dims: bool) -> Made {
    let wide = widened(f, x)?;
    let square = f.mul(wide, wide)?;
    let sum = f.reduce(ReduceKind::Sum, square, axes.to_vec(), keep_dims)?;
    let root = root(f, sum)?;
    f.cast(root, f.ty(x).dtype)
}

/// A one where `x` is largest along `axis`, the first of equals, and zeros.
pub fn hard_max(f: &mut Formula<'_>, x: ValueId, axis: usize) -> Made {
    let ty = f.ty(x).clone();
    let Some(size) = ty.shape.get(axis) else {
        return f.mismatch("hard_max", format!("{ty} has no axis {axis}"));
    };
    let best = ArgReduce { kind: ArgKind::Max, axis, keep_dims: true, select_last_index: false };
    let best = f.apply(Op::ArgReduce(best), &[x])?;
    let mut shape = vec![Dim::from(1); ty.rank()];
    shape[axis] = size.clone();
    let dtype = f.ty(best).dtype;
    let place = f.apply(Op::Iota(Iota { dtype, shape, axis }), &[])?;
    let hit = f.binary(BinaryOp::Equal, place, best)?;
    f.cast(hit, ty.dtype)
}
