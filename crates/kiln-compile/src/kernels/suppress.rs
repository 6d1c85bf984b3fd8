//! Non-maximum suppression of sorted boxes, block by block: which boxes of a block are kept is found by one workgroup for each
//! line; then all later boxes are compared with these.

use kiln_graph::ops::Suppress;
use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, ceil_div};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId};
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family. The knob `block` is how many boxes a workgroup compares with one another.
pub(super) const FAMILY: Family = Family {
    name: "suppress",
    templates: templates!["suppress_overlap", "suppress_corners", "suppress_block", "suppress_later"],
    space,
    demands,
    cost,
    realize,
};

/// Boxes of a block: one for each invocation of a workgroup.
const BLOCK: u32 = 256;

/// Boxes that a word has a bit for.
const WORD: u32 = 32;

/// Bytes of workgroup memory for a box: corners, area, whether it is open, and a bit for each box of its block.
const BOX_BYTES: u32 = 16 + 4 + 4 + BLOCK / 8;

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Suppress { .. } => vec![Knobs::new([("block", i64::from(BLOCK))])],
        _ => vec![],
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let Operation::Suppress { rank, .. } = problem.operation else { return Demands::default() };
    let dense = |rank| OperandLayout::Tensor(row_major(rank, 1));
    // Bits are gathered, boxes compared with all of the block, and walked from kept box to kept box.
    let iterations = i64::from(WORD + BLOCK + BLOCK / WORD + BLOCK);
    Demands {
        invocations: BLOCK,
        workgroup_memory: BLOCK * BOX_BYTES + 2 * 4 * (BLOCK / WORD),
        ..Demands::simple(vec![dense(rank), dense(rank - 1)], iterations)
    }
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Suppress { boxes, lines, .. } = problem.operation else { return Estimate::default() };
    let blocks = ceil_div(boxes.max, knobs.get("block").max(1));
    // As if half of the boxes were kept.
    let mut estimate = Estimate::of(lines.saturating_mul(boxes.max), 10.0 * float(boxes.max));
    estimate.launches = u32::try_from(blocks.saturating_mul(2).max(2)).unwrap_or(u32::MAX);
    estimate
}

/// Buffers that pass from launch to launch.
struct Suppression<'a> {
    op: &'a Suppress,
    lines: Dim,
    size: Dim,
    corners: BufferId,
    areas: BufferId,
    /// Which boxes are neither suppressed nor dead.
    open: BufferId,
    /// How many boxes each line has kept.
    totals: BufferId,
    /// For each line, how many boxes of the last block are kept, and which.
    chosen: BufferId,
    kept: TensorId,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Suppress(op) = &node.op else { return Err(builder.defect("is not a suppression")) };
    let shape = builder.shape(node.outputs[0]);
    let Some((size, lines)) = shape.split_last() else { return Err(builder.defect("has no boxes")) };
    let from = [builder.tensor_buffer(0)?, builder.tensor_buffer(1)?];
    let kept = builder.place_result(row_major(shape.len(), 1))?;
    let (lines, total) = (product(lines), product(&shape));
    let block = knobs.get("block").max(1);
    let suppression = Suppression {
        op,
        size: size.clone(),
        corners: builder.scratch("corners", Storage::F32, &(&total * &4.into())),
        areas: builder.scratch("areas", Storage::F32, &total),
        open: builder.scratch("open", Storage::U32, &total),
        totals: builder.scratch("totals", Storage::U32, &lines),
        chosen: builder.scratch("chosen", Storage::U32, &(&lines * &(block + 1).into())),
        kept,
        lines,
    };
    suppression.corners(builder, from, &total);
    let blocks = ceil_div(builder.values.maximum(size), block).max(1);
    for n in 0..blocks {
        suppression.block(builder, n * block, block, n + 1 == blocks);
        if n + 1 < blocks {
            suppression.later(builder, n * block, block);
        }
    }
    Ok(())
}

