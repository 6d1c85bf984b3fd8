//! Buffers with the time in which they are needed, and places for them.

use std::collections::HashSet;
use std::ops::Range;

use crate::lower::realize::Launch;
use crate::memory::buffer::BufferId;

/// Alignment of everything that is bound, in bytes.
pub(super) const ALIGNMENT: u64 = 256;

/// A buffer with its live range, in launches, both ends included.
#[derive(Clone, Debug)]
pub(super) struct LiveRange {
    /// Which one.
    pub buffer: BufferId,
    /// Size in bytes.
    pub size: u64,
    /// First launch that has it, or 0 for what is there before.
    pub first: usize,
    /// Last launch that has it, or the number of launches for what is there after.
    pub last: usize,
}

/// A place in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which arena.
    pub arena: usize,
    /// First byte.
    pub offset: u64,
}

/// Extends what is needed both inside and outside of launches that are repeated to all of them: what is read in the
/// first of them is read again in the next step, and what one step writes in parts, all steps do.
///
/// What is only needed inside is written anew by each step before it is read.
pub(super) fn through(
    ranges: &mut [LiveRange],
    repeated: &Range<usize>,
    launches: &[Launch],
    given: &[BufferId],
) {
    let Some(last) = repeated.end.checked_sub(1).filter(|last| *last >= repeated.start) else { return };
    let given: HashSet<&BufferId> = given.iter().collect();
    let bound = launches[repeated.clone()].iter().flat_map(|launch| &launch.bindings);
    let inside: HashSet<&BufferId> = bound.map(|(buffer, _)| buffer).collect();
    for range in ranges.iter_mut().filter(|range| inside.contains(&range.buffer)) {
        let outside = range.first < repeated.start || range.last > last || given.contains(&range.buffer);
        if outside {
            range.first = range.first.min(repeated.start);
            range.last = range.last.max(last);
        }
    }
}
