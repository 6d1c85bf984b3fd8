//! Arg-max and arg-min.

use kiln_graph::ops::{ArgKind, ArgReduce};
use kiln_graph::{DType, Dim, NodeId, product};
use kiln_plan::{Access, Storage};

use super::context::{Contents, Context, StorageId, View};
use super::expression::{Element, Ends};
use super::kernel::{Params, Request};
use super::operand::{Space, computed_scalar};
use super::reduce::LONG;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout;

/// Where the best elements of parts are noted.
struct Parts {
    count: i64,
    storage: StorageId,
}

/// A kernel about to be launched.
struct Job<'a> {
    group: &'a Group,
    op: &'a ArgReduce,
    dtype: DType,
    view: View,
    size: Dim,
    /// The results.
    shape: Vec<Dim>,
    /// The first element that belongs to each.
    strides: Vec<Dim>,
}

/// Lowers arg-max and arg-min. Long rows are looked through in parts, and then what was found.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &ArgReduce) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, out) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    let view = ctx.view(x)?;
    let shape = graph.ty(out).shape.clone();
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(|a| op.keep_dims || *a != op.axis)
        .map(|a| if a == op.axis { 0.into() } else { view.strides[a].clone() })
        .collect();
    let job = Job { group, op, dtype: ty.dtype, view, size: ty.shape[op.axis].clone(), shape, strides };
    let mut found = None;
    let mut left = ctx.largest(&job.size);
    while left > LONG {
        let count = left.isqrt();
        let name = format!("{} (parts)", group.name);
        let elements = &product(&job.shape) * &count.into();
        let storage = ctx.allocate(&name, Storage::I32, &elements, Contents::Activation);
        let parts = Parts { count, storage };
        launch(ctx, &job, found.as_ref(), Some(&parts), (storage, vec![]), product(&ty.shape))?;
        found = Some(parts);
        left = count;
    }
    let placed = ctx.place(out, layout::row_major(job.shape.len(), 1), Contents::Activation)?;
    let to = (ctx.placed[placed].storage, vec![placed]);
    let flops = if found.is_some() { 0.into() } else { product(&ty.shape) };
    launch(ctx, &job, found.as_ref(), None, to, flops)?;
    ctx.register(out, placed)
}

/// Looks through all elements, or those that were found before; for the whole result, or for parts of it.
fn launch(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    found: Option<&Parts>,
    parts: Option<&Parts>,
    (to, writes): (StorageId, Vec<usize>),
    flops: Dim,
) -> Result<(), CompileError> {
    let Job { group, op, dtype, view, size, shape, strides } = job;
    let all = found.map_or_else(|| size.clone(), |found| found.count.into());
    let mut params = Params::default();
    let results = Space { width: 1, ..Space::new(shape, &layout::row_major(shape.len(), 1)) };
    let count = parts.map_or(1, |parts| parts.count);
    params.uint("count", &results.count() * &count.into());
    params.uint("inner", results.inner());
    params.uint("outputs", results.count());
    params.int("size", all.clone());
    params.int("chunk", if parts.is_some() { all.ceil_div(count) } else { all });
    params.int("step", view.strides[op.axis].clone());
    let place = View { strides: strides.clone(), ..view.clone() };
    let ends = Ends { source: Some(&place), ..Ends::default() };
    let finished = Element::new(results.clone(), &[], ends, 2, &[]).finish(
        "acc",
        DType::F32,
        Storage::F32,
        DType::F32,
        ends,
    );
    let is_nan = if *dtype == DType::F64 { "is_nan_double" } else { "is_nan" };
    let better = match (op.kind, op.select_last_index) {
        (ArgKind::Max, false) => "value > best",
        (ArgKind::Max, true) => "value >= best",
        (ArgKind::Min, false) => "value < best",
        (ArgKind::Min, true) => "value <= best",
    };
    let better = match (dtype.is_float(), op.select_last_index) {
        (false, _) => better.to_owned(),
        // Not left to the comparison, which drivers may take for the opposite of another one.
        (true, false) => format!("!{is_nan}(best) & ({is_nan}(value) | ({better}))"),
        (true, true) => format!("{is_nan}(value) | (!{is_nan}(best) & ({better}))"),
    };
    let holes = minijinja::context! {
        better,
        found => found.is_some(),
        used => if dtype.is_float() { vec![is_nan] } else { Vec::new() },
        element_type => computed_scalar(view.element),
        ..finished.holes()
    };
    params.extend(finished.params);
    let workgroups = ctx.grid(&(&results.count() * &count.into()));
    let mut bindings = vec![(view.storage, Access::Read)];
    bindings.extend(found.map(|found| (found.storage, Access::Read)));
    bindings.push((to, Access::ReadWrite));
    let kernel = if parts.is_some() { format!("{}_parts", op.kind.name()) } else { op.kind.name().into() };
    ctx.request(Request {
        template: "arg_reduce",
        kernel,
        name: &group.name,
        holes,
        bindings,
        params,
        workgroups,
        writes,
        flops,
    })
}
