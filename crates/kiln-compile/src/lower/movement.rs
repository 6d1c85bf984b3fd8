//! Operators that move elements: most are only another view of the same memory.

use kiln_graph::ops::{Concat, Gather, GatherElements, Pad, PadMode, Slice};
use kiln_graph::{Dim, NodeId, ValueId};
use kiln_plan::Layout;

use super::context::{Contents, Context, View, reshapes_freely};
use super::elementwise::{Copy, launch_copy, stretch};
use super::operand::{Operand, Remap, Space};
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, channels_last, is_multiple, row_major};

/// Reshape: free where the order of elements in memory allows it, else through a dense copy.
pub fn reshape(ctx: &mut Context<'_>, node: NodeId) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let (from, to) = (ctx.graph.ty(x).shape.clone(), ctx.graph.ty(out).shape.clone());
    let candidates = [row_major(to.len(), 4), channels_last(to.len()), row_major(to.len(), 1)];
    if ctx.versions(x).is_empty() {
        ctx.version(x, &row_major(from.len(), 1))?;
    }
    for placed in ctx.versions(x).to_vec() {
        let has = ctx.placed[placed].clone();
        for layout in &candidates {
            if reshapes_freely((&from, &has.layout), (&to, layout)) {
                ctx.alias(out, has.storage, layout)?;
                return Ok(());
            }
        }
    }
    let dense = ctx.version(x, &row_major(from.len(), 1))?;
    let storage = ctx.placed[dense].storage;
    ctx.alias(out, storage, &row_major(to.len(), 1))?;
    Ok(())
}

/// Transpose: permuted strides.
pub fn transpose(ctx: &mut Context<'_>, node: NodeId, perm: &[usize]) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let view = ctx.view(x)?;
    let strides = perm.iter().map(|axis| view.strides[*axis].clone()).collect();
    ctx.register_view(out, View { strides, ..view });
    Ok(())
}

/// Slice: another first element and longer strides.
pub fn slice(ctx: &mut Context<'_>, node: NodeId, slice: &Slice) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let mut view = ctx.view(x)?;
    for cut in &slice.axes {
        view.base = view.base + &cut.start * &view.strides[cut.axis];
        view.strides[cut.axis] = &view.strides[cut.axis] * &cut.step.into();
    }
    view.zero_lanes = false;
    ctx.register_view(out, view);
    Ok(())
}

/// Expand: strides of zero.
pub fn expand(ctx: &mut Context<'_>, node: NodeId) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let mut view = ctx.view(x)?;
    view.strides = stretch(&view.strides, &ctx.graph.ty(x).shape, &ctx.graph.ty(out).shape);
    view.zero_lanes = false;
    ctx.register_view(out, view);
    Ok(())
}

/// The layout of the operand a movement goes along with.
fn layout_like(ctx: &Context<'_>, id: ValueId) -> Layout {
    let rank = ctx.graph.ty(id).rank();
    ctx.stored_layout(id).map_or_else(|| row_major(rank, 4), |layout| Layout { lanes: 4, ..layout })
}

