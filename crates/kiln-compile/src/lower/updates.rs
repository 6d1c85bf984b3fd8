//! New values of states that no kernel could write over the old ones.

use std::collections::HashSet;

use kiln_graph::ValueId;

use super::layouts::Layouts;
use crate::element::computed_type;
use crate::error::CompileError;
use crate::kernels::map::{Copy, copy_launch};
use crate::layout::{row_major, strides};
use crate::memory::buffer::{BufferId, TensorId};
use crate::wgsl::operand::Operand;
use crate::wgsl::space::IterationSpace;

/// Copies every new value that is stored elsewhere to the place of its state, after all else has been computed.
///
/// What is still to be read but is where something is about to be copied to is moved aside first: one state may become
/// what another one was.
pub(super) fn update_states(
    layouts: &mut Layouts<'_, '_>,
    outputs: &mut [TensorId],
) -> Result<(), CompileError> {
    let graph = layouts.values.graph;
    let pending = pending(layouts)?;
    let overwritten: HashSet<BufferId> =
        pending.iter().map(|(_, place)| layouts.values.tensor(*place).buffer).collect();
    for (output, tensor) in graph.outputs().iter().zip(outputs) {
        if overwritten.contains(&layouts.values.tensor(*tensor).buffer) {
            *tensor = layouts.copy(output.value, &row_major(graph.ty(output.value).rank(), 1))?;
        }
    }
    let mut sources = Vec::new();
    for (value, _) in &pending {
        let view = layouts.values.view(*value)?;
        sources.push(if overwritten.contains(&view.buffer) {
            let aside = layouts.copy(*value, &row_major(graph.ty(*value).rank(), 4))?;
            layouts.values.tensor_view(aside)
        } else {
            view
        });
    }
    for ((value, place), view) in pending.iter().zip(sources) {
        let (ty, to) = (graph.ty(*value).clone(), layouts.values.tensor(*place).clone());
        if computed_type(ty.dtype) != layouts.values.buffer(to.buffer).element {
            return Err(layouts.values.no_such_type(*value));
        }
        let copy = Copy {
            name: &format!("{} (update)", to.name),
            kernel: "copy",
            operands: vec![Operand::plain(view, ty.dtype)],
            space: IterationSpace::new(&ty.shape, &to.layout),
            dtype: ty.dtype,
            to: to.buffer,
            tensor: Some(*place),
            view: None,
        };
        let launch = copy_launch(layouts.values, copy);
        layouts.launches.push(launch);
    }
    Ok(())
}

/// New values that are not in the place of their state.
fn pending(layouts: &mut Layouts<'_, '_>) -> Result<Vec<(ValueId, TensorId)>, CompileError> {
    let graph = layouts.values.graph;
    let mut pending = Vec::new();
    for update in graph.updates() {
        let Some(place) = layouts.values.versions(update.state).first().copied() else { continue };
        let tensor = layouts.values.tensor(place);
        let (buffer, layout) = (tensor.buffer, tensor.layout.clone());
        let view = layouts.values.view(update.value)?;
        let there = view.buffer == buffer
            && view.base.is(0)
            && view.strides == strides(&layout, &graph.ty(update.state).shape);
        if !there {
            pending.push((update.value, place));
        }
    }
    Ok(pending)
}
