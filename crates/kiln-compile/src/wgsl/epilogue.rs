//! The elementwise nodes of a group as a function: of a kernel of their own, or as the epilogue of an anchor.

use std::collections::{HashMap, HashSet};

use kiln_graph::{DType, Graph, NodeId, Op, ValueId};
use kiln_plan::{Layout, Storage};

use super::elementwise::compute;
use super::expression::{Addressing, Expression};
use super::operand::Operand;
use super::space::IterationSpace;
use super::store::EpilogueCode;
use crate::element::{computed_type, constant};
use crate::error::CompileError;
use crate::fuse::{Group, is_size};
use crate::layout::{self, broadcast_strides};
use crate::memory::buffer::{BufferId, View};
use crate::memory::values::Values;

/// What stands before the elementwise nodes of a group.
#[derive(Clone, Copy, Default)]
pub(crate) struct Anchor<'a> {
    /// The value of the group's anchor, if it has one: it is `acc`.
    pub value: Option<ValueId>,
    /// The buffers that the anchor reads: their bindings come first.
    pub buffers: &'a [BufferId],
}

/// Names of values in a function, with their types.
type Names = HashMap<ValueId, (String, DType)>;

/// The elementwise nodes of a group as a function.
pub(crate) fn fused(
    values: &mut Values<'_>,
    group: &Group,
    anchor: Anchor<'_>,
    space: IterationSpace,
    addressing: Addressing<'_>,
) -> Result<EpilogueCode, CompileError> {
    let graph = values.graph;
    let result = group.outputs.first().copied().or(anchor.value);
    let (mut names, operands) = operands(values, group, &space)?;
    let dying = if addressing.destination.is_none() && !addressing.transient {
        dying(values, &operands, anchor, result)
    } else {
        vec![]
    };
    let mut expression = Expression::new(space, &operands, addressing, anchor.buffers.len() + 1, &dying);
    if let Some(id) = anchor.value {
        names.insert(id, ("acc".into(), graph.ty(id).dtype));
    }
    let stored = |dtype| match addressing.destination {
        _ if addressing.transient => Ok(computed_type(dtype)),
        Some(view) => Ok(view.element),
        None => result.map_or(Ok(computed_type(dtype)), |id| values.element(id)),
    };
    for id in &group.nodes {
        if result.is_some_and(|result| graph.node(*id).outputs == [result])
            && let Some(rounded) = rounded_when_stored(graph, &names, *id, stored(DType::F16)?)
        {
            names.insert(graph.node(*id).outputs[0], rounded);
            continue;
        }
        node(values, &mut expression, &mut names, *id)?;
    }
    let acc = anchor.value.map_or(DType::F32, |id| graph.ty(id).dtype);
    let (name, dtype) = match group.outputs.first().and_then(|id| names.get(id)) {
        Some(result) => result.clone(),
        None => ("acc".into(), acc),
    };
    let stored = stored(dtype)?;
    Ok(expression.finish(&name, dtype, stored, acc, addressing))
}

/// What a node rounds to 16 bits, where it is a float that is stored in 16 bits at once, which rounds it anyway.
fn rounded_when_stored(graph: &Graph, names: &Names, id: NodeId, stored: Storage) -> Option<(String, DType)> {
    let node = graph.node(id);
    let (Op::Cast(_), [input], [output]) = (&node.op, &node.inputs[..], &node.outputs[..]) else {
        return None;
    };
    let narrows = graph.ty(*input).dtype == DType::F32 && graph.ty(*output).dtype == DType::F16;
    let (name, _) = names.get(input).filter(|_| narrows && stored == Storage::F16)?;
    Some((name.clone(), DType::F16))
}

/// What the nodes of a group read from memory, and the names of all that they read. Constants of one element are written
/// into the kernel.
fn operands(
    values: &mut Values<'_>,
    group: &Group,
    space: &IterationSpace,
) -> Result<(Names, Vec<Operand>), CompileError> {
    let graph = values.graph;
    let mut names = Names::new();
    let mut operands = Vec::new();
    // The result itself may be an operand, where nothing is computed.
    let read: HashSet<ValueId> = group
        .nodes
        .iter()
        .flat_map(|id| graph.node(*id).inputs.iter().copied())
        .chain(group.outputs.iter().copied())
        .collect();
    for id in group.inputs.iter().filter(|id| read.contains(id)) {
        let dtype = graph.ty(*id).dtype;
        if let Some(tensor) = graph.as_constant(*id).filter(|t| t.len() == 1) {
            names.insert(*id, (constant(dtype, tensor, space.width), dtype));
            continue;
        }
        names.insert(*id, (format!("x{}", operands.len()), dtype));
        operands.push(Operand::plain(broadcast_view(values, *id, space)?, dtype));
    }
    Ok((names, operands))
}

