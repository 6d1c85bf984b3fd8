//! Errors of plans and plan files, in terms of the file's parts.

use std::io;
use std::path::PathBuf;

use crate::Access;

/// Why a plan cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A writer or reader that is not a named file failed.
    #[error("plan stream: {0}")]
    Stream(#[from] io::Error),
    /// The first bytes are not those of a plan.
    #[error(
        "not a plan file: it begins with {found:?}, a plan with \"KILNPLAN\"; `kiln compile` makes plans from models"
    )]
    NotAPlan {
        /// The first bytes, printable.
        found: String,
    },
    /// The file is of another version of the format.
    #[error(
        "plan format version {found}; this build reads version {known}: compile the model again (`kiln compile MODEL -o \
         PLAN`)"
    )]
    Version {
        /// The version in the file.
        found: u32,
        /// The version this crate reads.
        known: u32,
    },
    /// The file ends too early.
    #[error("the plan file is truncated: {part} needs {needed} bytes, {found} are there")]
    Truncated {
        /// Which part of the file.
        part: &'static str,
        /// Bytes it should have.
        needed: u64,
        /// Bytes that are left.
        found: u64,
    },
    /// Bytes follow after the end.
    #[error("{count} bytes follow the end of the plan: the file is damaged")]
    Trailing {
        /// How many.
        count: u64,
    },
    /// A checksum does not match.
    #[error("the {part} of the plan file is damaged: checksum {found:08x}, recorded {recorded:08x}")]
    Checksum {
        /// Which part of the file.
        part: &'static str,
        /// Of the bytes there.
        found: u32,
        /// As written in the file.
        recorded: u32,
    },
    /// The bytes that fill the file up to an alignment are not zero.
    #[error("the padding of the plan file is damaged: it holds a byte that is not zero")]
    Padding,
    /// The header is not protobuf of the expected form.
    #[error("the header of the plan file cannot be decoded: {0}")]
    Header(#[from] prost::DecodeError),
    /// A part of the plan is wrong.
    #[error("{at}: {problem}")]
    Invalid {
        /// Which part, by name.
        at: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the messages print")]
pub enum Problem {
    #[error("{count} {what}, at most {limit} are allowed")]
    TooMany { what: &'static str, count: usize, limit: usize },
    #[error("two {what} are called `{name}`")]
    Duplicate { what: &'static str, name: String },
    #[error("its {0} is missing")]
    Missing(&'static str),
    #[error("{what} {index} does not exist, there are {count}")]
    Index { what: &'static str, index: usize, count: usize },
    #[error("the {what} {value} does not fit this machine")]
    Number { what: &'static str, value: u64 },
    #[error("{value} is not a known {what}")]
    Unknown { what: &'static str, value: i32 },
    #[error("`{name}` is not a known {what}")]
    UnknownName { what: &'static str, name: String },
    #[error("the maximum is 0, it must be at least 1")]
    SymbolMaximum,
    #[error("{what} {value} is not a multiple of {of}")]
    Multiple { what: &'static str, value: u64, of: u64 },
    #[error("its size is 0, and empty {0} cannot be bound")]
    Empty(&'static str),
    #[error("bytes {offset}..{end} are outside buffer `{buffer}` of {size} bytes")]
    Outside { offset: u64, end: u64, buffer: String, size: u64 },
    #[error("{bytes} bytes of data for a range of {size}")]
    DataSize { bytes: usize, size: u64 },
    #[error("data for buffer `{0}`, an arena: what it holds before a run has no meaning")]
    DataInArena(String),
    #[error("overlaps segment {other} in buffer `{buffer}`")]
    DataOverlap { other: usize, buffer: String },
    #[error("writes buffer `{0}`, which holds weights: they are only read")]
    WritesWeights(String),
    #[error("buffer `{buffer}` is bound {} by binding {first} and {} by binding {second}; WebGPU refuses that in one dispatch", access(.a), access(.b))]
    Conflict { buffer: String, first: usize, a: Access, second: usize, b: Access },
    #[error("{found} bindings, its shader `{shader}` has {expected}")]
    Bindings { found: usize, shader: String, expected: usize },
    #[error("{words} parameter words ({} bytes) do not fit the {size} bytes of shader `{shader}`", .words * 4)]
    Params { words: usize, size: u32, shader: String },
    #[error("{needs} {what}, but the plan asks devices for {asks}: its requirements are wrong")]
    Requirement { what: &'static str, needs: u64, asks: u64 },
    #[error("{value} workgroups in {axis} with all symbols at their maximum, 0 to 65535 are possible")]
    Workgroups { axis: char, value: i64 },
    #[error(
        "{count} workgroups in a run with all symbols at their maximum, at most {limit} are allowed; a host \
         program can raise \
         `Limits::workgroups`"
    )]
    Work { count: u128, limit: u64 },
    #[error(
        "{count} workgroups with all symbols at their maximum for {bytes} bytes of bindings: there is \
         nothing for them to do"
    )]
    Idle { count: u128, bytes: u64 },
    #[error("{what} names itself")]
    Recursive { what: &'static str },
    #[error("an expression is nested {0} deep or more")]
    ExprDepth(usize),
    #[error("an expression has more than {0} parts")]
    ExprSize(usize),
    #[error("an expression divides by {0}; divisors are at least 1")]
    Divisor(i64),
    #[error("the layout {order:?} is not an order of {rank} dimensions")]
    Order { order: Vec<usize>, rank: usize },
    #[error("{0} lanes, 1 or 4 are possible")]
    Lanes(usize),
    #[error("dimension {axis} is {value} with all symbols at their maximum")]
    Dimension { axis: usize, value: i64 },
    #[error("it takes {needs} bytes with all symbols at their maximum, its range has {size}")]
    TensorSize { needs: u128, size: u64 },
    #[error("{count} dispatches from {first} on are repeated; the program has {dispatches}")]
    Repeated { first: usize, count: usize, dispatches: usize },
    #[error("dispatch {first} is repeated, but the repeat before it ends in front of {end}")]
    RepeatOrder { first: usize, end: usize },
    #[error("{0} steps with all symbols at their maximum")]
    Steps(i64),
    #[error("`{0}` is not in a buffer for states")]
    NotKept(String),
    #[error("{roles} roles for {inputs} inputs")]
    Roles { roles: usize, inputs: usize },
    #[error("{dtype} elements cannot be stored as {storage}")]
    Storage { dtype: &'static str, storage: &'static str },
    #[error("the {what} has {bytes} bytes, at most {limit} are allowed")]
    TooLong { what: &'static str, bytes: usize, limit: usize },
    #[error("the {what} is {value}, which cannot be used")]
    NotUsable { what: &'static str, value: String },
    #[error("{found} numbers for the {what}; one, or {expected}, would fit")]
    PerChannel { what: &'static str, found: usize, expected: usize },
    #[error("{what} `{tensor}` is not dense and in order (order {order:?}, {lanes} lanes)")]
    NotDense { what: &'static str, tensor: String, order: Vec<usize>, lanes: usize },
    #[error(
        "the size of axis {axis} of the output `{output}` is wrong: it has to be an integer without dimensions, one for each axis"
    )]
    OutputSize { output: String, axis: usize },
}

impl Problem {
    /// [`Problem::TooMany`] of numbers that may not fit a `usize`.
    pub(crate) fn too_many(what: &'static str, count: u64, limit: u64) -> Self {
        let [count, limit] = [count, limit].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Self::TooMany { what, count, limit }
    }
}

fn access(access: &Access) -> &'static str {
    match access {
        Access::Read => "read-only",
        Access::ReadWrite => "read-write",
    }
}
