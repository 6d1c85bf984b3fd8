//! Where the elements of a tensor lie in memory.
//!
//! Inside a plan, tensors with spatial dimensions are stored channels last, and the fastest dimension of nearly
//! every tensor is padded to a multiple of four elements that are zero, so that all loads are aligned `vec4`s.
//! Graph inputs and outputs are dense and row-major, as the host has them.

use kiln_graph::{Dim, product};
pub(crate) use kiln_plan::Layout;

use crate::error::CompileError;

/// Row-major, the fastest dimension padded to `lanes`.
pub(crate) fn row_major(rank: usize, lanes: usize) -> Layout {
    Layout { order: (0..rank).collect(), lanes }
}

/// `[N, C, spatial...]` stored as `[N, spatial..., C]` with channels padded to four.
pub(crate) fn channels_last(rank: usize) -> Layout {
    let mut order: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        order.remove(1);
        order.push(1);
    }
    Layout { order, lanes: 4 }
}

/// Strides in elements for each dimension, in the order of the dimensions.
pub(crate) fn strides(layout: &Layout, shape: &[Dim]) -> Vec<Dim> {
    let mut strides = vec![Dim::from(1); shape.len()];
    let mut step = Dim::from(1);
    for (i, axis) in layout.order.iter().rev().enumerate() {
        strides[*axis] = step.clone();
        let size = if i == 0 { round_up(&shape[*axis], layout.lanes) } else { shape[*axis].clone() };
        step = &step * &size;
    }
    strides
}

/// Number of elements in memory, padding included.
pub(crate) fn elements(layout: &Layout, shape: &[Dim]) -> Dim {
    let fastest = layout.order.last();
    shape.iter().enumerate().fold(Dim::from(1), |n, (axis, dim)| {
        if Some(&axis) == fastest { &n * &round_up(dim, layout.lanes) } else { &n * dim }
    })
}

/// The dimension rounded up to a multiple of `lanes`.
pub(crate) fn round_up(dim: &Dim, lanes: usize) -> Dim {
    if lanes == 1 || is_multiple(dim, lanes) {
        return dim.clone();
    }
    let lanes = i64::try_from(lanes).unwrap_or(1);
    dim.ceil_div(lanes) * lanes.into()
}

/// Whether the dimension is a multiple of `of` for every value of the symbols.
pub(crate) fn is_multiple(dim: &Dim, of: usize) -> bool {
    let of = i64::try_from(of).unwrap_or(1);
    dim.terms().iter().all(|(_, coefficient)| coefficient % of == 0)
}

/// Weights of a convolution, `[out channels, in channels of a group, taps...]`, as `[taps...][in channels][out channels]`.
pub(crate) fn weight_layout(rank: usize) -> Layout {
    Layout { order: (2..rank).chain([1, 0]).collect(), lanes: 4 }
}

/// Rows and columns exchanged: the last two dimensions.
pub(crate) fn transposed(rank: usize) -> Layout {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    Layout { order, lanes: 4 }
}

/// Elements of a tensor in memory: all of it can be read and written four at a time.
pub(crate) fn in_vectors(layout: &Layout, shape: &[Dim]) -> Dim {
    round_up(&elements(layout, shape), 4)
}

/// Whether two ways to stride through `shape` visit the same elements; dimensions of one element do not matter.
pub(crate) fn same_strides(shape: &[Dim], a: &[Dim], b: &[Dim]) -> bool {
    shape.iter().zip(a.iter().zip(b)).all(|(dim, (x, y))| dim.is(1) || x == y)
}

/// Whether two layouts put `shape` into memory in the same way, padding included.
pub(crate) fn same_memory(shape: &[Dim], a: &Layout, b: &Layout) -> bool {
    same_strides(shape, &strides(a, shape), &strides(b, shape)) && elements(a, shape) == elements(b, shape)
}

/// Whether the memory of one tensor read under another shape and layout has the same elements in the same row-major
/// order: both are dense, or they differ only in dimensions of one element.
pub(crate) fn reshapes_freely(from: (&[Dim], &Layout), to: (&[Dim], &Layout)) -> bool {
    if elements(from.1, from.0) != elements(to.1, to.0) {
        return false;
    }
    let dense = |(shape, layout): (&[Dim], &Layout)| {
        let row_major = strides(&row_major(shape.len(), 1), shape);
        elements(layout, shape) == product(shape) && same_strides(shape, &strides(layout, shape), &row_major)
    };
    let long = |(shape, layout): (&[Dim], &Layout)| {
        let all = shape.iter().cloned().zip(strides(layout, shape));
        all.filter(|(dim, _)| !dim.is(1)).collect::<Vec<_>>()
    };
    (dense(from) && dense(to)) || long(from) == long(to)
}

/// Strides for reading a tensor of `shape` as one of shape `to`, stretched as NumPy broadcasts.
pub(crate) fn broadcast_strides(strides: &[Dim], shape: &[Dim], to: &[Dim]) -> Vec<Dim> {
    let missing = to.len() - shape.len();
    (0..to.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own) if !shape[own].is(1) || to[axis].is(1) => strides[own].clone(),
            Some(_) | None => Dim::from(0),
        })
        .collect()
}

/// Elements as vectors of four. A count that is not a multiple of four is a defect of the caller, who has proven it.
pub(crate) fn vectors(elements: &Dim) -> Result<Dim, CompileError> {
    let defect = || CompileError::Defect {
        place: "a vector load".into(),
        message: format!("`{elements}` elements are not a multiple of four"),
    };
    elements.exact_div(&4.into()).ok_or_else(defect)
}
