//! Parts of a tensor, as Python's slices name them.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::SliceAxis;

const NAME: &str = "slice";

/// From here on an index means "to the end": exporters write the largest number of some type.
const BEYOND: i64 = i32::MAX as i64;

/// From here on an index is assumed to mean "to the end", too, as in `x[:1000000000]`.
const LONG: i64 = 1 << 16;

/// `start:end:step` along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    /// The axis.
    pub axis: usize,
    /// The first element; counted from the end if negative.
    pub start: Dim,
    /// The first element that is not taken; counted from the end if negative.
    pub end: Dim,
    /// Distance of elements; negative walks backwards.
    pub step: i64,
}

/// `x[start:end:step, ...]`, where indices are limited to what is there, as in NumPy. Of an axis that is a symbol, `x[:n]` has
/// the smaller of `n` and its size; all other indices are assumed to be in range.
pub fn slice(f: &mut Formula<'_>, x: ValueId, cuts: &[Cut]) -> Made {
    let mut axes = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let Some(size) = f.ty(x).shape.get(cut.axis).cloned() else {
            return f.mismatch(NAME, format!("{} has no axis {}", f.ty(x), cut.axis));
        };
        let taken = taken(f, &size, cut)?;
        if !(taken.start.is(0) && taken.length == size && taken.step == 1) {
            axes.push(taken);
        }
    }
    f.slice(x, axes)
}

fn taken(f: &mut Formula<'_>, size: &Dim, cut: &Cut) -> Result<SliceAxis, GraphError> {
    let step = cut.step;
    if step == 0 {
        return f.mismatch(NAME, "a step is zero");
    }
    let start = bound(f, &cut.start, size, step, true)?;
    let end = bound(f, &cut.end, size, step, false)?;
    let span = if step > 0 { end - start.clone() } else { start.clone() - end };
    let length = span.ceil_div(step.checked_abs().unwrap_or(i64::MAX));
    let length = match length.as_const() {
        Some(number) => number.max(0).into(),
        // Of a slice that is empty for some sizes it is assumed that it is not negative.
        None if f.at_least(&length, &0.into()) => length,
        None => 0.into(),
    };
    let start = if length.is(0) { 0.into() } else { start };
    Ok(SliceAxis { axis: cut.axis, start, length, step })
}

/// An index counted from the front and moved into the range that a walk in the direction of `step` can have.
fn bound(f: &mut Formula<'_>, index: &Dim, size: &Dim, step: i64, is_start: bool) -> Result<Dim, GraphError> {
    let (low, high) = match (step > 0, is_start) {
        (true, _) => (0, 0),
        (false, true) => (0, -1),
        (false, false) => (-1, -1),
    };
    let out_of_range = |index: &Dim| {
        Err(GraphError::Unsuitable(format!("element {index} is not in a dimension of size `{size}`")))
    };
    let Some(number) = index.as_const() else {
        let inside = f.at_least(size, index) && f.at_least(index, &0.into());
        return if inside { Ok(index.clone()) } else { out_of_range(index) };
    };
    if let Some(size) = size.as_const() {
        let counted = if number < 0 { number.saturating_add(size) } else { number };
        return Ok(counted.clamp(low, (size + high).max(low)).into());
    }
    // The size is only known when the model runs.
    match number {
        _ if number >= BEYOND => Ok(size.clone() + high.into()),
        _ if number <= -BEYOND => Ok(low.into()),
        0 => Ok(number.into()),
        ..0 => {
            let counted = size.clone() + index.clone();
            if f.at_least(size, &number.saturating_neg().into()) { Ok(counted) } else { out_of_range(index) }
        }
        LONG.. if f.at_least(index, size) => Ok(size.clone() + high.into()),
        _ if step > 0 && !is_start => Ok(f.graph.guards().canonical(&index.smaller(size))),
        _ if f.at_least(size, index) => Ok(index.clone()),
        _ => out_of_range(index),
    }
}

/// `x` in parts of the given sizes along `axis`, which have to be all of it.
pub fn split(
    f: &mut Formula<'_>,
    x: ValueId,
    axis: usize,
    sizes: &[Dim],
) -> Result<Vec<ValueId>, GraphError> {
    let mut start = Dim::from(0);
    let mut parts = Vec::with_capacity(sizes.len());
    for length in sizes {
        if !f.at_least(length, &0.into()) {
            return f.mismatch("split", format!("a part of {length} elements"));
        }
        let cut = SliceAxis { axis, start: start.clone(), length: length.clone(), step: 1 };
        parts.push(f.slice(x, vec![cut])?);
        start = start + length.clone();
    }
    match f.ty(x).shape.get(axis).cloned() {
        Some(size) if f.same(&start, &size).is_some() => Ok(parts),
        Some(size) => {
            f.mismatch("split", format!("the parts have {start} elements together, but the input has {size}"))
        }
        None => f.mismatch("split", format!("{} has no axis {axis}", f.ty(x))),
    }
}
