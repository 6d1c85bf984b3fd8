//! Which launches become one dispatch.
//!
//! On a GPU a dispatch takes some microseconds before it does anything, so many small kernels take longer than what they
//! compute. Launches are therefore merged in two ways:
//!
//! * *Side by side*: launches that do not depend on each other share a grid, each workgroup belongs to one of them
//!   (horizontal fusion). What reads element `i` of a result in invocation `i` can follow in the same invocation.
//! * *In sequence*: launches with little to do run in one workgroup, one after the other, with barriers in between.
//!
//! [`schedule`](mod@schedule) decides, on launches that have no place in memory yet; [`kernel`] and [`text`] make one kernel of
//! several once they have. Kernels for subgroups or with workgroup memory are left alone.

mod dependencies;
pub(crate) mod kernel;
mod scan;
mod schedule;
pub(crate) mod text;

use kiln_graph::{Bindings, Dim};
use kiln_plan::Shader;

use crate::lower::program::Lowered;
use crate::memory::buffer::{BufferId, BufferInit};
use crate::target::Target;
use kernel::{Apart, take_apart};
use schedule::{Launches, schedule};

pub(crate) use schedule::lanes;

/// The kernels taken apart, where that is possible.
pub(crate) fn taken_apart(kernels: &[Shader]) -> Vec<Option<Apart>> {
    kernels.iter().map(|kernel| take_apart(&kernel.wgsl)).collect()
}

/// Decides for a program which launches become one dispatch.
///
/// Programs with loops are left as they are: what is repeated is a row of dispatches.
pub(crate) fn merge(program: &mut Lowered, kernels: &[Option<Apart>], target: &Target, max: &Bindings) {
    if !program.repeats.is_empty() {
        return;
    }
    let buffers = &program.buffers;
    let bytes = |id: BufferId| match buffers[id.0].init {
        BufferInit::Input | BufferInit::Activation => {
            u64::try_from(buffers[id.0].bytes.upper(max)).unwrap_or(0)
        }
        BufferInit::Weights(_) | BufferInit::State(_) => 0,
    };
    let maximum = |dim: &Dim| dim.upper(max);
    let launches = Launches { all: &program.launches, kernels, maximum: &maximum, bytes: &bytes, target };
    program.dispatches = schedule(&launches);
}
