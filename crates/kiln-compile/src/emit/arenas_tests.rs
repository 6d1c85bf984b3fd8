//! Whatever the heuristic, ranges that are alive at once do not overlap.

use super::{Arenas, largest_live_set, place};
use crate::emit::live_range::LiveRange;
use crate::emit::offsets::{by_size, first_gap, in_time};
use crate::memory::buffer::BufferId;

/// Moving ranges may leave an arena empty, which cannot be bound.
#[test]
fn an_arena_that_nothing_is_in_is_none() {
    let range = |n: usize| LiveRange { buffer: BufferId(n), size: 16, first: n, last: n };
    let arenas = place(&[range(0), range(1), range(2)], &[0, 2, 2]);
    assert_eq!(arenas.sizes, [16, 16]);
    assert_eq!(arenas.places.iter().map(|place| place.arena).collect::<Vec<_>>(), [0, 1, 1]);
}

/// LiveRanges without a pattern (constants of Knuth's MMIX).
fn ranges(count: usize, launches: usize, seed: u64) -> Vec<LiveRange> {
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let range = |n| {
        let (first, most) = (random(launches), 1 + random(50));
        let (long, times) = (random(20), random(8));
        let length = 1 + long * times;
        let last = (first + random(length)).min(launches);
        LiveRange { buffer: BufferId(n), size: 256 * (1 + random(most)) as u64, first, last }
    };
    (0..count).map(range).collect()
}

fn together(a: &LiveRange, b: &LiveRange) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// The same by looking at all pairs.
fn by_size_simply(ranges: &[LiveRange]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|n| (std::cmp::Reverse(ranges[*n].size), ranges[*n].first));
    let mut offsets: Vec<Option<u64>> = vec![None; ranges.len()];
    for n in order {
        let alive = (0..ranges.len()).filter(|m| together(&ranges[n], &ranges[*m]));
        let mut busy: Vec<_> =
            alive.filter_map(|m| Some((offsets[m]?, offsets[m]? + ranges[m].size))).collect();
        busy.sort_unstable();
        offsets[n] = Some(first_gap(&busy, ranges[n].size));
    }
    offsets.into_iter().flatten().collect()
}

#[test]
fn ranges_lie_apart() {
    for seed in 0..40 {
        let (count, launches) = (1 + 19 * seed as usize, 1 + 11 * (seed as usize % 9));
        let ranges = ranges(count, launches, seed);
        let members: Vec<usize> = (0..count).collect();
        let offsets = by_size(&ranges, &members, usize::MAX).unwrap();
        assert_eq!(offsets, by_size_simply(&ranges), "seed {seed}");
        let live = largest_live_set(&ranges, launches);
        let simply = (0..=launches)
            .map(|at| ranges.iter().filter(|p| p.first <= at && at <= p.last).map(|p| p.size).sum::<u64>());
        assert_eq!(live, simply.max().unwrap(), "seed {seed}");
        for offsets in [offsets, in_time(&ranges, &members)] {
            for (n, m) in (0..count).flat_map(|n| (0..n).map(move |m| (n, m))) {
                let apart =
                    offsets[n] + ranges[n].size <= offsets[m] || offsets[m] + ranges[m].size <= offsets[n];
                assert!(apart || !together(&ranges[n], &ranges[m]), "seed {seed}: {n} and {m}");
            }
            let size = (0..count).map(|n| offsets[n] + ranges[n].size).max().unwrap();
            assert!(size >= live && size <= 3 * live, "seed {seed}: {size} bytes for {live}");
        }
    }
}

/// Very many ranges that are alive at once are placed in a short time.
#[test]
fn many_ranges() {
    let count = 60_000;
    let all = |first: fn(usize) -> usize, last: fn(usize) -> usize| -> Arenas {
        let range = |n| LiveRange { buffer: BufferId(n), size: 256, first: first(n), last: last(n) };
        place(&(0..count).map(range).collect::<Vec<_>>(), &vec![0; count])
    };
    assert_eq!(all(|_| 0, |_| 60_000).sizes, [256 * 60_000]);
    assert_eq!(all(|n| n, |n| n + 1).sizes, [512]);
    assert_eq!(all(|_| 0, |n| n).sizes, [256 * 60_000]);
}
