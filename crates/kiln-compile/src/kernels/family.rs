//! What a family of kernels says of itself: which variants it has for a problem, what each demands of the device and of
//! its operands, what it would cost, and how it becomes launches.

use std::fmt;

use super::builder::KernelBuilder;
use super::problem::Problem;
use crate::element::WordOf;
use crate::error::CompileError;
use crate::layout::Layout;
use crate::memory::packed::PackedShape;
use crate::memory::winograd::Winograd;
use crate::target::Target;
use crate::wgsl::template::Template;

/// A family of kernels: one row of the [`TABLE`](super::table::TABLE).
pub(crate) struct Family {
    /// The name, in choices and listings.
    pub name: &'static str,
    /// Its templates.
    pub templates: &'static [Template],
    /// The variants that compute a problem on a kind of device; none if the family is not for it.
    pub space: fn(&Problem, &Target) -> Vec<Knobs>,
    /// What a variant needs.
    pub demands: fn(&Problem, &Knobs) -> Demands,
    /// What a variant would take.
    pub cost: fn(&Problem, &Knobs, &Target) -> Estimate,
    /// The launches of a variant, whose operands are laid out as it demands.
    pub realize: fn(&mut KernelBuilder<'_, '_>, &Knobs) -> Result<(), CompileError>,
}

/// The parameters of a variant: names and numbers, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Knobs(Vec<(&'static str, i64)>);

impl Knobs {
    /// From names and numbers in any order.
    pub fn new<const N: usize>(knobs: [(&'static str, i64); N]) -> Self {
        let mut knobs = knobs.to_vec();
        knobs.sort_unstable();
        Self(knobs)
    }

    /// With one more.
    pub fn with(mut self, name: &'static str, number: i64) -> Self {
        self.0.push((name, number));
        self.0.sort_unstable();
        self
    }

    /// The number of that name; 0 if there is none.
    pub fn get(&self, name: &str) -> i64 {
        self.0.iter().find(|(n, _)| *n == name).map_or(0, |(_, number)| *number)
    }

    /// As [`Knobs::get`], for what counts.
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.get(name)).unwrap_or(0)
    }
}

/// A variant of a family. Its text, `conv_depthwise lines=14 run=7`, names it in pins, records and listings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The family's name.
    pub family: &'static str,
    /// Its parameters.
    pub knobs: Knobs,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family)?;
        self.knobs.0.iter().try_for_each(|(name, number)| write!(f, " {name}={number}"))
    }
}

/// How a kernel reads an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OperandLayout {
    /// Wherever it is stored, through a view.
    Strided,
    /// `[N, C, spatial...]` as rows of channels, one for each position.
    ChannelRows,
    /// `[1.., rows, columns]` as rows of columns.
    MatrixRows,
    /// As rows of the taps that a window sees along the width, see `lower/im2col.rs`.
    PartialIm2col,
    /// As a tensor in the layout it is stored in, rows padded to four.
    Kept,
    /// As a tensor.
    Tensor(Layout),
    /// As row-major matrices, for a product, whose rows and columns may have to be exchanged first.
    Matrix {
        /// Whether to exchange them.
        transposed: bool,
    },
    /// A constant as panels.
    Packed(PackedShape),
    /// A constant weight of 3x3 windows, transformed, as panels of each product.
    Winograd {
        /// How it is transformed.
        by: Winograd,
        /// Columns of a tile, in elements.
        width: usize,
    },
    /// A constant matrix as panels, by its last two axes, counted from the first of them.
    PackedMatrix {
        /// The axis that k runs over.
        k_axis: usize,
        /// The axis that is the columns.
        column_axis: usize,
        /// Columns of a tile, in elements.
        width: usize,
        /// What words of 8-bit numbers are made of.
        word_of: WordOf,
    },
}

/// What a variant needs of the device and of its operands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demands {
    /// Layouts of the anchor's operands; those that are not listed are not read.
    pub operands: Vec<OperandLayout>,
    /// Loop iterations of an invocation.
    pub loop_iterations: i64,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Subgroups of exactly this size.
    pub subgroup_size: Option<u32>,
    /// Bytes of the largest buffer that only these kernels use.
    pub binding: i64,
    /// Whether results are sums of other products than those that the operator is defined by.
    pub rearranged: bool,
}

impl Demands {
    /// Of a kernel with one element or vector an invocation, and so many loop iterations for each.
    pub(crate) fn simple(operands: Vec<OperandLayout>, loop_iterations: i64) -> Self {
        Self { operands, loop_iterations, invocations: 64, ..Self::default() }
    }
}

/// What a variant would take, in quantities that do not depend on how fast a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Launches.
    pub launches: u32,
    /// Invocations that have work, in all launches.
    pub invocations: f64,
    /// Work of an invocation: multiply-adds of vectors of four, and loads by what they cost beside one.
    pub work: f64,
    /// Bytes that are copied to another layout first, or kept as partial results.
    pub bytes: f64,
    /// Bytes that come through the caches while it is computed.
    pub traffic: f64,
    /// Parts of sums that an invocation of another kernel adds up, one after the other.
    pub parts: f64,
}

impl Estimate {
    /// One launch of `invocations` that are lanes of vectors, each with this much work.
    pub fn of(invocations: i64, work: f64) -> Self {
        let whole = invocations.saturating_add(LANES - 1) / LANES * LANES;
        Self { launches: 1, invocations: float(whole), work, ..Self::default() }
    }

    /// With another kernel that adds up so many parts of sums, which take so many bytes.
    pub(crate) fn added_up(self, parts: i64, bytes: f64) -> Self {
        Self { launches: self.launches + 1, bytes: self.bytes + bytes, parts: float(parts), ..self }
    }
}

/// Invocations that a processor runs together, whether all of them have work or not: eight on CPUs with AVX2.
const LANES: i64 = 8;

/// A count as a float.
#[allow(clippy::as_conversions, reason = "an estimate need not be exact")]
pub(crate) fn float(count: i64) -> f64 {
    count as f64
}
