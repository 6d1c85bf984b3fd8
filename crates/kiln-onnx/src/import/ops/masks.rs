//! Operators in which an element depends on its position.

use kiln_graph::functions::masks::{self, Triangle};
use kiln_graph::ops::SliceAxis;
use kiln_graph::{DType, Tensor};

use super::super::cx::{Cx, OpError, Outputs, invalid, unsupported};
use crate::tensor::dtype_of;

/// More classes than anything has.
const MAX_DEPTH: i64 = 1 << 24;

/// `k` moves the diagonal up; it is data like any other.
pub(crate) fn trilu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let part = if cx.attributes.flag("upper", true)? { Triangle::Upper } else { Triangle::Lower };
    let k = match cx.optional(1) {
        Some(k) => cx.reshape(k, [])?,
        None => cx.constant_value(Tensor::number(0.0, DType::I64)),
    };
    Ok(vec![masks::triangle(&mut cx.formula(), x, k, part)?])
}

/// Of the input nothing but the shape, and the element type unless `dtype` names one.
pub(crate) fn eye_like(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let [rows, columns] = &cx.shape(x)[..] else {
        return invalid(format!("its input is {}, but should have 2 dimensions", cx.ty(x)));
    };
    let dtype = match cx.attributes.int("dtype")? {
        Some(dtype) => dtype_of(i32::try_from(dtype).unwrap_or(0))
            .map_err(|found| OpError::Unsupported(format!("elements of type {found} are not supported")))?,
        None => cx.dtype(x),
    };
    let k = cx.attributes.int_or("k", 0)?;
    Ok(vec![masks::eye(&mut cx.formula(), dtype, rows.clone(), columns.clone(), k)?])
}

/// `values` are the value elsewhere, and the value at the index.
pub(crate) fn one_hot(cx: &mut Cx<'_>) -> Outputs {
    let (indices, values) = (cx.input(0)?, cx.input(2)?);
    // A size, although its type may be any.
    let depth = cx.floats(1, "depth")?.first().copied().unwrap_or(0.0);
    #[allow(clippy::as_conversions, reason = "compared with limits that f64 holds")]
    let depth = if depth >= 0.0 && depth <= MAX_DEPTH as f64 {
        depth as i64
    } else {
        return invalid(format!("`depth` is {depth}, but should be a size up to {MAX_DEPTH}"));
    };
    let rank = cx.rank(indices);
    let axis = cx.axis(cx.attributes.int_or("axis", -1)?, rank + 1)?;
    if cx.ty(values).static_shape() != Some(vec![2]) {
        return unsupported(format!("`values` is {}, but should be [off, on]", cx.ty(values)));
    }
    // As the format has it, indices of other types are read as integers.
    let indices = if cx.dtype(indices) == DType::I64 { indices } else { cx.cast(indices, DType::I32)? };
    let mut f = cx.formula();
    let mut value =
        |n: usize| f.slice(values, vec![SliceAxis { axis: 0, start: n.into(), length: 1.into(), step: 1 }]);
    let (off, on) = (value(0)?, value(1)?);
    Ok(vec![masks::one_hot(&mut f, indices, depth, axis, on, off)?])
}

pub(crate) fn reverse_sequence(cx: &mut Cx<'_>) -> Outputs {
    let (x, lengths) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(x);
    let time = cx.axis(cx.attributes.int_or("time_axis", 0)?, rank)?;
    let batch = cx.axis(cx.attributes.int_or("batch_axis", 1)?, rank)?;
    Ok(vec![masks::reverse_sequence(&mut cx.formula(), x, lengths, time, batch)?])
}
