//! Selecting and changing by indices that are data.

use kiln_graph::functions::indexing;
use kiln_graph::ops::{Gather, Scatter, ScatterReduction};
use kiln_graph::{DType, Dim, Op, ValueId, product};

use super::super::cx::{Cx, Outputs, Result, invalid, unsupported};

/// Opset 16 brought the attribute, with sums and products, 18 the largest and the smallest.
fn reduction(cx: &Cx<'_>) -> Result<ScatterReduction> {
    let word = cx.attributes.string_or("reduction", "none")?;
    match ScatterReduction::ALL.into_iter().find(|reduction| reduction.name() == word) {
        Some(reduction) => Ok(reduction),
        None => invalid(format!("attribute `reduction` is \"{word}\"; none, add, mul, max and min are")),
    }
}

/// Columns by their numbers, of which there may be any shape.
pub(crate) fn array_feature_extractor(cx: &mut Cx<'_>) -> Outputs {
    let (x, places) = (cx.input(0)?, cx.input(1)?);
    let count = product(&cx.shape(places));
    let places = cx.reshape(places, [count])?;
    let x = if cx.rank(x) == 1 { cx.reshape(x, [vec![Dim::from(1)], cx.shape(x)].concat())? } else { x };
    let axis = cx.axis(-1, cx.rank(x))?;
    cx.check_places(1, &[cx.dim(x, axis)?])?;
    Ok(vec![cx.op(Op::Gather(Gather { axis }), &[x, places])?])
}

/// The dimensions of `x` that the last dimension of `indices` points into, behind those of the batch.
fn chosen(cx: &Cx<'_>, x: ValueId, indices: ValueId, batch: usize) -> Vec<Dim> {
    let depth = cx.shape(indices).last().and_then(Dim::as_usize).unwrap_or(0);
    cx.shape(x).into_iter().skip(batch).take(depth).collect()
}

pub(crate) fn gather_nd(cx: &mut Cx<'_>) -> Outputs {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let batch = cx.attributes.int_or("batch_dims", 0)?;
    let Ok(batch) = usize::try_from(batch) else { return invalid(format!("`batch_dims` is {batch}")) };
    cx.check_places(1, &chosen(cx, x, indices, batch))?;
    Ok(vec![indexing::gather_nd(&mut cx.formula(), x, indices, batch)?])
}

pub(crate) fn scatter_elements(cx: &mut Cx<'_>) -> Outputs {
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let axis = cx.axis_of(0, data)?;
    let reduction = reduction(cx)?;
    cx.check_places(1, &[cx.dim(data, axis)?])?;
    Ok(vec![cx.op(Op::Scatter(Scatter { axis, reduction }), &[data, indices, updates])?])
}

pub(crate) fn scatter_nd(cx: &mut Cx<'_>) -> Outputs {
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let reduction = reduction(cx)?;
    cx.check_places(1, &chosen(cx, data, indices, 0))?;
    Ok(vec![indexing::scatter_nd(&mut cx.formula(), data, indices, updates, reduction)?])
}

/// `k` is an attribute before opset 10; `largest` exists since 11.
pub(crate) fn top_k(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axis = cx.axis_of(-1, x)?;
    let k = match cx.attributes.int("k")? {
        Some(k) => Dim::from(k),
        None => match cx.dims(1, "K")?.as_slice() {
            [k] => k.clone(),
            several => return invalid(format!("`K` has {} elements instead of one", several.len())),
        },
    };
    let largest = cx.attributes.flag("largest", true)?;
    // Without order any will do.
    cx.attributes.ignore("sorted");
    if cx.dtype(x) == DType::Bool {
        return unsupported("its input is bool, which has no order");
    }
    Ok(indexing::top_k(&mut cx.formula(), x, axis, &k, largest)?.to_vec())
}
