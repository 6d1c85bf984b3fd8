//! Between the messages and the types of the crate. The way out is plain; the way in checks every number and every
//! part that may be missing.

use kiln_files::wide;

use super::{
    Access, Buffer, BufferKind, DType, Dispatch, Expr, Factor, FactorKind, FloorDiv, Guard, Header, Metadata,
    Min, OutputRef, OutputSize, Param, Program, Range, Relation, Repeat, Requirements, Role, Segment, Shader,
    Storage, Symbol, Tensor, Term, Word, invalid,
};
use crate::{PlanError, Problem};

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
    pub(crate) fn of(plan: &crate::Plan) -> Self {
        Self {
            name: plan.name.clone(),
            producer: plan.producer.clone(),
            target: plan.target.clone(),
            symbols: plan.symbols.iter().map(|s| Symbol { name: s.name.clone(), max: s.max }).collect(),
            requirements: Some(Requirements::of(&plan.requirements)),
            shaders: plan.shaders.iter().map(Shader::of).collect(),
            buffers: plan.buffers.iter().map(Buffer::of).collect(),
            tensors: plan.tensors.iter().map(Tensor::of).collect(),
            programs: plan.programs.iter().map(Program::of).collect(),
            data: plan.data.iter().map(Segment::of).collect(),
            states: wide_all(&plan.states),
            metadata: Some(Metadata::of(&plan.metadata)).filter(|_| !plan.metadata.is_empty()),
        }
    }

    /// The plan, its segments still without bytes.
    pub(super) fn read(self) -> Result<crate::Plan, PlanError> {
        let requirements =
            self.requirements.ok_or_else(|| invalid("the plan", Problem::Missing("list of requirements")))?;
        let symbol = |s: Symbol, _: &str| Ok(crate::Symbol { name: s.name, max: s.max });
        let segment = |s: Segment, at: &str| Ok(crate::Segment { place: s.place().read(at)?, bytes: vec![] });
        Ok(crate::Plan {
            name: self.name,
            producer: self.producer,
            target: self.target,
            symbols: each("symbol", self.symbols, symbol)?,
            requirements: requirements.read(),
            shaders: each("shader", self.shaders, Shader::read)?,
            buffers: each("buffer", self.buffers, Buffer::read)?,
            tensors: each("tensor", self.tensors, Tensor::read)?,
            programs: each("program", self.programs, Program::read)?,
            data: each("segment", self.data, segment)?,
            states: narrow_all("the states", "index of a tensor", &self.states)?,
            metadata: self.metadata.map(Metadata::read).transpose()?.unwrap_or_default(),
        })
    }
}

impl Requirements {
    fn of(r: &crate::Requirements) -> Self {
        Self {
            subgroup_size: r.subgroup_size,
            shader_f16: r.shader_f16,
            shader_int64: r.shader_int64,
            shader_float64: r.shader_float64,
            max_storage_buffer_binding_size: r.max_storage_buffer_binding_size,
            max_buffer_size: r.max_buffer_size,
            max_storage_buffers_per_shader_stage: r.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: r.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: r.max_compute_invocations_per_workgroup,
            max_loop_iterations: r.max_loop_iterations,
        }
    }

