//! Kernels made of elementwise operators alone, and copies between layouts.

use kiln_graph::{DType, Dim};
use kiln_plan::{Access, Layout};

use super::builder::{KernelBuilder, KernelLaunch, grid};
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::problem::{Operation, Problem, count};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId, View};
use crate::memory::destination::{destination, output};
use crate::memory::values::Values;
use crate::target::Target;
use crate::wgsl::elementwise::converted;
use crate::wgsl::epilogue::{Anchor, fused};
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::operand::Operand;
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::store::EpilogueCode;
use crate::wgsl::template::templates;

/// The family.
pub(crate) const FAMILY: Family =
    Family { name: "map", templates: templates!["map"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "map", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![], 0)
}

fn cost(problem: &Problem, _: &Knobs, _: &Target) -> Estimate {
    let Operation::Simple { elements, .. } = problem.operation else { return Estimate::default() };
    let operators = count(problem.epilogue.operators.len());
    Estimate::of(elements / 4, float(operators))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let group = builder.group;
    let [result] = group.outputs[..] else {
        return Err(builder.defect("is a chain of elementwise operators with several results"));
    };
    let values = &mut *builder.values;
    let shape = values.graph.ty(result).shape.clone();
    let layout = match values.updated(result).map(|state| state.layout.clone()) {
        Some(layout) => layout,
        None => output_layout(values, group, &shape),
    };
    let space = IterationSpace::new(&shape, &layout);
    let flops = &space.count() * &Dim::from(space.width * group.nodes.len());
    let to = destination(values, group, result, &layout)?;
    let addressing = Addressing { destination: to.view(), ..Addressing::default() };
    let code = fused(values, group, Anchor::default(), space.clone(), addressing)?;
    let output = output(values, result, layout, to, code.in_place)?;
    let (kernel, name) = (kernel_name(values, group), group.name.clone());
    let (to, tensor) = (output.buffer, output.tensor);
    let launch = map_launch(values, MapLaunch { kernel, name, space, code, to, tensor, flops });
    builder.launch(launch);
    builder.iterates(0.into());
    builder.complete(output);
    Ok(())
}

/// The layout of the first operand that has the shape of the result, else row-major.
fn output_layout(values: &Values<'_>, group: &Group, shape: &[Dim]) -> Layout {
    let like = group
        .inputs
        .iter()
        .filter(|id| values.graph.ty(**id).shape == shape)
        .filter_map(|id| values.stored_layout(*id))
        .max_by_key(|layout| layout.lanes);
    let order = like.map_or_else(|| row_major(shape.len(), 4).order, |layout| layout.order);
    // One column padded to four would quadruple the tensor.
    let single = order.last().is_none_or(|axis| shape[*axis].is(1));
    Layout { order, lanes: if single { 1 } else { 4 } }
}

/// What a map kernel is called in listings: its operators.
fn kernel_name(values: &Values<'_>, group: &Group) -> String {
    let ops: Vec<&str> = group.nodes.iter().take(6).map(|id| values.graph.node(*id).op.name()).collect();
    format!("map_{}", ops.join("_"))
}

/// A map kernel about to be launched.
pub(crate) struct MapLaunch {
    /// What the kernel is called.
    pub kernel: String,
    /// The layers it computes.
    pub name: String,
    /// What it iterates over.
    pub space: IterationSpace,
    /// What it computes.
    pub code: EpilogueCode,
    /// The buffer that is written.
    pub to: BufferId,
    /// The tensor that is complete afterwards.
    pub tensor: Option<TensorId>,
    /// Floating point operations.
    pub flops: Dim,
}

/// The launch of a map kernel.
pub(crate) fn map_launch(values: &Values<'_>, map: MapLaunch) -> KernelLaunch {
    let MapLaunch { kernel, name, space, code, to, tensor, flops } = map;
    let count = space.count();
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("inner", space.inner());
    let shared = code.template_values();
    let mut bindings = code.reads;
    let out_binding = bindings.len() + 1;
    bindings.push((to, Access::ReadWrite));
    params.extend(code.params);
    KernelLaunch {
        template: "map",
        kernel,
        name,
        values: minijinja::context! { out_binding, ..shared },
        bindings,
        params,
        workgroups: grid(values, &count),
        writes: tensor.into_iter().collect(),
        flops,
    }
}

/// A kernel that stores its last operand.
pub(crate) struct Copy<'a> {
    /// The layers it belongs to.
    pub name: &'a str,
    /// What the kernel is called.
    pub kernel: &'static str,
    /// What is read.
    pub operands: Vec<Operand>,
    /// What is iterated over.
    pub space: IterationSpace,
    /// The element type.
    pub dtype: DType,
    /// The buffer that is written.
    pub to: BufferId,
    /// The tensor that is complete afterwards.
    pub tensor: Option<TensorId>,
    /// Where in the buffer, if not in the order of the space.
    pub view: Option<&'a View>,
}

/// The launch of a copy.
pub(crate) fn copy_launch(values: &Values<'_>, copy: Copy<'_>) -> KernelLaunch {
    let Copy { name, kernel, operands, space, dtype, to, tensor, view } = copy;
    let addressing = Addressing { destination: view, ..Addressing::default() };
    let mut expression = Expression::new(space.clone(), &operands, addressing, 1, &[]);
    let mut result = format!("x{}", operands.len() - 1);
    if let Some(from) = operands.last().map(|operand| operand.dtype).filter(|from| *from != dtype) {
        // Parts of a concatenation may need fewer bits than the whole.
        result = expression.define(dtype, &converted(&expression, from, dtype, &result));
    }
    let stored = values.buffer(to).element;
    let code = expression.finish(&result, dtype, stored, DType::F32, addressing);
    let (kernel, name, flops) = (kernel.into(), name.into(), Dim::from(0));
    map_launch(values, MapLaunch { kernel, name, space, code, to, tensor, flops })
}
