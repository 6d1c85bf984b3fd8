//! Offsets of ranges within an arena.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::live_range::LiveRange;

/// Offsets of the ranges `members` of an arena: largest first, each at the lowest place that is free for its whole
/// live range. Nothing if that means to look at more than `most` pairs.
pub(super) fn by_size(ranges: &[LiveRange], members: &[usize], most: usize) -> Option<Vec<u64>> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|i| (Reverse(ranges[members[*i]].size), ranges[members[*i]].first));
    let mut offsets = vec![0; members.len()];
    // Of few ranges it is quicker to look at all.
    let few = members.len() <= 512;
    let end = members.iter().map(|n| ranges[*n].last + 1).max().unwrap_or(0);
    let mut placed = InTime::new(if few { 0 } else { end });
    let mut left = most;
    let mut busy: Vec<(u64, u64)> = Vec::new();
    for (at, i) in order.iter().copied().enumerate() {
        let live = &ranges[members[i]];
        busy.clear();
        if few {
            let before = order[..at].iter().map(|j| (&ranges[members[*j]], offsets[*j]));
            let alive = before.filter(|(other, _)| other.first <= live.last && live.first <= other.last);
            busy.extend(alive.map(|(other, offset)| (offset, offset + other.size)));
        } else {
            placed.find(live.first, live.last, &mut busy);
        }
        left = left.checked_sub(busy.len())?;
        busy.sort_unstable();
        offsets[i] = first_gap(&busy, live.size);
        if !few {
            placed.insert(live.first, live.last, (offsets[i], offsets[i] + live.size));
        }
    }
    Some(offsets)
}

/// Ranges of bytes by the time in which they are taken: a segment tree over launches.
struct InTime {
    /// Leaves, a power of two.
    width: usize,
    /// By node: ranges that are taken during all of its time and not during all of its parent's.
    here: Vec<Vec<(u64, u64)>>,
    /// By node: ranges that are here in a node below it.
    below: Vec<Vec<(u64, u64)>>,
}

impl InTime {
    fn new(launches: usize) -> Self {
        let width = launches.next_power_of_two();
        Self { width, here: vec![vec![]; 2 * width], below: vec![vec![]; 2 * width] }
    }

    /// The nodes that make up a time together.
    fn nodes(&self, first: usize, last: usize) -> Vec<usize> {
        let (mut low, mut high) = (first + self.width, last + self.width + 1);
        let mut nodes = Vec::new();
        while low < high {
            if low % 2 == 1 {
                nodes.push(low);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                nodes.push(high);
            }
            low /= 2;
            high /= 2;
        }
        nodes
    }

    fn insert(&mut self, first: usize, last: usize, range: (u64, u64)) {
        for node in self.nodes(first, last) {
            self.here[node].push(range);
            let mut above = node / 2;
            while above > 0 {
                // The nodes of one time lie side by side, so what is above several of them is met in a row.
                if self.below[above].last() != Some(&range) {
                    self.below[above].push(range);
                }
                above /= 2;
            }
        }
    }

    /// All ranges that are taken at some time from `first` to `last`, some of them more than once.
    fn find(&self, first: usize, last: usize, found: &mut Vec<(u64, u64)>) {
        let mut seen = BTreeSet::new();
        for node in self.nodes(first, last) {
            found.extend(&self.below[node]);
            let mut above = node;
            while above > 0 && seen.insert(above) {
                found.extend(&self.here[above]);
                above /= 2;
            }
        }
    }
}

/// Offsets of the ranges `members` of an arena in order of time: each in the smallest hole that is large enough, or at the
/// end. Close to what [`by_size`] finds where ranges are of few sizes or none of them ends.
pub(super) fn in_time(ranges: &[LiveRange], members: &[usize]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|i| (ranges[members[*i]].first, Reverse(ranges[members[*i]].size)));
    let mut offsets = vec![0; members.len()];
    let mut alive: BinaryHeap<(Reverse<usize>, u64, u64)> = BinaryHeap::new();
    let mut holes = Holes::default();
    for i in order {
        let live = &ranges[members[i]];
        while let Some((Reverse(last), offset, size)) = alive.peek().copied()
            && last < live.first
        {
            holes.give(offset, size);
            alive.pop();
        }
        offsets[i] = holes.take(live.size);
        alive.push((Reverse(live.last), offsets[i], live.size));
    }
    offsets
}

/// The bytes of an arena that nothing is in.
#[derive(Default)]
struct Holes {
    /// Sizes by offset; none touches another.
    by_offset: BTreeMap<u64, u64>,
    /// The same, by size first.
    by_size: BTreeSet<(u64, u64)>,
    /// The arena's size so far.
    end: u64,
}

impl Holes {
    fn take(&mut self, size: u64) -> u64 {
        let hole = self.by_size.range((size, 0)..).next().copied();
        // What ends where the arena does can grow.
        let last = self.by_offset.last_key_value().map(|(offset, size)| (*size, *offset));
        let last = last.filter(|(size, offset)| offset + size == self.end);
        let Some((room, offset)) = hole.or(last) else {
            self.end += size;
            return self.end - size;
        };
        self.by_size.remove(&(room, offset));
        self.by_offset.remove(&offset);
        self.end = self.end.max(offset + size);
        if room > size {
            self.by_size.insert((room - size, offset + size));
            self.by_offset.insert(offset + size, room - size);
        }
        offset
    }

    fn give(&mut self, mut offset: u64, mut size: u64) {
        if let Some((before, room)) = self.by_offset.range(..offset).next_back().map(|(o, s)| (*o, *s))
            && before + room == offset
        {
            self.remove(before, room);
            (offset, size) = (before, size + room);
        }
        if let Some(room) = self.by_offset.get(&(offset + size)).copied() {
            self.remove(offset + size, room);
            size += room;
        }
        self.by_offset.insert(offset, size);
        self.by_size.insert((size, offset));
    }

    fn remove(&mut self, offset: u64, size: u64) {
        self.by_offset.remove(&offset);
        self.by_size.remove(&(size, offset));
    }
}

/// The lowest offset where `size` bytes fit between the `busy` ranges, which are sorted.
pub(super) fn first_gap(busy: &[(u64, u64)], size: u64) -> u64 {
    let mut at = 0;
    for (start, end) in busy {
        if at + size <= *start {
            return at;
        }
        at = at.max(*end);
    }
    at
}
