//! Operators whose result's size depends on the data.

use std::cmp::Ordering;

use kiln_graph::functions::selection::{self, NonMaxSuppression};
use kiln_graph::ops::Gather;
use kiln_graph::{Op, Tensor, ValueId, product};

use super::super::cx::{Cx, Outputs, Result, invalid};

/// The axis to select along; without one the input is flattened first.
fn along(cx: &mut Cx<'_>, x: ValueId) -> Result<(ValueId, usize)> {
    match cx.attributes.int("axis")? {
        Some(axis) => Ok((x, cx.axis(axis, cx.rank(x))?)),
        None => {
            let count = product(&cx.shape(x));
            Ok((cx.reshape(x, [count])?, 0))
        }
    }
}

fn taken(cx: &mut Cx<'_>, x: ValueId, axis: usize, places: &[usize]) -> Result<ValueId> {
    let places = cx.constant_value(indices(places));
    cx.op(Op::Gather(Gather { axis }), &[x, places])
}

fn indices(places: &[usize]) -> Tensor {
    Tensor::ints(places.iter().map(|place| i64::try_from(*place).unwrap_or(i64::MAX)))
}

/// The elements for which a condition holds, which may be shorter than the axis.
pub(crate) fn compress(cx: &mut Cx<'_>) -> Outputs {
    let (x, condition) = (cx.input(0)?, cx.input(1)?);
    let (x, axis) = along(cx, x)?;
    let [length] = &cx.shape(condition)[..] else {
        return invalid(format!("`condition` is {}, but should have one dimension", cx.ty(condition)));
    };
    let (length, size) = (length.clone(), cx.dim(x, axis)?);
    if cx.assume(|guards| guards.at_least(&size, &length).then_some(())).is_none() {
        return invalid(format!("`condition` has {length} elements for {size}"));
    }
    Ok(vec![selection::compress(&mut cx.formula(), x, condition, axis)?])
}

/// The indices of the elements that are not zero, a line for each dimension.
pub(crate) fn non_zero(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![selection::nonzero(&mut cx.formula(), x)?])
}

/// Image, class and index of each box that is kept.
pub(crate) fn non_max_suppression(cx: &mut Cx<'_>) -> Outputs {
    let (boxes, scores) = (cx.input(0)?, cx.input(1)?);
    let most = match cx.optional(2) {
        Some(_) => cx.ints(2, "max_output_boxes_per_class")?.first().copied().unwrap_or(0),
        None => 0,
    };
    let iou_threshold = match cx.optional(3) {
        Some(_) => cx.floats(3, "iou_threshold")?.first().copied().unwrap_or(0.0),
        None => 0.0,
    };
    if !(0.0..=1.0).contains(&iou_threshold) {
        return invalid(format!("`iou_threshold` is {iou_threshold}, but should be between 0 and 1"));
    }
    let score_threshold = match cx.optional(4) {
        Some(threshold) => Some(cx.reshape(threshold, [])?),
        None => None,
    };
    let center = match cx.attributes.int_or("center_point_box", 0)? {
        0 => false,
        1 => true,
        other => return invalid(format!("`center_point_box` is {other}, but should be 0 or 1")),
    };
    #[allow(clippy::as_conversions, reason = "the model has it as f32")]
    let iou_threshold = iou_threshold as f32;
    // Exporters write the largest number there is where there is no limit.
    let most = u32::try_from(most.max(0)).ok();
    let by = NonMaxSuppression { iou_threshold, center, most, score_threshold };
    Ok(vec![selection::non_max_suppression(&mut cx.formula(), boxes, scores, &by)?])
}

/// The different elements (or slices along an axis) of an input that is known: they, where each occurs first, which of
/// them each element is, and how often each occurs.
pub(crate) fn unique(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let sorted = cx.attributes.flag("sorted", true)?;
    let tensor = cx.constant(0, "X")?;
    let (x, axis) = along(cx, x)?;
    let shape = if cx.rank(x) == tensor.shape().len() { tensor.shape().to_vec() } else { vec![tensor.len()] };
    let size = shape.get(axis).copied().unwrap_or(0);
    let (before, after) =
        (shape[..axis].iter().product::<usize>(), shape[axis + 1..].iter().product::<usize>());
    // A slice is the list of its elements. Integers beyond 2^53 are compared as integers.
    let (floats, ints) = (tensor.to_f64(), tensor.to_ints());
    let place = |slice: usize, n: usize| ((n / after) * size + slice) * after + n % after;
    let compare = |a: usize, b: usize| {
        let elements = (0..before * after).map(|n| (place(a, n), place(b, n)));
        let each = |(a, b): (usize, usize)| match &ints {
            Some(ints) => ints[a].cmp(&ints[b]),
            // The zeros are one number.
            None => (floats[a] + 0.0).total_cmp(&(floats[b] + 0.0)),
        };
        elements.map(each).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| compare(*a, *b));
    // Sorting is stable, so that the first of equal ones is where they occur first.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for slice in order {
        match groups.last_mut() {
            Some(group) if compare(group[0], slice) == Ordering::Equal => group.push(slice),
            Some(_) | None => groups.push(vec![slice]),
        }
    }
    if !sorted {
        groups.sort_by_key(|group| group[0]);
    }
    let first: Vec<usize> = groups.iter().map(|group| group[0]).collect();
    let mut inverse = vec![0; size];
    for (n, group) in groups.iter().enumerate() {
        for slice in group {
            inverse[*slice] = n;
        }
    }
    let counts: Vec<usize> = groups.iter().map(Vec::len).collect();
    let y = taken(cx, x, axis, &first)?;
    let others = [first, inverse, counts].map(|places| cx.constant_value(indices(&places)));
    Ok([&[y], &others[..]].concat())
}
