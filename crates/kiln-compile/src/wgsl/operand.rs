//! What an expression reads: operands wherever they are stored, with coordinates that may be changed first.

use kiln_graph::{DType, Dim};

use crate::memory::buffer::View;

/// What happens to a coordinate of the space before it becomes one of an operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Remap {
    /// Shifted by the padding before; outside, the operand is a value.
    Constant {
        /// Elements of padding before the first.
        before: i64,
        /// The value outside.
        value: f32,
    },
    /// Shifted and mirrored at the ends.
    Reflect {
        /// Elements of padding before the first.
        before: i64,
    },
    /// Shifted and clamped.
    Edge {
        /// Elements of padding before the first.
        before: i64,
    },
    /// Shifted, modulo the size of what is not cropped.
    Wrap {
        /// Elements of padding before the first.
        before: i64,
        /// How many elements are cropped in front.
        first: i64,
        /// How many are cropped behind.
        last: i64,
    },
}

/// Something an expression reads.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// Where it is stored; strides are by logical dimension of the space (0 where it is broadcast).
    pub view: View,
    /// The element type it is computed with.
    pub dtype: DType,
    /// Coordinates that are changed first: axis, size of the operand there, how.
    pub remaps: Vec<(usize, Dim, Remap)>,
    /// An index that is added: the operand (by number) that holds it, and the size and stride of the axis it is for.
    pub gather: Option<(usize, Dim, Dim)>,
}

impl Operand {
    /// An operand that is read as it is stored.
    pub(crate) fn plain(view: View, dtype: DType) -> Self {
        Self { view, dtype, remaps: Vec::new(), gather: None }
    }
}
