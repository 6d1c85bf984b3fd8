//! Random numbers.

use kiln_graph::ops::Random;
use kiln_graph::{Dim, NodeId};
use kiln_plan::Access;

use super::context::{Contents, Context};
use super::kernel::{Params, Request};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::row_major;

/// Lowers random numbers: dense, so that element `i` is number `i`.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Random) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let Some(state) = graph.node(node).inputs.first().copied() else {
        let message = "random numbers without a state are drawn in a training step only".into();
        return Err(CompileError::Unsupported { node: group.name.clone(), message });
    };
    let out = graph.node(node).outputs[0];
    let state = ctx.version(state, &row_major(1, 1))?;
    let ty = graph.ty(out).clone();
    let placed = ctx.place(out, row_major(ty.rank(), 1), Contents::Activation)?;
    let count = ty.elements().ceil_div(4);
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("stream", Dim::from(i64::from(op.stream)));
    let bindings =
        vec![(ctx.placed[state].storage, Access::Read), (ctx.placed[placed].storage, Access::ReadWrite)];
    let workgroups = ctx.grid(&count);
    ctx.request(Request {
        template: "random",
        kernel: "random".into(),
        name: &group.name,
        holes: minijinja::context! {},
        bindings,
        params,
        workgroups,
        writes: vec![placed],
        flops: 0.into(),
    })?;
    ctx.register(out, placed)
}
