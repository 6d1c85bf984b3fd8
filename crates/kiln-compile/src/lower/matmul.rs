//! Matrix product.

use kiln_graph::ops::{MatMul, ReduceKind};
use kiln_graph::{Dim, NodeId, TensorType, ValueId, product};
use kiln_plan::{Layout, Storage};

use super::anchor::{Biased, Tail, biased_tail, launch, launch_part, tail};
use super::context::{Contents, Context, Placed, StorageId, View};
use super::conv::MAX_ITERATIONS;
use super::destination::Output;
use super::elementwise::{Copy, launch_copy, stretch};
use super::expression::{Element, Ends};
use super::kernel::Params;
use super::operand::{Operand, Space};
use super::pack::PanelShape;
use super::reduce::{Walk, combine};
use super::tile::Tile;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, is_multiple, row_major};

/// Lowers a matrix product with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &MatMul) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let [a, b] = graph.node(node).inputs[..] else {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "needs two inputs".into(),
        });
    };
    let anchor = graph.node(node).outputs[0];
    let out_shape = graph.ty(anchor).shape.clone();
    let (outer, last) = out_shape.split_at(out_shape.len() - 1);
    let (batch, rows) = outer.split_at(outer.len() - 1);
    let left = operand(ctx, a, op.transpose_a, batch)?;
    let job = Job {
        group,
        anchor,
        b,
        transpose_b: op.transpose_b,
        batch: batch.to_vec(),
        // Matrices that all meet the same right one are one tall matrix.
        rows: rows[0].clone(),
        columns: last[0].clone(),
        flops: product(&out_shape) * left.columns.clone() * 2.into(),
        rank: out_shape.len(),
        parts: 1,
        left,
    };
    let job = Job { parts: parts(ctx, &job), ..job };
    let shared = graph.ty(b).shape[..graph.ty(b).rank() - 2].iter().all(|d| d.is(1));
    let columns = job.columns.as_usize().map_or(usize::MAX, |n| n.div_ceil(4));
    let tile = Tile::choose(ctx, &job.rows, columns);
    if graph.as_constant(b).is_some() && shared {
        panels(ctx, job, tile)
    } else if is_multiple(&job.left.columns, 4) {
        tiled(ctx, job, tile)
    } else {
        direct(ctx, job)
    }
}

/// A matrix product to be lowered.
struct Job<'a> {
    group: &'a Group,
    anchor: ValueId,
    b: ValueId,
    transpose_b: bool,
    /// Sizes of the batch dimensions of the result.
    batch: Vec<Dim>,
    rows: Dim,
    columns: Dim,
    left: Matrix,
    flops: Dim,
    /// Rank of the result.
    rank: usize,
    /// Into how many parts the sums are split.
    parts: i64,
}

/// Most products that are added up one after the other: rounding errors of longer sums add up.
const LONGEST: i64 = 2048;

/// Into how many parts the sums of a product are split.
fn parts(ctx: &Context<'_>, job: &Job<'_>) -> i64 {
    let depth = ctx.largest(&job.left.columns);
    let float = ctx.graph.ty(job.anchor).dtype.is_float();
    if float && depth > 2 * LONGEST { depth / LONGEST + i64::from(depth % LONGEST > 0) } else { 1 }
}

impl Job<'_> {
    /// What the kernels need to know of parts of sums of `depth` steps.
    fn split(&self, params: &mut Params, depth: &Dim) {
        params.uint("depth", depth.ceil_div(self.parts));
        if self.parts > 1 {
            params.uint("whole", depth.clone());
            params.uint("part_batches", product(&self.batch));
        }
    }

    /// The tail of the kernels that sum parts, which has nothing but their place, and how to walk over them.
    fn tail_of_parts(&self, ctx: &mut Context<'_>, first_binding: usize) -> (Tail, Walk) {
        let ty = ctx.graph.ty(self.anchor).clone();
        let shape: Vec<Dim> = std::iter::once(self.parts.into()).chain(ty.shape.iter().cloned()).collect();
        let layout = row_major(shape.len(), 4);
        let space = Space::new(&shape, &layout);
        let name = format!("{} (parts)", self.group.name);
        let elements = layout::elements(&layout, &shape);
        let storage = ctx.allocate(&name, Storage::F32, &elements, Contents::Activation);
        let ends = Ends::default();
        let finished = Element::new(space.clone(), &[], ends, first_binding, &[]).finish(
            "acc",
            ty.dtype,
            Storage::F32,
            ty.dtype,
            ends,
        );
        let mut strides = layout::strides(&layout, &shape);
        let step = strides.remove(0);
        let view = View { storage, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
        let walk = Walk {
            view,
            order: (0..self.rank).collect(),
            loops: vec![(self.parts.into(), step)],
            count: self.parts.into(),
            kind: ReduceKind::Sum,
            flops: product(&shape),
        };
        (Tail { output: Output::part(self.anchor, storage), space, finished }, walk)
    }

    /// The group without its epilogue.
    fn bare(&self) -> Group {
        Group { nodes: vec![], ..self.group.clone() }
    }

    fn check_iterations(&self, ctx: &Context<'_>, steps: &Dim) -> Result<(), CompileError> {
        let steps = ctx.largest(steps);
        if steps <= MAX_ITERATIONS {
            return Ok(());
        }
        Err(CompileError::Unsupported {
            node: self.group.name.clone(),
            message: format!(
                "takes {steps} steps for each output; this kernel takes at most {MAX_ITERATIONS}"
            ),
        })
    }
}

