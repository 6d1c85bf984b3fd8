//! Selecting and changing by indices: what follows from gathering, scattering and sorting.

use std::ops::Range;

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{
    ArgSort, BinaryOp, Gather, GatherElements, Iota, Op, Scatter, ScatterReduction, ShapeOf, SliceAxis,
};
use crate::tensor::{DType, Tensor};

/// The `k` largest (or smallest) elements along an axis, in order, and their indices (int64); of equal elements the
/// first. The values can be differentiated.
pub fn top_k(
    f: &mut Formula<'_>,
    x: ValueId,
    axis: usize,
    k: &Dim,
    largest: bool,
) -> Result<[ValueId; 2], GraphError> {
    let order = f.apply(Op::ArgSort(ArgSort { axis, descending: largest }), &[x])?;
    let indices = if f.shape(x).get(axis) == Some(k) {
        order
    } else {
        f.slice(order, vec![SliceAxis { axis, start: 0.into(), length: k.clone(), step: 1 }])?
    };
    let values = f.apply(Op::GatherElements(GatherElements { axis }), &[x, indices])?;
    Ok([values, indices])
}

/// The product of the sizes of some axes, as an int64 number without dimensions. Of known sizes it is at least one, so that it
/// can be a divisor: where it is zero, there is nothing to divide.
pub(super) fn extent(f: &mut Formula<'_>, x: ValueId, axes: Range<usize>) -> Made {
    let sizes = f.shape(x)[axes.clone()].to_vec();
    if let Some(number) = product(&sizes).as_const() {
        return Ok(f.constant(Tensor::int(number.max(1))));
    }
    let mut sizes = Vec::with_capacity(axes.len());
    for axis in axes {
        let size = f.apply(Op::ShapeOf(ShapeOf { start: axis, end: axis + 1 }), &[x])?;
        sizes.push(f.reshape(size, vec![])?);
    }
    f.product_of(&sizes)
}

/// Index tuples `[.., m]` into the dimensions `axes` of `data` as positions in the product of these: `[count, 1]`, i32.
/// Negative indices count from the end.
fn positions(f: &mut Formula<'_>, indices: ValueId, data: ValueId, axes: Range<usize>) -> Made {
    let (shape, sizes) = (f.shape(indices), f.shape(data));
    let Some((_, outer)) = shape.split_last() else {
        return f.mismatch("gather_nd", "the indices have no dimensions");
    };
    let last = shape.len() - 1;
    // A device cannot hold more than 2^31 elements, so 32 bits are enough for what is inside.
    let indices = f.cast(indices, DType::I32)?;
    let zero = f.number_like(0.0, indices);
    let count = product(outer);
    let mut position = f.expand(zero, vec![count.clone(), 1.into()])?;
    for (m, axis) in axes.enumerate() {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let size = match sizes.get(axis).and_then(Dim::as_const) {
            Some(size) => f.number_like(size as f64, indices),
            None => {
                let size = f.apply(Op::ShapeOf(ShapeOf { start: axis, end: axis + 1 }), &[data])?;
                f.cast(size, DType::I32)?
            }
        };
        let part = SliceAxis { axis: last, start: m.into(), length: 1.into(), step: 1 };
        let index = f.slice(indices, vec![part])?;
        let index = f.reshape(index, vec![count.clone(), 1.into()])?;
        let wrapped = f.add(index, size)?;
        let negative = f.with(BinaryOp::Less, index, 0.0)?;
        let index = f.select(negative, wrapped, index)?;
        let scaled = f.mul(position, size)?;
        position = f.add(scaled, index)?;
    }
    Ok(position)
}

/// `out[b.., i.., :] = x[b.., indices[b.., i.., :], :]`: the last dimension of `indices` names a place in the dimensions
/// behind the `batch` first ones, which both have.
pub fn gather_nd(f: &mut Formula<'_>, x: ValueId, indices: ValueId, batch: usize) -> Made {
    let (shape, taken) = (f.shape(x), f.shape(indices));
    let fits = |depth: &usize| taken.len() > batch && batch.saturating_add(*depth) <= shape.len();
    let depth = taken.last().and_then(Dim::as_usize).filter(fits);
    let Some(depth) = depth.filter(|_| shape[..batch] == taken[..batch]) else {
        let message =
            format!("{} cannot be places in {} with {batch} dimensions in common", f.ty(indices), f.ty(x));
        return f.mismatch("gather_nd", message);
    };
    let (lead, rest) = (&shape[..batch], &shape[batch + depth..]);
    let chosen = &shape[batch..batch + depth];
    let places = &taken[batch..taken.len() - 1];
    let (images, count) = (product(lead), product(places));
    let mut at = positions(f, indices, x, batch..batch + depth)?;
    if batch > 0 {
        // The images are stored one after the other.
        let index = Iota { dtype: DType::I32, shape: vec![images.clone(), 1.into()], axis: 0 };
        let image = f.apply(Op::Iota(index), &[])?;
        let size = extent(f, x, batch..batch + depth)?;
        let size = f.cast(size, DType::I32)?;
        let first = f.mul(image, size)?;
        let inside = f.reshape(at, vec![images.clone(), count.clone()])?;
        at = f.add(first, inside)?;
    }
    let at = f.reshape(at, vec![&images * &count])?;
    let rows = f.reshape(x, vec![&images * &product(chosen), product(rest)])?;
    let y = f.apply(Op::Gather(Gather { axis: 0 }), &[rows, at])?;
    f.reshape(y, [lead, places, rest].concat())
}

/// The data with slices changed (ONNX's ScatterND): the last dimension of `indices` `[.., m]` points into the first `m`
/// dimensions of the data, and `updates` `[.., rest]` has a slice of the others for each.
pub fn scatter_nd(
    f: &mut Formula<'_>,
    data: ValueId,
    indices: ValueId,
    updates: ValueId,
    reduction: ScatterReduction,
) -> Made {
    let (shape, index_shape) = (f.shape(data), f.shape(indices));
    let depth = index_shape.last().and_then(Dim::as_usize).filter(|m| *m <= shape.len());
    let (Some(depth), Some((_, outer))) = (depth, index_shape.split_last()) else {
        let message = format!(
            "the last dimension of the indices {} is not a valid number of dimensions",
            f.ty(indices)
        );
        return f.mismatch("scatter_nd", message);
    };
    let (into, rest) = shape.split_at(depth);
    let wanted = [outer, rest].concat();
    if f.shape(updates) != wanted {
        let wanted = crate::tensor::ShapeDisplay(&wanted).to_string();
        return f
            .mismatch("scatter_nd", format!("the updates {} should have the shape {wanted}", f.ty(updates)));
    }
    let (count, width) = (product(outer), product(rest));
    let position = positions(f, indices, data, 0..depth)?;
    let position = f.expand(position, vec![count.clone(), width.clone()])?;
    let flat = f.reshape(data, vec![product(into), width.clone()])?;
    let updates = f.reshape(updates, vec![count, width])?;
    let scatter = Op::Scatter(Scatter { axis: 0, reduction });
    let changed = f.apply(scatter, &[flat, position, updates])?;
    f.reshape(changed, shape)
}
