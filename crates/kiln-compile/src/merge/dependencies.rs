//! Which launches have to wait for which.

use std::collections::HashMap;

use kiln_plan::Access;

use super::kernel::Apart;
use crate::lower::realize::Launch;
use crate::memory::buffer::BufferId;

/// A launch that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// Its number.
    pub on: usize,
    /// Whether invocation `i` of the one waits for nothing but invocation `i` of the other.
    pub by_index: bool,
}

/// For each launch, those it waits for: they write what it reads, or read or write what it writes. Launches that others of them
/// wait for are left out where that follows.
pub(super) fn dependencies(launches: &[Launch], kernels: &[Option<Apart>]) -> Vec<Vec<Dependency>> {
    let mut written: HashMap<BufferId, usize> = HashMap::new();
    let mut read: HashMap<BufferId, Vec<usize>> = HashMap::new();
    let mut all = Vec::with_capacity(launches.len());
    for (n, launch) in launches.iter().enumerate() {
        let mut on: Vec<(usize, BufferId)> = Vec::new();
        for (buffer, access) in &launch.bindings {
            on.extend(written.get(buffer).map(|writer| (*writer, *buffer)));
            if *access == Access::ReadWrite {
                on.extend(read.get(buffer).into_iter().flatten().map(|reader| (*reader, *buffer)));
            }
        }
        let mut found: Vec<Dependency> = Vec::new();
        for (on, buffer) in on.into_iter().filter(|(on, _)| *on != n) {
            let by_index = is_by_index(launches, kernels, [on, n], buffer);
            match found.iter_mut().find(|dependency| dependency.on == on) {
                Some(known) => known.by_index &= by_index,
                None => found.push(Dependency { on, by_index }),
            }
        }
        for (buffer, access) in &launch.bindings {
            match access {
                Access::Read => read.entry(*buffer).or_default().push(n),
                Access::ReadWrite => {
                    written.insert(*buffer, n);
                    read.remove(buffer);
                }
            }
        }
        all.push(found);
    }
    all
}

/// Whether two launches on the same grid only ever touch the same element of a buffer in the same invocation.
fn is_by_index(launches: &[Launch], kernels: &[Option<Apart>], pair: [usize; 2], buffer: BufferId) -> bool {
    let [first, second] = pair.map(|n| &launches[n]);
    if first.workgroups != second.workgroups {
        return false;
    }
    let mut element = None;
    [first, second].into_iter().all(|launch| {
        let Some(kernel) = &kernels[launch.shader] else { return false };
        let bound = launch.bindings.iter().zip(&kernel.bindings).filter(|((of, _), _)| *of == buffer);
        launch.is_indexed
            && kernel.is_plain()
            && bound.into_iter().all(|(_, bound)| {
                bound.at_index && *element.get_or_insert(bound.element.bytes()) == bound.element.bytes()
            })
    })
}
