//! Sizes that are only known at run time reach the device as parameters.

use kiln_graph::{DType, Dim, Op};
use kiln_plan::{Access, Storage};

use super::builder::{KernelBuilder, KernelLaunch};
use super::family::{Demands, Estimate, Family, Knobs};
use super::map::{MapLaunch, map_launch};
use super::problem::{Operation, Problem};
use crate::error::CompileError;
use crate::layout::row_major;
use crate::target::Target;
use crate::wgsl::epilogue::size;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::params::Params;
use crate::wgsl::space::IterationSpace;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "shape_of", templates: templates!["shape_of"], space, demands, cost, realize };

fn space(problem: &Problem, _: &Target) -> Vec<Knobs> {
    match problem.operation {
        Operation::Simple { op: "shape_of" | "size", .. } => vec![Knobs::default()],
        _ => vec![],
    }
}

fn demands(_: &Problem, _: &Knobs) -> Demands {
    Demands::simple(vec![], 0)
}

fn cost(_: &Problem, _: &Knobs, _: &Target) -> Estimate {
    Estimate::of(1, 1.0)
}

fn realize(builder: &mut KernelBuilder<'_, '_>, _: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    if let Op::ShapeOf(op) = &node.op {
        let dims = builder.shape(node.inputs[0])[op.start..op.end].to_vec();
        return shape_of(builder, &dims);
    }
    size_of(builder)
}

fn shape_of(builder: &mut KernelBuilder<'_, '_>, dims: &[Dim]) -> Result<(), CompileError> {
    let out = builder.result()?;
    if builder.values.graph.ty(out).dtype != DType::I32 {
        return Err(builder.values.no_such_type(out));
    }
    let tensor = builder.place_result(row_major(1, 1))?;
    let mut params = Params::default();
    for (n, dim) in dims.iter().enumerate() {
        params.int(format!("d{n}"), dim.clone());
    }
    let to = builder.values.tensor(tensor).buffer;
    builder.launch(KernelLaunch {
        template: "shape_of",
        kernel: "shape_of".into(),
        name: builder.group.name.clone(),
        values: minijinja::context! { rank => dims.len() },
        bindings: vec![(to, Access::ReadWrite)],
        params,
        workgroups: [1.into(), 1.into(), 1.into()],
        writes: vec![tensor],
        flops: 0.into(),
    });
    Ok(())
}

/// A size that is read from memory.
fn size_of(builder: &mut KernelBuilder<'_, '_>) -> Result<(), CompileError> {
    let out = builder.result()?;
    let tensor = builder.place_result(row_major(0, 1))?;
    let space = IterationSpace { width: 1, ..IterationSpace::new(&[], &row_major(0, 1)) };
    let addressing = Addressing::default();
    let mut expression = Expression::new(space.clone(), &[], addressing, 1, &[]);
    let number = size(builder.values.graph, &mut expression, out)?;
    let code = expression.finish(&number, DType::F32, Storage::F32, DType::F32, addressing);
    let to = builder.values.tensor(tensor).buffer;
    let (kernel, name) = ("size".to_owned(), builder.group.name.clone());
    let map = MapLaunch { kernel, name, space, code, to, tensor: Some(tensor), flops: 0.into() };
    let launch = map_launch(builder.values, map);
    builder.launch(launch);
    Ok(())
}
