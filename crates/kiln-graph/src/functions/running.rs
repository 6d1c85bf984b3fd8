//! Sums and products of all elements up to each.

use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Op, Pad, PadMode};

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

/// The sum of all elements up to each along `axis`, in doubled steps. A product with a triangle of ones would be a
/// single node, but a zero times what is infinite or not a number is no zero, and would reach what comes before it.
pub fn cumulative_sum(f: &mut Formula<'_>, x: ValueId, axis: usize, how: Running) -> Made {
    let size = length(f, "cumulative_sum", x, axis)?;
    doubling(f, x, axis, size, how, BinaryOp::Add)
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
