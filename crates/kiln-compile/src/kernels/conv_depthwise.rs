//! Depthwise convolution: a run of output vectors along the width an invocation, line by line down a segment where lines
//! overlap.

use super::builder::{AnchorLaunch, BiasedEpilogue, KernelBuilder, WORKGROUP};
use super::conv::{ConvShapes, row_params, three};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{ConvProblem, Operation, Problem, Window, ceil_div, count};
use super::window_run::WindowRun;
use crate::error::CompileError;
use crate::layout::{channels_last, weight_layout};
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family. The knob `run` is the number of neighbouring positions along the width, `lines` the number of lines of a
/// segment; 1 for windows of any kind, which load what they see by themselves.
pub(super) const FAMILY: Family =
    Family { name: "conv_depthwise", templates: templates!["conv_depthwise"], space, demands, cost, realize };

/// Vectors that a run loads of a line at most.
const MOST_LOADS: usize = 24;

/// Whether the kernel can do it: one input and one output channel a group, over a plane or a line.
fn applies(conv: &ConvProblem) -> bool {
    conv.group_in == 1 && conv.group_out == 1 && conv.window.x.len() <= 4
}

/// A size of a window along the height, or what it is for a line.
fn vertical(sizes: &[usize]) -> usize {
    sizes.len().checked_sub(2).map_or(1, |axis| sizes[axis])
}

/// How an invocation goes down a segment of lines.
#[derive(Clone, Copy)]
struct Descent {
    /// Lines of the window.
    kernel: usize,
    /// Distance of neighbouring windows.
    stride: usize,
}

impl Descent {
    /// Where lines of windows overlap.
    fn of(window: &Window) -> Option<Self> {
        let (kernel, stride) = (vertical(&window.kernel), vertical(&window.strides));
        let plain = vertical(&window.dilations) == 1 && vertical(&window.input_dilations) == 1;
        (plain && stride < kernel).then_some(Self { kernel, stride })
    }

    /// Outputs that see a line of the input.
    fn lines(self) -> usize {
        self.kernel.div_ceil(self.stride)
    }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let conv = match &problem.operation {
        Operation::Conv(conv) if applies(conv) && problem.fits_tiles() => conv,
        _ => return vec![],
    };
    // Lines of 7, 14, 28, .. are usual, too. On GPUs, neighbouring lanes fill vectors anyway.
    let runs: &[usize] = match target.class {
        DeviceClass::Cpu => &[8, 7, 4],
        DeviceClass::Gpu => &[8, 4, 2],
    };
    let fits =
        |run: &&usize| WindowRun::new(&conv.window, **run).is_some_and(|run| run.loads() <= MOST_LOADS);
    let knobs = |run: &usize| {
        let of = |lines| Knobs::new([("run", count(*run)), ("lines", lines)]);
        [1].into_iter().chain(segments(conv)).map(of).collect::<Vec<_>>()
    };
    runs.iter().filter(fits).flat_map(knobs).collect()
}

/// Lines of a segment that are worth trying.
fn segments(conv: &ConvProblem) -> Vec<i64> {
    if Descent::of(&conv.window).is_none() {
        return vec![];
    }
    let lines = vertical_lines(&conv.window);
    let mut all: Vec<i64> = [1, 2, 4, 8].map(|segments| ceil_div(lines, segments)).to_vec();
    all.retain(|lines| *lines > 1);
    all.dedup();
    all
}

/// Lines of the output.
fn vertical_lines(window: &Window) -> i64 {
    if window.y.len() < 4 { 1 } else { window.y.iter().rev().nth(1).map_or(1, |size| size.max) }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Conv(conv) = &problem.operation else { return Demands::default() };
    let lines = knobs.get("lines");
    let iterations = match Descent::of(&conv.window).filter(|_| lines > 1) {
        Some(descent) => lines.saturating_add(count(descent.lines())),
        None => count(vertical(&conv.window.kernel)),
    };
    let weights = OperandLayout::Tensor(weight_layout(conv.window.x.len()));
    Demands::simple(vec![OperandLayout::ChannelRows, weights], iterations)
}

