//! Whatever the heuristic, pieces that are alive at once lie apart.

use super::{Arenas, largest_live_set, place};
use crate::emit::live_range::LiveRange;
use crate::emit::offsets::{by_size, first_gap, in_time};
use crate::memory::buffer::BufferId;

/// Moving pieces about may leave an arena without any; nothing can be bound of it.
#[test]
fn an_arena_that_nothing_is_in_is_none() {
    let piece = |n: usize| LiveRange { buffer: BufferId(n), size: 16, first: n, last: n };
    let arenas = place(&[piece(0), piece(1), piece(2)], &[0, 2, 2]);
    assert_eq!(arenas.sizes, [16, 16]);
    assert_eq!(arenas.places.iter().map(|place| place.arena).collect::<Vec<_>>(), [0, 1, 1]);
}

/// LiveRanges without a pattern (constants of Knuth's MMIX).
fn pieces(count: usize, launches: usize, seed: u64) -> Vec<LiveRange> {
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let piece = |n| {
        let (first, most) = (random(launches), 1 + random(50));
        let (long, times) = (random(20), random(8));
        let length = 1 + long * times;
        let last = (first + random(length)).min(launches);
        LiveRange { buffer: BufferId(n), size: 256 * (1 + random(most)) as u64, first, last }
    };
    (0..count).map(piece).collect()
}

fn together(a: &LiveRange, b: &LiveRange) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// The same by looking at all pairs.
fn by_size_simply(pieces: &[LiveRange]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|n| (std::cmp::Reverse(pieces[*n].size), pieces[*n].first));
    let mut offsets: Vec<Option<u64>> = vec![None; pieces.len()];
    for n in order {
        let alive = (0..pieces.len()).filter(|m| together(&pieces[n], &pieces[*m]));
        let mut busy: Vec<_> =
            alive.filter_map(|m| Some((offsets[m]?, offsets[m]? + pieces[m].size))).collect();
        busy.sort_unstable();
        offsets[n] = Some(first_gap(&busy, pieces[n].size));
    }
    offsets.into_iter().flatten().collect()
}

#[test]
fn pieces_lie_apart() {
    for seed in 0..40 {
        let (count, launches) = (1 + 19 * seed as usize, 1 + 11 * (seed as usize % 9));
        let pieces = pieces(count, launches, seed);
        let members: Vec<usize> = (0..count).collect();
        let offsets = by_size(&pieces, &members, usize::MAX).unwrap();
        assert_eq!(offsets, by_size_simply(&pieces), "seed {seed}");
        let live = largest_live_set(&pieces, launches);
        let simply = (0..=launches)
            .map(|at| pieces.iter().filter(|p| p.first <= at && at <= p.last).map(|p| p.size).sum::<u64>());
        assert_eq!(live, simply.max().unwrap(), "seed {seed}");
        for offsets in [offsets, in_time(&pieces, &members)] {
            for (n, m) in (0..count).flat_map(|n| (0..n).map(move |m| (n, m))) {
                let apart =
                    offsets[n] + pieces[n].size <= offsets[m] || offsets[m] + pieces[m].size <= offsets[n];
                assert!(apart || !together(&pieces[n], &pieces[m]), "seed {seed}: {n} and {m}");
            }
            let size = (0..count).map(|n| offsets[n] + pieces[n].size).max().unwrap();
            assert!(size >= live && size <= 3 * live, "seed {seed}: {size} bytes for {live}");
        }
    }
}

/// Where very many pieces are alive at once, they are placed all the same, and soon.
#[test]
fn many_pieces() {
    let count = 60_000;
    let all = |first: fn(usize) -> usize, last: fn(usize) -> usize| -> Arenas {
        let piece = |n| LiveRange { buffer: BufferId(n), size: 256, first: first(n), last: last(n) };
        place(&(0..count).map(piece).collect::<Vec<_>>(), &vec![0; count])
    };
    assert_eq!(all(|_| 0, |_| 60_000).sizes, [256 * 60_000]);
    assert_eq!(all(|n| n, |n| n + 1).sizes, [512]);
    assert_eq!(all(|_| 0, |n| n).sizes, [256 * 60_000]);
}
