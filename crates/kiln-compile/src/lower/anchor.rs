//! What all kernels with an anchor share: the output tensor, the epilogue, the launch.

use kiln_graph::{Dim, ValueId};
use kiln_plan::{Access, Layout};

use super::context::{Context, StorageId};
use super::destination::Output;
use super::elementwise::expression;
use super::expression::{Ends, Finished, Space};
use super::kernel::{Params, Request};
use crate::error::CompileError;
use crate::fuse::Group;

/// The output of a group and the function that ends its kernel.
#[derive(Clone)]
pub struct Tail {
    /// What the group makes.
    pub output: Output,
    /// Its elements.
    pub space: Space,
    /// The epilogue.
    pub finished: Finished,
}

/// Makes the output tensor of a group in `layout` and its epilogue; the epilogue's bindings follow the anchor's own
/// `operands` bindings.
pub fn tail(
    ctx: &mut Context<'_>,
    group: &Group,
    anchor: ValueId,
    layout: &Layout,
    operands: &[StorageId],
) -> Result<Tail, CompileError> {
    let value = group.outputs.first().copied().unwrap_or(anchor);
    let shape = ctx.graph.ty(value).shape.clone();
    let space = Space::new(&shape, layout);
    // The epilogue first: it may lay out constants and copy operands, which has to happen before this launch.
    let destination = ctx.destination(group, value, layout)?;
    let ends = Ends { destination: destination.view(), source: None };
    let finished = expression(ctx, group, space.clone(), Some(anchor), operands, ends)?;
    let output = ctx.output(value, layout.clone(), destination, finished.in_place)?;
    Ok(Tail { output, space, finished })
}

#[allow(clippy::too_many_arguments, reason = "this is a launch: kernel, operands, parameters")]
/// Launches the kernel of an anchor whose invocations each make one vector of the output.
pub fn launch(
    ctx: &mut Context<'_>,
    group: &Group,
    tail: Tail,
    template: &'static str,
    kernel: &str,
    operands: &[StorageId],
    params: Params,
    holes: minijinja::Value,
    flops: Dim,
) -> Result<(), CompileError> {
    let workgroups = ctx.grid(&tail.space.count());
    launch_on(ctx, group, tail, template, kernel, operands, params, holes, flops, workgroups)
}

/// As [`launch`], on any grid.
#[allow(clippy::too_many_arguments, reason = "this is a launch: kernel, operands, parameters, grid")]
pub fn launch_on(
    ctx: &mut Context<'_>,
    group: &Group,
    tail: Tail,
    template: &'static str,
    kernel: &str,
    operands: &[StorageId],
    own: Params,
    holes: minijinja::Value,
    flops: Dim,
    workgroups: [Dim; 3],
) -> Result<(), CompileError> {
    let output = tail.output.clone();
    launch_part(ctx, group, tail, template, kernel, operands, own, holes, flops, workgroups)?;
    ctx.complete(&output)
}

/// As [`launch_on`], for a kernel that makes only part of the output.
#[allow(clippy::too_many_arguments, reason = "this is a launch: kernel, operands, parameters, grid")]
pub fn launch_part(
    ctx: &mut Context<'_>,
    group: &Group,
    tail: Tail,
    template: &'static str,
    kernel: &str,
    operands: &[StorageId],
    own: Params,
    holes: minijinja::Value,
    flops: Dim,
    workgroups: [Dim; 3],
) -> Result<(), CompileError> {
    let mut params = Params::default();
    params.uint("count", tail.space.count());
    params.uint("inner", tail.space.inner());
    params.extend(own);
    let shared = tail.finished.holes();
    let mut bindings: Vec<(StorageId, Access)> = operands.iter().map(|s| (*s, Access::Read)).collect();
    bindings.extend(&tail.finished.reads);
    let out_binding = bindings.len() + 1;
    bindings.push((tail.output.storage, Access::ReadWrite));
    params.extend(tail.finished.params);
    ctx.request(Request {
        template,
        kernel: format!("{kernel}{}", epilogue_name(ctx, group)),
        name: &group.name,
        holes: minijinja::context! { out_binding, ..minijinja::context! { ..shared, ..holes } },
        bindings,
        params,
        workgroups,
        writes: tail.output.placed.into_iter().collect(),
        flops,
    })
}

/// `_add_relu`: what a kernel's name says of its epilogue.
fn epilogue_name(ctx: &Context<'_>, group: &Group) -> String {
    group.nodes.iter().take(6).fold(String::new(), |name, id| name + "_" + ctx.graph.node(*id).op.name())
}
