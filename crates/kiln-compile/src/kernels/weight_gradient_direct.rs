//! Gradients of any convolution's weights: one element, or four channels that are groups of their own, an invocation.

use kiln_graph::Dim;

use super::builder::KernelBuilder;
use super::conv::{ConvShapes, is_vectorized, row_params};
use super::conv_direct::work_of_a_term;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::outer_sum::{OuterSum, Partial, parts, tap_strides};
use super::problem::{ConvProblem, Operation, Problem, ceil_div, count};
use crate::error::CompileError;
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "weight_gradient_direct",
    templates: templates!["conv_grad_direct"],
    space,
    demands,
    cost,
    realize,
};

/// What invocations compute.
struct Elements {
    /// Whether each computes four channels that are groups of their own.
    vectors: bool,
    /// Rows, or vectors of channels.
    rows: usize,
    /// Columns of a row.
    columns: usize,
    /// Invocations of a part.
    count: usize,
}

impl Elements {
    fn of(conv: &ConvProblem) -> Self {
        let vectors = conv.group_out == 1 && conv.group_in == 1;
        let (channels, taps) = (conv.groups * conv.group_out, conv.window.taps());
        let rows = if vectors { channels.div_ceil(4) } else { channels };
        let columns = if vectors { 1 } else { taps * conv.group_in };
        Self { vectors, rows, columns, count: if vectors { taps * rows } else { rows * columns } }
    }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    // Where channels come in vectors, the tile of one invocation can always be done.
    let conv = match &problem.operation {
        Operation::ConvGradWeight(conv) if !is_vectorized(conv) => conv,
        _ => return vec![],
    };
    let elements = Elements::of(conv);
    let wanted = match (target.class, target.subgroup_size) {
        (DeviceClass::Cpu, Some(_)) => 64,
        (DeviceClass::Cpu, None) => 64 * 64,
        (DeviceClass::Gpu, _) => 32_768,
    };
    let partial = Partial {
        tiles: elements.count.div_ceil(64),
        wanted,
        bytes: 16 * conv.groups * conv.group_out * elements.columns.div_ceil(4),
        units: conv.window.positions(),
        per_unit: 1,
    };
    vec![Knobs::new([("parts", parts(target, &partial))])]
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::ConvGradWeight(conv) = &problem.operation else { return Demands::default() };
    let iterations = ceil_div(conv.window.positions().max(1), knobs.get("parts").max(1));
    Demands::simple(vec![OperandLayout::ChannelRows; 2], iterations)
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::ConvGradWeight(conv) = &problem.operation else { return Estimate::default() };
    let elements = count(Elements::of(conv).count);
    let parts = knobs.get("parts").max(1);
    let work = work_of_a_term(target) * float(conv.window.positions()) / float(parts);
    let estimate = Estimate::of(elements.saturating_mul(parts), work);
    estimate.added_up(parts, float(elements.saturating_mul(parts)) * 32.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let Operation::ConvGradWeight(conv) = &builder.problem.operation else {
        return Err(builder.defect("is not the gradient of a convolution"));
    };
    let Elements { vectors, rows, columns, count } = Elements::of(conv);
    let shapes = ConvShapes::of(builder)?;
    let (x, dy) = (builder.rows(0)?, builder.rows(1)?);
    let mut params = shapes.params();
    if vectors {
        row_params("x", &x, &mut params)?;
        row_params("dy", &dy, &mut params)?;
    } else {
        for (name, rows) in [("x", &x), ("dy", &dy)] {
            params.int(format!("{name}_base"), rows.base.clone());
            params.int(format!("{name}_step"), rows.step.clone());
        }
    }
    let (taps, rank) = (shapes.taps(), shapes.w.len());
    // [taps][channels], or [rows][taps][channels of x]
    let (first, step, order): (_, _, Vec<usize>) = if vectors {
        (1, 4 * rows, [1].into_iter().chain(2..rank).chain([0]).collect())
    } else {
        (columns, shapes.w[1], [0].into_iter().chain(2..rank).chain([1]).collect())
    };
    let mut strides = vec![Dim::from(first), 1.into()];
    strides.extend(tap_strides(&shapes.w[2..], step));
    let (units, flops) = (shapes.positions(), shapes.flops());
    let sum = OuterSum { units, flops, strides, order, parts: knobs.get("parts").max(1) };
    params.int("part", sum.units_of_a_part(builder.values));
    params.int("places", sum.units.clone());
    params.int("rows", rows);
    params.int("taps", taps);
    params.int("columns", columns);
    params.int("depth", shapes.w[1]);
    params.int("group_rows", shapes.w[0] / shapes.conv.groups);
    let total = Dim::from(count) * sum.parts.into();
    params.uint("count", total.clone());
    let workgroups = builder.grid(&total);
    let kernel = if vectors { "conv_grad_depthwise" } else { "conv_grad_direct" };
    let values = minijinja::context! { vectors, meets_zeros => shapes.is_dilated() };
    let elements = if vectors { 4 * count } else { count };
    let read = [x.buffer, dy.buffer];
    sum.launch(builder, "conv_grad_direct", kernel.into(), read, elements, (params, values, workgroups))
}
