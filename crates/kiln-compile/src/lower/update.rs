//! New values of states that no kernel could write over the old ones.

use std::collections::HashSet;

use kiln_graph::ValueId;

use super::context::{Context, StorageId, computed_type};
use super::elementwise::{Copy, copy, launch_copy};
use super::operand::{Operand, Space};
use crate::error::CompileError;
use crate::layout::{row_major, strides};

/// Copies every new value that lies elsewhere to the place of its state, after all else has been computed.
///
/// What is still to be read but lies where something is about to be copied to is moved aside first: one state may
/// become what another one was.
pub fn states(ctx: &mut Context<'_>, outputs: &mut [usize]) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let mut pending: Vec<(ValueId, usize)> = Vec::new();
    for update in graph.updates() {
        let Some(place) = ctx.versions(update.state).first().copied() else { continue };
        let (storage, layout) = (ctx.placed[place].storage, ctx.placed[place].layout.clone());
        let view = ctx.view(update.value)?;
        let there = view.storage == storage
            && view.base.is(0)
            && view.strides == strides(&layout, &graph.ty(update.state).shape);
        if !there {
            pending.push((update.value, place));
        }
    }
    let overwritten: HashSet<StorageId> =
        pending.iter().map(|(_, place)| ctx.placed[*place].storage).collect();
    for (output, placed) in graph.outputs().iter().zip(outputs) {
        if overwritten.contains(&ctx.placed[*placed].storage) {
            *placed = copy(ctx, output.value, &row_major(graph.ty(output.value).rank(), 1))?;
        }
    }
    let mut sources = Vec::new();
    for (value, _) in &pending {
        let view = ctx.view(*value)?;
        sources.push(if overwritten.contains(&view.storage) {
            let aside = copy(ctx, *value, &row_major(graph.ty(*value).rank(), 4))?;
            ctx.tensor_view(aside)?
        } else {
            view
        });
    }
    for ((value, place), view) in pending.iter().zip(sources) {
        let (ty, to) = (graph.ty(*value).clone(), ctx.placed[*place].clone());
        let name = format!("{} (update)", to.name);
        if computed_type(ty.dtype) != ctx.memory[to.storage.0].element {
            return Err(ctx.no_such_type(*value));
        }
        launch_copy(
            ctx,
            Copy {
                name: &name,
                kernel: "copy",
                operands: vec![Operand::plain(view, ty.dtype)],
                space: Space::new(&ty.shape, &to.layout),
                dtype: ty.dtype,
                to: to.storage,
                placed: Some(*place),
                view: None,
            },
        )?;
    }
    Ok(())
}
