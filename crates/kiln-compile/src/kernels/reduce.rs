//! Reductions.
//!
//! Sums are formed as trees: in a kernel of blocks, and where much is combined by several kernels, one after the other,
//! each of which leaves less. So there is no limit to what can be combined, there is work for all of the device, and
//! rounding errors stay small. The order is always the same.

use kiln_graph::ops::ReduceKind;
use kiln_graph::{DType, Dim, Op, product};
use kiln_plan::{Access, Layout};

use super::builder::{AnchorLaunch, KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, ceil_div};
pub(super) use super::reduction_loops::ReductionPlan;
use super::reduction_loops::{BLOCK, LONG, ReductionLoops, merged, shares};
use super::workgroup_tree;
use crate::element::computed_type;
use crate::error::CompileError;
use crate::layout;
use crate::memory::buffer::View;
use crate::memory::values::Values;
use crate::target::Target;
use crate::wgsl::elementwise::wrapped;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::template::templates;

/// The family. The knob `lanes` is the number of invocations of a workgroup that shares results, if any does.
pub(super) const FAMILY: Family =
    Family { name: "reduce", templates: templates!["reduce"], space, demands, cost, realize };

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Operation::Reduce { kind, length, .. } = problem.operation else { return vec![] };
    // The pass `decompose` leaves no others than those of columns.
    if kind == ReduceKind::Variance {
        return vec![];
    }
    // Longer lines are combined in parts.
    let lanes = workgroup_tree::lanes(target, length).into_iter();
    let lanes = lanes.filter(|lanes| ceil_div(length, lanes / MOST_SIDE) <= LONG);
    let trees = lanes.map(|lanes| Knobs::new([("lanes", lanes)]));
    [Knobs::default()].into_iter().chain(trees).collect()
}

/// Results that lie side by side, and that a workgroup makes at most: neighbouring lanes read neighbouring elements.
pub(super) const MOST_SIDE: i64 = 8;

fn demands(_: &Problem, knobs: &Knobs) -> Demands {
    let lanes = knobs.get("lanes");
    // What is longer is split into parts.
    let simple = Demands::simple(vec![OperandLayout::Strided], LONG + LONG / BLOCK);
    if lanes == 0 {
        return simple;
    }
    let invocations = u32::try_from(lanes).unwrap_or(u32::MAX);
    Demands { invocations, workgroup_memory: workgroup_tree::workgroup_memory(lanes), ..simple }
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Reduce { length, results, .. } = problem.operation else { return Estimate::default() };
    let lanes = knobs.get("lanes");
    if lanes > 0 {
        let loads = float(ceil_div(length, lanes));
        let work = loads + workgroup_tree::work(lanes, 1);
        return Estimate::of(results.saturating_mul(lanes), work).waiting(loads);
    }
    let parts = if length > LONG { length.isqrt() } else { 1 };
    let loads = float(length / parts);
    let estimate = Estimate::of(results.saturating_mul(parts), loads).waiting(loads);
    let bytes = float(results.saturating_mul(parts).saturating_mul(8));
    if parts > 1 { estimate.added_up(parts, bytes) } else { estimate }
}

/// The order of dimensions in memory of the value behind a view, by falling strides.
fn memory_order(values: &Values<'_>, view: &View) -> Vec<usize> {
    let mut order: Vec<usize> = (0..view.strides.len()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(values.maximum(&view.strides[*axis])));
    order
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Reduce(op) = &node.op else { return Err(builder.defect("is not a reduction")) };
    let shape = builder.shape(node.inputs[0]);
    let view = builder.view(0)?;
    let order = memory_order(builder.values, &view);
    let combined = order.iter().filter(|axis| op.axes.contains(axis) && !shape[**axis].is(1));
    let loops = merged(combined.map(|axis| (shape[*axis].clone(), view.strides[*axis].clone())));
    let kept = |axis: &usize| op.keep_dims || !op.axes.contains(axis);
    let output_axis =
        |axis: usize| if op.keep_dims { axis } else { axis - op.axes.iter().filter(|a| **a < axis).count() };
    let order = order.iter().copied().filter(kept).map(output_axis).collect();
    let strides: Vec<Dim> = (0..shape.len())
        .filter(kept)
        .map(|a| if op.axes.contains(&a) { 0.into() } else { view.strides[a].clone() })
        .collect();
    let count = product(op.axes.iter().map(|axis| &shape[*axis]));
    let view = View { strides, ..view };
    let plan = ReductionPlan { view, order, loops, count, kind: op.kind, flops: product(&shape) };
    lower_shared(builder, plan, knobs.get("lanes"))
}

