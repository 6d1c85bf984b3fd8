//! Sums in parts: a kernel leaves several sums for each element, another one adds them up, always in the same order, and
//! ends with the epilogue.

use kiln_graph::ops::ReduceKind;
use kiln_graph::{Dim, product};
use kiln_plan::{Layout, Storage};

use super::builder::{Epilogue, KernelBuilder};
use super::reduce::ReductionPlan;
use crate::error::CompileError;
use crate::layout;
use crate::memory::buffer::View;
use crate::memory::destination::Output;
use crate::wgsl::expression::{Addressing, Expression};
use crate::wgsl::space::IterationSpace;

/// The epilogue of a kernel that leaves `parts` sums for each element of the anchor's result, one after the other in the
/// layout of vectors that the result has, and how they are added up. The binding of the output is `binding`.
pub(super) fn sums_in_parts(
    builder: &mut KernelBuilder<'_, '_>,
    parts: i64,
    of_result: &Layout,
    binding: usize,
) -> Result<(Epilogue, ReductionPlan), CompileError> {
    let anchor = builder.result()?;
    let ty = builder.values.graph.ty(anchor).clone();
    let shape: Vec<Dim> = std::iter::once(parts.into()).chain(ty.shape.iter().cloned()).collect();
    let order = std::iter::once(0).chain(of_result.order.iter().map(|axis| axis + 1)).collect();
    let layout = Layout { order, lanes: of_result.lanes };
    let space = IterationSpace::new(&shape, &layout);
    let buffer = builder.scratch("parts", Storage::F32, &layout::elements(&layout, &shape));
    let addressing = Addressing::default();
    let code = Expression::new(space.clone(), &[], addressing, binding, &[]).finish(
        "acc",
        ty.dtype,
        Storage::F32,
        ty.dtype,
        addressing,
    );
    let mut strides = layout::strides(&layout, &shape);
    let step = strides.remove(0);
    let view = View { buffer, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let plan = ReductionPlan {
        view,
        order: of_result.order.clone(),
        loops: vec![(parts.into(), step)],
        count: parts.into(),
        kind: ReduceKind::Sum,
        flops: product(&shape),
    };
    let output = Output::partial(anchor, buffer);
    Ok((Epilogue { output, space, code, name: String::new() }, plan))
}
