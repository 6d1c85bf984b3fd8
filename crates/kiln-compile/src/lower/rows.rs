//! Operands of the kernels that move over places: convolution, pooling, interpolation, matrix product.
//!
//! To these a tensor is a list of rows, one for each place, whose elements (channels, or columns) lie side by side.
//! The rows need not touch: part of a concatenation, or a slice of channels, is read where it lies.

use kiln_graph::{Dim, ValueId};

use super::context::{Context, StorageId, View};
use super::kernel::Params;
use crate::error::CompileError;
use crate::layout::{self, channels_last, is_multiple};

/// See the module's text. Numbers are in elements and multiples of four.
pub struct Rows {
    /// The memory.
    pub storage: StorageId,
    /// Start of the first row.
    pub base: Dim,
    /// From one row to the next.
    pub step: Dim,
}

impl Rows {
    /// Adds `x_base` and `x_step`, counted in vectors of four.
    pub fn vectors(&self, params: &mut Params) {
        self.vectors_as("x", params);
    }

    /// As [`Rows::vectors`], for an operand of another name.
    pub fn vectors_as(&self, name: &str, params: &mut Params) {
        for (part, dim) in [("base", &self.base), ("step", &self.step)] {
            params.int(format!("{name}_{part}"), dim.exact_div(&4.into()).unwrap_or_default());
        }
    }
}

impl Context<'_> {
    /// The rows of a `[1.., rows, columns]` value, in order; copied if it cannot be read so where it lies.
    pub fn matrix_rows(&mut self, id: ValueId) -> Result<Rows, CompileError> {
        let shape = self.graph.ty(id).shape.clone();
        let layout = layout::row_major(shape.len(), 4);
        if self.versions(id).is_empty()
            && let Some(rows) = rows_of_view(&self.view(id)?, &shape, &layout.order)
        {
            return Ok(rows);
        }
        let placed = self.version(id, &layout)?;
        let step = shape.last().map_or_else(|| 4.into(), |columns| layout::round_up(columns, 4));
        Ok(Rows { storage: self.placed[placed].storage, base: 0.into(), step })
    }

    /// The places of a `[N, C, spatial...]` value, in order, with its channels as rows; copied if it cannot be read
    /// so where it lies.
    pub fn rows(&mut self, id: ValueId) -> Result<Rows, CompileError> {
        let shape = self.graph.ty(id).shape.clone();
        let layout = channels_last(shape.len());
        if self.versions(id).is_empty()
            && let Some(rows) = rows_of_view(&self.view(id)?, &shape, &layout.order)
        {
            return Ok(rows);
        }
        let placed = self.version(id, &layout)?;
        let step = layout::round_up(&shape[1], 4);
        Ok(Rows { storage: self.placed[placed].storage, base: 0.into(), step })
    }
}

fn rows_of_view(view: &View, shape: &[Dim], order: &[usize]) -> Option<Rows> {
    let (inner, outer) = order.split_last()?;
    let aligned = is_multiple(&view.base, 4) && (is_multiple(&shape[*inner], 4) || view.zero_lanes);
    if !aligned || !(view.strides[*inner].is(1) || shape[*inner].is(1)) {
        return None;
    }
    let mut step: Option<Dim> = None;
    let mut expected = Dim::from(0);
    for axis in outer.iter().rev().filter(|axis| !shape[**axis].is(1)) {
        let stride = &view.strides[*axis];
        if step.is_some() && *stride != expected {
            return None;
        }
        step.get_or_insert_with(|| stride.clone());
        expected = stride * &shape[*axis];
    }
    // With a single place there is no next row.
    let step = step.unwrap_or_else(|| 4.into());
    is_multiple(&step, 4).then(|| Rows { storage: view.storage, base: view.base.clone(), step })
}