/// One output vector an invocation.
fn direct(ctx: &mut Context<'_>, job: Job<'_>) -> Result<(), CompileError> {
    let k = job.left.columns.clone();
    job.check_iterations(ctx, &k.ceil_div(job.parts))?;
    let b = operand(ctx, job.b, job.transpose_b, &job.batch)?;
    let operands = [ctx.placed[job.left.placed].storage, ctx.placed[b.placed].storage];
    let mut params = Params::default();
    params.int("rows", job.rows.clone());
    job.split(&mut params, &k);
    params.int("a_row", layout::round_up(&k, 4));
    params.int("a_batch", job.left.batch_stride.clone());
    params.int("b_batch", vectors(&b.batch_stride));
    let holes = minijinja::context! { split => job.parts > 1 };
    let flops = job.flops.clone();
    let name = "matmul_direct";
    if job.parts == 1 {
        let tail = tail(ctx, job.group, job.anchor, &row_major(job.rank, 4), &operands)?;
        return launch(ctx, job.group, tail, name, name, &operands, params, holes, flops);
    }
    let (tail, walk) = job.tail_of_parts(ctx, operands.len() + 1);
    let grid = ctx.grid(&tail.space.count());
    launch_part(ctx, &job.bare(), tail, name, name, &operands, params, holes, flops, grid)?;
    combine(ctx, job.group, job.anchor, walk)
}

/// In tiles; the right matrix is computed.
fn tiled(ctx: &mut Context<'_>, job: Job<'_>, tile: Tile) -> Result<(), CompileError> {
    let b = operand(ctx, job.b, job.transpose_b, &job.batch)?;
    let columns = layout::round_up(&job.columns, 4).exact_div(&4.into()).unwrap_or_default();
    let right = Right {
        storage: ctx.placed[b.placed].storage,
        batch: vectors(&b.batch_stride),
        tile: tile.columns().into(),
        step: columns.clone(),
        begin: 0.into(),
        end: columns,
    };
    launch_tiles(ctx, &job, tile, vec![right])
}

/// In tiles; the right matrix is known, and comes in several parts if it is too large for one.
fn panels(ctx: &mut Context<'_>, job: Job<'_>, tile: Tile) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let Some(tensor) = graph.as_constant(job.b) else { return direct(ctx, job) };
    let rank = tensor.shape().len();
    let (k_axis, column_axis) = if job.transpose_b { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
    let shape = PanelShape { parts: 1, column_axis, k_axes: vec![k_axis], tile };
    let panels = ctx.panels(job.b, tensor, &shape)?;
    let width = usize::try_from(tile.columns()).unwrap_or(1);
    let columns = tensor.shape()[column_axis].div_ceil(4);
    let mut rights = Vec::new();
    for part in panels {
        rights.push(Right {
            storage: part.storage,
            batch: 0.into(),
            tile: (shape.depth(tensor.shape()) * width).into(),
            step: width.into(),
            begin: (part.tiles.start * width).into(),
            end: (part.tiles.end * width).min(columns).into(),
        });
    }
    launch_tiles(ctx, &job, tile, rights)
}

/// A right matrix, or some columns of it; all numbers are in vectors of four.
struct Right {
    storage: StorageId,
    batch: Dim,
    tile: Dim,
    step: Dim,
    begin: Dim,
    end: Dim,
}

