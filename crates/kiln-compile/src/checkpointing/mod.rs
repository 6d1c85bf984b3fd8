//! Gradient checkpointing: a step that keeps fewer activations from the forward pass for the backward pass, and computes the
//! others again when the backward pass comes to them (Chen et al., "Training Deep Nets with Sublinear Memory Cost",
//! arXiv:1604.06174).
//!
//! ```text
//! before: a = conv(x, v)   b = relu(a)   c = conv(b, w)   ...   w' = grad(b, c')   a' = grad(b, b')
//! after:  a = conv(x, v)   b = relu(a)   c = conv(b, w)   ...   d = conv(x, v)   e = relu(d)   w' = grad(e, c')   ...
//! ```
//!
//! What is kept is decided from [`Level`] to level, each of which keeps less and computes more. The results are the same, bit
//! by bit: random numbers depend on a counter, not on when they are drawn.

mod kept;
mod rewrite;
#[cfg(test)]
mod tests;

use kiln_graph::{Bindings, Graph, GraphError};

use kept::Forward;
use rewrite::recomputed;

/// How much is computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What follows elementwise from other activations that are kept anyway: normalized values and their activations.
    Elementwise,
    /// All but what passes from one segment of the forward pass to the next, and the last segment; the activations of a
    /// segment take one part in so many.
    Segments(u64),
}

/// From what costs least to what keeps least.
pub(crate) const LEVELS: &[Level] = &[
    Level::Elementwise,
    Level::Segments(2),
    Level::Segments(3),
    Level::Segments(4),
    Level::Segments(6),
    Level::Segments(8),
    Level::Segments(12),
    Level::Segments(16),
    Level::Segments(24),
    Level::Segments(32),
];

/// A step with less to keep.
pub(crate) struct Checkpointed {
    /// The step.
    pub graph: Graph,
    /// Nodes that it computes again.
    pub nodes: usize,
    /// Their arithmetic as a share of that of the forward pass.
    pub share_of_forward: f64,
}

/// A step, which is a graph after all passes, with less to keep. `None` where there is nothing to compute again.
pub(crate) fn checkpointed(
    step: &Graph,
    level: Level,
    max: &Bindings,
) -> Result<Option<Checkpointed>, GraphError> {
    let Some(forward) = Forward::of(step, max) else { return Ok(None) };
    let kept = match level {
        Level::Elementwise => forward.without_elementwise(),
        Level::Segments(count) => forward.between_segments(count),
    };
    let (graph, again) = recomputed(step, &forward.is_forward, &kept)?;
    let whole: f64 = step.node_ids().map(|id| forward.work[id.index()]).sum();
    let share_of_forward = again.iter().map(|id| forward.work[id.index()]).sum::<f64>() / whole.max(1.0);
    let nodes = again.len();
    Ok((nodes > 0).then_some(Checkpointed { graph, nodes, share_of_forward }))
}
