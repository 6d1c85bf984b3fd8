//! Numbers without a pattern.

/// Xorshift.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u32) -> Self {
        let mut random = Self((u64::from(seed) << 1) | 1 << 40);
        random.below(2);
        random
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }

    /// One time out of `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len())).cloned()
    }

    pub fn within<'a, T>(&mut self, of: &'a mut [T]) -> Option<&'a mut T> {
        let at = self.below(of.len());
        of.get_mut(at)
    }
}
