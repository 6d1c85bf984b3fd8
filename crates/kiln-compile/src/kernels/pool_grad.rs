//! Gradients of pooling: an input element an invocation, which looks at all windows it is in, or a window an invocation
//! where windows do not overlap.

use kiln_graph::{Dim, Op, product};

use super::builder::{AnchorLaunch, KernelBuilder};
use super::conv::{padding, per_axis, row_params, three, window};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::pool::max_and_padding;
use super::problem::{Operation, Problem, Window, count};
use crate::error::CompileError;
use crate::layout::channels_last;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family. The knob `blocks` is 1 where an invocation has a window of its own.
pub(super) const FAMILY: Family = Family {
    name: "pool_grad",
    templates: templates!["pool_grad", "pool_grad_blocks"],
    space,
    demands,
    cost,
    realize,
};

fn of(problem: &Problem) -> Option<(&Window, bool)> {
    match &problem.operation {
        Operation::PoolGrad { window, max } => Some((window, *max)),
        _ => None,
    }
}

/// How many windows an input element is in, along each axis.
fn windows(kernel: &[usize], dilations: &[usize], strides: &[usize]) -> Vec<usize> {
    (0..kernel.len()).map(|axis| (kernel[axis] - 1) * dilations[axis] / strides[axis] + 1).collect()
}

/// Whether no two windows overlap, and none has gaps or begins outside.
fn is_blocked(window: &Window, max: bool) -> bool {
    max && windows(&window.kernel, &window.dilations, &window.strides).iter().all(|count| *count == 1)
        && window.dilations.iter().all(|d| *d == 1)
        && window.pads.iter().all(|pads| pads[0] == 0)
}

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    let Some((window, max)) = of(problem) else { return vec![] };
    let blocks = is_blocked(window, max).then_some(1);
    blocks.into_iter().chain([0]).map(|blocks| Knobs::new([("blocks", blocks)])).collect()
}

fn iterations(problem: &Problem, knobs: &Knobs) -> i64 {
    let Some((window, max)) = of(problem) else { return 0 };
    let taps = count(window.taps());
    let all = windows(&window.kernel, &window.dilations, &window.strides);
    let all = all.iter().fold(1i64, |all, n| all.saturating_mul(count(*n)));
    match (knobs.get("blocks") == 1, max) {
        (true, _) => taps.saturating_mul(2),
        // All windows that an element is in; for the largest, all elements of each.
        (false, true) => all.saturating_mul(taps.saturating_add(1)),
        (false, false) => all,
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let operands = vec![OperandLayout::ChannelRows; problem.operands.len()];
    Demands::simple(operands, iterations(problem, knobs))
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Some((window, _)) = of(problem) else { return Estimate::default() };
    let blocks = knobs.get("blocks") == 1;
    let over = if blocks { &window.y } else { &window.x };
    let elements = over.iter().fold(1i64, |all, size| all.saturating_mul(size.max));
    // An element by itself computes where each of its windows is; a window does so once.
    let work = if blocks { 1.0 } else { 4.0 };
    Estimate::of(elements / 4, work * float(iterations(problem, knobs)))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::PoolGrad(op) = &node.op else { return Err(builder.defect("is not the gradient of a pooling")) };
    let pool = &op.pool;
    let (x, y) = (builder.shape(node.outputs[0]), builder.shape(node.inputs[0]));
    let mut params = Params::default();
    let mut buffers = Vec::new();
    for (n, name) in ["dy", "x"].into_iter().enumerate().take(node.inputs.len()) {
        let rows = builder.rows(n)?;
        row_params(name, &rows, &mut params)?;
        buffers.push(rows.buffer);
    }
    let mut epilogue = builder.epilogue(&channels_last(x.len()), &buffers)?;
    epilogue.code.used.push("is_nan");
    window(&mut params, [&x, &y], &pool.kernel, &pool.strides, &pool.dilations);
    padding(&mut params, "pad", &pool.pads, 0);
    padding(&mut params, "end", &pool.pads, 1);
    let (max, include_pad) = max_and_padding(pool);
    let (template, kernel, workgroups, values) = if knobs.get("blocks") == 1 {
        let positions = product(y.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim));
        let count = &positions * &epilogue.space.inner();
        params.uint("windows", count.clone());
        ("pool_grad_blocks", "max_pool_grad_blocks", builder.grid(&count), minijinja::context! {})
    } else {
        let windows = windows(&pool.kernel, &pool.dilations, &pool.strides);
        let windows: Vec<Dim> = windows.into_iter().map(Dim::from).collect();
        per_axis(&mut params, "windows", &three(&windows, 1.into()));
        let kernel = if max { "max_pool_grad" } else { "avg_pool_grad" };
        let workgroups = builder.grid(&epilogue.space.count());
        ("pool_grad", kernel, workgroups, minijinja::context! { max, include_pad })
    };
    let flops = product(&y) * pool.kernel.iter().product::<usize>().into();
    let kernel = kernel.into();
    let launch = AnchorLaunch { template, kernel, buffers: &buffers, params, values, workgroups, flops };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}