/// Concatenation: each input is copied to its place, if it is not there already.
pub fn concat(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Concat) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let inputs = graph.node(node).inputs.clone();
    let out = graph.node(node).outputs[0];
    let ty = graph.ty(out).clone();
    let mut start = Dim::from(0);
    let mut parts = Vec::with_capacity(inputs.len());
    for id in &inputs {
        parts.push((*id, start.clone()));
        start = start + graph.ty(*id).shape[op.axis].clone();
    }
    let home = if ctx.is_at_home(&inputs) { ctx.concat_view(out, &parts)? } else { None };
    let in_place = home.is_some();
    let (to, placed) = match home {
        Some(home) => home,
        None => {
            let layout = inputs
                .iter()
                .find_map(|id| ctx.stored_layout(*id))
                .map_or_else(|| row_major(ty.rank(), 4), |layout| Layout { lanes: 4, ..layout });
            let placed = ctx.place(out, layout, Contents::Activation)?;
            (ctx.tensor_view(placed)?, Some(placed))
        }
    };
    let views = inputs.iter().map(|id| ctx.view(*id)).collect::<Result<Vec<_>, _>>()?;
    // Walked as it is stored: dimensions by falling stride.
    let mut order: Vec<usize> = (0..ty.rank()).collect();
    order.sort_by_key(|axis| std::cmp::Reverse(ctx.largest(&to.strides[*axis])));
    let layout = Layout { order, lanes: 4 };
    let along_inner = layout.order.last() == Some(&op.axis);
    for (n, ((id, start), view)) in parts.iter().zip(views).enumerate() {
        let shape = graph.ty(*id).shape.clone();
        let size = shape[op.axis].clone();
        let base = to.base.clone() + start * &to.strides[op.axis];
        let mut space = Space::new(&shape, &layout);
        if along_inner && !is_multiple(start, 4) {
            // Single elements; the last part also writes the zeros that pad the row.
            space.width = 1;
            if n + 1 == inputs.len() && placed.is_some() {
                let padded = layout::round_up(&ty.shape[op.axis], 4) - ty.shape[op.axis].clone();
                space.shape[op.axis] = size.clone() + padded;
            }
        }
        if !(in_place && ctx.is_home(*id, out, start)) {
            let copy = Copy {
                name: &group.name,
                kernel: "concat",
                operands: vec![Operand::plain(view, graph.ty(*id).dtype)],
                space,
                dtype: ty.dtype,
                to: to.storage,
                placed: if n + 1 == inputs.len() { placed } else { None },
                view: Some(&View { base, ..to.clone() }),
            };
            launch_copy(ctx, copy)?;
        }
    }
    match placed {
        Some(placed) => ctx.register(out, placed),
        None => {
            ctx.register_view(out, to);
            Ok(())
        }
    }
}

/// Padding in any mode.
pub fn pad(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Pad) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let ty = ctx.graph.ty(out).clone();
    let from = ctx.graph.ty(x).shape.clone();
    let view = ctx.view(x)?;
    let mut layout = layout_like(ctx, x);
    // Coordinates of the fastest dimension cannot be changed lane by lane, so it has to be one that is not padded;
    // if all are, a dimension of one element would do, and there is always one to add: move the padded axis in front.
    if layout.order.last().is_some_and(|axis| op.pads[*axis] != [0, 0]) {
        match layout.order.iter().rposition(|axis| op.pads[*axis] == [0, 0]) {
            Some(at) => {
                let axis = layout.order.remove(at);
                layout.order.push(axis);
            }
            None => return pad_everywhere(ctx, group, node, op),
        }
    }
    let remaps = op
        .pads
        .iter()
        .enumerate()
        .filter(|(_, pads)| **pads != [0, 0])
        .map(|(axis, pads)| (axis, from[axis].clone(), remap(op.mode, *pads)))
        .collect();
    let operand = Operand { remaps, ..Operand::plain(view, ctx.graph.ty(x).dtype) };
    let placed = ctx.place(out, layout.clone(), Contents::Activation)?;
    let space = Space::new(&ty.shape, &layout);
    write(ctx, group, "pad", vec![operand], space, out, placed)?;
    ctx.register(out, placed)
}

/// Padding of every dimension: the kernel walks an extra dimension of one element, which comes last.
fn pad_everywhere(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Pad) -> Result<(), CompileError> {
    let (x, out) = ends(ctx, node);
    let ty = ctx.graph.ty(out).clone();
    let from = ctx.graph.ty(x).shape.clone();
    let mut view = ctx.view(x)?;
    view.strides.push(0.into());
    let rank = ty.rank();
    let remaps = (0..rank).map(|axis| (axis, from[axis].clone(), remap(op.mode, op.pads[axis]))).collect();
    let operand = Operand { remaps, ..Operand::plain(view, ctx.graph.ty(x).dtype) };
    let placed = ctx.place(out, row_major(rank, 1), Contents::Activation)?;
    let shape: Vec<Dim> = ty.shape.iter().cloned().chain([1.into()]).collect();
    let space = Space { width: 1, ..Space::new(&shape, &row_major(rank + 1, 1)) };
    write(ctx, group, "pad", vec![operand], space, out, placed)?;
    ctx.register(out, placed)
}