/// Launches a reduction as `plan` says, with the epilogue of the group.
pub(super) fn lower_reduction(
    builder: &mut KernelBuilder<'_, '_>,
    plan: ReductionPlan,
) -> Result<(), CompileError> {
    lower_shared(builder, plan, 0)
}

/// As [`lower_reduction`]; with `lanes`, results are shared by workgroups of so many invocations.
fn lower_shared(
    builder: &mut KernelBuilder<'_, '_>,
    mut plan: ReductionPlan,
    lanes: i64,
) -> Result<(), CompileError> {
    let anchor = builder.result()?;
    let dtype = builder.values.graph.ty(anchor).dtype;
    builder.values.element(anchor)?;
    plan.kind = value_of(plan.kind);
    let shape = builder.shape(builder.group_result()?);
    let (loops, count) = loop {
        let loops = ReductionLoops::of(&shape, &plan, dtype)?;
        let shares = shares(builder.values, &loops.loops);
        if lanes > 0 || shares.is_empty() {
            break (loops, plan.count);
        }
        plan = in_parts(builder, dtype, plan, &loops, &shares)?;
    };
    let buffer = loops.place.buffer;
    let epilogue =
        builder.epilogue_over(&loops.layout, loops.space.clone(), &[buffer], Some(&loops.place))?;
    let mut params = loops.params();
    params.int("combined", count);
    // Results that lie side by side are shared by one workgroup.
    let together = epilogue.space.count();
    let side =
        if lanes == 0 || loops.along || !loops.vectors { 1 } else { side(builder.values.maximum(&together)) };
    if lanes > 0 {
        params.int("terms", product(loops.loops.iter().map(|(size, _)| size)));
    }
    let workgroups =
        if lanes > 0 { builder.values.folded(&together.ceil_div(side)) } else { builder.grid(&together) };
    let values = minijinja::context! {
        lanes,
        side,
        halves => workgroup_tree::halves(lanes, side),
        total => wrapped(1, dtype, "total".into()),
        ..loops.template_values(builder.values, plan.kind, dtype)
    };
    // Blocks are loops of their own.
    let iterations = product(loops.loops.iter().map(|(size, _)| size)) * 2.into();
    let launch = AnchorLaunch {
        template: "reduce",
        kernel: plan.kind.name().into(),
        buffers: &[buffer],
        params,
        values,
        workgroups,
        flops: plan.flops,
    };
    builder.launch_anchor(epilogue, launch);
    builder.iterates(iterations);
    Ok(())
}

/// How many of so many results that lie side by side a workgroup makes.
pub(super) fn side(results: i64) -> i64 {
    [MOST_SIDE, 4, 2].into_iter().find(|side| *side <= results).unwrap_or(1)
}

/// What is computed, apart from gradients.
fn value_of(kind: ReduceKind) -> ReduceKind {
    match kind {
        ReduceKind::MaxFirst => ReduceKind::Max,
        ReduceKind::MinFirst => ReduceKind::Min,
        ReduceKind::Sum
        | ReduceKind::Mean
        | ReduceKind::Max
        | ReduceKind::Min
        | ReduceKind::Prod
        | ReduceKind::Variance => kind,
    }
}

