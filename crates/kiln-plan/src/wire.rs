//! The header of a plan file as protobuf. Everything of a [`Plan`] but the bytes of its segments, which follow the
//! header in the file. Types here mirror those of the crate; the way back is through checked conversions, and what
//! the numbers mean is looked at by [`check`](crate::check()) afterwards.

use prost::{Enumeration, Message, Oneof};

use crate::{LIMITS, PlanError, Problem};

#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    producer: String,
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
    data: Vec<Range>,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Storage {
    Unknown = 0,
    F32 = 1,
    I32 = 2,
    U32 = 3,
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

#[derive(Clone, PartialEq, Message)]
struct Program {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, repeated, tag = "2")]
    inputs: Vec<u64>,
    #[prost(message, repeated, tag = "3")]
    outputs: Vec<OutputRef>,
    #[prost(message, repeated, tag = "4")]
    dispatches: Vec<Dispatch>,
}

#[derive(Clone, PartialEq, Message)]
struct OutputRef {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    tensor: u64,
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
    #[prost(oneof = "FactorKind", tags = "1, 2")]
    kind: Option<FactorKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum FactorKind {
    #[prost(uint64, tag = "1")]
    Symbol(u64),
    #[prost(message, tag = "2")]
    FloorDiv(FloorDiv),
}

#[derive(Clone, PartialEq, Message)]
struct FloorDiv {
    #[prost(message, optional, tag = "1")]
    dividend: Option<Expr>,
    #[prost(sint64, tag = "2")]
    divisor: i64,
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
}

#[derive(Clone, PartialEq, Message)]
struct ProgramCounts {
    #[prost(message, repeated, tag = "4")]
    dispatches: Vec<Nothing>,
}

/// Takes no memory, whatever it is decoded from.
#[derive(Clone, Copy, PartialEq, Message)]
struct Nothing {}

impl Counts {
    fn check(&self) -> Result<(), PlanError> {
        let dispatches = self.programs.iter().map(|program| program.dispatches.len()).max().unwrap_or(0);
        let counts = [
            ("shaders", self.shaders.len(), LIMITS.shaders),
            ("buffers", self.buffers.len(), LIMITS.buffers),
            ("tensors", self.tensors.len(), LIMITS.tensors),
            ("programs", self.programs.len(), LIMITS.programs),
            ("segments", self.data.len(), LIMITS.segments),
            ("dispatches in a program", dispatches, LIMITS.dispatches),
        ];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(invalid("the plan", Problem::TooMany { what, count, limit })),
            None => Ok(()),
        }
    }
}

fn invalid(at: &str, problem: Problem) -> PlanError {
    PlanError::Invalid { at: at.to_string(), problem }
}

/// The other way needs a check; this one is exact, as no machine has a `usize` wider than 64 bits.
fn wide(n: usize) -> u64 {
    n as u64
}

fn wide_all(list: &[usize]) -> Vec<u64> {
    list.iter().copied().map(wide).collect()
}

fn narrow(at: &str, what: &'static str, value: u64) -> Result<usize, PlanError> {
    usize::try_from(value).map_err(|_| invalid(at, Problem::Number { what, value }))
}

fn narrow_all(at: &str, what: &'static str, list: &[u64]) -> Result<Vec<usize>, PlanError> {
    list.iter().map(|value| narrow(at, what, *value)).collect()
}

/// Translates each, naming the item by `what` and its position.
fn each<T, U>(
    what: &str,
    list: Vec<T>,
    read: impl Fn(T, &str) -> Result<U, PlanError>,
) -> Result<Vec<U>, PlanError> {
    list.into_iter().enumerate().map(|(i, item)| read(item, &format!("{what} {i}"))).collect()
}

impl Header {
    /// The header of a plan.
    pub fn of(plan: &crate::Plan) -> Self {
        Self {
            name: plan.name.clone(),
            producer: plan.producer.clone(),
            symbols: plan.symbols.iter().map(|s| Symbol { name: s.name.clone(), max: s.max }).collect(),
            requirements: Some(Requirements::of(&plan.requirements)),
            shaders: plan.shaders.iter().map(Shader::of).collect(),
            buffers: plan.buffers.iter().map(Buffer::of).collect(),
            tensors: plan.tensors.iter().map(Tensor::of).collect(),
            programs: plan.programs.iter().map(Program::of).collect(),
            data: plan.data.iter().map(|segment| Range::of(&segment.place)).collect(),
        }
    }

