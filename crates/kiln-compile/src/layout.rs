//! Where the elements of a tensor lie in memory.
//!
//! Inside a plan, tensors with spatial dimensions are stored channels last, and the fastest dimension of nearly
//! every tensor is padded to a multiple of four elements that are zero, so that all loads are aligned `vec4`s.
//! Graph inputs and outputs are dense and row-major, as the host has them.

use kiln_graph::Dim;
pub use kiln_plan::Layout;

/// Row-major, the fastest dimension padded to `lanes`.
pub fn row_major(rank: usize, lanes: usize) -> Layout {
    Layout { order: (0..rank).collect(), lanes }
}

/// `[N, C, spatial...]` stored as `[N, spatial..., C]` with channels padded to four.
pub fn channels_last(rank: usize) -> Layout {
    let mut order: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        order.remove(1);
        order.push(1);
    }
    Layout { order, lanes: 4 }
}

/// Strides in elements for each dimension, in the order of the dimensions.
pub fn strides(layout: &Layout, shape: &[Dim]) -> Vec<Dim> {
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
pub fn elements(layout: &Layout, shape: &[Dim]) -> Dim {
    let fastest = layout.order.last();
    shape.iter().enumerate().fold(Dim::from(1), |n, (axis, dim)| {
        if Some(&axis) == fastest { &n * &round_up(dim, layout.lanes) } else { &n * dim }
    })
}

/// The dimension rounded up to a multiple of `lanes`.
pub fn round_up(dim: &Dim, lanes: usize) -> Dim {
    if lanes == 1 || is_multiple(dim, lanes) {
        return dim.clone();
    }
    let lanes = i64::try_from(lanes).unwrap_or(1);
    dim.ceil_div(lanes) * lanes.into()
}

/// Whether the dimension is a multiple of `of` for every value of the symbols.
pub fn is_multiple(dim: &Dim, of: usize) -> bool {
    let of = i64::try_from(of).unwrap_or(1);
    dim.terms().iter().all(|(_, coefficient)| coefficient % of == 0)
}
