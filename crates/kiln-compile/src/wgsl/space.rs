//! What a kernel iterates over: the elements of its result, in memory order.

use kiln_graph::Dim;

use crate::layout::{Layout, is_multiple};

/// The elements a kernel makes, in memory order.
#[derive(Clone, Debug)]
pub(crate) struct IterationSpace {
    /// Sizes by logical dimension.
    pub shape: Vec<Dim>,
    /// Logical dimensions from slowest to fastest.
    pub order: Vec<usize>,
    /// Elements an invocation makes: 4 or 1.
    pub width: usize,
    /// Elements of the fastest dimension that are not padding.
    pub valid: Dim,
}

impl IterationSpace {
    /// All elements of a tensor of `shape` in `layout`.
    pub(crate) fn new(shape: &[Dim], layout: &Layout) -> Self {
        let inner = layout.order.last().map_or(Dim::from(1), |axis| shape[*axis].clone());
        let width = if layout.lanes == 4 || is_multiple(&inner, 4) { 4 } else { 1 };
        Self { shape: shape.to_vec(), order: layout.order.clone(), width, valid: inner }
    }

    /// The fastest dimension.
    pub(crate) fn inner_axis(&self) -> Option<usize> {
        self.order.last().copied()
    }

    /// Number of vectors of the fastest dimension.
    pub(crate) fn inner(&self) -> Dim {
        let inner = self.inner_axis().map_or(Dim::from(1), |axis| self.shape[axis].clone());
        inner.ceil_div(if self.width == 4 { 4 } else { 1 })
    }

    /// Number of vectors.
    pub(crate) fn count(&self) -> Dim {
        self.order.iter().rev().skip(1).fold(self.inner(), |n, axis| &n * &self.shape[*axis])
    }
}
