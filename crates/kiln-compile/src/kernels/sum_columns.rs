//! Sums over everything but the channels, or over everything: in two kernels, so that there is work for all of the
//! device however few results there are. What is summed may be computed on the way (the prologue).

use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::problem::{Operation, Problem, ceil_div};
use super::reduce::{ReductionPlan, lower_reduction};
use super::reduction_loops::BLOCK;
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

/// The family.
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
    vec![Knobs::new([("parts", parts)])]
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![], LONGEST + LONGEST / BLOCK)
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::SumColumns { rows, columns } = problem.operation else { return Estimate::default() };
    let parts = knobs.get("parts").max(1);
    let vectors = (ceil_div(columns.max, 4)).saturating_mul(parts);
    let estimate = Estimate::of(vectors, float(ceil_div(rows.max, parts)));
    estimate.added_up(parts, float(vectors.saturating_mul(32)))
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
    launch_parts(builder, code, Parts { kernel, buffer, rows, inner: inner.clone(), parts, flops });

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
    flops: Dim,
}

fn launch_parts(builder: &mut KernelBuilder<'_, '_>, code: EpilogueCode, launch: Parts) {
    let Parts { kernel, buffer, rows, inner, parts, flops } = launch;
    let vectors = &inner * &parts.into();
    let most = builder.values.maximum(&rows).max(1);
    let mut params = Params::default();
    params.uint("count", vectors.clone());
    params.uint("inner", inner);
    params.uint("rows", rows.clone());
    params.uint("part", if most <= parts { Dim::from(1) } else { rows.ceil_div(parts) });
    let shared = code.template_values();
    let mut bindings = code.reads;
    let out_binding = bindings.len() + 1;
    bindings.push((buffer, Access::ReadWrite));
    params.extend(code.params);
    let workgroups = builder.grid(&vectors);
    builder.launch(KernelLaunch {
        template: "reduce_columns",
        kernel,
        name: builder.group.name.clone(),
        values: minijinja::context! { out_binding, block => BLOCK, ..shared },
        bindings,
        params,
        workgroups,
        writes: vec![],
        flops,
    });
}
