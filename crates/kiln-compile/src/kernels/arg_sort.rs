//! Sorting short lines: each element finds its own place by comparing with all others of its line.

use kiln_graph::{Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem};
use crate::element::computed_scalar;
use crate::error::CompileError;
use crate::layout::row_major;
use crate::target::Target;
use crate::wgsl::functions::functions;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "arg_sort", templates: templates!["arg_sort"], space, demands, cost, realize };

/// The work of a comparison, which loads an element. Fitted to lavapipe.
const COMPARISON: f64 = 15.0;

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::ArgSort { .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    let Operation::ArgSort { length, rank, .. } = problem.operation else { return Demands::default() };
    Demands::simple(vec![OperandLayout::Tensor(row_major(rank, 1))], length.max)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::ArgSort { length, lines, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(lines.saturating_mul(length.max), COMPARISON * float(length.max))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::ArgSort(op) = &node.op else { return Err(builder.defect("is not a sort")) };
    let x = node.inputs[0];
    let shape = builder.shape(x);
    let from = builder.tensor_buffer(0)?;
    let tensor = builder.place_result(row_major(shape.len(), 1))?;
    let (count, size) = (product(&shape), shape[op.axis].clone());
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("size", size.clone());
    params.uint("step", product(&shape[op.axis + 1..]));
    let element = builder.values.element(x)?;
    let to = builder.values.tensor(tensor).buffer;
    builder.launch(KernelLaunch {
        template: "arg_sort",
        kernel: "arg_sort".into(),
        name: builder.group.name.clone(),
        values: minijinja::context! {
            element_type => computed_scalar(element),
            float => matches!(element, Storage::F32 | Storage::F16),
            double => element == Storage::F64,
            descending => op.descending,
            ..functions(1, &["is_nan_double"])
        },
        bindings: vec![(from, Access::Read), (to, Access::ReadWrite)],
        params,
        workgroups: builder.grid(&count),
        writes: vec![tensor],
        flops: count * size,
    });
    Ok(())
}
