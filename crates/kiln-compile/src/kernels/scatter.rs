//! Writing to indices that are data: each element of the result looks for what it gets.

use kiln_graph::ops::ScatterReduction;
use kiln_graph::{DType, Op, product};
use kiln_plan::Access;

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem, ceil_div};
use crate::element::computed_scalar;
use crate::error::CompileError;
use crate::layout::{self, row_major};
use crate::memory::buffer::View;
use crate::target::Target;
use crate::wgsl::elementwise::wrapped;
use crate::wgsl::functions::functions;
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family. The knob `indices` is how many an invocation looks at in a launch.
pub(super) const FAMILY: Family =
    Family { name: "scatter", templates: templates!["scatter"], space, demands, cost, realize };

/// More indices than an invocation is to look at come in rounds.
const MOST_INDICES: i64 = 60_000;

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Scatter { .. } => {
            vec![Knobs::new([("indices", MOST_INDICES.min(target.max_loop_iterations))])]
        }
        _ => vec![],
    }
}

fn demands(_: &Problem, knobs: &Knobs) -> Demands {
    Demands::simple(vec![OperandLayout::Strided; 3], knobs.get("indices"))
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Scatter { elements, indices } = problem.operation else { return Estimate::default() };
    let rounds = ceil_div(indices.max, knobs.get("indices").max(1));
    let mut estimate = Estimate::of(elements, float(indices.max));
    estimate.launches = u32::try_from(rounds).unwrap_or(u32::MAX);
    estimate
}

/// How an element takes an update, and the functions that this calls.
fn combine(reduction: ScatterReduction, dtype: DType) -> (&'static str, Option<&'static str>) {
    let (float, double) = (dtype.is_float(), dtype == DType::F64);
    match reduction {
        ScatterReduction::None => ("update", None),
        ScatterReduction::Add => ("acc + update", None),
        ScatterReduction::Mul => ("acc * update", None),
        ScatterReduction::Max if double => ("maximum_double(acc, update)", Some("maximum_double")),
        ScatterReduction::Min if double => ("minimum_double(acc, update)", Some("minimum_double")),
        ScatterReduction::Max if float => ("maximum(acc, update)", Some("maximum")),
        ScatterReduction::Max => ("max(acc, update)", None),
        ScatterReduction::Min if float => ("minimum(acc, update)", Some("minimum")),
        ScatterReduction::Min => ("min(acc, update)", None),
    }
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Scatter(op) = &node.op else { return Err(builder.defect("is not a scatter")) };
    let out = node.outputs[0];
    let ty = builder.values.graph.ty(out).clone();
    let taken = builder.shape(node.inputs[1]);
    let mut views = [builder.view(0)?, builder.view(1)?, builder.view(2)?];
    let layout = row_major(ty.rank(), 1);
    let tensor = builder.place_result(layout.clone())?;
    let element = builder.values.element(out)?;
    let (combine, used) = combine(op.reduction, ty.dtype);
    let values = minijinja::context! {
        rank => ty.rank(),
        axis => op.axis,
        element_type => computed_scalar(element),
        combine => wrapped(1, ty.dtype, combine.into()),
        ..functions(1, used.as_slice())
    };
    let most = knobs.get("indices").max(1);
    // Each round changes what the one before left.
    let rounds = (builder.values.maximum(&taken[op.axis]) - 1).max(0) / most + 1;
    for round in 0..rounds {
        let last = round + 1 == rounds;
        let to = if last {
            builder.values.tensor(tensor).buffer
        } else {
            builder.scratch("round", element, &product(&ty.shape))
        };
        let mut params = Params::default();
        params.uint("count", product(&ty.shape));
        params.int("begin", round * most);
        params.int("most", most);
        for (name, view) in ["data", "index", "update"].into_iter().zip(&views) {
            params.int(format!("{name}_base"), view.base.clone());
            for (axis, stride) in view.strides.iter().enumerate() {
                params.int(format!("{name}_{axis}"), stride.clone());
            }
        }
        for (axis, (size, taken)) in ty.shape.iter().zip(&taken).enumerate() {
            params.int(format!("size_{axis}"), size.clone());
            params.int(format!("taken_{axis}"), taken.clone());
        }
        let mut bindings: Vec<_> = views.iter().map(|view| (view.buffer, Access::Read)).collect();
        bindings.push((to, Access::ReadWrite));
        builder.launch(KernelLaunch {
            template: "scatter",
            kernel: format!("scatter_{}", op.reduction.name()),
            name: builder.group.name.clone(),
            values: values.clone(),
            bindings,
            params,
            workgroups: builder.grid(&product(&ty.shape)),
            writes: if last { vec![tensor] } else { vec![] },
            flops: if last { product(&taken) } else { 0.into() },
        });
        let strides = layout::strides(&layout, &ty.shape);
        views[0] = View { buffer: to, element, base: 0.into(), strides, zero_lanes: false };
    }
    Ok(())
}
