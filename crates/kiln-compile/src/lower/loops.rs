//! Loops: the groups of a body become launches that are repeated.
//!
//! The body is lowered as a graph of its own in the ledger of the graph around it. What is the same at each step is a view
//! of what is outside; a part of a sequence is a view whose first element depends on the step. What is carried has a
//! tensor that is filled before the first step and holds the new value after each: written there where nothing reads the
//! old one any more, else copied at the end. Stacked results are copied to their place. What does not change from step to
//! step is launched once, in front.

use std::collections::{HashMap, HashSet};

use kiln_graph::ops::{Along, Loop};
use kiln_graph::{Bindings, DType, Dim, Node, Op, ValueId};
use kiln_plan::{Access, Layout};

use super::im2col::Im2cols;
use super::layouts::Layouts;
use super::realize::{Launch, Lowering, Repeated};
use crate::error::CompileError;
use crate::fuse::{FuseLimits, Fusion, Group, fuse};
use crate::kernels::map::{Copy, copy_launch};
use crate::layout::{channels_last, is_multiple, row_major};
use crate::memory::buffer::{BufferId, BufferInit, STEP, TensorId, View};
use crate::memory::values::Values;
use crate::ranges::{body_types, ranges};
use crate::select::choose::Selection;
use crate::wgsl::operand::Operand;
use crate::wgsl::params::Uniform;
use crate::wgsl::space::IterationSpace;

/// Where what a loop leaves is.
struct Results {
    /// What is carried, of the body's ledger.
    carried: Vec<TensorId>,
    /// What is stacked, of the graph around it.
    stacked: Vec<TensorId>,
}

impl Results {
    fn buffers(&self, values: &Values<'_>) -> HashSet<BufferId> {
        self.carried.iter().chain(&self.stacked).map(|tensor| values.tensor(*tensor).buffer).collect()
    }
}

/// Lowers a group, which may be a loop.
pub(super) fn lower_group(lowering: &mut Lowering<'_, '_>, group: &Group) -> Result<(), CompileError> {
    let graph = lowering.values.graph;
    if let Some(node) = group.anchor.map(|id| graph.node(id))
        && let Op::Loop(op) = &node.op
    {
        return lower_loop(lowering, node, op);
    }
    lowering.group(group)
}

/// Lowers a loop.
fn lower_loop<'a>(lowering: &mut Lowering<'_, 'a>, node: &'a Node, op: &'a Loop) -> Result<(), CompileError> {
    let unsupported =
        |message: &str| Err(CompileError::Unsupported { node: node.name.clone(), message: message.into() });
    if op.body.nodes().iter().any(|node| matches!(node.op, Op::Loop(_))) {
        return unsupported(
            "has another loop in it whose number of steps is not fixed or more than some dozens, which is not \
             supported; give the inner one a fixed number of steps",
        );
    }
    let outer = &mut lowering.values;
    let all = ranges(outer.host_types, outer.max);
    let given: Vec<_> = node.inputs.iter().map(|id| all[id.index()]).collect();
    let body = body_types(op, &given, outer.max);
    let fusion = fuse(&body, &FuseLimits::default());
    let max = with_step(outer.max, outer.maximum(&op.steps));
    let mut values = Values::empty(&body, &op.body, outer.target, &max, &fusion, outer.halves);
    let stacked = stacked_tensors(outer, node, op)?;
    let inputs = outside_views(outer, node)?;
    values.buffers = std::mem::take(&mut outer.buffers);
    values.tensors = std::mem::take(&mut outer.tensors);
    let mut inner = Lowering {
        values,
        table: lowering.table,
        preferences: lowering.preferences,
        templates: &mut *lowering.templates,
        im2cols: Im2cols::default(),
        launches: vec![],
        repeats: vec![],
        selections: vec![],
        loop_iterations: 0,
    };
    let carried = enter(&mut inner, op, node, &inputs)?;
    let results = Results { carried, stacked };
    let first = inner.launches.len();
    steps(&mut inner, op, &fusion, &results)?;
    let step = inner.launches.split_off(first);
    let Lowering { values, launches, selections, loop_iterations, .. } = inner;
    let (buffers, tensors) = (values.buffers, values.tensors);
    outer.buffers = buffers;
    outer.tensors = tensors;
    // Launches of a step change their places below.
    lowering.selections.extend(selections.into_iter().map(|of| Selection { dispatches: 0..0, ..of }));
    lowering.loop_iterations = lowering.loop_iterations.max(loop_iterations);
    lowering.launches.extend(launches);
    let kept = results.buffers(&lowering.values);
    let (once, step) = invariant(step, &kept);
    lowering.launches.extend(once);
    let first = lowering.launches.len();
    lowering.launches.extend(step);
    let launches = first..lowering.launches.len();
    if !launches.is_empty() {
        lowering.repeats.push(Repeated { name: node.name.clone(), launches, steps: op.steps.clone() });
    }
    leave(&mut lowering.values, node, results)
}

/// The maxima of the symbols, that of the step among them.
fn with_step(max: &Bindings, steps: i64) -> Bindings {
    let mut max = max.clone();
    max.insert(STEP.into(), steps.saturating_sub(1).max(0));
    max
}