/// One launch for each right matrix; together they make all columns.
fn launch_tiles(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    tile: Tile,
    rights: Vec<Right>,
) -> Result<(), CompileError> {
    let depth = job.left.columns.ceil_div(4);
    job.check_iterations(ctx, &tile.iterations(&depth.ceil_div(job.parts)))?;
    let left = ctx.placed[job.left.placed].storage;
    let own: Vec<StorageId> = [left].into_iter().chain(rights.iter().take(1).map(|r| r.storage)).collect();
    let (tail, rest, bias, walk) = if job.parts == 1 {
        let layout = row_major(job.rank, 4);
        let Biased { tail, rest, bias, .. } =
            biased_tail(ctx, job.group, job.anchor, job.rank - 1, &layout, &own)?;
        (tail, rest, bias, None)
    } else {
        let (tail, walk) = job.tail_of_parts(ctx, own.len() + 1);
        (tail, job.bare(), None, Some(walk))
    };
    let batches = &product(&job.batch) * &job.parts.into();
    let row_tiles = job.rows.ceil_div(tile.rows());
    let single = rights.len() == 1;
    for right in rights {
        let mut params = Params::default();
        params.uint("rows", job.rows.clone());
        params.uint("row_tiles", row_tiles.clone());
        params.uint("batches", batches.clone());
        job.split(&mut params, &depth);
        params.uint("a_step", depth.clone());
        params.uint("a_batch", vectors(&job.left.batch_stride));
        params.uint("w_batch", right.batch);
        params.uint("w_tile", right.tile);
        params.uint("w_step", right.step);
        params.uint("columns_begin", right.begin.clone());
        params.uint("columns_end", right.end.clone());
        let columns = right.end - right.begin;
        let grid = tile.grid(ctx, &(&row_tiles * &batches), columns.ceil_div(tile.columns()));
        let holes = tile
            .holes(minijinja::context! { biased => bias.is_some(), phased => false, split => job.parts > 1 });
        let name = format!("matmul_{}", tile.name());
        let template = if tile == Tile::Workgroup { "matmul_tile" } else { "matmul_broadcast" };
        let flops = if single {
            job.flops.clone()
        } else {
            &(&job.rows * &product(&job.batch)) * &(columns * job.left.columns.clone() * 8.into())
        };
        let operands: Vec<StorageId> = [left, right.storage].into_iter().chain(bias).collect();
        launch_part(ctx, &rest, tail.clone(), template, &name, &operands, params, holes, flops, grid)?;
    }
    match walk {
        Some(walk) => combine(ctx, job.group, job.anchor, walk),
        None => ctx.complete(&tail.output),
    }
}

fn vectors(elements: &Dim) -> Dim {
    elements.exact_div(&4.into()).unwrap_or_default()
}

/// An operand as the kernel reads it: row-major, rows padded to four.
struct Matrix {
    placed: usize,
    columns: Dim,
    /// Elements from one matrix to the next; 0 if all batches share one.
    batch_stride: Dim,
}

fn operand(
    ctx: &mut Context<'_>,
    id: ValueId,
    transposed: bool,
    batch: &[Dim],
) -> Result<Matrix, CompileError> {
    let ty = ctx.graph.ty(id).clone();
    let rank = ty.rank();
    let own = &ty.shape[..rank - 2];
    let shared = own.iter().all(|d| d.is(1));
    let whole = own == batch;
    if (shared || whole) && !transposed {
        let placed = ctx.version(id, &row_major(rank, 4))?;
        let stride = &ty.shape[rank - 2] * &layout::round_up(&ty.shape[rank - 1], 4);
        let batch_stride = if shared { 0.into() } else { stride };
        return Ok(Matrix { placed, columns: ty.shape[rank - 1].clone(), batch_stride });
    }
    if shared {
        // A constant is laid out now, a state lies so already.
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        let placed = ctx.version(id, &Layout { order, lanes: 4 })?;
        return Ok(Matrix { placed, columns: ty.shape[rank - 2].clone(), batch_stride: 0.into() });
    }
    // Neither swapped rows and columns nor batches that repeat in part can be walked by the kernel: copy.
    let mut view = ctx.view(id)?;
    let mut shape = ty.shape.clone();
    if transposed {
        view.strides.swap(rank - 2, rank - 1);
        shape.swap(rank - 2, rank - 1);
    }
    let full: Vec<Dim> =
        if shared { shape.clone() } else { batch.iter().chain(&shape[rank - 2..]).cloned().collect() };
    view.strides = stretch(&view.strides, &shape, &full);
    let value = ctx.graph.value(id);
    let name = format!("{} (matrix)", value.name);
    let layout = row_major(full.len(), 4);
    let dtype = ty.dtype;
    let element = ctx.stored_type(dtype);
    let storage = ctx.allocate(&name, element, &layout::elements(&layout, &full), Contents::Activation);
    ctx.placed.push(Placed {
        name: name.clone(),
        ty: TensorType::new(dtype, full.clone()),
        layout: layout.clone(),
        storage,
    });
    let placed = ctx.placed.len() - 1;
    let space = Space::new(&full, &layout);
    let copy = Copy {
        name: &name,
        kernel: "copy",
        operands: vec![Operand::plain(view, dtype)],
        space,
        dtype,
        to: storage,
        placed: Some(placed),
        view: None,
    };
    launch_copy(ctx, copy)?;
    let columns = full[full.len() - 1].clone();
    let stride = &full[full.len() - 2] * &layout::round_up(&columns, 4);
    Ok(Matrix { placed, columns, batch_stride: if shared { 0.into() } else { stride } })
}
