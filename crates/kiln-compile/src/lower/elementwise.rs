//! Kernels made of elementwise operators alone, and copies between layouts.

use std::collections::HashMap;

use kiln_graph::{DType, Dim, Graph, NodeId, Op, ValueId};
use kiln_plan::{Access, Layout, Storage};

use super::arithmetic::{compute, converted};
use super::context::{Contents, Context, StorageId, View, computed_type};
use super::expression::{Element, Ends, Finished};
use super::kernel::{Params, Request};
use super::operand::{Operand, Space, constant};
use crate::error::CompileError;
use crate::fuse::{Group, is_size};
use crate::layout::{self, row_major};

/// Lowers a group of elementwise operators without an anchor.
pub fn lower(ctx: &mut Context<'_>, group: &Group) -> Result<(), CompileError> {
    let [output] = group.outputs[..] else {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "a chain of elementwise operators has one result".into(),
        });
    };
    let shape = ctx.graph.ty(output).shape.clone();
    let layout = match ctx.layout_of_updated(output) {
        Some(layout) => layout,
        None => output_layout(ctx, group, &shape),
    };
    let space = Space::new(&shape, &layout);
    let flops = &space.count() * &Dim::from(space.width * group.nodes.len());
    let destination = ctx.destination(group, output, &layout)?;
    let ends = Ends { destination: destination.view(), ..Ends::default() };
    let finished = expression(ctx, group, space.clone(), None, &[], ends)?;
    let output = ctx.output(output, layout, destination, finished.in_place)?;
    let kernel = kernel_name(ctx, group);
    launch_map(
        ctx,
        Map { kernel, name: &group.name, space, finished, to: output.storage, placed: output.placed, flops },
    )?;
    ctx.complete(&output)
}

/// The layout of the first operand that has the shape of the result, else row-major.
fn output_layout(ctx: &Context<'_>, group: &Group, shape: &[Dim]) -> Layout {
    let like = group
        .inputs
        .iter()
        .filter(|id| ctx.graph.ty(**id).shape == shape)
        .filter_map(|id| ctx.stored_layout(*id))
        .max_by_key(|layout| layout.lanes);
    let order = like.map_or_else(|| row_major(shape.len(), 4).order, |layout| layout.order);
    // One column padded to four would quadruple the tensor.
    let single = order.last().is_none_or(|axis| shape[*axis].is(1));
    Layout { order, lanes: if single { 1 } else { 4 } }
}

/// What a map kernel is called in dumps: its operators.
fn kernel_name(ctx: &Context<'_>, group: &Group) -> String {
    let ops: Vec<&str> = group.nodes.iter().take(6).map(|id| ctx.graph.node(*id).op.name()).collect();
    format!("map_{}", ops.join("_"))
}

/// Copies a value into a new tensor of `layout`, from wherever it can be read.
pub fn copy(ctx: &mut Context<'_>, id: ValueId, layout: &Layout) -> Result<usize, CompileError> {
    let view = ctx.view(id)?;
    let value = ctx.graph.value(id);
    let (name, ty) = (format!("{} (layout)", value.name), value.ty.clone());
    let placed = ctx.place(id, layout.clone(), Contents::Activation)?;
    let operand = Operand::plain(view, ty.dtype);
    let to = ctx.placed[placed].storage;
    let space = Space::new(&ty.shape, layout);
    let copy = Copy {
        name: &name,
        kernel: "copy",
        operands: vec![operand],
        space,
        dtype: ty.dtype,
        to,
        placed: Some(placed),
        view: None,
    };
    launch_copy(ctx, copy)?;
    ctx.register(id, placed)?;
    Ok(placed)
}

/// A kernel that stores its last operand.
pub struct Copy<'a> {
    /// The layers it belongs to.
    pub name: &'a str,
    /// What the kernel is called.
    pub kernel: &'static str,
    /// What is read.
    pub operands: Vec<Operand>,
    /// What is walked.
    pub space: Space,
    /// The element type.
    pub dtype: DType,
    /// The memory that is written.
    pub to: StorageId,
    /// The tensor that is complete afterwards.
    pub placed: Option<usize>,
    /// Where in the memory, if not in the order of the space.
    pub view: Option<&'a View>,
}

