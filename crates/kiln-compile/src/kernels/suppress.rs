//! Non-maximum suppression of sorted boxes. Those of each line that are alive are gathered; then, block by block, a workgroup
//! finds which boxes of its block are kept, and all later ones are compared with these. What lines have nothing alive costs
//! next to nothing: kernels walk the lines by falling numbers of boxes, and stop at the first that is too short.

use kiln_graph::ops::Suppress;
use kiln_graph::{Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch, WORKGROUP};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::prefix_sums::{self, prefix_sums};
use super::problem::{Operation, Problem, ceil_div};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId};
use crate::target::{DeviceClass, Target};
use crate::wgsl::params::Params;
use crate::wgsl::template::{Template, templates};

const TEMPLATES: [Template; 6] = *templates![
    "suppress_block",
    "suppress_corners",
    "suppress_count",
    "suppress_later",
    "suppress_order",
    "suppress_overlap",
];

/// The family. Its knobs: `block`, how many boxes a workgroup compares with one another; `boxes`, how many later ones an
/// invocation compares with each that is kept; `lines`, how many lines a workgroup walks.
pub(super) const FAMILY: Family = Family {
    name: "suppress",
    templates: &[
        TEMPLATES[0],
        TEMPLATES[1],
        TEMPLATES[2],
        TEMPLATES[3],
        TEMPLATES[4],
        TEMPLATES[5],
        prefix_sums::TEMPLATE,
    ],
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

/// Boxes that an invocation walks where those that are alive are counted and gathered.
const CHUNK: i64 = 64;

/// Lines that are walked side by side at least, if there are so many.
const SIDE_BY_SIDE: i64 = 8;

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let (boxes, lines) = match target.class {
        // Loads take the time, and so do workgroups that have nothing to do.
        DeviceClass::Cpu => (4, 64),
        DeviceClass::Gpu => (1, 1),
    };
    match problem.operation {
        Operation::Suppress { .. } => {
            vec![Knobs::new([("block", i64::from(BLOCK)), ("boxes", boxes), ("lines", lines)])]
        }
        _ => vec![],
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Suppress { rank, lines, .. } = problem.operation else { return Demands::default() };
    let dense = |rank| OperandLayout::Tensor(row_major(rank, 1));
    // In a line, bits are gathered, boxes compared with all of the block, and walked from kept box to kept box.
    let line = 1 + i64::from(WORD + 2 * (BLOCK + BLOCK / WORD));
    let iterations = line.saturating_mul(knobs.get("lines")).max(lines).max(prefix_sums::ITERATIONS);
    Demands {
        invocations: BLOCK,
        workgroup_memory: BLOCK * BOX_BYTES + 2 * 4 * (BLOCK / WORD),
        ..Demands::simple(vec![dense(rank), dense(rank - 1)], iterations)
    }
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Suppress { boxes, lines, .. } = problem.operation else { return Estimate::default() };
    let blocks = ceil_div(boxes.max, knobs.get("block").max(1)).max(1);
    // As if half of the boxes were kept.
    let mut estimate = Estimate::of(lines.saturating_mul(boxes.max), 10.0 * float(boxes.max));
    let gathering = 3 + prefix_sums::launches(ceil_div(boxes.max, CHUNK) + 1);
    estimate.launches = u32::try_from(2 * blocks - 1).unwrap_or(u32::MAX).saturating_add(gathering);
    estimate
}

/// Sizes, and buffers that pass from launch to launch.
struct Suppression<'a> {
    op: &'a Suppress,
    lines: Dim,
    size: Dim,
    /// Counts of a line.
    counts_of_line: Dim,
    block: i64,
    boxes: i64,
    /// Workgroups that walk the lines side by side.
    walkers: Dim,
    /// How many boxes are alive, by chunks, as prefix sums.
    counts: BufferId,
    /// Lines by falling numbers of boxes.
    order: BufferId,
    corners: BufferId,
    areas: BufferId,
    /// Where boxes come from, which are not suppressed.
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
    let counts_of_line = size.ceil_div(CHUNK) + 1.into();
    let suppression = Suppression {
        op,
        size: size.clone(),
        block,
        boxes: knobs.get("boxes").max(1),
        walkers: lines.ceil_div(knobs.get("lines").max(1)).larger(&lines.smaller(&SIDE_BY_SIDE.into())),
        counts: builder.scratch("counts", Storage::U32, &(&lines * &counts_of_line)),
        order: builder.scratch("order", Storage::U32, &lines),
        corners: builder.scratch("corners", Storage::F32, &(&total * &4.into())),
        areas: builder.scratch("areas", Storage::F32, &total),
        open: builder.scratch("open", Storage::U32, &total),
        totals: builder.scratch("totals", Storage::U32, &lines),
        chosen: builder.scratch("chosen", Storage::U32, &(&lines * &(block + 1).into())),
        kept,
        counts_of_line,
        lines,
    };
    suppression.gather(builder, from);
    let blocks = ceil_div(builder.values.maximum(size), block).max(1);
    for n in 0..blocks {
        suppression.block(builder, n * block, n + 1 == blocks);
        if n + 1 < blocks {
            suppression.later(builder, n * block);
        }
    }
    Ok(())
}

