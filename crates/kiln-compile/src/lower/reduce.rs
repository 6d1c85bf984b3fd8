//! Reductions, softmax and arg-max: everything that walks along axes.

use kiln_graph::ops::{ArgKind, ArgReduce, Reduce, ReduceKind, Softmax};
use kiln_graph::{DType, Dim, NodeId, ValueId, product};
use kiln_plan::{Access, Layout, Storage};

use super::anchor::{Tail, launch};
use super::arithmetic::wrapped;
use super::context::{Contents, Context, View};
use super::conv::MAX_ITERATIONS;
use super::elementwise::expression;
use super::expression::{Element, Ends};
use super::kernel::{Params, Request};
use super::operand::{Space, computed_scalar, literal, register_type};
use crate::error::CompileError;
use crate::fuse::{Group, sums_columns};
use crate::layout::{self, is_multiple};

/// The axes that are walked: size and stride, slowest first, neighbours merged.
fn walk(view: &View, shape: &[Dim], axes: &[usize], order: &[usize]) -> Vec<(Dim, Dim)> {
    let mut loops: Vec<(Dim, Dim)> = Vec::new();
    for axis in order.iter().filter(|axis| axes.contains(axis) && !shape[**axis].is(1)) {
        let (size, stride) = (shape[*axis].clone(), view.strides[*axis].clone());
        match loops.last_mut() {
            Some(outer) if outer.1 == &stride * &size => *outer = (&outer.0 * &size, stride),
            Some(_) | None => loops.push((size, stride)),
        }
    }
    loops
}

pub fn check_iterations(ctx: &Context<'_>, node: &str, count: &Dim) -> Result<(), CompileError> {
    let most = ctx.largest(count);
    if most <= MAX_ITERATIONS {
        return Ok(());
    }
    Err(CompileError::Unsupported {
        node: node.into(),
        message: format!(
            "combines {most} elements for each output; this kernel combines at most {MAX_ITERATIONS}"
        ),
    })
}

/// The order of dimensions in memory of the value behind a view, by falling strides.
fn memory_order(ctx: &Context<'_>, view: &View) -> Vec<usize> {
    let mut order: Vec<usize> = (0..view.strides.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(ctx.largest(&view.strides[*axis])));
    order
}

/// Lowers a reduction with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Reduce) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, anchor) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    if sums_columns(graph, node, op) {
        return super::reduce_columns::lower(ctx, group, node, op);
    }
    let view = ctx.view(x)?;
    let order = memory_order(ctx, &view);
    let count = product(op.axes.iter().map(|axis| &ty.shape[*axis]));
    check_iterations(ctx, &group.name, &count)?;
    let loops = walk(&view, &ty.shape, &op.axes, &order);
    let kept = |axis: &usize| op.keep_dims || !op.axes.contains(axis);
    let output_axis =
        |axis: usize| if op.keep_dims { axis } else { axis - op.axes.iter().filter(|a| **a < axis).count() };
    let order = order.iter().copied().filter(kept).map(output_axis).collect();
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(kept)
        .map(|a| if op.axes.contains(&a) { 0.into() } else { view.strides[a].clone() })
        .collect();
    let view = View { strides, ..view };
    let flops = product(&ty.shape);
    combine(ctx, group, anchor, Walk { view, order, loops, count, kind: op.kind, flops })
}

/// What a reduction reads.
pub struct Walk {
    /// The first element that belongs to each result; strides are by dimension of the result.
    pub view: View,
    /// The dimensions of the result, slowest first, as they lie in memory.
    pub order: Vec<usize>,
    /// Size and stride of the loops over what is combined, slowest first.
    pub loops: Vec<(Dim, Dim)>,
    /// What a mean divides by.
    pub count: Dim,
    /// How elements are combined.
    pub kind: ReduceKind,
    /// Floating point operations.
    pub flops: Dim,
}