/// Dense tensors for what the loop stacks, filled by its steps.
fn stacked_tensors(outer: &mut Values<'_>, node: &Node, op: &Loop) -> Result<Vec<TensorId>, CompileError> {
    let stacked = node.outputs.iter().skip(op.carried);
    stacked
        .map(|id| {
            let layout = row_major(outer.graph.ty(*id).rank(), 1);
            outer.place(*id, layout, BufferInit::Activation)
        })
        .collect()
}

/// An input of a loop, where it is outside.
struct Outside {
    dtype: DType,
    view: View,
    versions: Vec<TensorId>,
    layout: Option<Layout>,
}

fn outside_views(outer: &mut Values<'_>, node: &Node) -> Result<Vec<Outside>, CompileError> {
    let outside = |id: &ValueId| {
        let view = outer.view(*id)?;
        let (versions, layout) = (outer.versions(*id).to_vec(), outer.stored_layout(*id));
        Ok(Outside { dtype: outer.graph.ty(*id).dtype, view, versions, layout })
    };
    node.inputs.iter().map(outside).collect()
}

/// Makes the inputs of the body readable, and launches what fills the carried ones.
fn enter(
    inner: &mut Lowering<'_, '_>,
    op: &Loop,
    node: &Node,
    inputs: &[Outside],
) -> Result<Vec<TensorId>, CompileError> {
    let body = inner.values.graph;
    let mut carried = Vec::with_capacity(op.carried);
    for (n, (id, outside)) in body.inputs().iter().zip(inputs).enumerate() {
        if n < op.carried {
            carried.push(carry(inner, node, n, outside)?);
            continue;
        }
        let buffer = outside.view.buffer;
        match op.scanned.get(n - op.carried) {
            Some(along) => {
                let part = part(&outside.view, *along, &op.steps);
                inner.values.register_view(*id, part);
            }
            None if outside.versions.is_empty() => inner.values.register_view(*id, outside.view.clone()),
            None => {
                for tensor in &outside.versions {
                    inner.values.register(*id, *tensor)?;
                    let buffer = inner.values.tensor(*tensor).buffer;
                    inner.values.liveness.pin(buffer);
                }
            }
        }
        inner.values.liveness.pin(buffer);
    }
    Ok(carried)
}

/// The part of a sequence that belongs to a step.
fn part(view: &View, along: Along, steps: &Dim) -> View {
    let mut view = view.clone();
    let stride = view.strides.remove(along.axis);
    view.base = view.base + along.place(Dim::symbol(STEP), steps) * stride;
    // Of a row that is cut, what is behind the part is the next one.
    view.zero_lanes &= view.strides.iter().any(|stride| stride.is(1));
    view
}

/// A tensor for what is carried, and a launch that fills it.
fn carry(
    inner: &mut Lowering<'_, '_>,
    node: &Node,
    n: usize,
    outside: &Outside,
) -> Result<TensorId, CompileError> {
    let values = &mut inner.values;
    let graph = values.graph;
    let (input, becomes) = (graph.inputs()[n], graph.outputs()[n].value);
    let ty = graph.ty(input).clone();
    let given = match outside.layout.as_ref() {
        Some(layout) => layout.order.clone(),
        None if ty.rank() > 3 => channels_last(ty.rank()).order,
        None => row_major(ty.rank(), 1).order,
    };
    // One column padded to four would quadruple the tensor.
    let single = given.last().is_none_or(|axis| ty.shape[*axis].is(1));
    let layout = Layout { order: given, lanes: if single { 1 } else { 4 } };
    let tensor = values.place(input, layout.clone(), BufferInit::Activation)?;
    values.carry(input, tensor, becomes)?;
    let copy = Copy {
        name: &format!("{} (first)", node.name),
        kernel: "copy",
        operands: vec![Operand::plain(outside.view.clone(), outside.dtype)],
        space: IterationSpace::new(&ty.shape, &layout),
        dtype: ty.dtype,
        to: values.tensor(tensor).buffer,
        tensor: Some(tensor),
        view: None,
    };
    let launch = copy_launch(values, copy);
    inner.converting(|layouts| {
        layouts.launches.push(launch);
        Ok(())
    })?;
    Ok(tensor)
}

/// Launches what a step does.
fn steps(
    inner: &mut Lowering<'_, '_>,
    op: &Loop,
    fusion: &Fusion,
    results: &Results,
) -> Result<(), CompileError> {
    for (n, group) in fusion.groups.iter().enumerate() {
        inner.values.liveness.begin(n);
        lower_group(inner, group)?;
    }
    inner.converting(|layouts| {
        stack(layouts, op, &results.stacked)?;
        carry_on(layouts, &results.carried)
    })
}

/// Copies what is stacked to the place of the step.
fn stack(layouts: &mut Layouts<'_, '_>, op: &Loop, stacked: &[TensorId]) -> Result<(), CompileError> {
    let graph = layouts.values.graph;
    let outputs = graph.outputs().iter().skip(op.carried);
    for ((output, along), tensor) in outputs.zip(&op.stacked).zip(stacked) {
        let from = layouts.values.view(output.value)?;
        let place = part(&layouts.values.tensor_view(*tensor), *along, &op.steps);
        let dtype = graph.ty(output.value).dtype;
        copy(layouts, (output.value, from), (*tensor, dtype), Some(&place));
    }
    Ok(())
}

