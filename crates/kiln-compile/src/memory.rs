//! Where each piece of memory lies: lifetimes, arenas, offsets.
//!
//! Pieces whose lifetimes do not overlap share bytes. WebGPU refuses a buffer that is bound for reading and for
//! writing in the same dispatch, even in disjoint ranges, so pieces are coloured into a few arenas such that no
//! dispatch reads from the arena it writes to (a kernel that works in place binds its memory once, for both).
//! Within an arena, offsets are chosen largest piece first, lowest free place: a heuristic that comes close to the
//! largest live set (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). It looks at
//! all pairs of pieces that are alive at once; where these are very many, pieces are placed in order of time instead
//! ([`offsets::in_time`]).

mod offsets;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use kiln_plan::Access;

use crate::lower::context::StorageId;
use crate::lower::kernel::Launch;
use offsets::{by_size, in_time};

/// Alignment of everything that is bound, in bytes.
pub const ALIGNMENT: u64 = 256;

/// Most arenas that are tried.
const MAX_ARENAS: usize = 8;

/// Pairs of pieces alive at once that placing by size looks at: a few hundred thousand in networks of a thousand layers.
const MOST_PAIRS: usize = 1 << 22;

/// A piece of memory with its lifetime, in launches, both ends included.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Which one.
    pub storage: StorageId,
    /// Size in bytes.
    pub size: u64,
    /// First launch that has it, or 0 for what is there before.
    pub first: usize,
    /// Last launch that has it, or the number of launches for what is there after.
    pub last: usize,
}

/// A place in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which arena.
    pub arena: usize,
    /// First byte.
    pub offset: u64,
}

/// The arenas with everything placed.
#[derive(Clone, Debug)]
pub struct Arenas {
    /// Size of each arena in bytes.
    pub sizes: Vec<u64>,
    /// Place of each piece, in the order of the pieces.
    pub places: Vec<Place>,
    /// The largest sum of sizes of pieces that are alive at once: no plan can need less.
    pub largest_live_set: u64,
}

impl Arenas {
    /// What is to be small: arenas that are too large first, then all bytes.
    fn cost(&self, max_arena: u64) -> (bool, u64) {
        (self.sizes.iter().any(|size| *size > max_arena), self.sizes.iter().sum())
    }
}

/// Lifetimes of the pieces that `is_activation` names. `kept` are there to the end, `given` from the beginning.
pub fn lifetimes(
    launches: &[Launch],
    sizes: &dyn Fn(StorageId) -> Option<u64>,
    given: &[StorageId],
    kept: &[StorageId],
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let touch = |storage: StorageId,
                 at: usize,
                 pieces: &mut Vec<Piece>,
                 index: &mut std::collections::HashMap<StorageId, usize>| {
        let Some(size) = sizes(storage) else { return };
        let n = *index.entry(storage).or_insert_with(|| {
            pieces.push(Piece { storage, size: size.next_multiple_of(ALIGNMENT), first: at, last: at });
            pieces.len() - 1
        });
        pieces[n].first = pieces[n].first.min(at);
        pieces[n].last = pieces[n].last.max(at);
    };
    for storage in given {
        touch(*storage, 0, &mut pieces, &mut index);
    }
    for (at, launch) in launches.iter().enumerate() {
        for (storage, _) in &launch.bindings {
            touch(*storage, at, &mut pieces, &mut index);
        }
    }
    for storage in kept {
        touch(*storage, launches.len(), &mut pieces, &mut index);
    }
    pieces
}

/// Places all pieces in as few bytes as the heuristic finds; with arenas no larger than `max_arena`, if that can be.
pub fn plan(pieces: &[Piece], launches: &[Launch], max_arena: u64) -> Arenas {
    let conflicts = conflicts(pieces, launches);
    let best = (2..=MAX_ARENAS)
        .filter_map(|count| colour(pieces, &conflicts, count))
        .map(|arena_of| place(pieces, &arena_of))
        .min_by_key(|arenas| arenas.cost(max_arena));
    // With one arena a piece nothing can conflict; this is never reached by real networks.
    let mut best = best.unwrap_or_else(|| place(pieces, &(0..pieces.len()).collect::<Vec<_>>()));
    improve(&mut best, pieces, &conflicts, max_arena);
    best.largest_live_set = largest_live_set(pieces, launches.len());
    best
}

