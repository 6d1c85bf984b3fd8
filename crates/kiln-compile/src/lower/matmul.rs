//! Matrix product.

use kiln_graph::ops::MatMul;
use kiln_graph::{Dim, NodeId, TensorType, ValueId, product};
use kiln_plan::Layout;

use super::anchor::{launch, tail};
use super::context::{Contents, Context, Placed};
use super::conv::MAX_ITERATIONS;
use super::elementwise::{Copy, launch_copy, stretch};
use super::expression::{Operand, Space};
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, row_major};

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
    let batch = out_shape[..out_shape.len() - 2].to_vec();
    let a = operand(ctx, a, op.transpose_a, &batch)?;
    let b = operand(ctx, b, op.transpose_b, &batch)?;
    let k = a.columns.clone();
    let k_max = ctx.largest(&k);
    if k_max > MAX_ITERATIONS {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: format!(
                "sums {k_max} products for each output; this kernel sums at most {MAX_ITERATIONS}"
            ),
        });
    }
    let operands = [ctx.placed[a.placed].storage, ctx.placed[b.placed].storage];
    let tail = tail(ctx, group, anchor, &row_major(out_shape.len(), 4), &operands)?;
    let mut params = Params::default();
    params.int("rows", out_shape[out_shape.len() - 2].clone());
    params.int("depth", k.clone());
    params.int("a_row", layout::round_up(&k, 4));
    params.int("a_batch", a.batch_stride.clone());
    params.int("b_batch", b.batch_stride.exact_div(&4.into()).unwrap_or_default());
    let flops = product(&out_shape) * k * 2.into();
    launch(
        ctx,
        group,
        tail,
        "matmul_direct",
        "matmul_direct",
        &operands,
        params,
        minijinja::context! {},
        flops,
    )
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
    if shared && ctx.graph.as_constant(id).is_some() {
        // Laid out now, not on the device.
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
    let bytes = layout::elements(&layout, &full) * 4.into();
    let storage = ctx.allocate(&name, bytes, Contents::Activation);
    let dtype = ty.dtype;
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
