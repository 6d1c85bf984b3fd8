//! What a kernel has to compute, as plain data: no ids, no symbols.
//!
//! Two groups with equal problems get the same kernel, in this model or in another one, so that what was measured for one
//! holds for the other. The text form is the key of a record.

use std::fmt;

use kiln_graph::ops::ReduceKind;
use kiln_graph::{Bindings, Dim};
use kiln_plan::Storage;

/// A size as far as the choice of a kernel depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// The maximum.
    pub max: i64,
    /// Whether it is always the maximum.
    pub fixed: bool,
    /// The largest power of two, up to 64, that divides it for every value of the symbols.
    pub multiple: i64,
}

impl Size {
    /// Of a dimension.
    pub fn of(dim: &Dim, max: &Bindings) -> Self {
        let multiple = [64, 32, 16, 8, 4, 2].into_iter();
        let divides = |n: &i64| dim.terms().iter().all(|(_, coefficient)| coefficient % n == 0);
        Self {
            max: dim.upper(max),
            fixed: dim.as_usize().is_some(),
            multiple: multiple.into_iter().find(divides).unwrap_or(1),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.fixed {
            return write!(f, "{}", self.max);
        }
        write!(f, "<={}", self.max)?;
        if self.multiple > 1 { write!(f, "%{}", self.multiple) } else { Ok(()) }
    }
}

/// A window that moves over the spatial dimensions of `x`, giving those of `y`: of a convolution or a pooling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// `[N, C, spatial...]`
    pub x: Vec<Size>,
    /// `[N, C, spatial...]`
    pub y: Vec<Size>,
    /// Sizes of the window.
    pub kernel: Vec<usize>,
    /// Distance of neighbouring windows.
    pub strides: Vec<usize>,
    /// Distance of neighbouring taps.
    pub dilations: Vec<usize>,
    /// Padding before and after.
    pub pads: Vec<[i64; 2]>,
    /// Distance of neighbouring input elements, zeros between them.
    pub input_dilations: Vec<usize>,
}

impl Window {
    /// Number of elements of the window.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Whether there are zeros between input elements (transposed convolution).
    pub fn is_dilated(&self) -> bool {
        self.input_dilations.iter().any(|d| *d > 1)
    }

    /// Number of positions of the window, at the maximum.
    pub fn positions(&self) -> i64 {
        product(self.y.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, size)| size))
    }
}

/// A count as the type of maxima; what is larger than any of them is the largest.
pub(crate) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count in groups of `by`, the last one perhaps not full.
pub(crate) fn ceil_div(count: i64, by: i64) -> i64 {
    count / by + i64::from(count % by > 0)
}

/// The product of maxima.
pub(crate) fn product<'a>(sizes: impl Iterator<Item = &'a Size>) -> i64 {
    sizes.fold(1, |all, size| all.saturating_mul(size.max))
}

/// A convolution, or the gradient of its weights.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvProblem {
    /// The window.
    pub window: Window,
    /// Groups of channels.
    pub groups: usize,
    /// Input channels of a group.
    pub group_in: usize,
    /// Output channels of a group.
    pub group_out: usize,
}

/// A matrix product, or a batch of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatMulProblem {
    /// Matrices.
    pub batches: Size,
    /// Rows of the result.
    pub rows: Size,
    /// Columns of the result.
    pub columns: Size,
    /// Terms of each sum.
    pub depth: Size,
    /// Whether the operands are transposed.
    pub transposed: [bool; 2],
    /// Whether the right matrix is the same for all batches.
    pub shared_right: bool,
}

