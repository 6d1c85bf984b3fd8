//! Places of buffers: live ranges, arenas, offsets.
//!
//! LiveRanges whose live ranges do not overlap share bytes. WebGPU refuses a buffer that is bound for reading and for
//! writing in the same dispatch, even in disjoint ranges, so ranges are coloured into a few arenas such that no
//! dispatch reads from the arena it writes to (a kernel that works in place binds its memory once, for both).
//! Within an arena, offsets are chosen largest range first, lowest free place: a heuristic that comes close to the
//! largest live set (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). It looks at
//! all pairs of ranges that are alive at once; where these are very many, ranges are placed in order of time instead
//! ([`offsets::in_time`]).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use kiln_plan::Access;

use super::live_range::{ALIGNMENT, LiveRange, Place};
use super::offsets::{by_size, in_time};
use crate::lower::realize::Launch;
use crate::memory::buffer::BufferId;

/// Most arenas that are tried.
const MAX_ARENAS: usize = 8;

/// Pairs of ranges alive at once that placing by size looks at: a few hundred thousand in networks of a thousand layers.
const MOST_PAIRS: usize = 1 << 22;

/// The arenas with everything placed.
#[derive(Clone, Debug)]
pub(super) struct Arenas {
    /// Size of each arena in bytes.
    pub sizes: Vec<u64>,
    /// Place of each range, in the order of the ranges.
    pub places: Vec<Place>,
    /// The largest sum of sizes of ranges that are alive at once: no plan can need less.
    pub largest_live_set: u64,
}

impl Arenas {
    /// What is to be small: arenas that are too large first, then all bytes.
    fn cost(&self, max_arena: u64) -> (bool, u64) {
        (self.sizes.iter().any(|size| *size > max_arena), self.sizes.iter().sum())
    }
}

/// Live ranges of the buffers that `sizes` knows, in dispatches. `kept` are there to the end, `given` from the beginning.
pub(super) fn live_ranges(
    launches: &[Launch],
    dispatch_of: &[usize],
    sizes: &dyn Fn(BufferId) -> Option<u64>,
    given: &[BufferId],
    kept: &[BufferId],
) -> Vec<LiveRange> {
    let end = dispatch_of.iter().max().map_or(0, |last| last + 1);
    let mut ranges: Vec<LiveRange> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let touch = |buffer: BufferId,
                 at: usize,
                 ranges: &mut Vec<LiveRange>,
                 index: &mut std::collections::HashMap<BufferId, usize>| {
        let Some(size) = sizes(buffer) else { return };
        let n = *index.entry(buffer).or_insert_with(|| {
            ranges.push(LiveRange { buffer, size: size.next_multiple_of(ALIGNMENT), first: at, last: at });
            ranges.len() - 1
        });
        ranges[n].first = ranges[n].first.min(at);
        ranges[n].last = ranges[n].last.max(at);
    };
    for buffer in given {
        touch(*buffer, 0, &mut ranges, &mut index);
    }
    for (launch, at) in launches.iter().zip(dispatch_of) {
        for (buffer, _) in &launch.bindings {
            touch(*buffer, *at, &mut ranges, &mut index);
        }
    }
    for buffer in kept {
        touch(*buffer, end, &mut ranges, &mut index);
    }
    ranges
}

/// Places all ranges in as few bytes as the heuristic finds; with arenas no larger than `max_arena`, if that can be.
pub(super) fn plan(ranges: &[LiveRange], launches: &[Launch], max_arena: u64) -> Arenas {
    let conflicts = conflicts(ranges, launches);
    let with = |most_alive: u64| {
        (2..=MAX_ARENAS)
            .filter_map(|count| colour(ranges, &conflicts, count, most_alive))
            .map(|arena_of| place(ranges, &arena_of))
            .min_by_key(|arenas| arenas.cost(max_arena))
    };
    // An arena is larger than what is alive in it at once; where it is too large for that, less has to be.
    let mut best = with(max_arena);
    for most_alive in [max_arena / 4 * 3, max_arena / 2] {
        if best.as_ref().is_none_or(|best| !best.cost(max_arena).0) {
            break;
        }
        best = best.into_iter().chain(with(most_alive)).min_by_key(|arenas| arenas.cost(max_arena));
    }
    // With one arena a range nothing can conflict; this is never reached by real networks.
    let mut best = best.unwrap_or_else(|| place(ranges, &(0..ranges.len()).collect::<Vec<_>>()));
    improve(&mut best, ranges, &conflicts, max_arena);
    best.largest_live_set = largest_live_set(ranges, launches.len());
    best
}

/// The largest sum of sizes of ranges that are alive at once, launch by launch.
fn largest_live_set(ranges: &[LiveRange], launches: usize) -> u64 {
    let (mut begins, mut ends) = (vec![0u64; launches + 2], vec![0u64; launches + 2]);
    for range in ranges {
        begins[range.first] += range.size;
        ends[range.last + 1] += range.size;
    }
    let live = begins.iter().zip(&ends).scan(0u64, |live, (begin, end)| {
        *live = *live + begin - end;
        Some(*live)
    });
    live.max().unwrap_or(0)
}

