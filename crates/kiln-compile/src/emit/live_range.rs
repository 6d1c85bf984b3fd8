//! Buffers with the time in which they are needed, and places for them.

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
