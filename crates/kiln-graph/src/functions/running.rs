//! Sums and products of all elements up to each.

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, MatMul, Op, Pad, PadMode};
use crate::tensor::{DType, Tensor};

/// Which elements a running sum or product takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Running {
    /// Only those before (or in reverse, behind) its own place.
    pub exclusive: bool,
    /// From the end to the beginning.
    pub reverse: bool,
}

/// The size of `axis`, which has to be a number.
fn length(f: &Formula<'_>, op: &'static str, x: ValueId, axis: usize) -> Result<usize, GraphError> {
    let Some(size) = f.ty(x).shape.get(axis) else {
        return f.mismatch(op, format!("{} has no axis {axis}", f.ty(x)));
    };
    size.as_usize().ok_or_else(|| {
        GraphError::Unsuitable(format!("running along {size} elements; their number has to be known"))
    })
}

/// The sum of all elements up to each along `axis`: a product with a triangle of ones where devices have products of
/// the type and it is not too large, else doubled steps.
pub fn cumulative_sum(f: &mut Formula<'_>, x: ValueId, axis: usize, how: Running) -> Made {
    /// The triangle has this many elements squared.
    const LONGEST: usize = 2048;
    let size = length(f, "cumulative_sum", x, axis)?;
    if size > LONGEST || !matches!(f.ty(x).dtype, DType::F32 | DType::F16) {
        return doubling(f, x, axis, size, how, BinaryOp::Add);
    }
    let shape = f.shape(x);
    let counts = |from: usize, to: usize| {
        let (from, to) = if how.reverse { (to, from) } else { (from, to) };
        if how.exclusive { from < to } else { from <= to }
    };
    let ones = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
    let ones = ones.map(|(from, to)| if counts(from, to) { 1.0 } else { 0.0 }).collect();
    let triangle = f.constant(Tensor::f32([size, size], ones)?);
    let triangle = f.cast(triangle, f.ty(x).dtype)?;
    let last = shape.len() - 1;
    let mut perm: Vec<usize> = (0..=last).collect();
    perm.swap(axis, last);
    let moved = f.transpose(x, perm.clone())?;
    let shape = f.shape(moved);
    let rows = f.reshape(moved, vec![product(&shape[..last]), Dim::from(size)])?;
    let sums = f.matmul(MatMul { transpose_a: false, transpose_b: false }, rows, triangle)?;
    let sums = f.reshape(sums, shape)?;
    f.transpose(sums, perm)
}

/// The product of all elements up to each along `axis`.
pub fn cumulative_product(f: &mut Formula<'_>, x: ValueId, axis: usize, how: Running) -> Made {
    let size = length(f, "cumulative_product", x, axis)?;
    doubling(f, x, axis, size, how, BinaryOp::Mul)
}

/// Each element combined with the one 1, 2, 4, ... places before it, after which it has all before it (Hillis and
/// Steele 1986, "Data Parallel Algorithms").
fn doubling(f: &mut Formula<'_>, x: ValueId, axis: usize, size: usize, how: Running, op: BinaryOp) -> Made {
    let neutral = if op == BinaryOp::Mul { 1.0 } else { 0.0 };
    let rank = f.ty(x).rank();
    let shifted = |f: &mut Formula<'_>, x: ValueId, by: usize| {
        // As many as come in at one end go out at the other.
        let by = i64::try_from(by.min(size)).unwrap_or(i64::MAX);
        let mut pads = vec![[0, 0]; rank];
        pads[axis] = if how.reverse { [-by, by] } else { [by, -by] };
        f.apply(Op::Pad(Pad { pads, mode: PadMode::Constant(neutral) }), &[x])
    };
    let mut y = if how.exclusive { shifted(f, x, 1)? } else { x };
    let mut step = 1;
    while step < size {
        let before = shifted(f, y, step)?;
        y = f.binary(op, y, before)?;
        step *= 2;
    }
    Ok(y)
}
