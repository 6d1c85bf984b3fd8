//! Sums over everything but the channels, or over everything: in two kernels, so that there is work for all of the
//! device however few results there are. What is summed may be computed on the way (the prologue).

use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::problem::{Operation, Problem, ceil_div};
use super::reduce::{MOST_SIDE, ReductionPlan, lower_reduction, side};
use super::reduction_loops::BLOCK;
use super::workgroup_tree;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;
use crate::memory::buffer::View;
use crate::target::{DeviceClass, Target};
use crate::wgsl::epilogue::{Anchor, fused};
use crate::wgsl::expression::Addressing;
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::store::EpilogueCode;
use crate::wgsl::template::templates;

/// The family. The knob `parts` is the number of parts, `lanes` that of the invocations of a workgroup that shares a part of a
/// few columns, if one does.
pub(super) const FAMILY: Family =
    Family { name: "sum_columns", templates: templates!["reduce_columns"], space, demands, cost, realize };

/// Most rows of a part: rounding errors of longer sums add up.
const LONGEST: i64 = 4096;

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Operation::SumColumns { rows, .. } = problem.operation else { return vec![] };
    let wanted = match target.class {
        DeviceClass::Cpu => 64,
        DeviceClass::Gpu => 256,
    };
    // As many parts as rows in a part, until there are enough.
    let most = rows.max.max(1);
    let parts = most.isqrt().clamp(1, wanted).max(most / LONGEST + 1);
    let of = |lanes: i64| {
        // As many workgroups as cores are busy with.
        let wanted = [8, 64, 256].into_iter();
        let parts = wanted.map(move |parts: i64| parts.max(most / (LONGEST * lanes / MOST_SIDE) + 1));
        parts.map(move |parts| Knobs::new([("parts", parts), ("lanes", lanes)]))
    };
    let trees = workgroup_tree::lanes(target, most).into_iter().flat_map(of);
    [Knobs::new([("parts", parts)])].into_iter().chain(trees).collect()
}

fn demands(_: &Problem, knobs: &Knobs) -> Demands {
    let simple = Demands::simple(vec![], LONGEST + LONGEST / BLOCK);
    let lanes = knobs.get("lanes");
    if lanes == 0 {
        return simple;
    }
    let invocations = u32::try_from(lanes).unwrap_or(u32::MAX);
    Demands { invocations, workgroup_memory: workgroup_tree::workgroup_memory(lanes), ..simple }
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::SumColumns { rows, columns } = problem.operation else { return Estimate::default() };
    let parts = knobs.get("parts").max(1);
    let inner = ceil_div(columns.max, 4);
    let vectors = inner.saturating_mul(parts);
    let lanes = knobs.get("lanes");
    if lanes > 0 {
        let side = side(inner);
        let loads = float(ceil_div(ceil_div(rows.max, parts), lanes / side));
        let groups = ceil_div(inner, side).saturating_mul(parts);
        let work = loads + workgroup_tree::work(lanes, side);
        let estimate = Estimate::of(groups.saturating_mul(lanes), work);
        return estimate.added_up(parts, float(vectors.saturating_mul(32))).waiting(loads);
    }
    let loads = float(ceil_div(rows.max, parts));
    let estimate = Estimate::of(vectors, loads);
    estimate.added_up(parts, float(vectors.saturating_mul(32))).waiting(loads)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let graph = builder.values.graph;
    let node = builder.anchor()?;
    let Op::Reduce(op) = &node.op else { return Err(builder.defect("is not a reduction")) };
    let shape = builder.shape(node.inputs[0]);
    let layout = channels_last(shape.len());
    let space = IterationSpace { width: 4, ..IterationSpace::new(&shape, &layout) };
    let inner = space.inner();
    let parts = knobs.get("parts").max(1);
    // The prologue is a group of its own, whose value is what is summed.
    let nodes = builder.group.prologue.clone();
    let flops = product(&shape) * (1 + nodes.len()).into();
    let inputs = if nodes.is_empty() { vec![node.inputs[0]] } else { builder.group.prologue_inputs(graph) };
    let (name, outputs) = (builder.group.name.clone(), vec![node.inputs[0]]);
    let before = Group { name, anchor: None, prologue: vec![], nodes, inputs, outputs };
    let addressing = Addressing { transient: true, ..Addressing::default() };
    let code = fused(builder.values, &before, Anchor::default(), space, addressing)?;
    let rows = product(layout.order.iter().rev().skip(1).map(|axis| &shape[*axis]));
    let vectors = &inner * &parts.into();
    let buffer = builder.scratch("parts", Storage::F32, &(&vectors * &4.into()));
    let kernel = format!("{}_columns", op.kind.name());
    let lanes = knobs.get("lanes");
    launch_parts(builder, code, Parts { kernel, buffer, rows, inner: inner.clone(), parts, lanes, flops });

    let row = &inner * &4.into();
    let all = op.axes.len() == shape.len();
    let loops = if all { vec![(&row * &parts.into(), 1.into())] } else { vec![(Dim::from(parts), row)] };
    let channel = layout.order.last().copied().unwrap_or(0);
    let strides: Vec<Dim> = (0..shape.len())
        .filter(|axis| op.keep_dims || !op.axes.contains(axis))
        .map(|axis| if !all && axis == channel { 1.into() } else { 0.into() })
        .collect();
    let last = strides.iter().position(|s| s.is(1));
    let order = (0..strides.len()).filter(|axis| Some(*axis) != last).chain(last).collect();
    let view = View { buffer, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let count = product(op.axes.iter().map(|axis| &shape[*axis]));
    lower_reduction(builder, ReductionPlan { view, order, loops, count, kind: op.kind, flops: parts.into() })
}

/// The first of the two kernels.
struct Parts {
    kernel: String,
    /// Where the sums of parts go.
    buffer: crate::memory::buffer::BufferId,
    /// Rows in all.
    rows: Dim,
    /// Vectors of a row.
    inner: Dim,
    parts: i64,
    /// Invocations of a workgroup that shares a part, or zero.
    lanes: i64,
    flops: Dim,
}

fn launch_parts(builder: &mut KernelBuilder<'_, '_>, code: EpilogueCode, launch: Parts) {
    let Parts { kernel, buffer, rows, inner, parts, lanes, flops } = launch;
    let vectors = &inner * &parts.into();
    let most = builder.values.maximum(&rows).max(1);
    let mut params = Params::default();
    params.uint("count", vectors.clone());
    params.uint("inner", inner.clone());
    params.uint("rows", rows.clone());
    let part = if most <= parts { Dim::from(1) } else { rows.ceil_div(parts) };
    params.uint("part", part.clone());
    let shared = code.template_values();
    let mut bindings = code.reads;
    let out_binding = bindings.len() + 1;
    bindings.push((buffer, Access::ReadWrite));
    params.extend(code.params);
    let side = side(builder.values.maximum(&inner));
    let workgroups = if lanes > 0 {
        let groups = inner.ceil_div(side);
        let all = &groups * &parts.into();
        params.uint("column_groups", groups);
        params.uint("workgroups", all.clone());
        builder.values.folded(&all)
    } else {
        builder.grid(&vectors)
    };
    let tree = minijinja::context! { lanes, side, halves => workgroup_tree::halves(lanes, side) };
    builder.launch(KernelLaunch {
        template: "reduce_columns",
        kernel,
        name: builder.group.name.clone(),
        values: minijinja::context! { out_binding, block => BLOCK, ..minijinja::context! { ..tree, ..shared } },
        bindings,
        params,
        workgroups,
        writes: vec![],
        flops,
    });
    builder.iterates(part.clone() + part.ceil_div(BLOCK));
}