/// Lowers a reduction that walks as `walk` says, with its epilogue.
pub fn combine(
    ctx: &mut Context<'_>,
    group: &Group,
    anchor: ValueId,
    walk: Walk,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let Walk { view, order: mut out_order, mut loops, count, kind, flops } = walk;
    let dtype = graph.ty(anchor).dtype;
    ctx.element(anchor)?;
    let strides = view.strides.clone();
    let value = group.outputs.first().copied().unwrap_or(anchor);
    let shape = graph.ty(value).shape.clone();
    // Dimensions that were reduced are 1 and go first, so that the fastest one is a real one.
    out_order.sort_by_key(|axis| !shape[*axis].is(1));
    let inner = out_order.last().map(|axis| strides[*axis].clone());
    let aligned = is_multiple(&view.base, 4)
        && loops.iter().all(|(_, s)| is_multiple(s, 4))
        && out_order.iter().rev().skip(1).all(|axis| is_multiple(&strides[*axis], 4));
    let vectors = aligned && inner.as_ref().is_some_and(|s| s.is(1)) && dtype.is_float();
    let out_layout = Layout { order: out_order, lanes: if vectors { 4 } else { 1 } };
    let mut space = Space::new(&shape, &out_layout);
    if !vectors {
        space.width = 1;
    }
    // Rows that lie together are summed four elements at a time, where the padding cannot be seen.
    let along = loops.last().is_some_and(|(size, stride)| {
        let whole =
            is_multiple(size, 4) || view.zero_lanes && matches!(kind, ReduceKind::Sum | ReduceKind::Mean);
        stride.is(1) && whole
    }) && !vectors
        && dtype.is_float()
        && is_multiple(&view.base, 4)
        && loops.iter().rev().skip(1).all(|(_, s)| is_multiple(s, 4))
        && strides.iter().all(|s| is_multiple(s, 4));
    let mut params = Params::default();
    if along && let Some((size, _)) = loops.last_mut() {
        *size = size.ceil_div(4);
    }
    let unit = if vectors || along { 4 } else { 1 };
    for (n, (size, stride)) in loops.iter().enumerate() {
        params.int(format!("r{n}"), size.clone());
        let step = stride.exact_div(&unit.into()).unwrap_or_else(|| 1.into());
        params.int(format!("r{n}_step"), step);
    }
    params.int("combined", count);
    let place = View {
        strides: if along { divided(&strides) } else { strides },
        base: if along { view.base.exact_div(&4.into()).unwrap_or_default() } else { view.base.clone() },
        ..view.clone()
    };
    let destination = ctx.destination(group, value, &out_layout)?;
    let ends = Ends { source: Some(&place), destination: destination.view(), ..Ends::default() };
    let finished = expression(ctx, group, space.clone(), Some(anchor), &[view.storage], ends)?;
    let output = ctx.output(value, out_layout, destination, finished.in_place)?;
    let holes = minijinja::context! {
        kind => value_of(kind).name(),
        loops => loops.len(),
        vectors,
        along,
        float => dtype.is_float(),
        least => extreme_integer(value_of(kind), dtype),
        // Sums may need more digits than what is summed.
        total_type => register_type(dtype, 1),
        total => wrapped(1, dtype, "total".into()),
    };
    let storage = view.storage;
    let tail = Tail { output, space, finished };
    launch(ctx, group, tail, "reduce", value_of(kind).name(), &[storage], params, holes, flops)
}

/// What is computed, apart from gradients.
fn value_of(kind: ReduceKind) -> ReduceKind {
    match kind {
        ReduceKind::MaxFirst => ReduceKind::Max,
        ReduceKind::MinFirst => ReduceKind::Min,
        ReduceKind::Sum | ReduceKind::Mean | ReduceKind::Max | ReduceKind::Min | ReduceKind::Prod => kind,
    }
}

/// Of no integers, the largest is the least that the type has, and the smallest the greatest, as WGSL.
fn extreme_integer(kind: ReduceKind, dtype: DType) -> String {
    let (low, high) = dtype.integer_range().unwrap_or_default();
    let end = if kind == ReduceKind::Max { low } else { high };
    #[allow(clippy::as_conversions, reason = "what is rounded up is cut off at the end of the range again")]
    literal(dtype, end as f64, 1)
}

fn divided(strides: &[Dim]) -> Vec<Dim> {
    strides.iter().map(|s| s.exact_div(&4.into()).unwrap_or_default()).collect()
}