/// The operands whose buffers the result may overwrite.
fn dying(
    values: &Values<'_>,
    operands: &[Operand],
    anchor: Anchor<'_>,
    result: Option<ValueId>,
) -> Vec<usize> {
    let Some(result) = result else { return vec![] };
    let computed = |dtype: DType| if dtype == DType::F16 { DType::F32 } else { dtype };
    let dtype = computed(values.graph.ty(result).dtype);
    let dies = |n: &usize| {
        let view = &operands[*n].view;
        let others = operands.iter().enumerate().any(|(m, o)| m != *n && o.view.buffer == view.buffer);
        let same_type = dtype == computed(operands[*n].dtype)
            && values.element(result).is_ok_and(|element| element == view.element);
        !others && same_type && !anchor.buffers.contains(&view.buffer) && values.dies(view.buffer, result)
    };
    let dying: Vec<usize> = (0..operands.len()).filter(dies).collect();
    // Over the old value of the state, rather than over what would have to be copied there.
    let state = values.updated(result).map(|state| state.buffer);
    match dying.iter().find(|n| Some(operands[**n].view.buffer) == state) {
        Some(state) => vec![*state],
        None => dying,
    }
}

/// Adds the computation of a node to a function.
fn node(
    values: &Values<'_>,
    expression: &mut Expression,
    names: &mut Names,
    id: NodeId,
) -> Result<(), CompileError> {
    let graph = values.graph;
    let node = graph.node(id);
    let mut arguments = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        if is_size(graph, *input) && !names.contains_key(input) {
            names.insert(*input, (size(graph, expression, *input)?, DType::F32));
        }
        arguments.push(names.get(input).cloned().ok_or_else(|| values.missing(*input))?);
    }
    let dtype = graph.ty(node.outputs[0]).dtype;
    let code = compute(values, expression, id, &arguments, dtype)?;
    let name = expression.define(dtype, &code);
    names.insert(node.outputs[0], (name, dtype));
    Ok(())
}

/// A size as a parameter of the kernel.
pub(crate) fn size(graph: &Graph, expression: &mut Expression, id: ValueId) -> Result<String, CompileError> {
    match graph.producer(id).map(|node| &graph.node(node).op) {
        Some(Op::Size(size)) => Ok(expression.size(&size.dim)),
        Some(_) | None => Err(CompileError::Defect {
            place: graph.value(id).name.clone(),
            message: "is read as a size and is none".into(),
        }),
    }
}

/// A view of a value as operand of a space of larger or equal rank, stretched as NumPy broadcasts. A constant is laid out
/// as the space is ordered.
fn broadcast_view(
    values: &mut Values<'_>,
    id: ValueId,
    space: &IterationSpace,
) -> Result<View, CompileError> {
    let shape = values.graph.ty(id).shape.clone();
    let missing = space.shape.len() - shape.len();
    let mut view = if values.graph.as_constant(id).is_some() {
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.sort_by_key(|axis| space.order.iter().position(|a| *a == axis + missing));
        let single = order.last().is_none_or(|axis| shape[*axis].is(1));
        let layout = Layout { order, lanes: if single { 1 } else { 4 } };
        let tensor = values.find(id, &layout)?.ok_or_else(|| values.missing(id))?;
        let buffer = values.tensor(tensor).buffer;
        View { buffer, strides: layout::strides(&layout, &shape), ..values.view(id)? }
    } else {
        values.view(id)?
    };
    view.strides = broadcast_strides(&view.strides, &shape, &space.shape);
    Ok(view)
}

/// What a kernel's name says of the elementwise nodes of a group.
pub(crate) fn epilogue_name(values: &Values<'_>, group: &Group) -> String {
    group.nodes.iter().take(6).fold(String::new(), |name, id| name + "_" + values.graph.node(*id).op.name())
}
