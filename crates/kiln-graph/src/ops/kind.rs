//! What kind of work an operator is, for pictures and tables of graphs.

use super::Op;

/// A kind of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sums of products: convolutions, matrix products, and the gradients of weights.
    Product,
    /// Windows: pooling, its gradient, interpolation.
    Window,
    /// Normalization, and softmax.
    Normalization,
    /// Arithmetic element by element.
    Elementwise,
    /// Sums, extremes and orders along axes.
    Reduction,
    /// The same elements at other places.
    Movement,
    /// Numbers that follow from sizes, or are random.
    Source,
    /// A loop.
    Loop,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Product,
        Self::Window,
        Self::Normalization,
        Self::Elementwise,
        Self::Reduction,
        Self::Movement,
        Self::Source,
        Self::Loop,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Window => "window",
            Self::Normalization => "normalization",
            Self::Elementwise => "elementwise",
            Self::Reduction => "reduction",
            Self::Movement => "movement",
            Self::Source => "source",
            Self::Loop => "loop",
        }
    }
}

impl Op {
    /// What kind of work it is.
    pub fn kind(&self) -> Kind {
        match self {
            Op::Conv(_) | Op::MatMul(_) | Op::ConvGradWeight(_) => Kind::Product,
            Op::Pool(_) | Op::PoolGrad(_) | Op::Resize(_) => Kind::Window,
            Op::BatchNorm(_) | Op::Softmax(_) => Kind::Normalization,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::Dropout(_) | Op::StopGradient => {
                Kind::Elementwise
            }
            Op::Reduce(_) | Op::ArgReduce(_) | Op::ArgSort(_) | Op::Nonzero(_) | Op::Suppress(_) => {
                Kind::Reduction
            }
            Op::Reshape(_)
            | Op::Expand(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Gather(_)
            | Op::GatherElements(_)
            | Op::Scatter(_) => Kind::Movement,
            Op::ShapeOf(_) | Op::Iota(_) | Op::Size(_) | Op::Random(_) => Kind::Source,
            Op::Loop(_) => Kind::Loop,
        }
    }
}
