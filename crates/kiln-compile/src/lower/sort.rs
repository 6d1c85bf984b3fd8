//! Sorting.

use kiln_graph::ops::ArgSort;
use kiln_graph::{NodeId, product};
use kiln_plan::{Access, Storage};

use super::context::{Contents, Context};
use super::conv::MAX_ITERATIONS;
use super::kernel::{Params, Request};
use super::operand::{computed_scalar, functions};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::row_major;

/// Lowers a sort to a kernel in which each element finds its own place.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &ArgSort) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, out) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let ty = graph.ty(x).clone();
    let size = ty.shape[op.axis].clone();
    let most = ctx.largest(&size);
    if most > MAX_ITERATIONS {
        let message = format!(
            "sorts {most} elements; this kernel compares each with all others and takes at most {MAX_ITERATIONS}"
        );
        return Err(CompileError::Unsupported { node: group.name.clone(), message });
    }
    let layout = row_major(ty.rank(), 1);
    let from = ctx.version(x, &layout)?;
    let placed = ctx.place(out, layout, Contents::Activation)?;
    let count = product(&ty.shape);
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("size", size.clone());
    params.uint("step", product(&ty.shape[op.axis + 1..]));
    let element = ctx.element(x)?;
    let holes = minijinja::context! {
        element_type => computed_scalar(element),
        float => matches!(element, Storage::F32 | Storage::F16),
        double => element == Storage::F64,
        descending => op.descending,
        ..functions(1, &["is_nan_double"])
    };
    let bindings =
        vec![(ctx.placed[from].storage, Access::Read), (ctx.placed[placed].storage, Access::ReadWrite)];
    let workgroups = ctx.grid(&count);
    ctx.request(Request {
        template: "arg_sort",
        kernel: "arg_sort".into(),
        name: &group.name,
        holes,
        bindings,
        params,
        workgroups,
        writes: vec![placed],
        flops: count * size,
    })?;
    ctx.register(out, placed)
}
