//! Sorting long lines by the digits of keys, the last digit first (Knuth, "The Art of Computer Programming", volume 3,
//! 5.2.5): each step counts the digits of blocks, and moves the elements of a block to where the counts of all blocks put
//! them. The order of additions is fixed, and nothing is atomic.

use kiln_graph::{DType, Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::prefix_sums::{self, prefix_sums};
use super::problem::{Operation, Problem, ceil_div};
use crate::element::{computed_scalar, memory_scalar};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId};
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::{Template, templates};

const TEMPLATES: [Template; 4] = *templates!["radix_key", "radix_entry", "radix_count", "radix_place"];

/// The family. The knob `block` is how many elements an invocation walks in a step.
pub(super) const FAMILY: Family = Family {
    name: "arg_sort_radix",
    templates: &[TEMPLATES[0], TEMPLATES[1], TEMPLATES[2], TEMPLATES[3], prefix_sums::TEMPLATE],
    space,
    demands,
    cost,
    realize,
};

/// Bits of a digit.
const BITS: u32 = 4;

/// Values of a digit.
const DIGITS: i64 = 1 << BITS;

/// How many elements an invocation walks: few for a device that has to be filled, many where counts are the larger part.
const BLOCKS: [i64; 3] = [32, 128, 512];

/// The work of a step for an element: it is read twice, counted, and moved with its index. Fitted to lavapipe.
const ELEMENT: f64 = 80.0;

/// The work of a step for a count: it is written, added up and read. Fitted to lavapipe.
const COUNT: f64 = 150.0;

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    let doubles = problem.operands.first().is_some_and(|operand| operand.element == Storage::F64);
    match problem.operation {
        // The bits of doubles cannot be had in kernels.
        Operation::ArgSort { .. } if !doubles => BLOCKS.map(|block| Knobs::new([("block", block)])).into(),
        _ => vec![],
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::ArgSort { rank, .. } = problem.operation else { return Demands::default() };
    let iterations = knobs.get("block").max(prefix_sums::ITERATIONS);
    Demands::simple(vec![OperandLayout::Tensor(row_major(rank, 1))], iterations)
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::ArgSort { length, lines, bits, .. } = problem.operation else {
        return Estimate::default();
    };
    let block = knobs.get("block").max(1);
    let blocks = ceil_div(length.max, block);
    let element = problem.operands.first().map_or(Storage::F32, |operand| operand.element);
    let steps = shifts(bits, element).count();
    let each = ELEMENT * float(block.min(length.max)) + COUNT * float(DIGITS);
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let mut estimate = Estimate::of(lines.saturating_mul(blocks), f64::from(steps) * each);
    estimate.launches = steps * (2 + prefix_sums::launches(blocks.saturating_mul(DIGITS)));
    estimate
}

/// How far keys are shifted to the right in each step.
fn shifts(bits: u32, element: Storage) -> impl Iterator<Item = u32> {
    // 16-bit floats in 32 bits: the last 13 are zeros, or equal in all NaN.
    let first = if element == Storage::F16 { 12 } else { 0 };
    (first..bits).step_by(BITS as usize)
}

/// What all launches of a sort know.
struct Sort {
    lines: Dim,
    size: Dim,
    step: Dim,
    blocks: Dim,
    /// The element type of keys in memory.
    key: Storage,
    /// What templates read of the keys.
    values: minijinja::Value,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::ArgSort(op) = &node.op else { return Err(builder.defect("is not a sort")) };
    let Operation::ArgSort { bits, .. } = builder.problem.operation else {
        return Err(builder.defect("is not described as a sort"));
    };
    let x = node.inputs[0];
    let (shape, dtype, element) =
        (builder.shape(x), builder.values.graph.ty(x).dtype, builder.values.element(x)?);
    let from = builder.tensor_buffer(0)?;
    let tensor = builder.place_result(row_major(shape.len(), 1))?;
    let size = shape[op.axis].clone();
    let others = shape.iter().enumerate().filter(|(axis, _)| *axis != op.axis);
    let key = if element == Storage::I64 { Storage::I64 } else { Storage::U32 };
    let block = knobs.get("block").max(1);
    let sort = Sort {
        lines: product(others.map(|(_, dim)| dim)),
        step: product(&shape[op.axis + 1..]),
        blocks: size.ceil_div(block),
        size,
        key,
        values: minijinja::context! {
            key => kind_of_key(dtype),
            key_type => memory_scalar(key),
            element_type => computed_scalar(element),
            descending => op.descending,
            half => 1 << (bits - 1).min(30),
            block,
        },
    };
    sort.launch(builder, from, tensor, &shifts(bits, element).collect::<Vec<_>>());
    Ok(())
}

/// How elements become keys.
fn kind_of_key(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 | DType::F16 | DType::F64 => "float",
        DType::I64 => "long",
        DType::I32 => "signed",
        DType::I16 | DType::I8 => "small_signed",
        DType::Bool | DType::U8 | DType::U16 | DType::U32 => "unsigned",
    }
}

impl Sort {
    /// All steps: from `keys`, the elements, to the indices in `tensor`.
    fn launch(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        elements: BufferId,
        tensor: TensorId,
        shifts: &[u32],
    ) {
        let result = builder.values.tensor(tensor).buffer;
        let total = &self.lines * &self.size;
        let counters = &self.blocks * &DIGITS.into();
        let (mut keys, mut indices) = (elements, None);
        for (n, shift) in shifts.iter().enumerate() {
            let (first, last) = (n == 0, n + 1 == shifts.len());
            let counts = builder.scratch("counts", Storage::U32, &(&self.lines * &counters));
            let reads = vec![(keys, Access::Read), (counts, Access::ReadWrite)];
            self.step(builder, "radix_count", *shift, [first, last], reads, vec![]);
            prefix_sums(builder, counts, &self.lines, &counters);
            let mut bindings = vec![(keys, Access::Read), (counts, Access::Read)];
            bindings.extend(indices.map(|indices| (indices, Access::Read)));
            if last {
                bindings.push((result, Access::ReadWrite));
                self.step(builder, "radix_place", *shift, [first, last], bindings, vec![tensor]);
            } else {
                let to = builder.scratch("indices", Storage::U32, &total);
                let to_keys = builder.scratch("keys", self.key, &total);
                bindings.extend([(to, Access::ReadWrite), (to_keys, Access::ReadWrite)]);
                self.step(builder, "radix_place", *shift, [first, last], bindings, vec![]);
                (keys, indices) = (to_keys, Some(to));
            }
        }
    }

    fn step(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        template: &'static str,
        shift: u32,
        [first, last]: [bool; 2],
        bindings: Vec<(BufferId, Access)>,
        writes: Vec<TensorId>,
    ) {
        let count = &self.lines * &self.blocks;
        let mut params = Params::default();
        params.uint("count", count.clone());
        params.uint("blocks", self.blocks.clone());
        params.uint("size", self.size.clone());
        params.uint("step", self.step.clone());
        params.uint("shift", i64::from(shift));
        builder.launch(KernelLaunch {
            template,
            kernel: template.into(),
            name: builder.group.name.clone(),
            values: minijinja::context! { first, last, ..self.values.clone() },
            bindings,
            params,
            workgroups: builder.grid(&count),
            writes,
            flops: &self.lines * &self.size,
        });
    }
}