/// The largest sum of sizes of pieces that are alive at once, launch by launch.
fn largest_live_set(pieces: &[Piece], launches: usize) -> u64 {
    let (mut begins, mut ends) = (vec![0u64; launches + 2], vec![0u64; launches + 2]);
    for piece in pieces {
        begins[piece.first] += piece.size;
        ends[piece.last + 1] += piece.size;
    }
    let live = begins.iter().zip(&ends).scan(0u64, |live, (begin, end)| {
        *live = *live + begin - end;
        Some(*live)
    });
    live.max().unwrap_or(0)
}

/// Moves single pieces to other arenas as long as that saves something. The search is for networks of a usual size;
/// for longer ones it would take longer than all the rest.
fn improve(best: &mut Arenas, pieces: &[Piece], conflicts: &[Vec<usize>], max_arena: u64) {
    const MOST_PIECES: usize = 256;
    if pieces.len() > MOST_PIECES {
        return;
    }
    let mut arena_of: Vec<usize> = best.places.iter().map(|place| place.arena).collect();
    loop {
        let before = best.cost(max_arena);
        for n in 0..pieces.len() {
            let count = arena_of.iter().max().map_or(0, |arena| arena + 1);
            for arena in 0..(count + 1).min(MAX_ARENAS) {
                let blocked = conflicts[n].iter().any(|m| arena_of[*m] == arena);
                let from = arena_of[n];
                if blocked || arena == from {
                    continue;
                }
                arena_of[n] = arena;
                let other = place(pieces, &arena_of);
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

/// For each piece, those it may not share an arena with.
fn conflicts(pieces: &[Piece], launches: &[Launch]) -> Vec<Vec<usize>> {
    let index: HashMap<StorageId, usize> = pieces.iter().enumerate().map(|(n, p)| (p.storage, n)).collect();
    let mut conflicts = vec![Vec::new(); pieces.len()];
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

/// An arena for each piece, in order of time, each where it costs least; nothing if `count` are not enough.
fn colour(pieces: &[Piece], conflicts: &[Vec<usize>], count: usize) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|n| (pieces[*n].first, std::cmp::Reverse(pieces[*n].size)));
    let mut arena_of: Vec<Option<usize>> = vec![None; pieces.len()];
    let mut peaks = vec![0u64; count];
    // What is alive in each arena: the sum of sizes, and which pieces by their ends.
    let mut live = vec![0u64; count];
    let mut members: Vec<BinaryHeap<(Reverse<usize>, u64)>> = vec![BinaryHeap::new(); count];
    for n in order {
        let piece = &pieces[n];
        let mut taken = [false; MAX_ARENAS];
        for arena in conflicts[n].iter().filter_map(|m| arena_of[*m]) {
            taken[arena] = true;
        }
        // Pieces that have ended before this one begins overlap nothing that follows.
        for (live, members) in live.iter_mut().zip(&mut members) {
            while let Some((Reverse(last), size)) = members.peek().copied()
                && last < piece.first
            {
                *live -= size;
                members.pop();
            }
        }
        let (arena, peak) = (0..count)
            .filter(|arena| !taken[*arena])
            .map(|arena| (arena, peaks[arena].max(live[arena] + piece.size)))
            .min_by_key(|(arena, peak)| (peak - peaks[*arena], Reverse(peaks[*arena])))?;
        peaks[arena] = peak;
        live[arena] += piece.size;
        members[arena].push((Reverse(piece.last), piece.size));
        arena_of[n] = Some(arena);
    }
    arena_of.into_iter().collect()
}

/// Offsets within arenas. Arenas that nothing is in are left out.
fn place(pieces: &[Piece], arena_of: &[usize]) -> Arenas {
    let used: BTreeSet<usize> = arena_of.iter().copied().collect();
    let numbers: HashMap<usize, usize> = used.into_iter().enumerate().map(|(n, arena)| (arena, n)).collect();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); numbers.len()];
    for (n, arena) in arena_of.iter().enumerate() {
        members[numbers[arena]].push(n);
    }
    let mut arenas = Arenas {
        sizes: vec![],
        places: vec![Place { arena: 0, offset: 0 }; pieces.len()],
        largest_live_set: 0,
    };
    for (arena, members) in members.iter().enumerate() {
        let offsets = by_size(pieces, members, MOST_PAIRS).unwrap_or_else(|| in_time(pieces, members));
        let ends = members.iter().zip(&offsets).map(|(n, offset)| offset + pieces[*n].size);
        arenas.sizes.push(ends.max().unwrap_or(0));
        for (n, offset) in members.iter().zip(offsets) {
            arenas.places[*n] = Place { arena, offset };
        }
    }
    arenas
}

#[cfg(test)]
mod tests;
