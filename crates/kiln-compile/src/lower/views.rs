//! Operators that only make another view of the same memory.

use half::f16;
use kiln_graph::ops::{Iota, Slice, Transpose};
use kiln_graph::{Dim, Graph, Node, Op, ValueId};
use kiln_plan::Storage;

use super::layouts::Layouts;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{broadcast_strides, channels_last, reshapes_freely, row_major};
use crate::memory::buffer::{BufferInit, View};
use crate::memory::values::Values;

/// A node that needs no kernel.
pub(super) enum ViewNode<'a> {
    /// Another shape over the same elements.
    Reshape(&'a Node),
    /// Numbers that are known.
    Iota(&'a Node, &'a Iota),
    /// Another order of dimensions.
    Transpose(&'a Node, &'a Transpose),
    /// Another first element and longer strides.
    Slice(&'a Node, &'a Slice),
    /// Strides of zero.
    Expand(&'a Node),
    /// The same elements, as another type reads them, too.
    Widened(&'a Node),
}

impl<'a> ViewNode<'a> {
    /// The anchor of a group, if it is one.
    pub(super) fn of(graph: &'a Graph, group: &Group) -> Option<Self> {
        let node = graph.node(group.anchor?);
        if let Op::Iota(op) = &node.op {
            return Some(Self::Iota(node, op));
        }
        if let Op::Transpose(op) = &node.op {
            return Some(Self::Transpose(node, op));
        }
        if let Op::Slice(op) = &node.op {
            return Some(Self::Slice(node, op));
        }
        if matches!(node.op, Op::Expand(_)) {
            return Some(Self::Expand(node));
        }
        if matches!(node.op, Op::Cast(_)) {
            return Some(Self::Widened(node));
        }
        matches!(node.op, Op::Reshape(_)).then_some(Self::Reshape(node))
    }
}

/// Registers the view that a node makes.
pub(super) fn lower_view(layouts: &mut Layouts<'_, '_>, view: &ViewNode<'_>) -> Result<(), CompileError> {
    let values = &mut *layouts.values;
    let (out, view) = match view {
        ViewNode::Reshape(node) => return reshape(layouts, node),
        ViewNode::Iota(node, op) => return iota(values, node.outputs[0], op),
        ViewNode::Widened(node) => return widened(values, node),
        ViewNode::Transpose(node, op) => {
            let view = values.view(node.inputs[0])?;
            let strides = op.perm.iter().map(|axis| view.strides[*axis].clone()).collect();
            (node.outputs[0], View { strides, ..view })
        }
        ViewNode::Slice(node, op) => (node.outputs[0], slice(values.view(node.inputs[0])?, op)),
        ViewNode::Expand(node) => {
            let (x, out) = (node.inputs[0], node.outputs[0]);
            let view = values.view(x)?;
            let (from, to) = (&values.graph.ty(x).shape, &values.graph.ty(out).shape);
            let strides = broadcast_strides(&view.strides, from, to);
            (out, View { strides, zero_lanes: false, ..view })
        }
    };
    values.register_view(out, view);
    Ok(())
}

/// Whatever holds a 16-bit float holds the float of 32 bits that is equal to it: kernels convert what they load.
fn widened(values: &mut Values<'_>, node: &Node) -> Result<(), CompileError> {
    let (x, out) = (node.inputs[0], node.outputs[0]);
    let view = values.view(x)?;
    values.register_view(out, view);
    for tensor in values.versions(x).to_vec() {
        let has = values.tensor(tensor).clone();
        values.alias(out, has.buffer, &has.layout)?;
    }
    Ok(())
}

/// Another first element and longer strides.
fn slice(mut view: View, slice: &Slice) -> View {
    for cut in &slice.axes {
        view.base = view.base + &cut.start * &view.strides[cut.axis];
        view.strides[cut.axis] = &view.strides[cut.axis] * &cut.step.into();
    }
    view.zero_lanes = false;
    view
}

/// Free where the order of elements in memory allows it, else through a dense copy.
fn reshape(layouts: &mut Layouts<'_, '_>, node: &Node) -> Result<(), CompileError> {
    let (x, out) = (node.inputs[0], node.outputs[0]);
    let graph = layouts.values.graph;
    let (from, to) = (graph.ty(x).shape.clone(), graph.ty(out).shape.clone());
    let dense = row_major(from.len(), 1);
    if layouts.values.versions(x).is_empty() {
        layouts.tensor(x, &dense)?;
    }
    let candidates = [row_major(to.len(), 4), channels_last(to.len()), row_major(to.len(), 1)];
    for tensor in layouts.values.versions(x).to_vec() {
        let has = layouts.values.tensor(tensor).clone();
        for layout in &candidates {
            if reshapes_freely((&from, &has.layout), (&to, layout)) {
                layouts.values.alias(out, has.buffer, layout)?;
                return Ok(());
            }
        }
    }
    let tensor = layouts.tensor(x, &dense)?;
    let buffer = layouts.values.tensor(tensor).buffer;
    layouts.values.alias(out, buffer, &row_major(to.len(), 1))?;
    Ok(())
}

/// Counting along an axis: a view of numbers that are known, as many as there can be.
fn iota(values: &mut Values<'_>, out: ValueId, op: &Iota) -> Result<(), CompileError> {
    let name = values.graph.value(out).name.clone();
    let element = values.element(out)?;
    let count = values.maximum(&op.shape[op.axis]).max(1);
    let count = i32::try_from(count).map_err(|_| values.no_such_type(out))?;
    let bytes = u64::from(count.unsigned_abs()) * element.size();
    let limit = values.target.max_storage_buffer_binding_size;
    if bytes > limit {
        return Err(CompileError::TooLarge { tensor: name, bytes, limit, hint: String::new() });
    }
    let buffer = values.allocate(&name, element, &count.into(), BufferInit::Weights(counted(element, count)));
    let strides = (0..op.shape.len()).map(|axis| Dim::from(usize::from(axis == op.axis))).collect();
    values.register_view(out, View { buffer, element, base: 0.into(), strides, zero_lanes: false });
    Ok(())
}

/// The numbers from zero on.
#[allow(
    clippy::as_conversions,
    reason = "beyond 2^24 a 32-bit float skips numbers, as it does in any engine"
)]
fn counted(element: Storage, count: i32) -> Vec<u8> {
    match element {
        Storage::F32 => (0..count).flat_map(|i| (f64::from(i) as f32).to_ne_bytes()).collect(),
        Storage::F64 => (0..count).flat_map(|i| f64::from(i).to_ne_bytes()).collect(),
        Storage::F16 => (0..count).flat_map(|i| f16::from_f64(f64::from(i)).to_ne_bytes()).collect(),
        Storage::I64 => (0..count).flat_map(|i| i64::from(i).to_ne_bytes()).collect(),
        Storage::I32 | Storage::U32 => (0..count).flat_map(i32::to_ne_bytes).collect(),
    }
}
