//! Limits of a model definition. A program is executed to build the model, and it may be untrusted.

/// Bytes of a source file.
pub(crate) const MAX_SOURCE: u64 = 4 << 20;

/// Words and signs of one logical line: as deep as an expression can nest.
pub(crate) const MAX_LINE_TOKENS: usize = 20_000;

/// Bytes of an argument of the constructor: as deep as it can nest.
pub(crate) const MAX_ARGUMENT: usize = 10_000;

/// Arguments in comments.
pub(crate) const MAX_ARGUMENTS: usize = 1000;

/// Files that a model is spread over.
pub(crate) const MAX_FILES: usize = 200;

/// Limits on evaluating a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Expressions and statements evaluated.
    pub steps: u64,
    /// Calls within calls.
    pub depth: usize,
    /// Elements of lists, characters of strings and so on, all ever made.
    pub cells: u64,
    /// Elements of parameters, buffers and constants together.
    pub elements: u64,
    /// Nodes of the graph.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 5_000_000, depth: 200, cells: 10_000_000, elements: 1 << 29, nodes: 200_000 }
    }
}
