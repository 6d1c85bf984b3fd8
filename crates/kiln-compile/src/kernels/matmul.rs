//! Matrix product, in tiles.

use kiln_graph::Dim;

use super::builder::{AnchorLaunch, BiasedEpilogue, KernelBuilder, LaidOut};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::matmul_split::{Product, parts_of_sums};
use super::parts::sums_in_parts;
use super::problem::{MatMulProblem, Operation, Problem, ceil_div};
use super::reduce::lower_reduction;
use super::tile::{Products, Tile};
use crate::error::CompileError;
use crate::layout::{self, row_major};
use crate::memory::buffer::BufferId;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "matmul",
    templates: templates!["matmul_broadcast", "matmul_tile"],
    space,
    demands,
    cost,
    realize,
};

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    match &problem.operation {
        // Rows of the left matrix end in zeros, those of the right one need not.
        Operation::MatMul(product)
            if problem.fits_tiles() && (is_packed(problem, product) || product.depth.multiple >= 4) =>
        {
            let split = product.parts(problem);
            let dot4 = is_packed(problem, product) && problem.admits_dot4(product.depth.max);
            let variants = |tile: Tile| {
                let more = product.more_parts(problem, target, tile, split);
                [split].into_iter().chain(more).map(move |parts| tile.knobs().with("split_k", parts))
            };
            Tile::all(target, dot4).into_iter().flat_map(variants).collect()
        }
        _ => vec![],
    }
}

/// Whether the right matrix is a constant that is laid out in panels.
fn is_packed(problem: &Problem, product: &MatMulProblem) -> bool {
    problem.is_constant(1) && product.shared_right
}

impl MatMulProblem {
    /// Into how many parts each sum is split.
    pub fn parts(&self, problem: &Problem) -> i64 {
        parts_of_sums(problem, self.depth.max)
    }

    /// Into how many parts sums are worth splitting on a GPU that has few tiles of these otherwise.
    fn more_parts(&self, problem: &Problem, target: &Target, tile: Tile, split: i64) -> Option<i64> {
        let parts =
            if problem.has_floats() { tile.parts(target, &self.products(tile, split), 1) } else { None };
        parts.map(|parts| parts * split)
    }

    fn products(&self, tile: Tile, parts: i64) -> Products {
        let terms = ceil_div(self.padded_depth(), parts);
        Products {
            count: self.batches.max.saturating_mul(parts),
            rows: self.rows.max,
            columns: self.columns_of_vectors(),
            terms,
            times: tile.times(ceil_div(terms, 4)),
        }
    }

