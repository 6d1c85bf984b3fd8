//! What operators are to fusion.

use kiln_graph::Op;

/// What an operator is to fusion.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of expressions.
    Elementwise,
    /// Takes an expression as its epilogue.
    Anchor,
    /// A kernel of its own.
    Alone,
    /// No kernel: a number that elementwise nodes read as a parameter.
    Free,
}

/// What `op` is.
pub(super) fn role(op: &Op) -> Role {
    match op {
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => Role::Elementwise,
        Op::Size(_) => Role::Free,
        Op::Conv(_) | Op::MatMul(_) | Op::Pool(_) | Op::Reduce(_) | Op::PoolGrad(_) => Role::Anchor,
        Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::ArgReduce(_)
        | Op::Reshape(_)
        | Op::Expand(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Nonzero(_)
        | Op::Suppress(_)
        | Op::Resize(_)
        | Op::ShapeOf(_)
        | Op::Iota(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::StopGradient
        | Op::Loop(_)
        | Op::ConvGradWeight(_) => Role::Alone,
    }
}