/// Launches a copy.
pub fn launch_copy(ctx: &mut Context<'_>, copy: Copy<'_>) -> Result<(), CompileError> {
    let Copy { name, kernel, operands, space, dtype, to, placed, view } = copy;
    let ends = Ends { destination: view, ..Ends::default() };
    let mut element = Element::new(space.clone(), &operands, ends, 1, &[]);
    let mut result = format!("x{}", operands.len() - 1);
    if let Some(from) = operands.last().map(|operand| operand.dtype).filter(|from| *from != dtype) {
        // Parts of a concatenation may need fewer bits than the whole.
        result = element.define(dtype, &converted(&element, from, dtype, &result));
    }
    let stored = ctx.memory[to.0].element;
    let finished = element.finish(&result, dtype, stored, DType::F32, ends);
    let flops = Dim::from(0);
    launch_map(ctx, Map { kernel: kernel.into(), name, space, finished, to, placed, flops })
}

/// A map kernel about to be launched.
struct Map<'a> {
    kernel: String,
    name: &'a str,
    space: Space,
    finished: Finished,
    to: StorageId,
    placed: Option<usize>,
    flops: Dim,
}

fn launch_map(ctx: &mut Context<'_>, map: Map<'_>) -> Result<(), CompileError> {
    let Map { kernel, name, space, finished, to, placed, flops } = map;
    let count = space.count();
    let mut params = Params::default();
    params.uint("count", count.clone());
    params.uint("inner", space.inner());
    let holes = finished.holes();
    let mut bindings = finished.reads;
    let out_binding = bindings.len() + 1;
    bindings.push((to, Access::ReadWrite));
    params.extend(finished.params);
    let workgroups = ctx.grid(&count);
    ctx.request(Request {
        template: "map",
        kernel,
        name,
        holes: minijinja::context! { out_binding, ..holes },
        bindings,
        params,
        workgroups,
        writes: placed.into_iter().collect(),
        flops,
    })
}

/// The elementwise part of a group as a function; the value of the group's anchor, if it has one, is `acc`, and
/// `anchor_operands` is the memory the anchor reads: their bindings come first.
pub fn expression(
    ctx: &mut Context<'_>,
    group: &Group,
    space: Space,
    anchor: Option<ValueId>,
    anchor_operands: &[StorageId],
    ends: Ends<'_>,
) -> Result<Finished, CompileError> {
    let graph = ctx.graph;
    let width = space.width;
    let mut names: HashMap<ValueId, (String, DType)> = HashMap::new();
    let mut operands = Vec::new();
    let mut read = Vec::new();
    // The result itself may be an operand, where nothing is computed.
    let reads_in_expression: std::collections::HashSet<ValueId> = group
        .nodes
        .iter()
        .flat_map(|id| graph.node(*id).inputs.iter().copied())
        .chain(group.outputs.iter().copied())
        .collect();
    for id in group.inputs.iter().filter(|id| reads_in_expression.contains(id)) {
        let dtype = graph.ty(*id).dtype;
        if let Some(tensor) = graph.as_constant(*id).filter(|t| t.len() == 1) {
            names.insert(*id, (constant(dtype, tensor, width), dtype));
            continue;
        }
        let view = broadcast_view(ctx, *id, &space)?;
        operands.push(Operand::plain(view, dtype));
        read.push(*id);
    }
    let result_id = group.outputs.first().copied().or(anchor);
    let dying: Vec<usize> = (0..operands.len())
        .filter(|n| {
            let storage = operands[*n].view.storage;
            let others =
                operands.iter().enumerate().filter(|(m, o)| m != n && o.view.storage == storage).count();
            let same_type = result_id.is_some_and(|id| {
                graph.ty(id).dtype == operands[*n].dtype
                    && ctx.element(id).is_ok_and(|element| element == operands[*n].view.element)
            });
            ends.destination.is_none()
                && !ends.transient
                && others == 0
                && same_type
                && !anchor_operands.contains(&storage)
                && result_id.is_some_and(|id| ctx.dies(storage, id))
        })
        .collect();
    let mut element = Element::new(space, &operands, ends, anchor_operands.len() + 1, &dying);
    for (n, id) in read.iter().enumerate() {
        names.insert(*id, (format!("x{n}"), graph.ty(*id).dtype));
    }
    if let Some(id) = anchor {
        names.insert(id, ("acc".into(), graph.ty(id).dtype));
    }
    for id in &group.nodes {
        let node = graph.node(*id);
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            if is_size(graph, *input) && !names.contains_key(input) {
                let number = size(graph, &mut element, *input);
                names.insert(*input, (number, DType::F32));
            }
            let known = names.get(input).cloned();
            arguments.push(known.ok_or_else(|| CompileError::Unsupported {
                node: node.name.clone(),
                message: format!("reads `{}` before it is made", graph.value(*input).name),
            })?);
        }
        let dtype = graph.ty(node.outputs[0]).dtype;
        let code = compute(ctx, &mut element, *id, &arguments, dtype)?;
        let name = element.define(dtype, &code);
        names.insert(node.outputs[0], (name, dtype));
    }
    let (result, dtype) = match group.outputs.first().and_then(|id| names.get(id)) {
        Some(result) => result.clone(),
        None => ("acc".into(), anchor.map_or(DType::F32, |id| graph.ty(id).dtype)),
    };
    let acc = anchor.map_or(DType::F32, |id| graph.ty(id).dtype);
    let stored = match ends.destination {
        _ if ends.transient => computed_type(dtype),
        Some(view) => view.element,
        None => result_id.map_or(Ok(computed_type(dtype)), |id| ctx.element(id))?,
    };
    Ok(element.finish(&result, dtype, stored, acc, ends))
}