    /// The plan of which these bytes are the header, its segments still without bytes.
    pub fn decode_plan(bytes: &[u8]) -> Result<crate::Plan, PlanError> {
        Counts::decode(bytes)?.check()?;
        Self::decode(bytes)?.read()
    }

    fn read(self) -> Result<crate::Plan, PlanError> {
        let requirements =
            self.requirements.ok_or_else(|| invalid("the plan", Problem::Missing("list of requirements")))?;
        let symbol = |s: Symbol, _: &str| Ok(crate::Symbol { name: s.name, max: s.max });
        let segment = |r: Range, at: &str| Ok(crate::Segment { place: r.read(at)?, bytes: vec![] });
        Ok(crate::Plan {
            name: self.name,
            producer: self.producer,
            symbols: each("symbol", self.symbols, symbol)?,
            requirements: requirements.read(),
            shaders: each("shader", self.shaders, Shader::read)?,
            buffers: each("buffer", self.buffers, Buffer::read)?,
            tensors: each("tensor", self.tensors, Tensor::read)?,
            programs: each("program", self.programs, Program::read)?,
            data: each("segment", self.data, segment)?,
        })
    }
}

impl Requirements {
    fn of(r: &crate::Requirements) -> Self {
        Self {
            subgroup_size: r.subgroup_size,
            shader_f16: r.shader_f16,
            max_storage_buffer_binding_size: r.max_storage_buffer_binding_size,
            max_buffer_size: r.max_buffer_size,
            max_storage_buffers_per_shader_stage: r.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: r.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: r.max_compute_invocations_per_workgroup,
        }
    }

    fn read(self) -> crate::Requirements {
        crate::Requirements {
            subgroup_size: self.subgroup_size,
            shader_f16: self.shader_f16,
            max_storage_buffer_binding_size: self.max_storage_buffer_binding_size,
            max_buffer_size: self.max_buffer_size,
            max_storage_buffers_per_shader_stage: self.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: self.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: self.max_compute_invocations_per_workgroup,
        }
    }
}

impl Shader {
    fn of(shader: &crate::Shader) -> Self {
        let access = |a: &crate::Access| match a {
            crate::Access::Read => i32::from(Access::Read),
            crate::Access::ReadWrite => i32::from(Access::ReadWrite),
        };
        Self {
            name: shader.name.clone(),
            wgsl: shader.wgsl.clone(),
            access: shader.access.iter().map(access).collect(),
            params_size: shader.params_size,
        }
    }

    fn read(self, at: &str) -> Result<crate::Shader, PlanError> {
        let access = |value: &i32| match Access::try_from(*value) {
            Ok(Access::Read) => Ok(crate::Access::Read),
            Ok(Access::ReadWrite) => Ok(crate::Access::ReadWrite),
            Ok(Access::Unknown) | Err(_) => {
                Err(invalid(at, Problem::Unknown { what: "access", value: *value }))
            }
        };
        let access = self.access.iter().map(access).collect::<Result<_, _>>()?;
        Ok(crate::Shader { name: self.name, wgsl: self.wgsl, access, params_size: self.params_size })
    }
}

impl Buffer {
    fn of(buffer: &crate::Buffer) -> Self {
        let kind = match buffer.kind {
            crate::BufferKind::Weights => BufferKind::Weights,
            crate::BufferKind::State => BufferKind::State,
            crate::BufferKind::Arena => BufferKind::Arena,
        };
        Self { name: buffer.name.clone(), kind: kind.into(), size: buffer.size }
    }