/// Stores the last operand in the tensor of `out`.
fn write(
    ctx: &mut Context<'_>,
    group: &Group,
    kernel: &'static str,
    operands: Vec<Operand>,
    space: Space,
    out: ValueId,
    placed: usize,
) -> Result<(), CompileError> {
    // The type that it is held in; the host may see another.
    let (dtype, to) = (ctx.graph.ty(out).dtype, ctx.placed[placed].storage);
    launch_copy(
        ctx,
        Copy { name: &group.name, kernel, operands, space, dtype, to, placed: Some(placed), view: None },
    )
}

fn remap(mode: PadMode, [before, after]: [i64; 2]) -> Remap {
    match mode {
        PadMode::Constant(value) => Remap::Constant { before, value },
        PadMode::Reflect => Remap::Reflect { before },
        PadMode::Edge => Remap::Edge { before },
        PadMode::Wrap => {
            Remap::Wrap { before: before.max(0), first: (-before).max(0), last: (-after).max(0) }
        }
    }
}

/// Selection along an axis by an index tensor.
pub fn gather(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Gather) -> Result<(), CompileError> {
    let (x, indices) = (ctx.graph.node(node).inputs[0], ctx.graph.node(node).inputs[1]);
    let index_rank = ctx.graph.ty(indices).rank();
    let (x_view, index_view) = (ctx.view(x)?, ctx.view(indices)?);
    let zeros = |n: usize| vec![Dim::from(0); n];
    let (before, after) = (&x_view.strides[..op.axis], &x_view.strides[op.axis + 1..]);
    let x_strides = [before, &zeros(index_rank), after].concat();
    let index_strides = [&zeros(before.len()), &index_view.strides[..], &zeros(after.len())].concat();
    gather_with(ctx, group, node, op.axis, x_strides, index_strides)
}

/// Elementwise selection along an axis by an index tensor.
pub fn gather_elements(
    ctx: &mut Context<'_>,
    group: &Group,
    node: NodeId,
    op: &GatherElements,
) -> Result<(), CompileError> {
    let (x, indices) = (ctx.graph.node(node).inputs[0], ctx.graph.node(node).inputs[1]);
    let mut x_strides = ctx.view(x)?.strides;
    x_strides[op.axis] = 0.into();
    let index_strides = ctx.view(indices)?.strides;
    gather_with(ctx, group, node, op.axis, x_strides, index_strides)
}

fn gather_with(
    ctx: &mut Context<'_>,
    group: &Group,
    node: NodeId,
    axis: usize,
    x_strides: Vec<Dim>,
    index_strides: Vec<Dim>,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, indices) = (graph.node(node).inputs[0], graph.node(node).inputs[1]);
    let out = graph.node(node).outputs[0];
    let ty = graph.ty(out).clone();
    let (x_view, index_view) = (ctx.view(x)?, ctx.view(indices)?);
    let size = graph.ty(x).shape[axis].clone();
    let step = x_view.strides[axis].clone();
    let operands = vec![
        Operand::plain(View { strides: index_strides, ..index_view }, graph.ty(indices).dtype),
        Operand {
            gather: Some((0, size, step)),
            ..Operand::plain(View { strides: x_strides, ..x_view }, graph.ty(x).dtype)
        },
    ];
    let single = ty.shape.last().is_none_or(|dim| dim.is(1));
    let layout = row_major(ty.rank(), if single { 1 } else { 4 });
    let placed = ctx.place(out, layout.clone(), Contents::Activation)?;
    let space = Space::new(&ty.shape, &layout);
    write(ctx, group, "gather", operands, space, out, placed)?;
    ctx.register(out, placed)
}

fn ends(ctx: &Context<'_>, node: NodeId) -> (ValueId, ValueId) {
    let node = ctx.graph.node(node);
    (node.inputs[0], node.outputs[0])
}
