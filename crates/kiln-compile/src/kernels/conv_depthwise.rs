//! Depthwise convolution: a run of output vectors along the width an invocation.

use super::builder::{AnchorLaunch, BiasedEpilogue, KernelBuilder};
use super::conv::{ConvShapes, row_params, three};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{ConvProblem, Operation, Problem, ceil_div, count};
use crate::error::CompileError;
use crate::layout::{channels_last, weight_layout};
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "conv_depthwise", templates: templates!["conv_depthwise"], space, demands, cost, realize };

/// Whether the kernel can do it: one input and one output channel a group, over a plane or a line, with a window whose
/// width is few enough loads.
fn applies(conv: &ConvProblem) -> bool {
    let last = |v: &[usize]| v.last().copied().unwrap_or(1);
    let window = &conv.window;
    conv.group_in == 1
        && conv.group_out == 1
        && window.x.len() <= 4
        && !window.is_dilated()
        && last(&window.dilations) == 1
        && last(&window.kernel) <= 7
        && last(&window.strides) <= 2
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    match &problem.operation {
        Operation::Conv(conv) if applies(conv) && problem.fits_tiles() => {
            vec![Knobs::new([("run", run(target))])]
        }
        _ => vec![],
    }
}

/// Neighbouring outputs that share their loads: more where loads are what costs, fewer where invocations are wanted.
fn run(target: &Target) -> i64 {
    match target.class {
        DeviceClass::Cpu => 8,
        DeviceClass::Gpu => 4,
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let rows = count(conv.window.kernel.iter().rev().skip(1).product());
    let weights = OperandLayout::Tensor(weight_layout(conv.window.x.len()));
    Demands::simple(vec![OperandLayout::ChannelRows, weights], rows)
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Conv(conv) = &problem.operation else { return Estimate::default() };
    let run = knobs.get("run").max(1);
    let channels = count(conv.groups.div_ceil(4));
    let runs = ceil_div(conv.window.positions(), run);
    let taps = float(count(conv.window.taps()));
    // Each input vector of a run is loaded once.
    Estimate::of(runs.saturating_mul(channels), 1.5 * float(run) * taps)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let shapes = ConvShapes::of(builder)?;
    let run = knobs.get("run");
    let rows = builder.rows(0)?;
    let own = [rows.buffer, builder.tensor_buffer(1)?];
    let BiasedEpilogue { epilogue, biased, buffers } =
        builder.biased_epilogue(1, &channels_last(shapes.x.len()), &own)?;
    let mut params = shapes.params();
    row_params("x", &rows, &mut params)?;
    let runs_w = three(&shapes.y[2..], 1.into())[2].ceil_div(run);
    let runs = &(&shapes.y[0] * &three(&shapes.y[2..], 1.into())[1]) * &runs_w;
    params.uint("runs", runs.clone());
    params.int("runs_w", runs_w);
    let width = shapes.w.last().copied().unwrap_or(1);
    let stride = shapes.conv.strides.last().copied().unwrap_or(1);
    let workgroups = builder.grid(&(&runs * &epilogue.space.inner()));
    let launch = AnchorLaunch {
        template: "conv_depthwise",
        kernel: format!("conv_depthwise_{width}_stride_{stride}"),
        buffers: &buffers,
        params,
        values: minijinja::context! { run, width, stride, biased },
        workgroups,
        flops: shapes.flops(),
    };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}
