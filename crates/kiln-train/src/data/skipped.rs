//! The parts of a data set that were skipped because they cannot be read.

/// How much was skipped, and the first reasons: of a million bad lines a few are enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    count: usize,
    reasons: Vec<String>,
}

impl Skipped {
    /// Reasons that are kept.
    const MOST: usize = 16;

    /// Counts something that is left out for this reason.
    pub fn add(&mut self, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.reasons.len() < Self::MOST {
            self.reasons.push(reason());
        }
    }

    /// Counts as much as `count` for one reason.
    pub fn add_many(&mut self, count: usize, reason: impl FnOnce() -> String) {
        if count > 0 {
            self.add(reason);
            self.count += count - 1;
        }
    }

    /// How much was left out.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first reasons.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}
