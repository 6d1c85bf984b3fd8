//! Operators whose result's size depends on the data: they can be imported if the data is constant.

use std::cmp::Ordering;

use kiln_graph::ops::Gather;
use kiln_graph::{Op, Tensor, ValueId, product};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid};

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

/// The elements for which a condition holds, which has to be constant, as it determines the size. It may be shorter
/// than the axis.
pub(crate) fn compress(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let condition = cx.constant(1, "condition")?;
    let (x, axis) = along(cx, x)?;
    let size = cx.dim(x, axis)?;
    if size.as_usize().is_some_and(|size| condition.len() > size) {
        return invalid(format!("`condition` has {} elements for {size}", condition.len()));
    }
    let holds = condition.to_ints().ok_or_else(|| OpError::Invalid("`condition` should be bool".into()))?;
    let places: Vec<usize> =
        holds.iter().enumerate().filter(|(_, holds)| **holds != 0).map(|(place, _)| place).collect();
    Ok(vec![taken(cx, x, axis, &places)?])
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
