//! The variance over everything but the channels, in two kernels, as [`sum_columns`]: means of parts and sums of squared
//! differences from them, and what combines these. It does not wait for the mean.

use kiln_graph::{Dim, Op};
use kiln_plan::Storage;

use super::builder::{AnchorLaunch, KernelBuilder};
use super::family::{Demands, Estimate, Family, Knobs};
use super::problem::{Operation, Problem};
use super::reduce::ReductionPlan;
use super::reduction_loops::ReductionLoops;
use super::sum_columns::{self, Columns, Parts};
use crate::error::CompileError;
use crate::target::Target;
use crate::wgsl::template::templates;

/// The family. Its knobs are those of [`sum_columns`].
pub(super) const FAMILY: Family = Family {
    name: "variance_columns",
    templates: templates!["variance_columns", "variance"],
    space,
    demands,
    cost,
    realize,
};

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::SumColumns { variance: true, rows, .. } => sum_columns::variants(rows, target),
        _ => vec![],
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let sum = sum_columns::demands(problem, knobs);
    // All parts are combined by one invocation, in two loops.
    Demands { loop_iterations: sum.loop_iterations.max(2 * knobs.get("parts")), ..sum }
}

/// That of the sum: memory is what both take time for, and the variant is then that of the mean of the same rows, so that both
/// can share a grid.
fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    sum_columns::cost(problem, knobs, target)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Reduce(op) = &node.op else { return Err(builder.defect("is not a reduction")) };
    let dtype = builder.values.graph.ty(node.outputs[0]).dtype;
    let columns = Columns::of(builder)?;
    let (inner, rows) = (columns.inner(), columns.rows());
    let parts = knobs.get("parts").max(1);
    let buffer = builder.scratch("parts", Storage::F32, &(&inner * &(8 * parts).into()));
    let (view, order) = columns.result(op, buffer);
    let kernel = format!("{}_columns", op.kind.name());
    let lanes = knobs.get("lanes");
    let first = Parts { template: "variance_columns", kernel, buffer, parts, lanes };
    let part = sum_columns::launch_parts(builder, columns, first);

    let row = &inner * &4.into();
    let loops = vec![(Dim::from(parts), &row * &2.into())];
    let plan = ReductionPlan { view, order, loops, count: rows.clone(), kind: op.kind, flops: parts.into() };
    let shape = builder.shape(builder.group_result()?);
    let loops = ReductionLoops::of(&shape, &plan, dtype)?;
    let epilogue =
        builder.epilogue_over(&loops.layout, loops.space.clone(), &[buffer], Some(&loops.place))?;
    let mut params = loops.params();
    params.int("rows", rows);
    params.int("part", part);
    params.int("squares", if loops.vectors { inner } else { row });
    let workgroups = builder.grid(&epilogue.space.count());
    let launch = AnchorLaunch {
        template: "variance",
        kernel: op.kind.name().into(),
        buffers: &[buffer],
        params,
        values: minijinja::context! { vectors => loops.vectors },
        workgroups,
        flops: plan.flops,
    };
    builder.launch_anchor(epilogue, launch);
    builder.iterates(Dim::from(2 * parts));
    Ok(())
}
