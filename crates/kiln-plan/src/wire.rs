//! The header of a plan file as protobuf. Everything of a [`Plan`] but the bytes of its segments, which follow the
//! header in the file. Types here mirror those of the crate; the way back is through checked conversions, and what
//! the numbers mean is looked at by [`check`](crate::check()) afterwards.

use prost::{Enumeration, Message, Oneof};

use crate::{LIMITS, PlanError, Problem};

mod convert;
mod metadata;
mod role;

use metadata::Metadata;
use role::Role;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    producer: String,
    #[prost(string, tag = "11")]
    target: String,
    #[prost(message, repeated, tag = "3")]
    symbols: Vec<Symbol>,
    #[prost(message, optional, tag = "4")]
    requirements: Option<Requirements>,
    #[prost(message, repeated, tag = "5")]
    shaders: Vec<Shader>,
    #[prost(message, repeated, tag = "6")]
    buffers: Vec<Buffer>,
    #[prost(message, repeated, tag = "7")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "8")]
    programs: Vec<Program>,
    /// Where the segments go, in the order in which their bytes follow in the file.
    #[prost(message, repeated, tag = "9")]
    data: Vec<Segment>,
    #[prost(uint64, repeated, tag = "12")]
    states: Vec<u64>,
    #[prost(message, optional, tag = "10")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Symbol {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    max: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Requirements {
    #[prost(uint32, optional, tag = "1")]
    subgroup_size: Option<u32>,
    #[prost(bool, tag = "2")]
    shader_f16: bool,
    #[prost(bool, tag = "8")]
    shader_int64: bool,
    #[prost(bool, tag = "9")]
    shader_float64: bool,
    #[prost(uint64, tag = "3")]
    max_storage_buffer_binding_size: u64,
    #[prost(uint64, tag = "4")]
    max_buffer_size: u64,
    #[prost(uint32, tag = "5")]
    max_storage_buffers_per_shader_stage: u32,
    #[prost(uint32, tag = "6")]
    max_compute_workgroup_storage_size: u32,
    #[prost(uint32, tag = "7")]
    max_compute_invocations_per_workgroup: u32,
    #[prost(uint64, tag = "10")]
    max_loop_iterations: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Shader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    wgsl: String,
    #[prost(enumeration = "Access", repeated, tag = "3")]
    access: Vec<i32>,
    #[prost(uint32, tag = "4")]
    params_size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Access {
    Unknown = 0,
    Read = 1,
    ReadWrite = 2,
}

#[derive(Clone, PartialEq, Message)]
struct Buffer {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(enumeration = "BufferKind", tag = "2")]
    kind: i32,
    #[prost(uint64, tag = "3")]
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum BufferKind {
    Unknown = 0,
    Weights = 1,
    State = 2,
    Arena = 3,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(enumeration = "DType", tag = "2")]
    dtype: i32,
    #[prost(enumeration = "Storage", tag = "3")]
    storage: i32,
    #[prost(message, repeated, tag = "4")]
    shape: Vec<Expr>,
    #[prost(uint64, repeated, tag = "5")]
    order: Vec<u64>,
    #[prost(uint64, tag = "6")]
    lanes: u64,
    #[prost(message, optional, tag = "7")]
    place: Option<Range>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum DType {
    Unknown = 0,
    F32 = 1,
    F16 = 2,
    F64 = 3,
    I32 = 4,
    I64 = 5,
    U8 = 6,
    Bool = 7,
    I8 = 8,
    U16 = 9,
    I16 = 10,
    U32 = 11,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Storage {
    Unknown = 0,
    F32 = 1,
    I32 = 2,
    U32 = 3,
    I64 = 4,
    F64 = 5,
    F16 = 6,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Range {
    #[prost(uint64, tag = "1")]
    buffer: u64,
    #[prost(uint64, tag = "2")]
    offset: u64,
    #[prost(uint64, tag = "3")]
    size: u64,
}

/// Where the bytes of a segment go, and their checksum.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Segment {
    #[prost(uint64, tag = "1")]
    buffer: u64,
    #[prost(uint64, tag = "2")]
    offset: u64,
    #[prost(uint64, tag = "3")]
    size: u64,
    #[prost(fixed32, tag = "4")]
    pub(crate) crc32: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Program {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, repeated, tag = "2")]
    inputs: Vec<u64>,
    /// One for each input.
    #[prost(enumeration = "Role", repeated, tag = "21")]
    roles: Vec<i32>,
    #[prost(message, repeated, tag = "3")]
    outputs: Vec<OutputRef>,
    #[prost(message, repeated, tag = "4")]
    dispatches: Vec<Dispatch>,
    #[prost(message, repeated, tag = "11")]
    guards: Vec<Guard>,
    #[prost(message, repeated, tag = "20")]
    repeats: Vec<Repeat>,
}

#[derive(Clone, PartialEq, Message)]
struct Repeat {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    first: u64,
    #[prost(uint64, tag = "3")]
    count: u64,
    #[prost(message, optional, tag = "4")]
    steps: Option<Expr>,
}

#[derive(Clone, PartialEq, Message)]
struct OutputSize {
    #[prost(uint64, tag = "1")]
    axis: u64,
    #[prost(uint64, tag = "2")]
    tensor: u64,
}

#[derive(Clone, PartialEq, Message)]
struct OutputRef {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    tensor: u64,
    #[prost(message, repeated, tag = "3")]
    sizes: Vec<OutputSize>,
}

