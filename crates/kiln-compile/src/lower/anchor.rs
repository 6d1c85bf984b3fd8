//! What all kernels with an anchor share: the output tensor, the epilogue, the launch.

use kiln_graph::ops::BinaryOp;
use kiln_graph::{DType, Dim, NodeId, Op, ValueId};
use kiln_plan::{Access, Layout};

use super::context::{Context, StorageId};
use super::destination::Output;
use super::elementwise::expression;
use super::expression::{Ends, Finished};
use super::kernel::{Params, Request};
use super::operand::Space;
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
    let ends = Ends { destination: destination.view(), ..Ends::default() };
    let finished = expression(ctx, group, space.clone(), Some(anchor), operands, ends)?;
    let output = ctx.output(value, layout.clone(), destination, finished.in_place)?;
    Ok(Tail { output, space, finished })
}

/// The tail of an anchor whose sums may start at a bias.
pub struct Biased {
    /// The tail, without the addition of the bias.
    pub tail: Tail,
    /// The group without the addition.
    pub rest: Group,
    /// The memory of the bias, if there is one: it is bound behind the anchor's own operands.
    pub bias: Option<StorageId>,
    /// The anchor's operands, and the bias.
    pub operands: Vec<StorageId>,
}

/// As [`tail`], for an anchor whose template can start its sums at a bias along `axis` of its result.
pub fn biased_tail(
    ctx: &mut Context<'_>,
    group: &Group,
    anchor: ValueId,
    axis: usize,
    layout: &Layout,
    operands: &[StorageId],
) -> Result<Biased, CompileError> {
    let found = bias(ctx, group, anchor, axis)?;
    let bias = found.as_ref().map(|found| found.storage);
    let operands: Vec<StorageId> = operands.iter().copied().chain(bias).collect();
    let (rest, anchor) = found.map_or_else(|| (group.clone(), anchor), |found| (found.rest, found.anchor));
    let tail = tail(ctx, &rest, anchor, layout, &operands)?;
    Ok(Biased { tail, rest, bias, operands })
}

/// A bias that the sums of an anchor can start with, so that the epilogue need not add it to each.
struct Bias {
    /// The memory: one number for each index along the axis.
    storage: StorageId,
    /// The group without the addition.
    rest: Group,
    /// What the anchor makes now: the value of the addition.
    anchor: ValueId,
}

/// Finds out whether the epilogue of a group begins with the addition of a known vector along `axis` of the anchor's
/// result.
fn bias(
    ctx: &mut Context<'_>,
    group: &Group,
    anchor: ValueId,
    axis: usize,
) -> Result<Option<Bias>, CompileError> {
    let graph = ctx.graph;
    let Some(node) = group.nodes.first().map(|id| graph.node(*id)) else { return Ok(None) };
    let [a, b] = node.inputs[..] else { return Ok(None) };
    let reads = |id: &NodeId| graph.node(*id).inputs.contains(&anchor);
    let once = group.nodes.iter().filter(|id| reads(id)).count() == 1 && !group.outputs.contains(&anchor);
    let vector = match (a == anchor, b == anchor) {
        (true, false) => b,
        (false, true) => a,
        (true, true) | (false, false) => return Ok(None),
    };
    let Some(tensor) = graph.as_constant(vector) else { return Ok(None) };
    let ty = graph.ty(anchor);
    let shape = tensor.shape();
    // The vector's axis, counted from the end as broadcasting does.
    let along = (axis + shape.len()).checked_sub(ty.rank());
    let matches =
        along.is_some_and(|along| shape.get(along).is_some_and(|n| ty.shape[axis] == Dim::from(*n)));
    // Also where the axis has one element: another one that has more would be no bias.
    let only = shape.iter().enumerate().all(|(i, n)| along == Some(i) || *n == 1);
    let float = matches!(tensor.dtype(), DType::F32 | DType::F16);
    if node.op != Op::Binary(BinaryOp::Add) || !once || !matches || !only || !float {
        return Ok(None);
    }
    let along = along.unwrap_or(0);
    let order = (0..shape.len()).filter(|a| *a != along).chain([along]).collect();
    let placed = ctx.version(vector, &Layout { order, lanes: 4 })?;
    let nodes = group.nodes[1..].to_vec();
    let read_later = |id: &ValueId| nodes.iter().any(|n| graph.node(*n).inputs.contains(id));
    let inputs = group.inputs.iter().copied().filter(|id| *id != vector || read_later(id)).collect();
    let rest = Group { nodes, inputs, ..group.clone() };
    Ok(Some(Bias { storage: ctx.placed[placed].storage, rest, anchor: node.outputs[0] }))
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
