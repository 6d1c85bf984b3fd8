//! Random numbers: dense, so that element `i` is number `i`.

use kiln_graph::{Dim, Op};
use kiln_plan::Access;

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout};
use super::problem::{Operation, Problem};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::target::Target;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "random", templates: templates!["random"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "random", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(problem: &Problem, _: &Knobs) -> Demands {
    // The counter, where there is one.
    let counter = problem.operands.iter().map(|_| OperandLayout::Tensor(row_major(1, 1)));
    Demands::simple(counter.collect(), 0)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    Estimate::of(elements / 4, 20.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Random(op) = &node.op else { return Err(builder.defect("is not random")) };
    if node.inputs.is_empty() {
        return Err(builder.unsupported("random numbers without a state are drawn in a training step only"));
    }
    let state = builder.tensor_buffer(0)?;
    let ty = builder.values.graph.ty(node.outputs[0]).clone();
    let tensor = builder.place_result(row_major(ty.rank(), 1))?;
    let count = ty.elements().ceil_div(4);
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("stream", Dim::from(i64::from(op.stream)));
    let to = builder.values.tensor(tensor).buffer;
    builder.launch(KernelLaunch {
        template: "random",
        kernel: "random".into(),
        name: builder.group.name.clone(),
        values: minijinja::context! {},
        bindings: vec![(state, Access::Read), (to, Access::ReadWrite)],
        params,
        workgroups: builder.grid(&count),
        writes: vec![tensor],
        flops: 0.into(),
    });
    Ok(())
}
