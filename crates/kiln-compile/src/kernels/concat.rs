//! Concatenation: each operand is copied to its place, if it is not there already.

use kiln_graph::{Dim, Op, ValueId};
use kiln_plan::Layout;

use super::builder::KernelBuilder;
use super::family::{Demands, Estimate, Family, Knobs};
use super::map::{Copy, copy_launch};
use super::problem::{Operation, Problem};
use crate::error::CompileError;
use crate::layout::{self, is_multiple, row_major};
use crate::memory::buffer::{BufferInit, TensorId, View};
use crate::memory::destination::{Output, concat_view};
use crate::target::Target;
use crate::wgsl::operand::Operand;
use crate::wgsl::space::IterationSpace;

/// The family.
pub(super) const FAMILY: Family = Family { name: "concat", templates: &[], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "concat", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    // Operands are read in the order they are in the result, once it is known where that is.
    Demands::simple(vec![], 0)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(elements / 4, 1.0)
}

/// Where the result is.
struct Place {
    view: View,
    tensor: Option<TensorId>,
    /// Whether some operands are there already.
    in_place: bool,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let graph = builder.values.graph;
    let node = builder.anchor()?;
    let Op::Concat(op) = &node.op else { return Err(builder.defect("is not a concatenation")) };
    let out = node.outputs[0];
    let ty = graph.ty(out).clone();
    let mut start = Dim::from(0);
    let mut parts = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        parts.push((*id, start.clone()));
        start = start + graph.ty(*id).shape[op.axis].clone();
    }
    let Place { view: to, tensor, in_place } = place(builder, out, &parts)?;
    let values = &mut *builder.values;
    let views = node.inputs.iter().map(|id| values.view(*id)).collect::<Result<Vec<_>, _>>()?;
    // Iterated over as it is stored: dimensions by falling stride.
    let mut order: Vec<usize> = (0..ty.rank()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(values.maximum(&to.strides[*axis])));
    let layout = Layout { order, lanes: 4 };
    let along_inner = layout.order.last() == Some(&op.axis);
    for (n, ((id, start), view)) in parts.iter().zip(views).enumerate() {
        let last = n + 1 == parts.len();
        let shape = graph.ty(*id).shape.clone();
        let base = to.base.clone() + start * &to.strides[op.axis];
        let mut space = IterationSpace::new(&shape, &layout);
        if along_inner && !is_multiple(start, 4) {
            // Single elements; the last part also writes the zeros that pad the row.
            space.width = 1;
            if last && tensor.is_some() {
                let padded = layout::round_up(&ty.shape[op.axis], 4) - ty.shape[op.axis].clone();
                space.shape[op.axis] = shape[op.axis].clone() + padded;
            }
        }
        if in_place && builder.values.aliases.is_in_place(*id, out, start) {
            continue;
        }
        let copy = Copy {
            name: &builder.group.name,
            kernel: "concat",
            operands: vec![Operand::plain(view, graph.ty(*id).dtype)],
            space,
            dtype: ty.dtype,
            to: to.buffer,
            tensor: if last { tensor } else { None },
            view: Some(&View { base, ..to.clone() }),
        };
        let launch = copy_launch(builder.values, copy);
        builder.launch(launch);
    }
    builder.complete(match tensor {
        Some(tensor) => Output::tensor(out, to.buffer, tensor),
        None => Output::part_of_concat(out, to),
    });
    Ok(())
}

/// In another concatenation, or where its operands have been written already, or in a tensor of its own.
fn place(
    builder: &mut KernelBuilder<'_, '_>,
    out: ValueId,
    parts: &[(ValueId, Dim)],
) -> Result<Place, CompileError> {
    let values = &mut *builder.values;
    if parts.iter().any(|(part, _)| values.aliases.written.contains(part))
        && let Some((view, tensor)) = concat_view(values, out, parts)?
    {
        return Ok(Place { view, tensor, in_place: true });
    }
    let layout = parts
        .iter()
        .find_map(|(id, _)| values.stored_layout(*id))
        .map_or_else(|| row_major(values.graph.ty(out).rank(), 4), |layout| Layout { lanes: 4, ..layout });
    let tensor = values.place(out, layout, BufferInit::Activation)?;
    Ok(Place { view: values.tensor_view(tensor), tensor: Some(tensor), in_place: false })
}