/// What the anchor of a group computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Convolution.
    Conv(ConvProblem),
    /// The gradient of a convolution's weights.
    ConvGradWeight(ConvProblem),
    /// Matrix product.
    MatMul(MatMulProblem),
    /// `a^T b` over many rows of both: the gradient of a linear layer's weights.
    OuterProduct {
        /// Rows of the result.
        rows: usize,
        /// Columns of the result.
        columns: usize,
        /// Terms of each sum.
        depth: Size,
    },
    /// Pooling.
    Pool {
        /// The window.
        window: Window,
        /// Whether it is the maximum.
        max: bool,
    },
    /// The gradient of pooling.
    PoolGrad {
        /// The window.
        window: Window,
        /// Whether it is the maximum.
        max: bool,
    },
    /// Reduction over some axes.
    Reduce {
        /// How elements are combined.
        kind: ReduceKind,
        /// Elements combined to one.
        length: i64,
        /// Results.
        results: i64,
    },
    /// Sum over everything but the channels, or over everything, with a prologue.
    SumColumns {
        /// Whether squared differences from the mean are added up.
        variance: bool,
        /// Rows.
        rows: Size,
        /// Columns.
        columns: Size,
    },
    /// Arg-max and arg-min.
    ArgReduce {
        /// Elements of a line.
        length: Size,
        /// Lines.
        lines: i64,
    },
    /// Softmax.
    Softmax {
        /// Elements of a line.
        length: Size,
        /// Lines.
        lines: i64,
    },
    /// Indices that sort lines.
    ArgSort {
        /// Elements of a line.
        length: Size,
        /// Lines.
        lines: i64,
        /// Rank of what is sorted.
        rank: usize,
        /// Bits of the element type that decide the order.
        bits: u32,
    },
    /// Positions of elements that are not zero.
    Nonzero {
        /// Elements.
        elements: i64,
        /// Rank of what is searched.
        rank: usize,
    },
    /// Non-maximum suppression.
    Suppress {
        /// Boxes of a line.
        boxes: Size,
        /// Lines.
        lines: i64,
        /// Rank of the boxes.
        rank: usize,
    },
    /// Writing to indices that are data.
    Scatter {
        /// Elements of the result.
        elements: i64,
        /// Indices that each element looks at.
        indices: Size,
    },
    /// Something that reads few elements for each one it stores.
    Simple {
        /// The operator's name.
        op: &'static str,
        /// Elements of the result.
        elements: i64,
    },
}

/// Where an operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Known now: it can be packed.
    Constant,
    /// Kept from run to run, in a layout of its own.
    State,
    /// Given or computed.
    Computed,
}

/// An operand of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperandKind {
    /// Element type in memory.
    pub element: Storage,
    /// Where it comes from.
    pub source: Source,
    /// What added to numbers of 8 bits with a sign gives its elements, where they are known to be such.
    pub bytes: Option<i32>,
}

/// The elementwise nodes behind an anchor, as far as the choice of a kernel depends on them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct EpilogueSummary {
    /// Names of the operators.
    pub operators: Vec<&'static str>,
    /// Values read from memory.
    pub reads: usize,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What is computed.
    pub operation: Operation,
    /// The anchor's operands.
    pub operands: Vec<OperandKind>,
    /// Element type of the result in memory.
    pub result: Storage,
    /// What is computed behind it.
    pub epilogue: EpilogueSummary,
}

/// The largest sum of so many products of numbers of 8 bits, one of each with a sign, fits 32 bits.
const MOST_WHOLE_TERMS: i64 = 1 << 16;

impl Problem {
    /// Whether what is multiplied is what tiles are written for: floats of up to 32 bits, or 32-bit integers.
    pub fn fits_tiles(&self) -> bool {
        let fits = |element| matches!(element, Storage::F32 | Storage::F16 | Storage::I32);
        self.operands.iter().all(|operand| fits(operand.element))
    }

    /// Whether all operands are floats in memory.
    pub fn has_floats(&self) -> bool {
        self.operands.iter().all(|operand| matches!(operand.element, Storage::F32 | Storage::F16))
    }

    /// Whether both operands are whole numbers of 8 bits, the right ones with a sign, of which sums of so many products
    /// fit 32 bits.
    pub fn admits_dot4(&self, terms: i64) -> bool {
        let [left, right] = self.operands[..] else { return false };
        left.bytes.is_some() && right.bytes == Some(0) && terms <= MOST_WHOLE_TERMS
    }

    /// What added to numbers of 8 bits gives the elements of the left operand.
    pub fn left_from(&self) -> Option<i32> {
        self.operands.first()?.bytes
    }

    /// Whether an operand is a constant.
    pub fn is_constant(&self, operand: usize) -> bool {
        self.operands.get(operand).is_some_and(|operand| operand.source == Source::Constant)
    }
}
