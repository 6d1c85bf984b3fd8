//! Where results go.
//!
//! Most results get a tensor of their own, in the layout their kernel iterates in. But a value that is part of a
//! concatenation is written straight to its place there, and one that only the caller reads is written as the caller
//! wants it, so that no copy has to follow.

use kiln_graph::{Dim, ValueId};
use kiln_plan::Layout;

use super::buffer::{BufferId, BufferInit, TensorId, View};
use super::values::Values;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::{self, channels_last, row_major};

/// Where the result of a group goes.
pub(crate) enum Destination {
    /// A tensor of its own, in the layout the kernel iterates in.
    Own,
    /// Dense, as the caller wants it.
    Dense(View, TensorId),
    /// Part of a concatenation.
    Concat(View),
}

impl Destination {
    /// The view through which the kernel stores.
    pub(crate) fn view(&self) -> Option<&View> {
        match self {
            Destination::Own => None,
            Destination::Dense(view, _) | Destination::Concat(view) => Some(view),
        }
    }
}

/// The output of a kernel that is about to be launched.
#[derive(Clone)]
pub(crate) struct Output {
    /// The value.
    pub value: ValueId,
    /// The buffer that is written.
    pub buffer: BufferId,
    /// The tensor, if it is one.
    pub tensor: Option<TensorId>,
    view: Option<View>,
}

impl Output {
    /// A partial result of which another kernel will make `value`.
    pub(crate) fn partial(value: ValueId, buffer: BufferId) -> Self {
        Self { value, buffer, tensor: None, view: None }
    }

    /// A tensor of its own.
    pub(crate) fn tensor(value: ValueId, buffer: BufferId, tensor: TensorId) -> Self {
        Self { value, buffer, tensor: Some(tensor), view: None }
    }

    /// Part of a concatenation.
    pub(crate) fn part_of_concat(value: ValueId, view: View) -> Self {
        Self { value, buffer: view.buffer, tensor: None, view: Some(view) }
    }

    /// After the launch: the value can be read.
    pub(crate) fn complete(&self, values: &mut Values<'_>) -> Result<(), CompileError> {
        if let Some(tensor) = self.tensor {
            return values.register(self.value, tensor);
        }
        if let Some(view) = &self.view {
            values.aliases.written.insert(self.value);
            values.register_view(self.value, view.clone());
        }
        Ok(())
    }
}

/// Where `value`, which a kernel computes in `layout` while it reads the buffers of `group`'s operands, is best put.
pub(crate) fn destination(
    values: &mut Values<'_>,
    group: &Group,
    value: ValueId,
    layout: &Layout,
) -> Result<Destination, CompileError> {
    let ty = values.graph.ty(value).clone();
    let dense = row_major(ty.rank(), 1);
    let unpadded = layout::elements(layout, &ty.shape) == layout::elements(&dense, &ty.shape);
    let same = unpadded && layout.order == dense.order;
    if let Some(tensor) = values.carried_place(value) {
        let (buffer, has) = (values.tensor(tensor).buffer, values.tensor(tensor).layout.clone());
        let padded = layout::elements(&has, &ty.shape) != layout::elements(&dense, &ty.shape);
        if !padded && values.buffer(buffer).element == values.element(value)? {
            let tensor = values.place_in(value, has, buffer);
            return Ok(Destination::Dense(values.tensor_view(tensor), tensor));
        }
    }
    if values.is_only_output(value) && !same {
        let tensor = values.place(value, dense, BufferInit::Activation)?;
        return Ok(Destination::Dense(values.tensor_view(tensor), tensor));
    }
    if let Some(view) = alias_view(values, value)? {
        let mut reads = Vec::new();
        for id in &group.inputs {
            if values.graph.as_constant(*id).is_none() {
                reads.push(values.view(*id)?.buffer);
            }
        }
        if !reads.contains(&view.buffer) {
            return Ok(Destination::Concat(view));
        }
    }
    Ok(Destination::Own)
}

/// The output itself, once it is known whether it can go over a dying operand.
pub(crate) fn output(
    values: &mut Values<'_>,
    value: ValueId,
    layout: Layout,
    destination: Destination,
    in_place: Option<BufferId>,
) -> Result<Output, CompileError> {
    Ok(match destination {
        Destination::Own => {
            let tensor = match in_place {
                Some(buffer) => values.place_in(value, layout, buffer),
                None => values.place(value, layout, BufferInit::Activation)?,
            };
            Output { value, buffer: values.tensor(tensor).buffer, tensor: Some(tensor), view: None }
        }
        Destination::Dense(view, tensor) => {
            Output { value, buffer: view.buffer, tensor: Some(tensor), view: None }
        }
        Destination::Concat(view) => Output { value, buffer: view.buffer, tensor: None, view: Some(view) },
    })
}

/// How the elements of a concatenation are reached, and its tensor if it is not part of another one. Nothing, if it
/// cannot be made there: a part that has to be copied is in the same buffer, perhaps as part of the other one.
pub(crate) fn concat_view(
    values: &mut Values<'_>,
    concat: ValueId,
    parts: &[(ValueId, Dim)],
) -> Result<Option<(View, Option<TensorId>)>, CompileError> {
    let (view, tensor) = match alias_view(values, concat)? {
        Some(view) => (view, None),
        None => {
            let tensor = concat_tensor(values, concat)?;
            (values.tensor_view(tensor), Some(tensor))
        }
    };
    for (part, start) in parts {
        if !values.aliases.is_in_place(*part, concat, start) && values.view(*part)?.buffer == view.buffer {
            return Ok(None);
        }
    }
    if tensor.is_none() {
        values.aliases.written.insert(concat);
    }
    Ok(Some((view, tensor)))
}

/// The place of a value in a concatenation, if it has one.
fn alias_view(values: &mut Values<'_>, value: ValueId) -> Result<Option<View>, CompileError> {
    let Some(place) = values.aliases.place(value).cloned() else { return Ok(None) };
    let mut view = match alias_view(values, place.concat)? {
        Some(view) => view,
        None => {
            let tensor = concat_tensor(values, place.concat)?;
            values.tensor_view(tensor)
        }
    };
    view.base = view.base + &place.start * &view.strides[place.axis];
    // What follows a part's last channels may be another part.
    view.zero_lanes = false;
    Ok(Some(view))
}

/// The tensor of a concatenation that is not part of another one, made when first asked for.
fn concat_tensor(values: &mut Values<'_>, concat: ValueId) -> Result<TensorId, CompileError> {
    if let Some(tensor) = values.aliases.tensors.get(&concat) {
        return Ok(*tensor);
    }
    let layout = channels_last(values.graph.ty(concat).rank());
    let tensor = values.place(concat, layout, BufferInit::Activation)?;
    values.aliases.tensors.insert(concat, tensor);
    // Nothing may be computed over its parts before it is complete.
    let buffer = values.tensor(tensor).buffer;
    values.liveness.extend(concat, buffer);
    Ok(tensor)
}
