//! Where elements are not zero: counted by blocks, whose prefix sums are where the positions of a block go.

use kiln_graph::{DType, Dim, Op, product};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::prefix_sums::{self, prefix_sums};
use super::problem::{Operation, Problem, ceil_div};
use crate::element::computed_scalar;
use crate::error::CompileError;
use crate::layout::row_major;
use crate::memory::buffer::{BufferId, TensorId};
use crate::target::Target;
use crate::wgsl::functions::functions;
use crate::wgsl::params::Params;
use crate::wgsl::template::{Template, templates};

const TEMPLATE: Template = templates!["nonzero"][0];

/// The family. The knob `block` is how many elements an invocation looks at.
pub(super) const FAMILY: Family =
    Family { name: "nonzero", templates: &[TEMPLATE, prefix_sums::TEMPLATE], space, demands, cost, realize };

/// Elements of a block, fewer of few elements.
const BLOCKS: [i64; 2] = [32, 256];

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Nonzero { .. } => BLOCKS.map(|block| Knobs::new([("block", block)])).into(),
        _ => vec![],
    }
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Operation::Nonzero { rank, .. } = problem.operation else { return Demands::default() };
    let iterations = knobs.get("block").max(prefix_sums::ITERATIONS);
    Demands::simple(vec![OperandLayout::Tensor(row_major(rank, 1))], iterations)
}

fn cost(problem: &Problem, knobs: &Knobs, _: &Target) -> Estimate {
    let Operation::Nonzero { elements, .. } = problem.operation else { return Estimate::default() };
    let block = knobs.get("block").max(1);
    let blocks = ceil_div(elements, block);
    // An element is read twice, and a position perhaps written twice; a count is written, added up and read.
    let mut estimate = Estimate::of(blocks, 60.0 * float(block) + 150.0);
    estimate.launches = 3 + prefix_sums::launches(blocks.saturating_add(1));
    estimate
}

/// What all launches know.
struct Search {
    elements: Dim,
    size: Dim,
    blocks: Dim,
    values: minijinja::Value,
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    let Op::Nonzero(_) = &node.op else { return Err(builder.defect("is not a search")) };
    let x = node.inputs[0];
    let (dtype, element) = (builder.values.graph.ty(x).dtype, builder.values.element(x)?);
    let from = builder.tensor_buffer(0)?;
    let tensor = builder.place_result(row_major(1, 1))?;
    let to = builder.values.tensor(tensor).buffer;
    let (elements, size) = (product(&builder.shape(x)), product(&builder.shape(node.outputs[0])));
    let block = knobs.get("block").max(1);
    let blocks = elements.ceil_div(block);
    let counted = blocks.clone() + 1.into();
    let kind = match dtype {
        DType::F64 => "double",
        DType::F32 | DType::F16 => "float",
        DType::Bool
        | DType::U8
        | DType::I8
        | DType::U16
        | DType::I16
        | DType::U32
        | DType::I32
        | DType::I64 => "integer",
    };
    let values = minijinja::context! {
        kind,
        element_type => computed_scalar(element),
        block,
        ..functions(1, &["is_nan_double"])
    };
    let search = Search { elements, size: size.clone(), blocks: blocks.clone(), values };
    let counts = builder.scratch("counts", Storage::U32, &counted);
    search.launch(builder, "count", &counted, vec![(from, Access::Read), (counts, Access::ReadWrite)], &[]);
    prefix_sums(builder, counts, &1.into(), &counted);
    let bindings = vec![(from, Access::Read), (counts, Access::Read), (to, Access::ReadWrite)];
    search.launch(builder, "place", &blocks, bindings, &[]);
    search.launch(builder, "rest", &size, vec![(counts, Access::Read), (to, Access::ReadWrite)], &[tensor]);
    Ok(())
}

impl Search {
    fn launch(
        &self,
        builder: &mut KernelBuilder<'_, '_>,
        step: &str,
        count: &Dim,
        bindings: Vec<(BufferId, Access)>,
        writes: &[TensorId],
    ) {
        let mut params = Params::default();
        params.uint("count", count.clone());
        params.uint("elements", self.elements.clone());
        params.uint("size", self.size.clone());
        params.uint("blocks", self.blocks.clone());
        builder.launch(KernelLaunch {
            template: TEMPLATE.0,
            kernel: format!("nonzero_{step}"),
            name: builder.group.name.clone(),
            values: minijinja::context! { step, ..self.values.clone() },
            bindings,
            params,
            workgroups: builder.grid(count),
            writes: writes.to_vec(),
            flops: 0.into(),
        });
    }
}
