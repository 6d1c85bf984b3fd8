//! Numbers that decide. A graph is drawn from lists of bytes, so that whoever makes the bytes smaller makes the graph
//! simpler: of all choices the first is the simplest, and bytes that are missing are zeros.

/// Decisions, one byte each.
pub(crate) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// A number below `count`, which is not zero.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (usize::from(self.bytes.next().copied().unwrap_or(0)) * count) >> 8
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(usize::try_from(high - low + 1).unwrap_or(1)) as i64
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Yes in so many cases of a hundred.
    pub(crate) fn odds(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }
}