/// Copies the new carried values that are not in their place.
///
/// What is still to be read but is where something is about to be copied to is moved aside first: one of them may become
/// what another one was.
fn carry_on(layouts: &mut Layouts<'_, '_>, carried: &[TensorId]) -> Result<(), CompileError> {
    let graph = layouts.values.graph;
    let mut pending = Vec::new();
    for ((output, input), tensor) in graph.outputs().iter().zip(graph.inputs()).zip(carried) {
        let view = layouts.values.view(output.value)?;
        let place = layouts.values.tensor_view(*tensor);
        let there = view.buffer == place.buffer && view.base.is(0) && view.strides == place.strides;
        if !there {
            pending.push((output.value, view, (*tensor, graph.ty(*input).dtype)));
        }
    }
    let overwritten: HashSet<BufferId> =
        pending.iter().map(|(_, _, (tensor, _))| layouts.values.tensor(*tensor).buffer).collect();
    for (value, view, _) in &mut pending {
        if overwritten.contains(&view.buffer) {
            let aside = layouts.copy(*value, &row_major(graph.ty(*value).rank(), 4))?;
            *view = layouts.values.tensor_view(aside);
        }
    }
    for (value, view, to) in pending {
        copy(layouts, (value, view), to, None);
    }
    Ok(())
}

/// Copies a value of the body into a tensor: all of it, or to a place in it.
fn copy(
    layouts: &mut Layouts<'_, '_>,
    (value, from): (ValueId, View),
    (tensor, dtype): (TensorId, DType),
    place: Option<&View>,
) {
    let values = &mut *layouts.values;
    let ty = values.graph.ty(value).clone();
    let to = values.tensor(tensor).clone();
    let layout = if place.is_some() { row_major(ty.rank(), stacked_lanes(&ty.shape)) } else { to.layout };
    let copy = Copy {
        name: &values.graph.value(value).name,
        kernel: "copy",
        operands: vec![Operand::plain(from, ty.dtype)],
        space: IterationSpace::new(&ty.shape, &layout),
        dtype,
        to: to.buffer,
        tensor: Some(tensor),
        view: place,
    };
    let launch = copy_launch(values, copy);
    layouts.launches.push(launch);
}

/// How many elements of a part of a dense sequence are stored at once: its rows have no padding.
fn stacked_lanes(shape: &[Dim]) -> usize {
    if shape.last().is_some_and(|last| is_multiple(last, 4)) { 4 } else { 1 }
}

/// The launches that do the same at each step, and the others. `kept` are the buffers whose contents go on from step to
/// step.
fn invariant(step: Vec<Launch>, kept: &HashSet<BufferId>) -> (Vec<Launch>, Vec<Launch>) {
    let written = |launch: &Launch| -> Vec<BufferId> {
        let written = launch.bindings.iter().filter(|(_, access)| *access == Access::ReadWrite);
        written.map(|(buffer, _)| *buffer).collect()
    };
    // Buffers that launches of the loop still write, by how many.
    let mut writers: HashMap<BufferId, usize> = HashMap::new();
    for buffer in step.iter().flat_map(written) {
        *writers.entry(buffer).or_default() += 1;
    }
    let (mut once, mut rest) = (Vec::new(), Vec::new());
    for launch in step {
        let writes = written(&launch);
        let varies = launch.uniforms.iter().any(|uniform| match uniform {
            Uniform::Int(dim) => depends_on_step(dim),
            Uniform::Float(_) => false,
        });
        let alone = writes.iter().all(|buffer| writers.get(buffer) == Some(&1) && !kept.contains(buffer));
        let mut read = launch.bindings.iter().map(|(buffer, _)| buffer).filter(|b| !writes.contains(b));
        if !varies && alone && read.all(|buffer| !writers.contains_key(buffer) && !kept.contains(buffer)) {
            for buffer in &writes {
                writers.remove(buffer);
            }
            once.push(launch);
        } else {
            rest.push(launch);
        }
    }
    (once, rest)
}

fn depends_on_step(dim: &Dim) -> bool {
    let mut symbols = Vec::new();
    dim.collect_symbols(&mut symbols);
    symbols.iter().any(|symbol| **symbol == *STEP)
}

/// Makes the results readable in the graph around the loop.
fn leave(outer: &mut Values<'_>, node: &Node, results: Results) -> Result<(), CompileError> {
    for (id, tensor) in node.outputs.iter().zip(&results.carried) {
        let (layout, buffer) = (outer.tensor(*tensor).layout.clone(), outer.tensor(*tensor).buffer);
        let tensor = outer.place_in(*id, layout, buffer);
        outer.register(*id, tensor)?;
    }
    for (id, tensor) in node.outputs.iter().skip(results.carried.len()).zip(&results.stacked) {
        outer.register(*id, *tensor)?;
    }
    Ok(())
}