    fn read(self, at: &str) -> Result<crate::Buffer, PlanError> {
        let kind = match BufferKind::try_from(self.kind) {
            Ok(BufferKind::Weights) => crate::BufferKind::Weights,
            Ok(BufferKind::State) => crate::BufferKind::State,
            Ok(BufferKind::Arena) => crate::BufferKind::Arena,
            Ok(BufferKind::Unknown) | Err(_) => {
                return Err(invalid(at, Problem::Unknown { what: "kind of buffer", value: self.kind }));
            }
        };
        Ok(crate::Buffer { name: self.name, kind, size: self.size })
    }
}

impl Tensor {
    fn of(tensor: &crate::Tensor) -> Self {
        let dtype = match tensor.dtype {
            crate::DType::F32 => DType::F32,
            crate::DType::F16 => DType::F16,
            crate::DType::F64 => DType::F64,
            crate::DType::I32 => DType::I32,
            crate::DType::I64 => DType::I64,
            crate::DType::U8 => DType::U8,
            crate::DType::Bool => DType::Bool,
        };
        let storage = match tensor.storage {
            crate::Storage::F32 => Storage::F32,
            crate::Storage::I32 => Storage::I32,
            crate::Storage::U32 => Storage::U32,
        };
        Self {
            name: tensor.name.clone(),
            dtype: dtype.into(),
            storage: storage.into(),
            shape: tensor.shape.iter().map(Expr::of).collect(),
            order: wide_all(&tensor.layout.order),
            lanes: wide(tensor.layout.lanes),
            place: Some(Range::of(&tensor.place)),
        }
    }

    fn read(self, at: &str) -> Result<crate::Tensor, PlanError> {
        let dtype = match DType::try_from(self.dtype) {
            Ok(DType::F32) => crate::DType::F32,
            Ok(DType::F16) => crate::DType::F16,
            Ok(DType::F64) => crate::DType::F64,
            Ok(DType::I32) => crate::DType::I32,
            Ok(DType::I64) => crate::DType::I64,
            Ok(DType::U8) => crate::DType::U8,
            Ok(DType::Bool) => crate::DType::Bool,
            Ok(DType::Unknown) | Err(_) => {
                return Err(invalid(at, Problem::Unknown { what: "element type", value: self.dtype }));
            }
        };
        let storage = match Storage::try_from(self.storage) {
            Ok(Storage::F32) => crate::Storage::F32,
            Ok(Storage::I32) => crate::Storage::I32,
            Ok(Storage::U32) => crate::Storage::U32,
            Ok(Storage::Unknown) | Err(_) => {
                return Err(invalid(at, Problem::Unknown { what: "stored type", value: self.storage }));
            }
        };
        let order = narrow_all(at, "dimension", &self.order)?;
        let layout = crate::Layout { order, lanes: narrow(at, "number of lanes", self.lanes)? };
        let shape = self.shape.into_iter().map(|dim| dim.read(at)).collect::<Result<_, _>>()?;
        let place = self.place.ok_or_else(|| invalid(at, Problem::Missing("place")))?.read(at)?;
        Ok(crate::Tensor { name: self.name, dtype, storage, shape, layout, place })
    }
}

impl Range {
    fn of(range: &crate::Range) -> Self {
        Self { buffer: wide(range.buffer), offset: range.offset, size: range.size }
    }

    fn read(self, at: &str) -> Result<crate::Range, PlanError> {
        let buffer = narrow(at, "index of a buffer", self.buffer)?;
        Ok(crate::Range { buffer, offset: self.offset, size: self.size })
    }
}

impl Program {
    fn of(program: &crate::Program) -> Self {
        let output = |o: &crate::OutputRef| OutputRef { name: o.name.clone(), tensor: wide(o.tensor) };
        Self {
            name: program.name.clone(),
            inputs: wide_all(&program.inputs),
            outputs: program.outputs.iter().map(output).collect(),
            dispatches: program.dispatches.iter().map(Dispatch::of).collect(),
        }
    }

