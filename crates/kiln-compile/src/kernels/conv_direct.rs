//! Convolution of any kind: one output vector an invocation. Every convolution can be done so.

use super::builder::{AnchorLaunch, KernelBuilder};
use super::conv::ConvShapes;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, count};
use crate::error::CompileError;
use crate::layout::{channels_last, weight_layout};
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "conv_direct", templates: templates!["conv_direct"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match &problem.operation {
        Operation::Conv(_) => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let terms = count(conv.window.taps().saturating_mul(conv.group_in));
    let weights = OperandLayout::Tensor(weight_layout(conv.window.x.len()));
    Demands::simple(vec![OperandLayout::ChannelRows, weights], terms)
}

/// Work of a term: a vector of weights and a number of the input are loaded for each multiply-add, without any reuse, and
/// their addresses computed. The numbers leave it to the problems that no tile applies to; they are not times.
pub(super) fn work_of_a_term(target: &Target) -> f64 {
    match target.class {
        DeviceClass::Cpu => 50.0,
        // Not measured yet: only where no tile applies.
        DeviceClass::Gpu => 1600.0,
    }
}

fn cost(problem: &Problem, _: &Knobs, target: &Target) -> Estimate {
    let Operation::Conv(conv) = &problem.operation else { return Estimate::default() };
    let channels = count((conv.groups * conv.group_out).div_ceil(4));
    // Channels are loaded one by one, but stored in fours.
    let terms = count(conv.window.taps() * conv.group_in.next_multiple_of(4));
    Estimate::of(conv.window.positions().saturating_mul(channels), work_of_a_term(target) * float(terms))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let shapes = ConvShapes::of(builder)?;
    let rows = builder.rows(0)?;
    let buffers = [rows.buffer, builder.tensor_buffer(1)?];
    let epilogue = builder.epilogue(&channels_last(shapes.x.len()), &buffers)?;
    let mut params = shapes.params();
    params.int("x_base", rows.base);
    params.int("x_step", rows.step);
    let (groups, group_in) = (shapes.conv.groups, shapes.w[1]);
    let group_out = shapes.w[0] / groups;
    params.int("group_in", group_in);
    params.int("group_out", group_out);
    let aligned = groups == 1 || group_out.is_multiple_of(4);
    let workgroups = builder.grid(&epilogue.space.count());
    let launch = AnchorLaunch {
        template: "conv_direct",
        kernel: "conv_direct".into(),
        buffers: &buffers,
        params,
        values: minijinja::context! { aligned, meets_zeros => shapes.is_dilated() },
        workgroups,
        flops: shapes.flops(),
    };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}