/// Combines parts of each result, and says how these are combined.
fn in_parts(
    builder: &mut KernelBuilder<'_, '_>,
    dtype: DType,
    plan: ReductionPlan,
    whole: &ReductionLoops,
    shares: &[(usize, i64)],
) -> Result<ReductionPlan, CompileError> {
    // A mean is divided at the end.
    let kind = if plan.kind == ReduceKind::Mean { ReduceKind::Sum } else { plan.kind };
    let added = shares.len();
    let part = part_of(whole, shares);
    let shape = part.space.shape.clone();
    let mut params = Params::default();
    params.uint("count", part.space.count());
    params.uint("inner", part.space.inner());
    params.extend(part.params());
    let mut outputs = whole.space.count();
    for (n, parts) in shares.iter().rev() {
        params.uint(format!("outputs_{n}"), outputs.clone());
        params.uint(format!("parts_{n}"), *parts);
        params.int(format!("whole_{n}"), whole.loops[*n].0.clone());
        outputs = outputs * (*parts).into();
    }
    let element = computed_type(dtype);
    let to = builder.scratch("parts", element, &layout::elements(&part.layout, &shape));
    let addressing = Addressing { source: Some(&part.place), ..Addressing::default() };
    let code = Expression::new(part.space.clone(), &[], addressing, 2, &[])
        .finish("acc", dtype, element, dtype, addressing);
    let splits: Vec<usize> = shares.iter().map(|(n, _)| *n).collect();
    let own = part.template_values(builder.values, kind, dtype);
    let values = minijinja::context! {
        splits,
        lanes => 0,
        out_binding => 2,
        ..minijinja::context! { ..code.template_values(), ..own }
    };
    params.extend(code.params);
    let workgroups = builder.grid(&part.space.count());
    builder.launch(KernelLaunch {
        template: "reduce",
        kernel: format!("{}_parts", kind.name()),
        name: builder.group.name.clone(),
        values,
        bindings: vec![(whole.place.buffer, Access::Read), (to, Access::ReadWrite)],
        params,
        workgroups,
        writes: vec![],
        flops: plan.flops.clone(),
    });
    let mut strides = layout::strides(&part.layout, &shape);
    let own = strides.split_off(added);
    let parts = shares.iter().map(|(_, parts)| Dim::from(*parts));
    let zero_lanes = part.layout.lanes == 4;
    let view = View { buffer: to, element, base: 0.into(), strides: own, zero_lanes };
    let (flops, order) = (whole.space.count(), whole.layout.order.clone());
    Ok(ReductionPlan { view, order, loops: merged(parts.zip(strides)), flops, ..plan })
}

/// The loops of parts: the results have an axis for each loop that is split.
fn part_of(whole: &ReductionLoops, shares: &[(usize, i64)]) -> ReductionLoops {
    // Vectors that are neighbours are placed by elements.
    let unit = Dim::from(if whole.vectors { 4 } else { 1 });
    let mut loops = whole.loops.clone();
    let mut shape: Vec<Dim> = vec![];
    let mut strides: Vec<Dim> = vec![];
    for (n, parts) in shares {
        let chunk = loops[*n].0.ceil_div(*parts);
        shape.push((*parts).into());
        strides.push(&(&chunk * &loops[*n].1) * &unit);
        loops[*n].0 = chunk;
    }
    shape.extend(whole.space.shape.iter().cloned());
    strides.extend(whole.place.strides.iter().cloned());
    let added = shares.len();
    let order = (0..added).chain(whole.layout.order.iter().map(|axis| axis + added)).collect();
    let layout = Layout { order, lanes: whole.layout.lanes };
    let space = IterationSpace { width: whole.space.width, ..IterationSpace::new(&shape, &layout) };
    let place = View { strides, ..whole.place.clone() };
    ReductionLoops { place, space, layout, loops, vectors: whole.vectors, along: whole.along }
}