    fn read(self, at: &str) -> Result<crate::Program, PlanError> {
        let output = |o: OutputRef| {
            Ok(crate::OutputRef { tensor: narrow(at, "index of a tensor", o.tensor)?, name: o.name })
        };
        Ok(crate::Program {
            inputs: narrow_all(at, "index of a tensor", &self.inputs)?,
            outputs: self.outputs.into_iter().map(output).collect::<Result<_, PlanError>>()?,
            dispatches: each(&format!("{at}, dispatch"), self.dispatches, Dispatch::read)?,
            name: self.name,
        })
    }
}

impl Dispatch {
    fn of(dispatch: &crate::Dispatch) -> Self {
        let param = |param: &crate::Param| Param {
            word: Some(match param {
                crate::Param::Int(expr) => Word::Int(Expr::of(expr)),
                crate::Param::Float(value) => Word::Float(*value),
            }),
        };
        Self {
            name: dispatch.name.clone(),
            shader: wide(dispatch.shader),
            bindings: dispatch.bindings.iter().map(Range::of).collect(),
            params: dispatch.params.iter().map(param).collect(),
            workgroups: dispatch.workgroups.iter().map(Expr::of).collect(),
            writes: wide_all(&dispatch.writes),
            flops: Some(Expr::of(&dispatch.flops)),
            bytes: Some(Expr::of(&dispatch.bytes)),
        }
    }

    fn read(self, at: &str) -> Result<crate::Dispatch, PlanError> {
        let missing = |what| move || invalid(at, Problem::Missing(what));
        let param = |param: Param| match param.word.ok_or_else(missing("parameter word"))? {
            Word::Int(expr) => Ok(crate::Param::Int(expr.read(at)?)),
            Word::Float(value) => Ok(crate::Param::Float(value)),
        };
        let workgroups: Vec<_> =
            self.workgroups.into_iter().map(|w| w.read(at)).collect::<Result<_, PlanError>>()?;
        Ok(crate::Dispatch {
            name: self.name,
            shader: narrow(at, "index of a shader", self.shader)?,
            bindings: self.bindings.into_iter().map(|r| r.read(at)).collect::<Result<_, _>>()?,
            params: self.params.into_iter().map(param).collect::<Result<_, PlanError>>()?,
            workgroups: workgroups.try_into().map_err(|_| missing("number of workgroups in x, y or z")())?,
            writes: narrow_all(at, "index of a tensor", &self.writes)?,
            flops: self.flops.ok_or_else(missing("number of operations"))?.read(at)?,
            bytes: self.bytes.ok_or_else(missing("number of bytes"))?.read(at)?,
        })
    }
}

impl Expr {
    fn of(expr: &crate::Expr) -> Self {
        let factor = |factor: &crate::Factor| Factor {
            kind: Some(match factor {
                crate::Factor::Symbol(index) => FactorKind::Symbol(wide(*index)),
                crate::Factor::FloorDiv(dividend, divisor) => {
                    FactorKind::FloorDiv(FloorDiv { dividend: Some(Self::of(dividend)), divisor: *divisor })
                }
            }),
        };
        let term = |term: &crate::Term| Term {
            coefficient: term.coefficient,
            factors: term.factors.iter().map(factor).collect(),
        };
        Self { terms: expr.terms.iter().map(term).collect() }
    }

    /// Recursion ends where protobuf's limit of nested messages ended the decoding.
    fn read(self, at: &str) -> Result<crate::Expr, PlanError> {
        let missing = |what| move || invalid(at, Problem::Missing(what));
        let factor = |factor: Factor| match factor.kind.ok_or_else(missing("factor of an expression"))? {
            FactorKind::Symbol(index) => Ok(crate::Factor::Symbol(narrow(at, "index of a symbol", index)?)),
            FactorKind::FloorDiv(FloorDiv { dividend, divisor }) => {
                let dividend = dividend.ok_or_else(missing("dividend of an expression"))?.read(at)?;
                Ok(crate::Factor::FloorDiv(dividend, divisor))
            }
        };
        let term = |term: Term| {
            let factors = term.factors.into_iter().map(factor).collect::<Result<_, PlanError>>()?;
            Ok(crate::Term { coefficient: term.coefficient, factors })
        };
        Ok(crate::Expr { terms: self.terms.into_iter().map(term).collect::<Result<_, PlanError>>()? })
    }
}
