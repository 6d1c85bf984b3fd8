//! What the kernels of matrix products share, and the split of long sums into parts.

use kiln_graph::{Dim, product};

use super::builder::KernelBuilder;
use super::family::Knobs;
use super::problem::{MatMulProblem, Problem, ceil_div};
use crate::error::CompileError;
use crate::memory::buffer::Matrix;
use crate::wgsl::params::Params;

/// Most products that are added up one after the other: rounding errors of longer sums add up.
const LONGEST: i64 = 2048;

/// Into how many parts sums of `depth` products are split, so that none is rounded too often.
pub(super) fn parts_of_sums(problem: &Problem, depth: i64) -> i64 {
    if problem.has_floats() && depth > 2 * LONGEST {
        depth / LONGEST + i64::from(depth % LONGEST > 0)
    } else {
        1
    }
}

impl MatMulProblem {
    /// Terms of each sum with the padding of rows.
    pub(super) fn padded_depth(&self) -> i64 {
        ceil_div(self.depth.max, 4).saturating_mul(4)
    }

    /// Bytes of the partial results.
    pub fn partial_bytes(&self, parts: i64) -> i64 {
        let vectors = self.rows.max.saturating_mul(ceil_div(self.columns.max, 4));
        vectors.saturating_mul(self.batches.max).saturating_mul(16 * parts)
    }
}

/// A matrix product with its shapes.
pub(super) struct Product {
    /// Sizes of the batch dimensions of the result.
    pub batch: Vec<Dim>,
    /// Rows of the result. Matrices that are all multiplied by the same right one are one tall matrix.
    pub rows: Dim,
    /// Columns of the result.
    pub columns: Dim,
    /// The left matrix.
    pub left: Matrix,
    /// Multiplications and additions.
    pub flops: Dim,
    /// Rank of the result.
    pub rank: usize,
    /// Into how many parts the sums are split.
    pub parts: i64,
}

impl Product {
    /// Of a group.
    pub(super) fn of(builder: &KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<Self, CompileError> {
        let shape = builder.shape(builder.result()?);
        let [batch @ .., rows, columns] = &shape[..] else {
            return Err(builder.defect("is a matrix product without rows and columns"));
        };
        let left = builder.matrix(0)?;
        Ok(Self {
            batch: batch.to_vec(),
            rows: rows.clone(),
            columns: columns.clone(),
            flops: product(&shape) * left.columns.clone() * 2.into(),
            rank: shape.len(),
            parts: knobs.get("split_k").max(1),
            left,
        })
    }

    /// Multiplications and additions of some columns, in vectors of four.
    pub(super) fn flops_of(&self, columns: &Dim) -> Dim {
        &(&self.rows * &product(&self.batch)) * &(columns * &(self.left.columns.clone() * 8.into()))
    }

    /// What the kernels need to know of parts of sums of `depth` steps.
    pub(super) fn split(&self, params: &mut Params, depth: &Dim) {
        params.uint("depth", depth.ceil_div(self.parts));
        if self.parts > 1 {
            params.uint("whole", depth.clone());
            params.uint("part_batches", product(&self.batch));
        }
    }
}
