//! Arg-max and arg-min. Long lines are searched in parts, and then what was found.

use kiln_graph::ops::{ArgKind, ArgReduce};
use kiln_graph::{DType, Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::problem::{Operation, Problem};
use super::reduction_loops::LONG;
use crate::element::computed_scalar;
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId, View};
use crate::target::Target;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "arg_reduce", templates: templates!["arg_reduce"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::ArgReduce { .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![OperandLayout::Strided], LONG)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::ArgReduce { length, lines } = problem.operation else { return Estimate::default() };
    let parts = if length.max > LONG { length.max.isqrt() } else { 1 };
    let mut estimate = Estimate::of(lines.saturating_mul(parts), float(length.max / parts));
    estimate.launches = if parts > 1 { 2 } else { 1 };
    estimate
}

/// Where the best elements of parts are kept.
struct Parts {
    count: i64,
    buffer: BufferId,
}

/// A search of lines.
struct Search<'a> {
    op: &'a ArgReduce,
    dtype: DType,
    view: View,
    size: Dim,
    /// The results.
    shape: Vec<Dim>,
    /// The first element that belongs to each.
    strides: Vec<Dim>,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::ArgReduce(op) = &node.op else { return Err(builder.defect("is not an arg-reduction")) };
    let ty = builder.values.graph.ty(node.inputs[0]).clone();
    let view = builder.view(0)?;
    let shape = builder.shape(node.outputs[0]);
    let strides: Vec<Dim> = (0..ty.rank())
        .filter(|a| op.keep_dims || *a != op.axis)
        .map(|a| if a == op.axis { 0.into() } else { view.strides[a].clone() })
        .collect();
    let search = Search { op, dtype: ty.dtype, view, size: ty.shape[op.axis].clone(), shape, strides };
    let mut found = None;
    let mut left = builder.values.maximum(&search.size);
    while left > LONG {
        let count = left.isqrt();
        let elements = &product(&search.shape) * &count.into();
        let buffer = builder.scratch("parts", Storage::I32, &elements);
        let parts = Parts { count, buffer };
        search.launch(builder, found.as_ref(), Some(&parts), (buffer, vec![]), product(&ty.shape));
        found = Some(parts);
        left = count;
    }
    let tensor = builder.place_result(row_major(search.shape.len(), 1))?;
    let to = (builder.values.tensor(tensor).buffer, vec![tensor]);
    let flops = if found.is_some() { 0.into() } else { product(&ty.shape) };
    search.launch(builder, found.as_ref(), None, to, flops);
    Ok(())
}

impl Search<'_> {
    /// Searches all elements, or those that were found before; for the whole result, or for parts of it.
    fn launch(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        found: Option<&Parts>,
        parts: Option<&Parts>,
        (to, writes): (BufferId, Vec<TensorId>),
        flops: Dim,
    ) {
        let Self { op, view, size, shape, strides, .. } = self;
        let all = found.map_or_else(|| size.clone(), |found| found.count.into());
        let layout = row_major(shape.len(), 1);
        let results = IterationSpace { width: 1, ..IterationSpace::new(shape, &layout) };
        let count = parts.map_or(1, |parts| parts.count);
        let invocations = &results.count() * &count.into();
        let mut params = Params::default();
        params.uint("count", invocations.clone());
        params.uint("inner", results.inner());
        params.uint("outputs", results.count());
        params.int("size", all.clone());
        params.int("chunk", if parts.is_some() { all.ceil_div(count) } else { all });
        params.int("step", view.strides[op.axis].clone());
        let place = View { strides: strides.clone(), ..view.clone() };
        let addressing = Addressing { source: Some(&place), ..Addressing::default() };
        let code = Expression::new(results, &[], addressing, 2, &[]).finish(
            "acc",
            DType::F32,
            Storage::F32,
            DType::F32,
            addressing,
        );
        let (better, used) = self.better();
        let values = minijinja::context! {
            better,
            found => found.is_some(),
            used,
            element_type => computed_scalar(view.element),
            ..code.template_values()
        };
        params.extend(code.params);
        let mut bindings = vec![(view.buffer, Access::Read)];
        bindings.extend(found.map(|found| (found.buffer, Access::Read)));
        bindings.push((to, Access::ReadWrite));
        let kind = op.kind.name();
        builder.launch(KernelLaunch {
            template: "arg_reduce",
            kernel: if parts.is_some() { format!("{kind}_parts") } else { kind.into() },
            name: builder.group.name.clone(),
            values,
            bindings,
            params,
            workgroups: builder.grid(&invocations),
            writes,
            flops,
        });
    }

    /// When `value` replaces `best`, and the functions that this calls.
    fn better(&self) -> (String, Vec<&'static str>) {
        let Self { op, dtype, .. } = self;
        let is_nan = if *dtype == DType::F64 { "is_nan_double" } else { "is_nan" };
        let better = match (op.kind, op.select_last_index) {
            (ArgKind::Max, false) => "value > best",
            (ArgKind::Max, true) => "value >= best",
            (ArgKind::Min, false) => "value < best",
            (ArgKind::Min, true) => "value <= best",
        };
        match (dtype.is_float(), op.select_last_index) {
            (false, _) => (better.to_owned(), vec![]),
            // Not left to the comparison, which drivers may take for the opposite of another one.
            (true, false) => (format!("!{is_nan}(best) & ({is_nan}(value) | ({better}))"), vec![is_nan]),
            (true, true) => (format!("{is_nan}(value) | (!{is_nan}(best) & ({better}))"), vec![is_nan]),
        }
    }
}
