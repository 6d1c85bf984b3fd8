//! Buffers, tensors in them, and views.

use kiln_graph::{Dim, TensorType};
use kiln_plan::{Layout, Storage};

use crate::element::{Packing, Vec4Access, memory_scalar};

/// A buffer that has no place yet: what the memory planner places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BufferId(pub usize);

/// A tensor, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(pub usize);

/// The symbol that is the number of a loop's step, in the views of its body. No model has one of this name.
pub(crate) const STEP: &str = "%step";

/// What a buffer holds.
#[derive(Clone, Debug)]
pub(crate) enum BufferInit {
    /// Given by the caller.
    Input,
    /// Known now.
    Weights(Vec<u8>),
    /// Written by a kernel.
    Activation,
    /// Kept from run to run: the number of a state in [`States`](super::states::States).
    State(usize),
}

/// See [`BufferId`].
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// The value it was made for.
    pub name: String,
    /// The type of its elements.
    pub element: Storage,
    /// How its elements are numbers of 8 bits, if they are.
    pub packed: Option<Packing>,
    /// Size in bytes.
    pub bytes: Dim,
    /// What it holds.
    pub init: BufferInit,
}

impl Buffer {
    /// WGSL type of an element in memory; of four, where elements are packed.
    pub(crate) fn scalar(&self) -> &'static str {
        if self.packed.is_some() { "u32" } else { memory_scalar(self.element) }
    }

    /// How four neighbouring elements are loaded and stored at once.
    pub(crate) fn fours(&self) -> Vec4Access {
        match self.packed {
            Some(packing) => Vec4Access::of_bytes(self.element, packing),
            None => Vec4Access::of(self.element),
        }
    }
}

/// A tensor in memory, as the plan will list it.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    /// The value's name.
    pub name: String,
    /// Element type and shape, as the host sees them.
    pub ty: TensorType,
    /// Order of elements.
    pub layout: Layout,
    /// The buffer, from its first byte.
    pub buffer: BufferId,
}

/// How the elements of a value are found in memory: element `(i, j, ..)` is at
/// `base + i*strides[0] + j*strides[1] + ..`. Transposes and slices are only this until a kernel needs more.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// Element type in memory.
    pub element: Storage,
    /// Position of the first element.
    pub base: Dim,
    /// Distance of neighbouring elements, per dimension.
    pub strides: Vec<Dim>,
    /// Whether the lanes that pad the fastest dimension hold zeros.
    pub zero_lanes: bool,
}

/// A list of rows, each of whose elements (channels, or columns) are neighbours. The rows need not be adjacent: part of
/// a concatenation, or a slice of channels, is read where it is. Numbers are in elements, and multiples of four.
#[derive(Clone, Debug)]
pub(crate) struct RowView {
    /// The buffer.
    pub buffer: BufferId,
    /// Start of the first row.
    pub base: Dim,
    /// From one row to the next.
    pub step: Dim,
}

/// A matrix, or a batch of them: row-major, rows padded to four elements.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The buffer.
    pub buffer: BufferId,
    /// Elements of a row.
    pub columns: Dim,
    /// Elements from one matrix to the next; 0 if all batches share one.
    pub batch_stride: Dim,
}