/// A size as a parameter of the kernel.
fn size(graph: &Graph, element: &mut Element, id: ValueId) -> String {
    match graph.producer(id).map(|node| &graph.node(node).op) {
        Some(Op::Size(size)) => element.size(&size.dim),
        Some(_) | None => String::new(),
    }
}

/// A size that somebody reads from memory.
pub fn lower_size(ctx: &mut Context<'_>, group: &Group, node: NodeId) -> Result<(), CompileError> {
    let out = ctx.graph.node(node).outputs[0];
    let placed = ctx.place(out, row_major(0, 1), Contents::Activation)?;
    let space = Space { width: 1, ..Space::new(&[], &row_major(0, 1)) };
    let mut element = Element::new(space.clone(), &[], Ends::default(), 1, &[]);
    let number = size(ctx.graph, &mut element, out);
    let finished = element.finish(&number, DType::F32, Storage::F32, DType::F32, Ends::default());
    let to = ctx.placed[placed].storage;
    let (kernel, flops) = ("size".to_owned(), Dim::from(0));
    launch_map(ctx, Map { kernel, name: &group.name, space, finished, to, placed: Some(placed), flops })?;
    ctx.register(out, placed)
}

/// A view of a value as operand of a space of larger or equal rank, stretched as NumPy does.
pub fn broadcast_view(ctx: &mut Context<'_>, id: ValueId, space: &Space) -> Result<View, CompileError> {
    let shape = ctx.graph.ty(id).shape.clone();
    let missing = space.shape.len() - shape.len();
    let mut view = if ctx.graph.as_constant(id).is_some() {
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.sort_by_key(|axis| space.order.iter().position(|a| *a == axis + missing));
        let single = order.last().is_none_or(|axis| shape[*axis].is(1));
        let layout = Layout { order, lanes: if single { 1 } else { 4 } };
        let placed = ctx.version(id, &layout)?;
        let tensor = &ctx.placed[placed];
        View { storage: tensor.storage, strides: layout::strides(&layout, &shape), ..ctx.view(id)? }
    } else {
        ctx.view(id)?
    };
    view.strides = stretch(&view.strides, &shape, &space.shape);
    Ok(view)
}

/// Strides for reading a tensor of `shape` as one of shape `to`.
pub fn stretch(strides: &[Dim], shape: &[Dim], to: &[Dim]) -> Vec<Dim> {
    let missing = to.len() - shape.len();
    (0..to.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own) if !shape[own].is(1) || to[axis].is(1) => strides[own].clone(),
            Some(_) | None => Dim::from(0),
        })
        .collect()
}
