//! Padding in any mode: a copy whose coordinates are changed first.

use kiln_graph::ops::{Pad, PadMode};
use kiln_graph::{Dim, Op};
use kiln_plan::Layout;

use super::builder::KernelBuilder;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout};
use super::map::{Copy, copy_launch};
use super::problem::{Operation, Problem};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::TensorId;
use crate::target::Target;
use crate::wgsl::operand::{Operand, Remap};
use crate::wgsl::space::IterationSpace;

/// The family.
pub(super) const FAMILY: Family = Family { name: "pad", templates: &[], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "pad", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![OperandLayout::Strided], 0)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(elements / 4, 2.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Pad(op) = &node.op else { return Err(builder.defect("is not a padding")) };
    let x = node.inputs[0];
    let shape = builder.shape(node.outputs[0]);
    let rank = shape.len();
    let mut layout = builder
        .values
        .stored_layout(x)
        .map_or_else(|| row_major(rank, 4), |layout| Layout { lanes: 4, ..layout });
    // Coordinates of the fastest dimension cannot be changed lane by lane, so it has to be one that is not padded; if
    // all are, a dimension of one element does.
    if layout.order.last().is_some_and(|axis| op.pads[*axis] != [0, 0]) {
        match layout.order.iter().rposition(|axis| op.pads[*axis] == [0, 0]) {
            Some(at) => {
                let axis = layout.order.remove(at);
                layout.order.push(axis);
            }
            None => return pad_everywhere(builder, op),
        }
    }
    let padded: Vec<usize> = (0..rank).filter(|axis| op.pads[*axis] != [0, 0]).collect();
    let operand = Operand { remaps: remaps(builder, op, &padded)?, ..plain(builder)? };
    let tensor = builder.place_result(layout.clone())?;
    write(builder, operand, IterationSpace::new(&shape, &layout), tensor)
}

/// Padding of every dimension: the kernel iterates over an extra dimension of one element, which comes last.
fn pad_everywhere(builder: &mut KernelBuilder<'_, '_>, op: &Pad) -> Result<(), CompileError> {
    let shape = builder.shape(builder.result()?);
    let rank = shape.len();
    let all: Vec<usize> = (0..rank).collect();
    let mut operand = Operand { remaps: remaps(builder, op, &all)?, ..plain(builder)? };
    operand.view.strides.push(0.into());
    let tensor = builder.place_result(row_major(rank, 1))?;
    let shape: Vec<Dim> = shape.into_iter().chain([1.into()]).collect();
    let space = IterationSpace { width: 1, ..IterationSpace::new(&shape, &row_major(rank + 1, 1)) };
    write(builder, operand, space, tensor)
}

fn plain(builder: &KernelBuilder<'_, '_>) -> Result<Operand, CompileError> {
    let x = builder.anchor()?.inputs[0];
    Ok(Operand::plain(builder.view(0)?, builder.values.graph.ty(x).dtype))
}

/// How the coordinates of some dimensions change.
fn remaps(
    builder: &KernelBuilder<'_, '_>,
    op: &Pad,
    axes: &[usize],
) -> Result<Vec<(usize, Dim, Remap)>, CompileError> {
    let from = builder.shape(builder.anchor()?.inputs[0]);
    let remap = |axis: &usize| (*axis, from[*axis].clone(), remap(op.mode, op.pads[*axis]));
    Ok(axes.iter().map(remap).collect())
}

fn remap(mode: PadMode, [before, after]: [i64; 2]) -> Remap {
    match mode {
        PadMode::Constant(value) => Remap::Constant { before, value },
        PadMode::Reflect => Remap::Reflect { before },
        PadMode::Edge => Remap::Edge { before },
        PadMode::Wrap => {
            Remap::Wrap { before: before.max(0), first: (-before).max(0), last: (-after).max(0) }
        }
    }
}

fn write(
    builder: &mut KernelBuilder<'_, '_>,
    operand: Operand,
    space: IterationSpace,
    tensor: TensorId,
) -> Result<(), CompileError> {
    // The type on the device; the host may see another.
    let dtype = builder.values.graph.ty(builder.result()?).dtype;
    let to = builder.values.tensor(tensor).buffer;
    let (name, operands) = (&builder.group.name, vec![operand]);
    let copy = Copy { name, kernel: "pad", operands, space, dtype, to, tensor: Some(tensor), view: None };
    let launch = copy_launch(builder.values, copy);
    builder.launch(launch);
    Ok(())
}
