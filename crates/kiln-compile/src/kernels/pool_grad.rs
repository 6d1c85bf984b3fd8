//! Gradients of pooling: an input element an invocation, which looks at all windows it is in, or a window an invocation
//! where windows do not overlap. Where they do, another kernel finds the largest element of each window first, so that an
//! element need not compare itself with all others.

use kiln_graph::ops::Pool;
use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{AnchorLaunch, KernelBuilder, KernelLaunch};
use super::conv::{padding, per_axis, row_params, three, window};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::pool::max_and_padding;
use super::problem::{Operation, Problem, Size, Window, count};
use crate::error::CompileError;
use crate::layout::channels_last;
use crate::memory::buffer::BufferId;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family. The knob `blocks` is 1 where an invocation has a window of its own, `winners` where the largest elements of windows
/// are found first.
pub(super) const FAMILY: Family = Family {
    name: "pool_grad",
    templates: templates!["pool_grad", "pool_grad_blocks", "pool_winner"],
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
    let of = |blocks| Knobs::new([("blocks", blocks)]);
    let blocks = is_blocked(window, max).then(|| of(1));
    let winners = (max && window.taps() <= MOST_TAPS).then(|| of(0).with("winners", 1));
    blocks.into_iter().chain(winners).chain([of(0)]).collect()
}

/// Taps whose numbers fit a byte, one of which says that there is none.
const MOST_TAPS: usize = 255;

fn iterations(problem: &Problem, knobs: &Knobs) -> i64 {
    let Some((window, max)) = of(problem) else { return 0 };
    let taps = count(window.taps());
    let all = windows(&window.kernel, &window.dilations, &window.strides);
    let all = all.iter().fold(1i64, |all, n| all.saturating_mul(count(*n)));
    match (knobs.get("blocks") == 1, max) {
        _ if knobs.get("winners") == 1 => all.max(taps),
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
    if knobs.get("winners") == 1 {
        let all = windows(&window.kernel, &window.dilations, &window.strides);
        let all = all.iter().fold(1i64, |all, n| all.saturating_mul(count(*n)));
        let sizes = |sizes: &[Size]| float(sizes.iter().fold(1i64, |all, size| all.saturating_mul(size.max)));
        // What the other kernel loads, as work of this one's invocations.
        let of_windows = float(count(window.taps())) * sizes(&window.y) / sizes(&window.x).max(1.0);
        let found = sizes(&window.y);
        let work = work * (2.0 * float(all) + of_windows);
        return Estimate { launches: 2, bytes: found, ..Estimate::of(elements / 4, work) };
    }
    Estimate::of(elements / 4, work * float(iterations(problem, knobs)))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::PoolGrad(op) = &node.op else { return Err(builder.defect("is not the gradient of a pooling")) };
    let pool = &op.pool;
    let (x, y) = (builder.shape(node.outputs[0]), builder.shape(node.inputs[0]));
    let mut params = Params::default();
    let mut buffers = Vec::new();
    let winners = knobs.get("winners") == 1;
    for (n, name) in ["dy", "x"].into_iter().enumerate().take(if winners { 1 } else { node.inputs.len() }) {
        let rows = builder.rows(n)?;
        row_params(name, &rows, &mut params)?;
        buffers.push(rows.buffer);
    }
    if winners {
        buffers.push(find_winners(builder, pool, [&x, &y])?);
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
        let kernel = if winners { "max_pool_grad_winners" } else { kernel };
        ("pool_grad", kernel, workgroups, minijinja::context! { max, winners, include_pad })
    };
    let flops = product(&y) * pool.kernel.iter().product::<usize>().into();
    let kernel = kernel.into();
    let launch = AnchorLaunch { template, kernel, buffers: &buffers, params, values, workgroups, flops };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}

/// Launches the kernel that finds the largest element of each window, and says where it leaves them: a word for four channels.
fn find_winners(
    builder: &mut KernelBuilder<'_, '_>,
    pool: &Pool,
    [x, y]: [&[Dim]; 2],
) -> Result<BufferId, CompileError> {
    let rows = builder.rows(1)?;
    let inner = y[1].ceil_div(4);
    let positions = product(y.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim));
    let words = &positions * &inner;
    let found = builder.scratch("largest", Storage::U32, &words);
    let mut params = Params::default();
    params.uint("count", words.clone());
    params.uint("inner", inner);
    row_params("x", &rows, &mut params)?;
    window(&mut params, [x, y], &pool.kernel, &pool.strides, &pool.dilations);
    padding(&mut params, "pad", &pool.pads, 0);
    let launch = KernelLaunch {
        template: "pool_winner",
        kernel: "max_pool_winner".into(),
        name: builder.group.name.clone(),
        values: minijinja::context! {},
        bindings: vec![(rows.buffer, Access::Read), (found, Access::ReadWrite)],
        params,
        workgroups: builder.grid(&words),
        writes: vec![],
        flops: &words * &(4 * pool.kernel.iter().product::<usize>()).into(),
    };
    builder.launch(launch);
    Ok(found)
}