impl Suppression<'_> {
    fn corners(&self, builder: &mut KernelBuilder<'_, '_>, [boxes, alive]: [BufferId; 2], total: &Dim) {
        let mut params = Params::default();
        params.uint("count", total.clone());
        let made = [self.corners, self.areas, self.open];
        let read = [boxes, alive].map(|buffer| (buffer, Access::Read));
        builder.launch(KernelLaunch {
            template: "suppress_corners",
            kernel: "suppress_corners".into(),
            name: builder.group.name.clone(),
            values: minijinja::context! { center => self.op.center },
            bindings: read.into_iter().chain(made.map(|buffer| (buffer, Access::ReadWrite))).collect(),
            params,
            workgroups: builder.grid(total),
            writes: vec![],
            flops: 0.into(),
        });
    }

    /// Parameters and template values of both kernels that compare boxes.
    fn comparison(&self, begin: i64, block: i64) -> (Params, minijinja::Value) {
        let mut params = Params::default();
        params.uint("begin", begin);
        params.uint("size", self.size.clone());
        params.uint("nothing", 0);
        let threshold = self.op.iou_threshold;
        let kind = if threshold.is_nan() || threshold == f32::INFINITY {
            "never"
        } else if threshold < 0.0 {
            "negative"
        } else if threshold == 0.0 {
            "zero"
        } else {
            let [high, low, shift] = middle(threshold);
            params.uint("middle_high", high);
            params.uint("middle_low", low);
            params.int("shift", shift);
            "number"
        };
        (params, minijinja::context! { threshold => kind, block })
    }

    fn block(&self, builder: &mut KernelBuilder<'_, '_>, begin: i64, block: i64, last: bool) {
        let (mut params, values) = self.comparison(begin, block);
        params.uint("lines", self.lines.clone());
        let mut bindings = vec![
            (self.corners, Access::Read),
            (self.areas, Access::Read),
            (self.open, Access::Read),
            (self.chosen, Access::ReadWrite),
            (builder.values.tensor(self.kept).buffer, Access::ReadWrite),
        ];
        if let Some(most) = self.op.most {
            params.uint("most", i64::from(most));
            bindings.push((self.totals, Access::ReadWrite));
        }
        // Nothing where a smaller size has no such block.
        let there = (self.size.clone() - begin.into()).larger(&0.into()).smaller(&1.into());
        builder.launch(KernelLaunch {
            template: "suppress_block",
            kernel: "suppress_block".into(),
            name: builder.group.name.clone(),
            values: minijinja::context! {
                limited => self.op.most.is_some(),
                first => begin == 0,
                ..values
            },
            bindings,
            params,
            workgroups: builder.values.folded(&(&self.lines * &there)),
            writes: if last { vec![self.kept] } else { vec![] },
            flops: 0.into(),
        });
    }

    fn later(&self, builder: &mut KernelBuilder<'_, '_>, begin: i64, block: i64) {
        let (mut params, values) = self.comparison(begin, block);
        let later = (self.size.clone() - (begin + block).into()).larger(&0.into());
        let count = &self.lines * &later;
        params.uint("count", count.clone());
        params.uint("later", later);
        let reads = [self.corners, self.areas, self.chosen].map(|buffer| (buffer, Access::Read));
        builder.launch(KernelLaunch {
            template: "suppress_later",
            kernel: "suppress_later".into(),
            name: builder.group.name.clone(),
            values,
            bindings: reads.into_iter().chain([(self.open, Access::ReadWrite)]).collect(),
            params,
            workgroups: builder.grid(&count),
            writes: vec![],
            flops: 0.into(),
        });
    }
}

/// The middle between a positive number and the next one: a significand of 25 bits, in two parts of 13 and 12 bits, and by
/// how much the exponent of an intersection has to exceed that of a union at least, see `suppress_overlap.wgsl`.
fn middle(threshold: f32) -> [i64; 3] {
    let bits = threshold.to_bits();
    let (mut exponent, mut significand) = (i64::from(bits >> 23), i64::from(bits & 0x7f_ffff));
    if exponent == 0 {
        // Numbers below the least normal one have no leading bit.
        exponent = 1;
        while significand < 1 << 23 {
            significand *= 2;
            exponent -= 1;
        }
    } else {
        significand |= 1 << 23;
    }
    let middle = 2 * significand + 1;
    [middle >> 12, middle & 0xfff, 127 - exponent]
}
