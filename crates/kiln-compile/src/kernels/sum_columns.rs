//! Sums over everything but the channels, or over everything: in two kernels, so that there is work for all of the
//! device however few results there are. What is summed may be computed on the way (the prologue).

use kiln_graph::ops::Reduce;
use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::problem::{Operation, Problem, Size, ceil_div};
use super::reduce::{MOST_SIDE, ReductionPlan, lower_reduction, side};
use super::reduction_loops::BLOCK;
use super::workgroup_tree;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{Layout, channels_last};
use crate::memory::buffer::{BufferId, View};
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
    match problem.operation {
        Operation::SumColumns { variance: false, rows, .. } => variants(rows, target),
        _ => vec![],
    }
}

/// The variants for so many rows.
pub(super) fn variants(rows: Size, target: &Target) -> Vec<Knobs> {
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

pub(super) fn demands(_: &Problem, knobs: &Knobs) -> Demands {
    let simple = Demands::simple(vec![], LONGEST + LONGEST / BLOCK);
    let lanes = knobs.get("lanes");
    if lanes == 0 {
        return simple;
    }
    let invocations = u32::try_from(lanes).unwrap_or(u32::MAX);
    Demands { invocations, workgroup_memory: workgroup_tree::workgroup_memory(lanes), ..simple }
}

pub(super) fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::SumColumns { rows, columns, .. } = problem.operation else { return Estimate::default() };
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

/// What is summed: by rows of columns.
pub(super) struct Columns {
    /// The shape.
    pub shape: Vec<Dim>,
    /// How it is walked: rows of channels.
    pub layout: Layout,
    /// What computes a vector of it.
    pub code: EpilogueCode,
    /// Floating point operations.
    pub flops: Dim,
}

impl Columns {
    /// Of a group.
    pub(super) fn of(builder: &mut KernelBuilder<'_, '_>) -> Result<Self, CompileError> {
        let graph = builder.values.graph;
        let node = builder.anchor()?;
        let shape = builder.shape(node.inputs[0]);
        let layout = channels_last(shape.len());
        let space = IterationSpace { width: 4, ..IterationSpace::new(&shape, &layout) };
        // The prologue is a group of its own, whose value is what is summed.
        let nodes = builder.group.prologue.clone();
        let flops = product(&shape) * (1 + nodes.len()).into();
        let inputs =
            if nodes.is_empty() { vec![node.inputs[0]] } else { builder.group.prologue_inputs(graph) };
        let (name, outputs) = (builder.group.name.clone(), vec![node.inputs[0]]);
        let before = Group { name, anchor: None, prologue: vec![], nodes, inputs, outputs };
        let addressing = Addressing { transient: true, ..Addressing::default() };
        let code = fused(builder.values, &before, Anchor::default(), space, addressing)?;
        Ok(Self { shape, layout, code, flops })
    }

    /// Vectors of a row.
    pub(super) fn inner(&self) -> Dim {
        IterationSpace::new(&self.shape, &self.layout).inner()
    }

    /// Rows.
    pub(super) fn rows(&self) -> Dim {
        product(self.layout.order.iter().rev().skip(1).map(|axis| &self.shape[*axis]))
    }

    /// A view of one row, by dimension of the result of a reduction, and the order of its dimensions in memory.
    pub(super) fn result(&self, op: &Reduce, buffer: BufferId) -> (View, Vec<usize>) {
        let all = op.axes.len() == self.shape.len();
        let channel = self.layout.order.last().copied().unwrap_or(0);
        let strides: Vec<Dim> = (0..self.shape.len())
            .filter(|axis| op.keep_dims || !op.axes.contains(axis))
            .map(|axis| if !all && axis == channel { 1.into() } else { 0.into() })
            .collect();
        let last = strides.iter().position(|s| s.is(1));
        let order = (0..strides.len()).filter(|axis| Some(*axis) != last).chain(last).collect();
        (View { buffer, element: Storage::F32, base: 0.into(), strides, zero_lanes: true }, order)
    }
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Reduce(op) = &node.op else { return Err(builder.defect("is not a reduction")) };
    let columns = Columns::of(builder)?;
    let inner = columns.inner();
    let parts = knobs.get("parts").max(1);
    let buffer = builder.scratch("parts", Storage::F32, &(&inner * &(4 * parts).into()));
    let count = product(op.axes.iter().map(|axis| &columns.shape[*axis]));
    let (view, order) = columns.result(op, buffer);
    let kernel = format!("{}_columns", op.kind.name());
    let lanes = knobs.get("lanes");
    launch_parts(builder, columns, Parts { template: "reduce_columns", kernel, buffer, parts, lanes });

    let row = &inner * &4.into();
    let all = view.strides.iter().all(|stride| stride.is(0));
    let loops = if all { vec![(&row * &parts.into(), 1.into())] } else { vec![(Dim::from(parts), row)] };
    lower_reduction(builder, ReductionPlan { view, order, loops, count, kind: op.kind, flops: parts.into() })
}

/// The first of the two kernels.
pub(super) struct Parts {
    pub template: &'static str,
    pub kernel: String,
    /// Where the sums of parts go.
    pub buffer: BufferId,
    pub parts: i64,
    /// Invocations of a workgroup that shares a part, or zero.
    pub lanes: i64,
}

/// Launches it, and says how many rows a part has.
pub(super) fn launch_parts(builder: &mut KernelBuilder<'_, '_>, columns: Columns, launch: Parts) -> Dim {
    let (rows, inner) = (columns.rows(), columns.inner());
    let Columns { code, flops, .. } = columns;
    let Parts { template, kernel, buffer, parts, lanes } = launch;
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
        template,
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
    part
}
