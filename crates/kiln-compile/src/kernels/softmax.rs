//! Softmax and its logarithm: a line an invocation, or several invocations for a long one, or a workgroup a line.

use kiln_graph::ops::Softmax;
use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, ceil_div};
use super::reduction_loops::BLOCK;
use super::workgroup_tree;
use crate::error::CompileError;
use crate::layout::{self, is_multiple};
use crate::memory::buffer::{BufferId, TensorId, View};
use crate::target::Target;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::store::EpilogueCode;
use crate::wgsl::template::templates;

/// The family. The knob `parts` is the number of invocations that share a line, `lanes` that of a workgroup that does.
pub(super) const FAMILY: Family = Family {
    name: "softmax",
    templates: templates!["softmax", "softmax_parts", "softmax_rows", "softmax_results", "softmax_tree"],
    space,
    demands,
    cost,
    realize,
};

/// Lines of more elements than this are shared by several invocations.
const LONG: i64 = 2048;

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Operation::Softmax { length, .. } = problem.operation else { return vec![] };
    let parts = if length.max <= LONG { 1 } else { length.max.isqrt() };
    // Sums of longer lines would be too long for an invocation.
    let lanes = workgroup_tree::lanes(target, length.max).into_iter();
    let lanes = lanes.filter(|lanes| ceil_div(length.max, *lanes) <= 2 * BLOCK);
    let trees = lanes.map(|lanes| Knobs::new([("parts", 1), ("lanes", lanes)]));
    [Knobs::new([("parts", parts)])].into_iter().chain(trees).collect()
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Softmax { length, .. } = problem.operation else { return Demands::default() };
    let lanes = knobs.get("lanes");
    if lanes > 0 {
        return Demands {
            operands: vec![OperandLayout::Kept],
            loop_iterations: 3 * ceil_div(length.max, lanes) + 3,
            invocations: u32::try_from(lanes).unwrap_or(u32::MAX),
            workgroup_memory: workgroup_tree::workgroup_memory(lanes),
            ..Demands::default()
        };
    }
    // The largest element, the sum, the results; parts of a line are combined in blocks.
    let parts = knobs.get("parts").max(1);
    let iterations = 3 * ceil_div(length.max, parts).max(parts);
    Demands::simple(vec![OperandLayout::Kept], iterations + iterations / BLOCK)
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Softmax { length, lines } = problem.operation else { return Estimate::default() };
    let (parts, lanes) = (knobs.get("parts").max(1), knobs.get("lanes"));
    if lanes > 0 {
        let loads = 3.0 * float(ceil_div(length.max, lanes));
        let work = loads + 2.0 * workgroup_tree::work(lanes, 1);
        return Estimate::of(lines.saturating_mul(lanes), work).waiting(loads);
    }
    let loads = 3.0 * float(ceil_div(length.max, parts));
    let mut estimate = Estimate::of(lines.saturating_mul(parts), loads).waiting(loads);
    estimate.launches = if parts > 1 { 3 } else { 1 };
    estimate
}