    fn read(self) -> crate::Requirements {
        crate::Requirements {
            subgroup_size: self.subgroup_size,
            shader_f16: self.shader_f16,
            shader_int64: self.shader_int64,
            shader_float64: self.shader_float64,
            max_storage_buffer_binding_size: self.max_storage_buffer_binding_size,
            max_buffer_size: self.max_buffer_size,
            max_storage_buffers_per_shader_stage: self.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: self.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: self.max_compute_invocations_per_workgroup,
            max_loop_iterations: self.max_loop_iterations,
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
            crate::DType::I8 => DType::I8,
            crate::DType::U16 => DType::U16,
            crate::DType::I16 => DType::I16,
            crate::DType::U32 => DType::U32,
            crate::DType::Bool => DType::Bool,
        };
        let storage = match tensor.storage {
            crate::Storage::F32 => Storage::F32,
            crate::Storage::I32 => Storage::I32,
            crate::Storage::U32 => Storage::U32,
            crate::Storage::I64 => Storage::I64,
            crate::Storage::F64 => Storage::F64,
            crate::Storage::F16 => Storage::F16,
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
            Ok(DType::I8) => crate::DType::I8,
            Ok(DType::U16) => crate::DType::U16,
            Ok(DType::I16) => crate::DType::I16,
            Ok(DType::U32) => crate::DType::U32,
            Ok(DType::Bool) => crate::DType::Bool,
            Ok(DType::Unknown) | Err(_) => {
                return Err(invalid(at, Problem::Unknown { what: "element type", value: self.dtype }));
            }
        };
        let storage = match Storage::try_from(self.storage) {
            Ok(Storage::F32) => crate::Storage::F32,
            Ok(Storage::I32) => crate::Storage::I32,
            Ok(Storage::U32) => crate::Storage::U32,
            Ok(Storage::I64) => crate::Storage::I64,
            Ok(Storage::F64) => crate::Storage::F64,
            Ok(Storage::F16) => crate::Storage::F16,
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

impl Segment {
    fn of(segment: &crate::Segment) -> Self {
        let Range { buffer, offset, size } = Range::of(&segment.place);
        Self { buffer, offset, size, crc32: crc32fast::hash(&segment.bytes) }
    }

    fn place(self) -> Range {
        Range { buffer: self.buffer, offset: self.offset, size: self.size }
    }
}

impl Program {
    fn of(program: &crate::Program) -> Self {
        let size = |size: &crate::OutputSize| OutputSize { axis: wide(size.axis), tensor: wide(size.tensor) };
        let output = |o: &crate::OutputRef| OutputRef {
            name: o.name.clone(),
            tensor: wide(o.tensor),
            sizes: o.sizes.iter().map(size).collect(),
        };
        Self {
            name: program.name.clone(),
            inputs: wide_all(&program.inputs),
            roles: program.roles.iter().map(Role::of).collect(),
            outputs: program.outputs.iter().map(output).collect(),
            dispatches: program.dispatches.iter().map(Dispatch::of).collect(),
            guards: program.guards.iter().map(Guard::of).collect(),
            repeats: program.repeats.iter().map(Repeat::of).collect(),
        }
    }

    fn read(self, at: &str) -> Result<crate::Program, PlanError> {
        let output = |o: OutputRef| {
            let size = |size: OutputSize| {
                let (axis, tensor) =
                    (narrow(at, "axis", size.axis)?, narrow(at, "index of a tensor", size.tensor)?);
                Ok(crate::OutputSize { axis, tensor })
            };
            let sizes = o.sizes.into_iter().map(size).collect::<Result<_, PlanError>>()?;
            Ok(crate::OutputRef { tensor: narrow(at, "index of a tensor", o.tensor)?, name: o.name, sizes })
        };
        Ok(crate::Program {
            inputs: narrow_all(at, "index of a tensor", &self.inputs)?,
            roles: self.roles.iter().map(|role| Role::read(*role, at)).collect::<Result<_, _>>()?,
            outputs: self.outputs.into_iter().map(output).collect::<Result<_, PlanError>>()?,
            dispatches: each(&format!("{at}, dispatch"), self.dispatches, Dispatch::read)?,
            guards: each(&format!("{at}, guard"), self.guards, Guard::read)?,
            repeats: each(&format!("{at}, repeat"), self.repeats, Repeat::read)?,
            name: self.name,
        })
    }
}

impl Repeat {
    fn of(repeat: &crate::Repeat) -> Self {
        Self {
            name: repeat.name.clone(),
            first: wide(repeat.first),
            count: wide(repeat.count),
            steps: Some(Expr::of(&repeat.steps)),
        }
    }

    fn read(self, at: &str) -> Result<crate::Repeat, PlanError> {
        let steps = self.steps.ok_or_else(|| invalid(at, Problem::Missing("number of steps")))?;
        Ok(crate::Repeat {
            first: narrow(at, "index of a dispatch", self.first)?,
            count: narrow(at, "number of dispatches", self.count)?,
            steps: steps.read(at)?,
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

impl Guard {
    fn of(guard: &crate::Guard) -> Self {
        let relation = match guard.relation {
            crate::Relation::Equal => Relation::Equal,
            crate::Relation::NotEqual => Relation::NotEqual,
            crate::Relation::AtLeast => Relation::AtLeast,
        };
        Self {
            node: guard.node.clone(),
            left: Some(Expr::of(&guard.left)),
            relation: relation.into(),
            right: Some(Expr::of(&guard.right)),
        }
    }

    fn read(self, at: &str) -> Result<crate::Guard, PlanError> {
        let missing = |what| move || invalid(at, Problem::Missing(what));
        let relation = match Relation::try_from(self.relation) {
            Ok(Relation::Equal) => crate::Relation::Equal,
            Ok(Relation::NotEqual) => crate::Relation::NotEqual,
            Ok(Relation::AtLeast) => crate::Relation::AtLeast,
            Ok(Relation::Unknown) | Err(_) => {
                let problem = Problem::Unknown { what: "relation of a guard", value: self.relation };
                return Err(invalid(at, problem));
            }
        };
        let side = |side: Option<Expr>| side.ok_or_else(missing("side of a guard"))?.read(at);
        Ok(crate::Guard { node: self.node, left: side(self.left)?, relation, right: side(self.right)? })
    }
}

impl Expr {
    fn of(expr: &crate::Expr) -> Self {
        let factor = |factor: &crate::Factor| Factor {
            kind: Some(match factor {
                crate::Factor::Symbol(index) => FactorKind::Symbol(wide(*index)),
                crate::Factor::Min(a, b) => {
                    FactorKind::Min(Min { left: Some(Self::of(a)), right: Some(Self::of(b)) })
                }
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
            FactorKind::Min(Min { left, right }) => {
                let side = |side: Option<Self>| side.ok_or_else(missing("side of a minimum"))?.read(at);
                Ok(crate::Factor::Min(side(left)?, side(right)?))
            }
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