/// Lowers arg-max and arg-min.
pub fn lower_arg(
    ctx: &mut Context<'_>,
    group: &Group,
    node: NodeId,
    op: &ArgReduce,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, out) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    let view = ctx.view(x)?;
    check_iterations(ctx, &group.name, &ty.shape[op.axis])?;
    let shape = graph.ty(out).shape.clone();
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(|a| op.keep_dims || *a != op.axis)
        .map(|a| if a == op.axis { 0.into() } else { view.strides[a].clone() })
        .collect();
    let layout = layout::row_major(shape.len(), 1);
    let placed = ctx.place(out, layout.clone(), Contents::Activation)?;
    let space = Space { width: 1, ..Space::new(&shape, &layout) };
    let mut params = Params::default();
    params.uint("count", space.count());
    params.uint("inner", space.inner());
    params.int("size", ty.shape[op.axis].clone());
    params.int("step", view.strides[op.axis].clone());
    let place = View { strides, ..view.clone() };
    let ends = Ends { source: Some(&place), ..Ends::default() };
    let finished = Element::new(space.clone(), &[], ends, 2, &[]).finish(
        "acc",
        DType::F32,
        Storage::F32,
        DType::F32,
        ends,
    );
    let is_nan = if ty.dtype == DType::F64 { "is_nan_double" } else { "is_nan" };
    let better = match (op.kind, op.select_last_index) {
        (ArgKind::Max, false) => "value > best",
        (ArgKind::Max, true) => "value >= best",
        (ArgKind::Min, false) => "value < best",
        (ArgKind::Min, true) => "value <= best",
    };
    let better = match (ty.dtype.is_float(), op.select_last_index) {
        (false, _) => better.to_owned(),
        // Not left to the comparison, which drivers may take for the opposite of another one.
        (true, false) => format!("!{is_nan}(best) & ({is_nan}(value) | ({better}))"),
        (true, true) => format!("{is_nan}(value) | (!{is_nan}(best) & ({better}))"),
    };
    let holes = minijinja::context! {
        better,
        used => if ty.dtype.is_float() { vec![is_nan] } else { Vec::new() },
        element_type => computed_scalar(view.element),
        ..finished.holes()
    };
    params.extend(finished.params);
    let workgroups = ctx.grid(&space.count());
    let bindings = vec![(view.storage, Access::Read), (ctx.placed[placed].storage, Access::ReadWrite)];
    ctx.request(Request {
        template: "arg_reduce",
        kernel: op.kind.name().into(),
        name: &group.name,
        holes,
        bindings,
        params,
        workgroups,
        writes: vec![placed],
        flops: product(&ty.shape),
    })?;
    ctx.register(out, placed)
}

/// Lowers softmax and its logarithm.
pub fn lower_softmax(
    ctx: &mut Context<'_>,
    group: &Group,
    node: NodeId,
    op: &Softmax,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, out) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    check_iterations(ctx, &group.name, &(ty.shape[op.axis].clone() * 4.into()))?;
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
    let mut params = Params::default();
    params.uint("count", space.count());
    params.uint("inner", space.inner());
    params.int("size", ty.shape[op.axis].clone());
    params.int(
        "padded",
        if along_inner { layout::round_up(&ty.shape[op.axis], 4) } else { ty.shape[op.axis].clone() },
    );
    let step = strides[op.axis].clone();
    params.int("step", if along_inner { step } else { step.exact_div(&4.into()).unwrap_or_default() });
    let storage = ctx.placed[x_placed].storage;
    let place = View { storage, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let valid = space.valid.clone();
    let ends = Ends { source: Some(&place), ..Ends::default() };
    let finished =
        Element::new(space.clone(), &[], ends, 2, &[]).finish("acc", ty.dtype, Storage::F32, ty.dtype, ends);
    let masked = !along_inner && !is_multiple(&valid, 4);
    let holes = minijinja::context! { log => op.log, masked, ..finished.holes() };
    params.extend(finished.params);
    let workgroups = ctx.grid(&space.count());
    let bindings = vec![(storage, Access::Read), (ctx.placed[placed].storage, Access::ReadWrite)];
    ctx.request(Request {
        template: "softmax",
        kernel: if op.log { "log_softmax".into() } else { "softmax".into() },
        name: &group.name,
        holes,
        bindings,
        params,
        workgroups,
        writes: vec![placed],
        flops: product(&ty.shape) * 4.into(),
    })?;
    ctx.register(out, placed)
}
