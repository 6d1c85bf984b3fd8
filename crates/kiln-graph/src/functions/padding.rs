//! Padding by amounts that depend on sizes.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Concat, Op, Pad, PadMode};

/// `x` with `amounts` of elements `value` before and after each dimension; negative numbers crop. Amounts that are symbols
/// are assumed not to be negative.
pub fn pad(f: &mut Formula<'_>, x: ValueId, amounts: &[[Dim; 2]], value: f64) -> Made {
    let mut x = x;
    let fixed = |dim: &Dim| dim.as_const().unwrap_or(0);
    let pads: Vec<[i64; 2]> = amounts.iter().map(|[before, after]| [fixed(before), fixed(after)]).collect();
    if pads.iter().any(|pads| *pads != [0, 0]) {
        let mode = PadMode::Constant(value as f32);
        x = f.apply(Op::Pad(Pad { pads, mode }), &[x])?;
    }
    for (axis, [before, after]) in amounts.iter().enumerate() {
        let parts = [part(f, x, axis, before, value)?, Some(x), part(f, x, axis, after, value)?];
        let parts: Vec<ValueId> = parts.into_iter().flatten().collect();
        if parts.len() > 1 {
            x = f.apply(Op::Concat(Concat { axis }), &parts)?;
        }
    }
    Ok(x)
}

/// The elements of a symbolic amount, as a block beside `x`.
fn part(
    f: &mut Formula<'_>,
    x: ValueId,
    axis: usize,
    amount: &Dim,
    value: f64,
) -> Result<Option<ValueId>, GraphError> {
    if amount.as_const().is_some() {
        return Ok(None);
    }
    if !f.at_least(amount, &0.into()) {
        return f.mismatch("pad", format!("{amount} elements are to be added to axis {axis}"));
    }
    let mut shape = f.shape(x);
    shape[axis] = amount.clone();
    let value = f.number_like(value, x);
    f.expand(value, shape).map(Some)
}