#[derive(Clone, PartialEq, Message)]
struct Dispatch {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    shader: u64,
    #[prost(message, repeated, tag = "3")]
    bindings: Vec<Range>,
    #[prost(message, repeated, tag = "4")]
    params: Vec<Param>,
    #[prost(message, repeated, tag = "5")]
    workgroups: Vec<Expr>,
    #[prost(uint64, repeated, tag = "6")]
    writes: Vec<u64>,
    #[prost(message, optional, tag = "7")]
    flops: Option<Expr>,
    #[prost(message, optional, tag = "8")]
    bytes: Option<Expr>,
}

#[derive(Clone, PartialEq, Message)]
struct Param {
    #[prost(oneof = "Word", tags = "1, 2")]
    word: Option<Word>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Word {
    #[prost(message, tag = "1")]
    Int(Expr),
    #[prost(float, tag = "2")]
    Float(f32),
}

#[derive(Clone, PartialEq, Message)]
struct Expr {
    #[prost(message, repeated, tag = "1")]
    terms: Vec<Term>,
}

#[derive(Clone, PartialEq, Message)]
struct Term {
    #[prost(sint64, tag = "1")]
    coefficient: i64,
    #[prost(message, repeated, tag = "2")]
    factors: Vec<Factor>,
}

#[derive(Clone, PartialEq, Message)]
struct Factor {
    #[prost(oneof = "FactorKind", tags = "1, 2, 3")]
    kind: Option<FactorKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum FactorKind {
    #[prost(uint64, tag = "1")]
    Symbol(u64),
    #[prost(message, tag = "2")]
    FloorDiv(FloorDiv),
    #[prost(message, tag = "3")]
    Min(Min),
}

#[derive(Clone, PartialEq, Message)]
struct Min {
    #[prost(message, optional, tag = "1")]
    left: Option<Expr>,
    #[prost(message, optional, tag = "2")]
    right: Option<Expr>,
}

#[derive(Clone, PartialEq, Message)]
struct Guard {
    #[prost(string, tag = "1")]
    node: String,
    #[prost(message, optional, tag = "2")]
    left: Option<Expr>,
    #[prost(enumeration = "Relation", tag = "3")]
    relation: i32,
    #[prost(message, optional, tag = "4")]
    right: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Relation {
    Unknown = 0,
    Equal = 1,
    NotEqual = 2,
    AtLeast = 3,
}

#[derive(Clone, PartialEq, Message)]
struct FloorDiv {
    #[prost(message, optional, tag = "1")]
    dividend: Option<Expr>,
    #[prost(sint64, tag = "2")]
    divisor: i64,
}

impl Header {
    /// The plan of which these bytes are the header, its segments still without bytes, and the checksum of each segment.
    pub(crate) fn decode_plan(bytes: &[u8]) -> Result<(crate::Plan, Vec<u32>), PlanError> {
        Counts::decode(bytes)?.check()?;
        let header = Self::decode(bytes)?;
        let checksums = header.data.iter().map(|segment| segment.crc32).collect();
        Ok((header.read()?, checksums))
    }
}

/// The same header, of which only is seen how many of everything there are: two bytes of a file can be an item that
/// takes hundreds in memory, so they are counted before any is decoded.
#[derive(Clone, PartialEq, Message)]
struct Counts {
    #[prost(message, repeated, tag = "5")]
    shaders: Vec<Nothing>,
    #[prost(message, repeated, tag = "6")]
    buffers: Vec<Nothing>,
    #[prost(message, repeated, tag = "7")]
    tensors: Vec<Nothing>,
    #[prost(message, repeated, tag = "8")]
    programs: Vec<ProgramCounts>,
    #[prost(message, repeated, tag = "9")]
    data: Vec<Nothing>,
    #[prost(message, optional, tag = "10")]
    metadata: Option<metadata::Counts>,
}

#[derive(Clone, PartialEq, Message)]
struct ProgramCounts {
    #[prost(message, repeated, tag = "4")]
    dispatches: Vec<Nothing>,
    #[prost(message, repeated, tag = "11")]
    guards: Vec<Nothing>,
    #[prost(message, repeated, tag = "20")]
    repeats: Vec<Nothing>,
}

/// Takes no memory, whatever it is decoded from.
#[derive(Clone, Copy, PartialEq, Message)]
struct Nothing {}

impl Counts {
    fn check(&self) -> Result<(), PlanError> {
        let dispatches = self.programs.iter().map(|program| program.dispatches.len()).max().unwrap_or(0);
        let guards = self.programs.iter().map(|program| program.guards.len()).max().unwrap_or(0);
        let repeats = self.programs.iter().map(|program| program.repeats.len()).max().unwrap_or(0);
        let counts = [
            ("shaders", self.shaders.len(), LIMITS.shaders),
            ("buffers", self.buffers.len(), LIMITS.buffers),
            ("tensors", self.tensors.len(), LIMITS.tensors),
            ("programs", self.programs.len(), LIMITS.programs),
            ("segments", self.data.len(), LIMITS.segments),
            ("dispatches in a program", dispatches, LIMITS.dispatches),
            ("guards of a program", guards, LIMITS.guards),
            ("repeats in a program", repeats, LIMITS.dispatches),
        ];
        let metadata = self.metadata.iter().flat_map(metadata::Counts::list);
        match counts.into_iter().chain(metadata).find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(invalid("the plan", Problem::TooMany { what, count, limit })),
            None => Ok(()),
        }
    }
}

fn invalid(at: &str, problem: Problem) -> PlanError {
    PlanError::Invalid { at: at.to_string(), problem }
}