/// Moves single ranges to other arenas as long as that saves something. The search is for networks of a usual size;
/// for longer ones it would take longer than all the rest.
fn improve(best: &mut Arenas, ranges: &[LiveRange], conflicts: &[Vec<usize>], max_arena: u64) {
    const MOST_PIECES: usize = 256;
    if ranges.len() > MOST_PIECES {
        return;
    }
    let mut arena_of: Vec<usize> = best.places.iter().map(|place| place.arena).collect();
    loop {
        let before = best.cost(max_arena);
        for n in 0..ranges.len() {
            let count = arena_of.iter().max().map_or(0, |arena| arena + 1);
            for arena in 0..(count + 1).min(MAX_ARENAS) {
                let blocked = conflicts[n].iter().any(|m| arena_of[*m] == arena);
                let from = arena_of[n];
                if blocked || arena == from {
                    continue;
                }
                arena_of[n] = arena;
                let other = place(ranges, &arena_of);
                if other.cost(max_arena) < best.cost(max_arena) {
                    *best = other;
                } else {
                    arena_of[n] = from;
                }
            }
        }
        if best.cost(max_arena) == before {
            return;
        }
    }
}

/// For each range, those it may not share an arena with.
fn conflicts(ranges: &[LiveRange], launches: &[Launch]) -> Vec<Vec<usize>> {
    let index: HashMap<BufferId, usize> = ranges.iter().enumerate().map(|(n, p)| (p.buffer, n)).collect();
    let mut conflicts = vec![Vec::new(); ranges.len()];
    for launch in launches {
        let of = |wanted: Access| {
            launch
                .bindings
                .iter()
                .filter(move |(_, a)| *a == wanted)
                .filter_map(|(s, _)| index.get(s).copied())
        };
        for written in of(Access::ReadWrite) {
            for read in of(Access::Read) {
                conflicts[written].push(read);
                conflicts[read].push(written);
            }
        }
    }
    conflicts
}

/// An arena for each range, in order of time, each where it costs least, and where no more than `max_arena` are alive at once, if
/// that can be; nothing if `count` are not enough.
fn colour(
    ranges: &[LiveRange],
    conflicts: &[Vec<usize>],
    count: usize,
    max_arena: u64,
) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|n| (ranges[*n].first, std::cmp::Reverse(ranges[*n].size)));
    let mut arena_of: Vec<Option<usize>> = vec![None; ranges.len()];
    let mut peaks = vec![0u64; count];
    // What is alive in each arena: the sum of sizes, and which ranges by their ends.
    let mut live = vec![0u64; count];
    let mut members: Vec<BinaryHeap<(Reverse<usize>, u64)>> = vec![BinaryHeap::new(); count];
    for n in order {
        let range = &ranges[n];
        let mut taken = [false; MAX_ARENAS];
        for arena in conflicts[n].iter().filter_map(|m| arena_of[*m]) {
            taken[arena] = true;
        }
        // LiveRanges that have ended before this one begins overlap nothing that follows.
        for (live, members) in live.iter_mut().zip(&mut members) {
            while let Some((Reverse(last), size)) = members.peek().copied()
                && last < range.first
            {
                *live -= size;
                members.pop();
            }
        }
        let (arena, peak) = (0..count)
            .filter(|arena| !taken[*arena])
            .map(|arena| (arena, peaks[arena].max(live[arena] + range.size)))
            .min_by_key(|(arena, peak)| (*peak > max_arena, peak - peaks[*arena], Reverse(peaks[*arena])))?;
        peaks[arena] = peak;
        live[arena] += range.size;
        members[arena].push((Reverse(range.last), range.size));
        arena_of[n] = Some(arena);
    }
    arena_of.into_iter().collect()
}

/// Offsets within arenas. Arenas that nothing is in are left out.
fn place(ranges: &[LiveRange], arena_of: &[usize]) -> Arenas {
    let used: BTreeSet<usize> = arena_of.iter().copied().collect();
    let numbers: HashMap<usize, usize> = used.into_iter().enumerate().map(|(n, arena)| (arena, n)).collect();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); numbers.len()];
    for (n, arena) in arena_of.iter().enumerate() {
        members[numbers[arena]].push(n);
    }
    let mut arenas = Arenas {
        sizes: vec![],
        places: vec![Place { arena: 0, offset: 0 }; ranges.len()],
        largest_live_set: 0,
    };
    for (arena, members) in members.iter().enumerate() {
        let offsets = by_size(ranges, members, MOST_PAIRS).unwrap_or_else(|| in_time(ranges, members));
        let ends = members.iter().zip(&offsets).map(|(n, offset)| offset + ranges[*n].size);
        arenas.sizes.push(ends.max().unwrap_or(0));
        for (n, offset) in members.iter().zip(offsets) {
            arenas.places[*n] = Place { arena, offset };
        }
    }
    arenas
}

#[cfg(test)]
#[path = "arenas_tests.rs"]
mod tests;