/// What the kernels are told: where lines begin, and how they are read.
struct Lines<'a> {
    op: &'a Softmax,
    /// The lines, or fours of lines.
    space: IterationSpace,
    code: EpilogueCode,
    /// Whether some lines are padding.
    masked: bool,
    /// Invocations of a workgroup that shares a line, or zero.
    lanes: i64,
    size: Dim,
    padded: Dim,
    step: Dim,
    flops: Dim,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Softmax(op) = &node.op else { return Err(builder.defect("is not a softmax")) };
    let x = builder.tensor(0)?;
    let layout = builder.values.tensor(x).layout.clone();
    let ty = builder.values.graph.ty(node.inputs[0]).clone();
    let tensor = builder.place_result(layout.clone())?;
    let strides = layout::strides(&layout, &ty.shape);
    let along_inner = layout.order.last() == Some(&op.axis);
    let mut rows = ty.shape.clone();
    rows[op.axis] = 1.into();
    // One invocation a line; where lines are side by side, four lines.
    let width = if along_inner { 1 } else { 4 };
    let space = IterationSpace { width, ..IterationSpace::new(&rows, &layout) };
    let (size, step) = (ty.shape[op.axis].clone(), strides[op.axis].clone());
    let from = builder.values.tensor(x).buffer;
    let place = View { buffer: from, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let addressing = Addressing { source: Some(&place), ..Addressing::default() };
    let code = Expression::new(space.clone(), &[], addressing, 2, &[]).finish(
        "acc",
        ty.dtype,
        Storage::F32,
        ty.dtype,
        addressing,
    );
    let lines = Lines {
        op,
        lanes: 0,
        masked: !along_inner && !is_multiple(&space.valid, 4),
        space,
        code,
        padded: if along_inner { layout::round_up(&size, 4) } else { size.clone() },
        step: if along_inner { step } else { layout::vectors(&step)? },
        size,
        flops: product(&ty.shape) * 4.into(),
    };
    let to = builder.values.tensor(tensor).buffer;
    let parts = knobs.get("parts").max(1);
    if parts > 1 {
        return in_parts(builder, &lines, [from, to], parts, tensor);
    }
    let (count, params) = (lines.space.count(), Params::default());
    let lanes = knobs.get("lanes");
    let template = if lanes > 0 { "softmax_tree" } else { "softmax" };
    let lines = Lines { lanes, ..lines };
    lines.launch(builder, template, vec![from, to], params, (&count, lines.flops.clone()), vec![tensor]);
    Ok(())
}

/// The largest element and the sum of exponentials of parts of each line; those of each line; the results, part by part.
fn in_parts(
    builder: &mut KernelBuilder<'_, '_>,
    lines: &Lines<'_>,
    [from, to]: [BufferId; 2],
    parts: i64,
    tensor: TensorId,
) -> Result<(), CompileError> {
    let rows = lines.space.count();
    let pieces = &rows * &parts.into();
    let lanes = i64::try_from(lines.space.width).unwrap_or(1);
    let of_parts = builder.scratch("parts", Storage::F32, &(&pieces * &(2 * lanes).into()));
    let of_rows = builder.scratch("rows", Storage::F32, &(&rows * &(2 * lanes).into()));
    let params = || {
        let mut params = Params::default();
        params.uint("rows", rows.clone());
        params.int("parts", parts);
        params.int("chunk", lines.size.ceil_div(parts));
        params
    };
    let (first, merge) = ((&pieces, lines.flops.clone()), (&rows, &pieces * &2.into()));
    lines.launch(builder, "softmax_parts", vec![from, of_parts], params(), first, vec![]);
    lines.launch(builder, "softmax_rows", vec![of_parts, of_rows], params(), merge, vec![]);
    let last = (&pieces, 0.into());
    lines.launch(builder, "softmax_results", vec![from, of_rows, to], params(), last, vec![tensor]);
    Ok(())
}

impl Lines<'_> {
    /// A kernel over `invocations`; all of its bindings are read but the last.
    fn launch(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        template: &'static str,
        buffers: Vec<BufferId>,
        own: Params,
        (invocations, flops): (&Dim, Dim),
        writes: Vec<TensorId>,
    ) {
        let mut params = Params::default();
        params.uint("count", invocations.clone());
        params.uint("inner", self.space.inner());
        params.int("size", self.size.clone());
        params.int("padded", self.padded.clone());
        params.int("step", self.step.clone());
        params.extend(own);
        params.extend(self.code.params.clone());
        let last = buffers.len() - 1;
        let access = |n| if n == last { Access::ReadWrite } else { Access::Read };
        let name = if self.op.log { "log_softmax" } else { "softmax" };
        builder.launch(KernelLaunch {
            template,
            kernel: template.replace("softmax", name),
            name: builder.group.name.clone(),
            values: minijinja::context! {
                log => self.op.log,
                masked => self.masked,
                block => BLOCK,
                lanes => self.lanes,
                halves => workgroup_tree::halves(self.lanes, 1),
                ..self.code.template_values()
            },
            bindings: buffers.into_iter().enumerate().map(|(n, buffer)| (buffer, access(n))).collect(),
            params,
            workgroups: if self.lanes > 0 {
                builder.values.folded(invocations)
            } else {
                builder.grid(invocations)
            },
            writes,
            flops,
        });
    }
}
