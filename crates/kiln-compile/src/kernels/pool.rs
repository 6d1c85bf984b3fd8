//! Pooling: a window an invocation, or a run of neighbouring windows that share their loads.

use kiln_graph::ops::{Pool, PoolKind};
use kiln_graph::{Op, product};

use super::builder::{AnchorLaunch, KernelBuilder};
use super::conv::{padding, row_params, three, window};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, Window, ceil_div, count};
use crate::error::CompileError;
use crate::layout::channels_last;
use crate::target::{DeviceClass, Target};
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family. The knob `run` is the number of neighbouring windows; 1 for windows of any kind.
pub(super) const FAMILY: Family =
    Family { name: "pool", templates: templates!["pool", "pool_run"], space, demands, cost, realize };

/// Neighbours that share their loads, and the computation of where they are. On GPUs fewer of them leave registers for more
/// invocations.
fn runs(target: &Target) -> &'static [i64] {
    match target.class {
        DeviceClass::Cpu => &[4],
        DeviceClass::Gpu => &[4, 2],
    }
}

/// Vectors in registers from which on a core of a GPU holds fewer invocations than it wants: 64 numbers.
const MANY_VECTORS: f64 = 16.0;

/// Width and stride of a window over a plane or a line that is narrow enough for a run of neighbours.
fn run_of(kernel: &[usize], strides: &[usize], dilations: &[usize]) -> Option<(usize, usize)> {
    let (width, stride) = (*kernel.last()?, *strides.last()?);
    let plain = kernel.len() <= 2 && dilations.iter().all(|d| *d == 1);
    (plain && width <= 5 && stride <= width && stride <= 3).then_some((width, stride))
}

fn of(problem: &Problem) -> Option<&Window> {
    match &problem.operation {
        Operation::Pool { window, .. } => Some(window),
        _ => None,
    }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Some(window) = of(problem) else { return vec![] };
    let narrow = run_of(&window.kernel, &window.strides, &window.dilations).is_some();
    let runs = if narrow { runs(target) } else { &[] };
    runs.iter().copied().chain([1]).map(|run| Knobs::new([("run", run)])).collect()
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let taps = of(problem).map_or(1, Window::taps);
    Demands::simple(vec![OperandLayout::ChannelRows], count(taps))
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Some(window) = of(problem) else { return Estimate::default() };
    let run = knobs.get("run").max(1);
    let channels = window.y.get(1).map_or(1, |channels| ceil_div(channels.max, 4));
    let runs = ceil_div(window.positions(), run);
    let taps = float(count(window.taps()));
    // A window by itself computes where each of its elements is; a run does so once for all.
    let work = if run == 1 { 6.0 * taps } else { float(run) * taps };
    let occupancy = match target.class {
        DeviceClass::Cpu => 1.0,
        DeviceClass::Gpu => (vectors(window, run) / MANY_VECTORS).max(1.0),
    };
    Estimate::of(runs.saturating_mul(channels), work * occupancy)
}

/// Vectors that a run has in registers: results, for the largest with what tells NaN, and what is loaded of a line.
fn vectors(window: &Window, run: i64) -> f64 {
    let last = |sizes: &[usize]| sizes.last().map_or(1, |size| count(*size));
    let loads = (run - 1) * last(&window.strides) + last(&window.kernel);
    float(2 * (run + loads))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Pool(pool) = &node.op else { return Err(builder.defect("is not a pooling")) };
    let (x, y) = (builder.shape(node.inputs[0]), builder.shape(node.outputs[0]));
    let rows = builder.rows(0)?;
    let buffers = [rows.buffer];
    let epilogue = builder.epilogue(&channels_last(x.len()), &buffers)?;
    let mut params = Params::default();
    row_params("x", &rows, &mut params)?;
    window(&mut params, [&x, &y], &pool.kernel, &pool.strides, &pool.dilations);
    padding(&mut params, "pad", &pool.pads, 0);
    padding(&mut params, "end", &pool.pads, 1);
    let (max, include_pad) = max_and_padding(pool);
    let kernel = if max { "max_pool" } else { "avg_pool" };
    let flops = product(&y) * pool.kernel.iter().product::<usize>().into();
    let run = knobs.get("run");
    let (template, kernel, values, workgroups) = if run > 1 {
        let (width, stride) = run_of(&pool.kernel, &pool.strides, &pool.dilations)
            .ok_or_else(|| builder.defect("has windows that are too wide for a run"))?;
        let spatial = three(&y[2..], 1.into());
        let runs_w = spatial[2].ceil_div(run);
        let runs = &(&y[0] * &spatial[1]) * &runs_w;
        params.uint("runs", runs.clone());
        params.int("runs_w", runs_w);
        let values = minijinja::context! { max, include_pad, run, width, stride };
        let workgroups = builder.grid(&(&runs * &epilogue.space.inner()));
        ("pool_run", format!("{kernel}_{width}_stride_{stride}"), values, workgroups)
    } else {
        let workgroups = builder.grid(&epilogue.space.count());
        ("pool", kernel.into(), minijinja::context! { max, include_pad }, workgroups)
    };
    let launch = AnchorLaunch { template, kernel, buffers: &buffers, params, values, workgroups, flops };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}

/// Whether a pooling takes the maximum, and whether an average counts padding.
pub(super) fn max_and_padding(pool: &Pool) -> (bool, bool) {
    match pool.kind {
        PoolKind::Max => (true, false),
        PoolKind::Average { count_include_pad } => (false, count_include_pad),
    }
}