    fn columns_of_vectors(&self) -> i64 {
        // As wide as can be where it is not known.
        if self.columns.fixed { ceil_div(self.columns.max, 4) } else { 1 << 20 }
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::MatMul(product) = &problem.operation else { return Demands::default() };
    let tile = Tile::of(knobs);
    let right = if is_packed(problem, product) {
        let (k, columns) = if product.transposed[1] { (1, 0) } else { (0, 1) };
        let word_of = tile.word_of();
        OperandLayout::PackedMatrix { k_axis: k, column_axis: columns, width: tile.width(), word_of }
    } else {
        OperandLayout::Matrix { transposed: product.transposed[1] }
    };
    let left = OperandLayout::Matrix { transposed: product.transposed[0] };
    let vectors = ceil_div(ceil_div(product.depth.max, 4), knobs.get("split_k").max(1));
    tile.demands(vec![left, right], tile.times(vectors))
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::MatMul(product) = &problem.operation else { return Estimate::default() };
    let parts = knobs.get("split_k").max(1);
    let tile = Tile::of(knobs);
    let estimate = tile.cost(target, &product.products(tile, parts));
    if parts > 1 { estimate.added_up(parts, float(product.partial_bytes(parts))) } else { estimate }
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let product = Product::of(builder, knobs)?;
    let tile = Tile::of(knobs);
    let rights = rights(builder, &product, tile)?;
    launch(builder, &product, tile, rights)
}

/// A right matrix, or some columns of it; all numbers are in vectors of four.
pub(super) struct Right {
    /// The buffer.
    pub buffer: BufferId,
    /// From one matrix to the next.
    pub batch: Dim,
    /// From one column tile to the next.
    pub tile: Dim,
    /// From one row to the next.
    pub step: Dim,
    /// The first column.
    pub begin: Dim,
    /// The column behind the last one.
    pub end: Dim,
}

impl Right {
    /// Adds what kernels need to know of it.
    pub(super) fn params(&self, params: &mut Params) {
        params.uint("w_batch", self.batch.clone());
        params.uint("w_tile", self.tile.clone());
        params.uint("w_step", self.step.clone());
        params.uint("columns_begin", self.begin.clone());
        params.uint("columns_end", self.end.clone());
    }
}

/// The right matrix, in several pieces if it is known and too large to be bound at once.
fn rights(
    builder: &KernelBuilder<'_, '_>,
    product: &Product,
    tile: Tile,
) -> Result<Vec<Right>, CompileError> {
    let Some(LaidOut::Packed(pieces)) = builder.operands.get(1) else {
        let matrix = builder.matrix(1)?;
        let columns = layout::vectors(&layout::round_up(&product.columns, 4))?;
        return Ok(vec![Right {
            buffer: matrix.buffer,
            batch: layout::vectors(&matrix.batch_stride)?,
            tile: tile.columns().into(),
            step: columns.clone(),
            begin: 0.into(),
            end: columns,
        }]);
    };
    let known = |dim: &Dim| dim.as_usize().ok_or_else(|| builder.defect("has weights of open shape"));
    let width = tile.width() / 4;
    let (vectors, columns) =
        (known(&product.left.columns)?.div_ceil(4), known(&product.columns)?.div_ceil(4));
    let right = |buffer, tiles: &std::ops::Range<usize>| Right {
        buffer,
        batch: 0.into(),
        tile: (vectors * tile.lines_of_vector() * width).into(),
        step: width.into(),
        begin: (tiles.start * width).into(),
        end: (tiles.end * width).min(columns).into(),
    };
    Ok(pieces.iter().map(|piece| right(piece.buffer, &piece.tiles)).collect())
}

/// One launch for each piece of the right matrix; together they compute all columns.
fn launch(
    builder: &mut KernelBuilder<'_, '_>,
    product: &Product,
    tile: Tile,
    rights: Vec<Right>,
) -> Result<(), CompileError> {
    let depth = product.left.columns.ceil_div(4);
    let left = product.left.buffer;
    let own: Vec<BufferId> = [left].into_iter().chain(rights.iter().take(1).map(|r| r.buffer)).collect();
    let (epilogue, biased, buffers, partial) = if product.parts == 1 {
        let (layout, axis) = (row_major(product.rank, 4), product.rank - 1);
        let BiasedEpilogue { epilogue, biased, buffers } = builder.biased_epilogue(axis, &layout, &own)?;
        (epilogue, biased, buffers, None)
    } else {
        let (epilogue, plan) =
            sums_in_parts(builder, product.parts, &row_major(product.rank, 4), own.len() + 1)?;
        (epilogue, false, own.clone(), Some(plan))
    };
    let bias = buffers.get(own.len()).copied();
    let batches = &kiln_graph::product(&product.batch) * &product.parts.into();
    let row_tiles = product.rows.ceil_div(tile.rows());
    let single = rights.len() == 1;
    let moved = builder.problem.left_from().filter(|from| tile.dot4() && *from != 0);
    for right in rights {
        let mut params = Params::default();
        params.uint("rows", product.rows.clone());
        params.uint("row_tiles", row_tiles.clone());
        params.uint("batches", batches.clone());
        product.split(&mut params, &depth);
        if let Some(from) = moved {
            params.int("left_from", i64::from(from));
        }
        params.uint("a_step", depth.clone());
        params.uint("a_batch", layout::vectors(&product.left.batch_stride)?);
        right.params(&mut params);
        let columns = right.end - right.begin;
        let workgroups =
            tile.grid(builder.values, &(&row_tiles * &batches), columns.ceil_div(tile.columns()));
        let split = product.parts > 1;
        let buffers: Vec<BufferId> = [left, right.buffer].into_iter().chain(bias).collect();
        let launch = AnchorLaunch {
            template: tile.template("matmul_tile", "matmul_broadcast"),
            kernel: format!("matmul_{}", tile.name()),
            buffers: &buffers,
            params,
            values: tile.template_values(minijinja::context! {
                biased, residue_classes => false, split, moved => moved.is_some()
            }),
            workgroups,
            flops: if single { product.flops.clone() } else { product.flops_of(&columns) },
        };
        builder.launch_part(epilogue.clone(), launch);
    }
    match partial {
        Some(plan) => lower_reduction(builder, plan),
        None => {
            builder.complete(epilogue.output);
            Ok(())
        }
    }
}
