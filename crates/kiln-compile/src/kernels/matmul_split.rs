//! What the kernels of matrix products share, and the split of long sums into parts.

use kiln_graph::ops::ReduceKind;
use kiln_graph::{Dim, product};
use kiln_plan::Storage;

use super::builder::{Epilogue, KernelBuilder};
use super::family::Knobs;
use super::problem::{MatMulProblem, Problem, ceil_div};
use super::reduce::ReductionPlan;
use crate::error::CompileError;
use crate::layout::{self, row_major};
use crate::memory::buffer::{Matrix, View};
use crate::memory::destination::Output;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;

/// Most products that are added up one after the other: rounding errors of longer sums add up.
const LONGEST: i64 = 2048;

/// Into how many parts sums of `depth` products are split, so that none is rounded too often.
pub(super) fn parts_of_sums(problem: &Problem, depth: i64) -> i64 {
    let float = problem.operands.iter().all(|operand| matches!(operand.element, Storage::F32 | Storage::F16));
    if float && depth > 2 * LONGEST { depth / LONGEST + i64::from(depth % LONGEST > 0) } else { 1 }
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

    /// The epilogue of the kernels that sum parts, which only stores them, and how they are summed.
    pub(super) fn partial_epilogue(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        first_binding: usize,
    ) -> Result<(Epilogue, ReductionPlan), CompileError> {
        let anchor = builder.result()?;
        let ty = builder.values.graph.ty(anchor).clone();
        let shape: Vec<Dim> = std::iter::once(self.parts.into()).chain(ty.shape.iter().cloned()).collect();
        let layout = row_major(shape.len(), 4);
        let space = IterationSpace::new(&shape, &layout);
        let buffer = builder.scratch("parts", Storage::F32, &layout::elements(&layout, &shape));
        let addressing = Addressing::default();
        let code = Expression::new(space.clone(), &[], addressing, first_binding, &[]).finish(
            "acc",
            ty.dtype,
            Storage::F32,
            ty.dtype,
            addressing,
        );
        let mut strides = layout::strides(&layout, &shape);
        let step = strides.remove(0);
        let view = View { buffer, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
        let plan = ReductionPlan {
            view,
            order: (0..self.rank).collect(),
            loops: vec![(self.parts.into(), step)],
            count: self.parts.into(),
            kind: ReduceKind::Sum,
            flops: product(&shape),
        };
        let output = Output::partial(anchor, buffer);
        Ok((Epilogue { output, space, code, name: String::new() }, plan))
    }
}
