//! Which passes run, in which order.

use kiln_graph::{Graph, GraphError};

use super::sequence::Pass;

/// The passes of an inference plan, in their order.
pub const INFERENCE: &[(&str, Pass)] = &[
    ("freeze", super::freeze::run),
    ("bounds", super::bounds::run),
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("whole_numbers", super::whole_numbers::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("affine", super::affine::run),
    ("pad", super::pad::run),
    ("bodies", bodies),
    ("dead_code", super::dead_code::run),
];

/// The passes of a plan whose states stay states, in their order.
pub const TRAINING: &[(&str, Pass)] = &[
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("pad", super::pad::run),
    ("recompute", super::recompute::run),
    ("bodies", bodies),
    ("dead_code", super::dead_code::run),
];

/// What follows where weights and activations are kept in 16 bits.
pub const HALVES: &[(&str, Pass)] = &[("halves", super::halves::run), ("dead_code", super::dead_code::run)];

/// Bodies of loops have no states, also in training, so their passes are those of an inference plan.
fn bodies(graph: &Graph) -> Result<Graph, GraphError> {
    super::bodies::run(graph, INFERENCE)
}
