//! Softmax and its logarithm.

use kiln_graph::ops::Softmax;
use kiln_graph::{Dim, NodeId, product};
use kiln_plan::{Access, Layout, Storage};

use super::context::{Contents, Context, StorageId, View};
use super::expression::{Element, Ends, Finished};
use super::kernel::{Params, Request};
use super::operand::Space;
use super::reduce::BLOCK;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, is_multiple};

/// Rows of more elements than this are shared by several invocations.
const LONG: i64 = 2048;

/// What the kernels are told: where rows begin, and how they are walked.
struct Job<'a> {
    group: &'a Group,
    op: &'a Softmax,
    /// The rows, or fours of rows.
    space: Space,
    finished: Finished,
    /// Whether some rows are padding.
    masked: bool,
    size: Dim,
    padded: Dim,
    step: Dim,
}

/// Lowers softmax and its logarithm.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Softmax) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, out) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    let layout =
        ctx.stored_layout(x).map_or_else(|| layout::row_major(ty.rank(), 4), |l| Layout { lanes: 4, ..l });
    let x_placed = ctx.version(x, &layout)?;
    let placed = ctx.place(out, layout.clone(), Contents::Activation)?;
    let strides = layout::strides(&layout, &ty.shape);
    let along_inner = layout.order.last() == Some(&op.axis);
    let mut rows = ty.shape.clone();
    rows[op.axis] = 1.into();
    // One invocation a row; where rows lie side by side, four rows.
    let width = if along_inner { 1 } else { 4 };
    let space = Space { width, ..Space::new(&rows, &layout) };
    let size = ty.shape[op.axis].clone();
    let step = strides[op.axis].clone();
    let storage = ctx.placed[x_placed].storage;
    let place = View { storage, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let ends = Ends { source: Some(&place), ..Ends::default() };
    let finished =
        Element::new(space.clone(), &[], ends, 2, &[]).finish("acc", ty.dtype, Storage::F32, ty.dtype, ends);
    let job = Job {
        group,
        op,
        masked: !along_inner && !is_multiple(&space.valid, 4),
        space,
        finished,
        padded: if along_inner { layout::round_up(&size, 4) } else { size.clone() },
        step: if along_inner { step } else { step.exact_div(&4.into()).unwrap_or_default() },
        size,
    };
    let to = ctx.placed[placed].storage;
    let flops = product(&ty.shape) * 4.into();
    let name = if op.log { "log_softmax" } else { "softmax" };
    let most = ctx.largest(&job.size);
    if most <= LONG {
        let (bindings, grid) = (vec![storage, to], job.space.count());
        launch(ctx, &job, "softmax", name, bindings, Params::default(), &grid, vec![placed], flops)?;
    } else {
        in_parts(ctx, &job, name, [storage, to], most.isqrt(), placed, flops)?;
    }
    ctx.register(out, placed)
}

/// The largest element and the sum of exponentials of parts of each row; those of each row; the results, part by part.
fn in_parts(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    name: &str,
    [from, to]: [StorageId; 2],
    parts: i64,
    placed: usize,
    flops: Dim,
) -> Result<(), CompileError> {
    let rows = job.space.count();
    let pieces = &rows * &parts.into();
    let lanes = i64::try_from(job.space.width).unwrap_or(1);
    let mut memory = |what: &str, count: &Dim| {
        let elements = layout::round_up(&(count * &(2 * lanes).into()), 4);
        ctx.allocate(&format!("{} ({what})", job.group.name), Storage::F32, &elements, Contents::Activation)
    };
    let (of_parts, of_rows) = (memory("parts", &pieces), memory("rows", &rows));
    let params = || {
        let mut params = Params::default();
        params.uint("rows", rows.clone());
        params.int("parts", parts);
        params.int("chunk", job.size.ceil_div(parts));
        params
    };
    let template = ["softmax_parts", "softmax_rows", "softmax_results"];
    let kernel = template.map(|template| template.replace("softmax", name));
    launch(ctx, job, template[0], &kernel[0], vec![from, of_parts], params(), &pieces, vec![], flops)?;
    let merge = &pieces * &2.into();
    launch(ctx, job, template[1], &kernel[1], vec![of_parts, of_rows], params(), &rows, vec![], merge)?;
    let bindings = vec![from, of_rows, to];
    launch(ctx, job, template[2], &kernel[2], bindings, params(), &pieces, vec![placed], 0.into())
}

/// A kernel over `invocations`; all of its bindings are read but the last.
#[allow(clippy::too_many_arguments, reason = "this is a launch: kernel, operands, parameters, grid")]
fn launch(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    template: &'static str,
    kernel: &str,
    bindings: Vec<StorageId>,
    own: Params,
    invocations: &Dim,
    writes: Vec<usize>,
    flops: Dim,
) -> Result<(), CompileError> {
    let mut params = Params::default();
    params.uint("count", invocations.clone());
    params.uint("inner", job.space.inner());
    params.int("size", job.size.clone());
    params.int("padded", job.padded.clone());
    params.int("step", job.step.clone());
    params.extend(own);
    params.extend(job.finished.params.clone());
    let last = bindings.len() - 1;
    let access = |n| if n == last { Access::ReadWrite } else { Access::Read };
    let workgroups = ctx.grid(invocations);
    ctx.request(Request {
        template,
        kernel: kernel.into(),
        name: &job.group.name,
        holes: minijinja::context! {
            log => job.op.log,
            masked => job.masked,
            block => BLOCK,
            ..job.finished.holes()
        },
        bindings: bindings.into_iter().enumerate().map(|(n, storage)| (storage, access(n))).collect(),
        params,
        workgroups,
        writes,
        flops,
    })
}
