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

fn list<T: fmt::Display>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x={} y={} kernel={}", list(&self.x, "x"), list(&self.y, "x"), list(&self.kernel, "x"))?;
        write!(f, " strides={} dilations={}", list(&self.strides, "x"), list(&self.dilations, "x"))?;
        let pads: Vec<String> = self.pads.iter().map(|[a, b]| format!("{a}:{b}")).collect();
        write!(f, " pads={}", pads.join(","))?;
        if self.is_dilated() {
            write!(f, " input_dilations={}", list(&self.input_dilations, "x"))?;
        }
        Ok(())
    }
}

impl fmt::Display for ConvProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, groups, group_in, group_out } = self;
        write!(f, "{window} groups={groups} in={group_in} out={group_out}")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extremum = |max: &bool| if *max { "max" } else { "average" };
        match self {
            Self::Conv(conv) => write!(f, "conv {conv}"),
            Self::ConvGradWeight(conv) => write!(f, "conv_grad_weight {conv}"),
            Self::MatMul(MatMulProblem {
                batches,
                rows,
                columns,
                depth,
                transposed: [a, b],
                shared_right,
            }) => {
                write!(f, "matmul batches={batches} m={rows} n={columns} k={depth}")?;
                write!(f, " transposed={}{}", u8::from(*a), u8::from(*b))?;
                write!(f, " shared_right={}", u8::from(*shared_right))
            }
            Self::OuterProduct { rows, columns, depth } => {
                write!(f, "outer_product m={rows} n={columns} k={depth}")
            }
            Self::Pool { window, max } => write!(f, "{}_pool {window}", extremum(max)),
            Self::PoolGrad { window, max } => write!(f, "{}_pool_grad {window}", extremum(max)),
            Self::Reduce { kind, length, results } => {
                write!(f, "{} length={length} results={results}", kind.name())
            }
            Self::SumColumns { rows, columns } => write!(f, "sum_columns rows={rows} columns={columns}"),
            Self::ArgReduce { length, lines } => write!(f, "arg_reduce length={length} lines={lines}"),
            Self::Softmax { length, lines } => write!(f, "softmax length={length} lines={lines}"),
            Self::ArgSort { length, lines, bits, .. } => {
                write!(f, "arg_sort length={length} lines={lines} bits={bits}")
            }
            Self::Nonzero { elements, .. } => write!(f, "nonzero elements={elements}"),
            Self::Suppress { boxes, lines, .. } => write!(f, "suppress boxes={boxes} lines={lines}"),
            Self::Scatter { elements, indices } => write!(f, "scatter elements={elements} indices={indices}"),
            Self::Simple { op, elements } => write!(f, "{op} elements={elements}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.operation)?;
        for (n, OperandKind { element, source, bytes }) in self.operands.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let source = match source {
                Source::Constant => "constant ",
                Source::State => "state ",
                Source::Computed => "",
            };
            write!(f, "{comma}{source}{}", crate::element::memory_scalar(*element))?;
            match bytes {
                Some(0) => write!(f, " of 8 bits")?,
                Some(from) => write!(f, " of 8 bits from {}", from - 128)?,
                None => {}
            }
        }
        write!(f, ") -> {}", crate::element::memory_scalar(self.result))?;
        if !self.epilogue.operators.is_empty() {
            write!(f, " + {} reading {}", self.epilogue.operators.join("_"), self.epilogue.reads)?;
        }
        Ok(())
    }
}
