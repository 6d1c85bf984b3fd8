//! What a dispatch is made of.

/// What a dispatch runs: launches by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// A launch of its own.
    Alone(usize),
    /// Parts of a grid, each with launches that follow one another in each invocation.
    SideBySide(Vec<Vec<usize>>),
    /// Stages of one workgroup.
    InSequence(Vec<Vec<usize>>),
}

impl Merged {
    /// The launches, in an order in which they could run one by one.
    pub(crate) fn launches(&self) -> Vec<usize> {
        match self {
            Merged::Alone(launch) => vec![*launch],
            Merged::SideBySide(lists) | Merged::InSequence(lists) => lists.concat(),
        }
    }
}