/// What loading or storing a vector takes beside a multiply-add. On lavapipe, which moves numbers one by one, it is between
/// what fits the times of large planes (8) and of small ones (more than 16), of each of which only the cheapest variant was
/// timed; on a GPU, it is the address, and zeros that are selected for what is outside, and was not timed.
fn work_of_a_load(target: &Target) -> f64 {
    match target.class {
        DeviceClass::Cpu => 16.0,
        DeviceClass::Gpu => 3.0,
    }
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Operation::Conv(conv) = &problem.operation else { return Estimate::default() };
    let Some(run) = WindowRun::new(&conv.window, knobs.count("run")) else { return Estimate::default() };
    let lines = knobs.get("lines").max(1);
    let channels = count(conv.groups.div_ceil(4));
    let width = conv.window.y.last().map_or(1, |size| size.max.max(1));
    let all_lines = vertical_lines(&conv.window).max(1);
    let images = conv.window.positions() / width / all_lines;
    let runs =
        ceil_div(width, count(run.run)).saturating_mul(ceil_div(all_lines, lines)).saturating_mul(images);
    let taps = count(conv.window.kernel.last().copied().unwrap_or(1));
    let (loads, products, outputs) = (count(run.loads()), count(run.products()), count(run.run));
    let kernel = count(vertical(&conv.window.kernel));
    // What is loaded, multiplied, and in registers.
    let (all_loads, all_products, vectors) = match Descent::of(&conv.window).filter(|_| lines > 1) {
        Some(descent) => {
            let (stride, before) = (count(descent.stride), count(descent.lines()) - 1);
            // Sums move on after each line.
            let of_a_line = kernel * products + outputs * before;
            let weights = kernel * taps;
            let all_loads = loads * (lines + before) * stride + weights;
            (all_loads, of_a_line * (lines + before), outputs * (before + 1) + weights + loads)
        }
        // Lines that meet no input element are passed over.
        None => {
            let met = ceil_div(kernel, count(vertical(&conv.window.input_dilations)));
            ((loads + taps) * met, products * met, outputs + loads)
        }
    };
    let work = work_of_a_load(target) * float(all_loads + outputs * lines) + float(all_products);
    let invocations = runs.saturating_mul(channels);
    match target.class {
        // Few workgroups leave cores of a CPU without work at the end.
        DeviceClass::Cpu => Estimate::of(ceil_div(invocations, CPU_ROUND).saturating_mul(CPU_ROUND), work),
        // With more registers, fewer invocations hide the latency of memory.
        DeviceClass::Gpu => Estimate::of(invocations, work * (float(vectors) / MANY_VECTORS).max(1.0)),
    }
}

/// Vectors in registers from which on a core of a GPU holds fewer invocations than it wants: on RDNA 2, the kernel then has
/// 64 registers, and its addresses and masks are among them.
const MANY_VECTORS: f64 = 10.0;

/// Invocations of a workgroup for each of four cores.
const CPU_ROUND: i64 = 4 * WORKGROUP;

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let Operation::Conv(ConvProblem { window, .. }) = &builder.problem.operation else {
        return Err(builder.defect("is not a convolution"));
    };
    let run = WindowRun::new(window, knobs.count("run")).ok_or_else(|| builder.defect("has no such run"))?;
    let lines = knobs.get("lines").max(1);
    let descent = Descent::of(window).filter(|_| lines > 1);
    let shapes = ConvShapes::of(builder)?;
    let rows = builder.rows(0)?;
    let own = [rows.buffer, builder.tensor_buffer(1)?];
    let BiasedEpilogue { epilogue, biased, buffers } =
        builder.biased_epilogue(1, &channels_last(shapes.x.len()), &own)?;
    let mut params = shapes.params();
    row_params("x", &rows, &mut params)?;
    let spatial = three(&shapes.y[2..], 1.into());
    let runs_w = spatial[2].ceil_div(knobs.get("run"));
    let segments = spatial[1].ceil_div(lines);
    let runs = &(&shapes.y[0] * &segments) * &runs_w;
    params.uint("runs", runs.clone());
    params.int("runs_w", runs_w);
    params.int("segments", segments);
    params.int("segment", lines);
    let width = shapes.w.last().copied().unwrap_or(1);
    let workgroups = builder.grid(&(&runs * &epilogue.space.inner()));
    let kind = if descent.is_some() { "_down" } else { "" };
    let values = minijinja::context! {
        biased,
        meets_zeros => shapes.is_dilated(),
        lines => descent.map_or(0, Descent::lines),
        kernel_h => descent.map_or(0, |descent| descent.kernel),
        stride_h => descent.map_or(0, |descent| descent.stride),
        ..run.template_values(window)
    };
    let launch = AnchorLaunch {
        template: "conv_depthwise",
        kernel: format!("conv_depthwise_{width}_stride_{}_run_{}{kind}", run.stride, run.run),
        buffers: &buffers,
        params,
        values,
        workgroups,
        flops: shapes.flops(),
    };
    builder.launch_anchor(epilogue, launch);
    Ok(())
}