impl Suppression<'_> {
    /// A launch, all of whose parameters but `own` are sizes.
    fn launch(
        &self,
        builder: &KernelBuilder<'_, '_>,
        template: &'static str,
        own: Params,
        values: minijinja::Value,
    ) -> KernelLaunch {
        let mut params = Params::default();
        params.uint("size", self.size.clone());
        params.uint("lines", self.lines.clone());
        params.uint("counts", self.counts_of_line.clone());
        params.extend(own);
        KernelLaunch {
            template,
            kernel: template.into(),
            name: builder.group.name.clone(),
            values,
            bindings: vec![],
            params,
            workgroups: [1.into(), 1.into(), 1.into()],
            writes: vec![],
            flops: 0.into(),
        }
    }

    /// Gathers the boxes that are alive, and orders lines by how many there are.
    fn gather(&self, builder: &mut KernelBuilder<'_, '_>, [boxes, alive]: [BufferId; 2]) {
        let kept = builder.values.tensor(self.kept).buffer;
        let counted = &self.lines * &self.counts_of_line;
        let launch = |builder: &mut KernelBuilder<'_, '_>, template, count: &Dim, bindings| {
            let mut params = Params::default();
            params.uint("count", count.clone());
            let values = minijinja::context! { chunk => CHUNK, center => self.op.center };
            let launch = self.launch(builder, template, params, values);
            let workgroups = builder.grid(count);
            builder.launch(KernelLaunch { bindings, workgroups, ..launch });
        };
        launch(builder, "suppress_count", &counted, bindings(&[alive], &[self.counts, kept]));
        prefix_sums(builder, self.counts, &self.lines, &self.counts_of_line);
        let made = bindings(&[boxes, alive, self.counts], &[self.corners, self.areas, self.open]);
        launch(builder, "suppress_corners", &counted, made);
        launch(builder, "suppress_order", &self.lines, bindings(&[self.counts], &[self.order]));
    }

    /// Parameters and template values of both kernels that compare boxes.
    fn comparison(&self, begin: i64) -> (Params, minijinja::Value) {
        let mut params = Params::default();
        params.uint("begin", begin);
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
        (params, minijinja::context! { threshold => kind, block => self.block, boxes => self.boxes })
    }

    fn block(&self, builder: &mut KernelBuilder<'_, '_>, begin: i64, last: bool) {
        let (mut params, values) = self.comparison(begin);
        let mut written = vec![self.chosen, builder.values.tensor(self.kept).buffer];
        if let Some(most) = self.op.most {
            params.uint("most", i64::from(most));
            written.push(self.totals);
        }
        // Nothing where a smaller size has no such block.
        let there = (self.size.clone() - begin.into()).larger(&0.into()).smaller(&1.into());
        let limited = self.op.most.is_some();
        let values = minijinja::context! { limited, first => begin == 0, ..values };
        let launch = self.launch(builder, "suppress_block", params, values);
        builder.launch(KernelLaunch {
            bindings: bindings(&[self.corners, self.areas, self.open, self.counts, self.order], &written),
            workgroups: [there, self.walkers.clone(), 1.into()],
            writes: if last { vec![self.kept] } else { vec![] },
            ..launch
        });
    }

    fn later(&self, builder: &mut KernelBuilder<'_, '_>, begin: i64) {
        let (params, values) = self.comparison(begin);
        let later = (self.size.clone() - (begin + self.block).into()).larger(&0.into());
        let read = [self.corners, self.areas, self.chosen, self.counts, self.order];
        let launch = self.launch(builder, "suppress_later", params, values);
        builder.launch(KernelLaunch {
            bindings: bindings(&read, &[self.open]),
            workgroups: [later.ceil_div(WORKGROUP * self.boxes), self.walkers.clone(), 1.into()],
            ..launch
        });
    }
}

fn bindings(read: &[BufferId], written: &[BufferId]) -> Vec<(BufferId, Access)> {
    let with = |access: Access| move |buffer: &BufferId| (*buffer, access);
    read.iter().map(with(Access::Read)).chain(written.iter().map(with(Access::ReadWrite))).collect()
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
