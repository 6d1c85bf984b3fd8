//! Selection along an axis by an index tensor: a copy with an index that is added.

use kiln_graph::{Dim, Op};

use super::builder::KernelBuilder;
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout};
use super::map::{Copy, copy_launch};
use super::problem::{Operation, Problem};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::View;
use crate::target::Target;
use crate::wgsl::operand::Operand;
use crate::wgsl::space::IterationSpace;

/// The family.
pub(super) const FAMILY: Family = Family { name: "gather", templates: &[], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "gather" | "gather_elements", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![OperandLayout::Strided; 2], 0)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(elements / 4, 4.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let graph = builder.values.graph;
    let node = builder.anchor()?;
    let (x, indices) = (node.inputs[0], node.inputs[1]);
    let (x_view, index_view) = (builder.view(0)?, builder.view(1)?);
    let (axis, x_strides, index_strides) = if let Op::Gather(op) = &node.op {
        let zeros = |n: usize| vec![Dim::from(0); n];
        let (before, after) = (&x_view.strides[..op.axis], &x_view.strides[op.axis + 1..]);
        let index_rank = graph.ty(indices).rank();
        let x_strides = [before, &zeros(index_rank), after].concat();
        let index = [&zeros(before.len()), &index_view.strides[..], &zeros(after.len())].concat();
        (op.axis, x_strides, index)
    } else if let Op::GatherElements(op) = &node.op {
        let mut x_strides = x_view.strides.clone();
        x_strides[op.axis] = 0.into();
        (op.axis, x_strides, index_view.strides.clone())
    } else {
        return Err(builder.defect("is not a selection"));
    };
    let size = graph.ty(x).shape[axis].clone();
    let step = x_view.strides[axis].clone();
    let operands = vec![
        Operand::plain(View { strides: index_strides, ..index_view }, graph.ty(indices).dtype),
        Operand {
            gather: Some((0, size, step)),
            ..Operand::plain(View { strides: x_strides, ..x_view }, graph.ty(x).dtype)
        },
    ];
    let ty = graph.ty(node.outputs[0]).clone();
    let single = ty.shape.last().is_none_or(|dim| dim.is(1));
    let layout = row_major(ty.rank(), if single { 1 } else { 4 });
    let tensor = builder.place_result(layout.clone())?;
    let space = IterationSpace::new(&ty.shape, &layout);
    let to = builder.values.tensor(tensor).buffer;
    let (name, tensor, dtype) = (&builder.group.name, Some(tensor), ty.dtype);
    let copy = Copy { name, kernel: "gather", operands, space, dtype, to, tensor, view: None };
    let launch = copy_launch(builder.values, copy);
    builder.launch(launch);
    Ok(())
}
