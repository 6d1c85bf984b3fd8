//! Whether a plan can be run at all: after this check, every index exists, every range is in its buffer and WebGPU
//! accepts every dispatch. A plan that was read from a file has been checked; so has one that was written.

mod repeats;

use std::collections::HashMap;

use kiln_files::wide;

use crate::{
    Access, Buffer, BufferKind, DType, Dispatch, Expr, Factor, OutputRef, Param, Plan, PlanError, Problem,
    Program, Range, Requirements, Shader, Tensor, WGSL_LIMITS, WgslLimits, metadata, wgsl,
};

/// Limits of a plan: far above what networks need, low enough that reading a hostile file
/// costs little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "counts of what the fields say")]
pub struct Limits {
    /// Bytes of the header of a plan file.
    pub header: usize,
    pub symbols: usize,
    pub shaders: usize,
    pub buffers: usize,
    pub tensors: usize,
    pub programs: usize,
    /// In one program.
    pub dispatches: usize,
    pub segments: usize,
    pub dimensions: usize,
    /// Of `FloorDiv` in an expression.
    pub expr_depth: usize,
    /// Guards of a program.
    pub guards: usize,
    /// Terms and factors of an expression.
    pub expr_size: usize,
    /// Storage buffers bound in one dispatch.
    pub bindings: usize,
    /// Bytes of parameters of all dispatches of a program, each padded to 256.
    pub params: u64,
    /// Workgroups of one run of a program, with all symbols at their maximum.
    pub workgroups: u64,
    /// Dispatches of one run of a program, with all symbols at their maximum: those of a repeat once for each step.
    pub replayed: u64,
    /// The text of a kernel.
    pub wgsl: WgslLimits,
}

/// The limits of this version of the format.
pub const LIMITS: Limits = Limits {
    header: 32 << 20,
    symbols: 32,
    shaders: 1 << 14,
    buffers: 1 << 12,
    tensors: 1 << 20,
    programs: 64,
    dispatches: 1 << 18,
    segments: 1 << 20,
    dimensions: 32,
    guards: 1 << 14,
    expr_depth: 16,
    expr_size: 1 << 12,
    bindings: 1 << 10,
    params: 256 << 20,
    workgroups: 1 << 30,
    replayed: 1 << 22,
    wgsl: WGSL_LIMITS,
};

/// Offsets of storage and uniform bindings are multiples of this on every device.
const OFFSET_ALIGN: u64 = 256;
/// Workgroups in one dimension on every device.
const MAX_WORKGROUPS: i64 = 65_535;
/// Size of a uniform binding on every device.
const MAX_PARAMS: u32 = 64 << 10;

impl Requirements {
    /// What WebGPU guarantees everywhere. A requirement below it asks for nothing.
    pub const GUARANTEED: Self = Self {
        subgroup_size: None,
        shader_f16: false,
        shader_int64: false,
        shader_float64: false,
        max_storage_buffer_binding_size: 128 << 20,
        max_buffer_size: 256 << 20,
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroup_storage_size: 16 << 10,
        max_compute_invocations_per_workgroup: 256,
        // Mesa's lavapipe stops after so many, without an error.
        max_loop_iterations: 65_535,
    };
}

/// Finds what is wrong with a plan.
pub fn check(plan: &Plan) -> Result<(), PlanError> {
    check_within(plan, &LIMITS)
}

/// The same with other limits, for a host program that trusts its plans.
pub fn check_within(plan: &Plan, limits: &Limits) -> Result<(), PlanError> {
    check_counts(plan, limits).map_err(at("the plan"))?;
    for symbol in &plan.symbols {
        if symbol.max == 0 {
            return Err(at(format!("symbol `{}`", symbol.name))(Problem::SymbolMaximum));
        }
    }
    let largest = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    let checker = Checker { plan, limits, largest };
    checker.shaders()?;
    for (i, buffer) in plan.buffers.iter().enumerate() {
        checker.buffer(buffer).map_err(at(format!("buffer {i} `{}`", buffer.name)))?;
    }
    for (i, tensor) in plan.tensors.iter().enumerate() {
        checker.tensor(tensor).map_err(at(format!("tensor {i} `{}`", tensor.name)))?;
    }
    checker.states().map_err(at("the states"))?;
    checker.segments()?;
    for program in &plan.programs {
        checker.program(program)?;
    }
    metadata::check(&plan.metadata)
        .map_err(|(what, problem)| at(format!("the {what} in the metadata"))(problem))
}

fn at(at: impl Into<String>) -> impl FnOnce(Problem) -> PlanError {
    move |problem| PlanError::Invalid { at: at.into(), problem }
}

fn check_counts(plan: &Plan, limits: &Limits) -> Result<(), Problem> {
    let counts = [
        ("symbols", plan.symbols.len(), limits.symbols),
        ("shaders", plan.shaders.len(), limits.shaders),
        ("buffers", plan.buffers.len(), limits.buffers),
        ("tensors", plan.tensors.len(), limits.tensors),
        ("programs", plan.programs.len(), limits.programs),
        ("segments", plan.data.len(), limits.segments),
    ];
    for (what, count, limit) in counts {
        if count > limit {
            return Err(Problem::TooMany { what, count, limit });
        }
    }
    check_unique("symbols", plan.symbols.iter().map(|symbol| symbol.name.as_str()))?;
    check_unique("programs", plan.programs.iter().map(|program| program.name.as_str()))
}

fn check_unique<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Problem::Duplicate { what, name: name.to_string() });
        }
    }
    Ok(())
}

fn check_multiple(what: &'static str, value: u64, of: u64) -> Result<(), Problem> {
    if value.is_multiple_of(of) { Ok(()) } else { Err(Problem::Multiple { what, value, of }) }
}

fn check_requirement(what: &'static str, needs: u64, asks: u64, guaranteed: u64) -> Result<(), Problem> {
    let asks = asks.max(guaranteed);
    if needs <= asks { Ok(()) } else { Err(Problem::Requirement { what, needs, asks }) }
}

struct Checker<'a> {
    plan: &'a Plan,
    limits: &'a Limits,
    largest: Vec<i64>,
}

impl Checker<'_> {
    fn index<'t, T>(&self, what: &'static str, list: &'t [T], index: usize) -> Result<&'t T, Problem> {
        list.get(index).ok_or(Problem::Index { what, index, count: list.len() })
    }

    fn shaders(&self) -> Result<(), PlanError> {
        let (mut tokens, mut bytes) = (0u64, 0usize);
        for (i, shader) in self.plan.shaders.iter().enumerate() {
            let named = at(format!("shader {i} `{}`", shader.name));
            let expanded = self.shader(shader).and_then(|()| wgsl::measure(&shader.wgsl, &self.limits.wgsl));
            tokens = tokens.saturating_add(expanded.map_err(named)?);
            bytes += shader.wgsl.len();
        }
        // What each may have for nothing, few of them may use up.
        let free = self.limits.wgsl.expanded_free.saturating_mul(4);
        wgsl::check_expanded(tokens, bytes, free, &self.limits.wgsl).map_err(at("the shaders together"))
    }

    fn shader(&self, shader: &Shader) -> Result<(), Problem> {
        let asks = &self.plan.requirements;
        check_multiple("the size of its parameters", shader.params_size.into(), 16)?;
        check_requirement(
            "bytes of parameters",
            shader.params_size.into(),
            MAX_PARAMS.into(),
            MAX_PARAMS.into(),
        )?;
        if shader.access.len() > self.limits.bindings {
            let (count, limit) = (shader.access.len(), self.limits.bindings);
            return Err(Problem::TooMany { what: "storage buffers in a dispatch", count, limit });
        }
        check_requirement(
            "storage buffers in a dispatch",
            wide(shader.access.len()),
            asks.max_storage_buffers_per_shader_stage.into(),
            Requirements::GUARANTEED.max_storage_buffers_per_shader_stage.into(),
        )
    }

    fn buffer(&self, buffer: &Buffer) -> Result<(), Problem> {
        if buffer.size == 0 {
            return Err(Problem::Empty("buffers"));
        }
        check_multiple("its size", buffer.size, OFFSET_ALIGN)?;
        let guaranteed = Requirements::GUARANTEED.max_buffer_size;
        let asks = self.plan.requirements.max_buffer_size;
        check_requirement("bytes in a buffer", buffer.size, asks, guaranteed)
    }

    fn range(&self, range: &Range) -> Result<&Buffer, Problem> {
        let buffer = self.index("buffer", &self.plan.buffers, range.buffer)?;
        if range.size == 0 {
            return Err(Problem::Empty("ranges"));
        }
        check_multiple("the offset", range.offset, OFFSET_ALIGN)?;
        check_multiple("the size", range.size, 4)?;
        let end = range.offset.saturating_add(range.size);
        if end > buffer.size {
            let (offset, buffer, size) = (range.offset, buffer.name.clone(), buffer.size);
            return Err(Problem::Outside { offset, end, buffer, size });
        }
        Ok(buffer)
    }

    fn expr(&self, expr: &Expr) -> Result<i64, Problem> {
        let mut left = self.limits.expr_size;
        self.expr_parts(expr, self.limits.expr_depth, &mut left, self.plan.symbols.len())?;
        Ok(expr.eval(&self.largest))
    }

    /// A parameter, which may name the step where there are steps.
    fn param(&self, expr: &Expr, repeated: bool) -> Result<(), Problem> {
        let mut left = self.limits.expr_size;
        let symbols = self.plan.symbols.len() + usize::from(repeated);
        self.expr_parts(expr, self.limits.expr_depth, &mut left, symbols)
    }

    /// `symbols`: how many there are that may be named.
    fn expr_parts(&self, expr: &Expr, depth: usize, left: &mut usize, symbols: usize) -> Result<(), Problem> {
        let depth = depth.checked_sub(1).ok_or(Problem::ExprDepth(self.limits.expr_depth))?;
        let spend = |left: &mut usize| match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                Ok(())
            }
            None => Err(Problem::ExprSize(self.limits.expr_size)),
        };
        for term in &expr.terms {
            spend(left)?;
            for factor in &term.factors {
                spend(left)?;
                match factor {
                    Factor::Symbol(index) if *index >= symbols => {
                        let (what, index, count) = ("symbol", *index, self.plan.symbols.len());
                        return Err(Problem::Index { what, index, count });
                    }
                    Factor::Symbol(_) => {}
                    Factor::FloorDiv(_, divisor) if *divisor < 1 => return Err(Problem::Divisor(*divisor)),
                    Factor::FloorDiv(dividend, _) => self.expr_parts(dividend, depth, left, symbols)?,
                    Factor::Min(a, b) => {
                        self.expr_parts(a, depth, left, symbols)?;
                        self.expr_parts(b, depth, left, symbols)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn tensor(&self, tensor: &Tensor) -> Result<(), Problem> {
        self.range(&tensor.place)?;
        if tensor.shape.len() > self.limits.dimensions {
            let (count, limit) = (tensor.shape.len(), self.limits.dimensions);
            return Err(Problem::TooMany { what: "dimensions", count, limit });
        }
        if !tensor.dtype.fits(tensor.storage) {
            let (dtype, storage) = (tensor.dtype.name(), tensor.storage.name());
            return Err(Problem::Storage { dtype, storage });
        }
        if !matches!(tensor.layout.lanes, 1 | 4) {
            return Err(Problem::Lanes(tensor.layout.lanes));
        }
        let mut sizes = Vec::with_capacity(tensor.shape.len());
        for (axis, dim) in tensor.shape.iter().enumerate() {
            let value = self.expr(dim)?;
            sizes.push(u64::try_from(value).map_err(|_| Problem::Dimension { axis, value })?);
        }
        let mut order = tensor.layout.order.clone();
        order.sort_unstable();
        if !order.iter().copied().eq(0..sizes.len()) {
            return Err(Problem::Order { order: tensor.layout.order.clone(), rank: sizes.len() });
        }
        let fastest = tensor.layout.order.last();
        let mut needs = u128::from(tensor.storage.size());
        for (axis, size) in sizes.iter().enumerate() {
            let lanes = if Some(&axis) == fastest { tensor.layout.lanes } else { 1 };
            needs = needs.saturating_mul(u128::from(*size).next_multiple_of(wide(lanes).into()));
        }
        if needs > u128::from(tensor.place.size) {
            return Err(Problem::TensorSize { needs, size: tensor.place.size });
        }
        Ok(())
    }

    fn states(&self) -> Result<(), Problem> {
        for index in &self.plan.states {
            let tensor = self.index("tensor", &self.plan.tensors, *index)?;
            if self.range(&tensor.place)?.kind != BufferKind::State {
                return Err(Problem::NotKept(tensor.name.clone()));
            }
        }
        check_unique("states", self.plan.states().map(|(_, tensor)| tensor.name.as_str()))
    }

    fn segments(&self) -> Result<(), PlanError> {
        let mut sorted = Vec::with_capacity(self.plan.data.len());
        for (i, segment) in self.plan.data.iter().enumerate() {
            let at = || at(format!("segment {i}"));
            let buffer = self.range(&segment.place).map_err(at())?;
            if buffer.kind == BufferKind::Arena {
                return Err(at()(Problem::DataInArena(buffer.name.clone())));
            }
            if wide(segment.bytes.len()) != segment.place.size {
                let (bytes, size) = (segment.bytes.len(), segment.place.size);
                return Err(at()(Problem::DataSize { bytes, size }));
            }
            sorted.push((segment.place.buffer, segment.place.offset, segment.place.size, i));
        }
        sorted.sort_unstable();
        for pair in sorted.windows(2) {
            if let [(buffer, offset, size, other), (next_buffer, next_offset, _, i)] = pair
                && buffer == next_buffer
                && offset + size > *next_offset
            {
                let buffer =
                    self.plan.buffers.get(*buffer).map(|buffer| buffer.name.clone()).unwrap_or_default();
                return Err(at(format!("segment {i}"))(Problem::DataOverlap { other: *other, buffer }));
            }
        }
        Ok(())
    }

    fn program(&self, program: &Program) -> Result<(), PlanError> {
        let name = &program.name;
        self.interface(program).map_err(at(format!("program `{name}`")))?;
        for guard in &program.guards {
            for side in [&guard.left, &guard.right] {
                self.expr(side).map_err(at(format!("program `{name}`, a guard of `{}`", guard.node)))?;
            }
        }
        let steps = self.repeats(program)?;
        let (mut workgroups, mut params) = (0u128, 0u64);
        for (i, (dispatch, steps)) in program.dispatches.iter().zip(steps).enumerate() {
            let what = || format!("program `{name}`, dispatch {i} `{}`", dispatch.name);
            let shader =
                self.index("shader", &self.plan.shaders, dispatch.shader).map_err(|p| at(what())(p))?;
            self.bindings(dispatch, shader, what)?;
            let of_step = self.dispatch(dispatch, shader, steps).map_err(|p| at(what())(p))?;
            workgroups = workgroups.saturating_add(of_step.saturating_mul(steps.unwrap_or(1).into()));
            let each = if dispatch.varies_with(self.plan.step()) { steps.unwrap_or(1).max(1) } else { 1 };
            let size = u64::from(shader.params_size).next_multiple_of(OFFSET_ALIGN);
            params = params.saturating_add(size.saturating_mul(each));
            if workgroups > u128::from(self.limits.workgroups) {
                let (count, limit) = (workgroups, self.limits.workgroups);
                return Err(at(what())(Problem::Work { count, limit }));
            }
            if params > self.limits.params {
                let what = "bytes of parameters";
                let problem = Problem::too_many(what, params, self.limits.params);
                return Err(at(format!("program `{name}`"))(problem));
            }
        }
        Ok(())
    }

    fn interface(&self, program: &Program) -> Result<(), Problem> {
        if program.guards.len() > self.limits.guards {
            let (count, limit) = (program.guards.len(), self.limits.guards);
            return Err(Problem::TooMany { what: "guards", count, limit });
        }
        if program.dispatches.len() > self.limits.dispatches {
            let (count, limit) = (program.dispatches.len(), self.limits.dispatches);
            return Err(Problem::TooMany { what: "dispatches", count, limit });
        }
        let dense = |what, index| {
            let tensor = self.index("tensor", &self.plan.tensors, index)?;
            if tensor.layout.is_dense() {
                return Ok(tensor.name.as_str());
            }
            let (order, lanes) = (tensor.layout.order.clone(), tensor.layout.lanes);
            Err(Problem::NotDense { what, tensor: tensor.name.clone(), order, lanes })
        };
        let inputs =
            program.inputs.iter().map(|index| dense("input", *index)).collect::<Result<Vec<_>, _>>()?;
        check_unique("inputs", inputs.into_iter())?;
        if program.roles.len() != program.inputs.len() {
            return Err(Problem::Roles { roles: program.roles.len(), inputs: program.inputs.len() });
        }
        for output in &program.outputs {
            dense("output", output.tensor)?;
            self.output_sizes(output)?;
        }
        check_unique("outputs", program.outputs.iter().map(|output| output.name.as_str()))
    }

    /// Sizes are integers without dimensions, of different axes.
    fn output_sizes(&self, output: &OutputRef) -> Result<(), Problem> {
        let rank = self.index("tensor", &self.plan.tensors, output.tensor)?.shape.len();
        for (n, size) in output.sizes.iter().enumerate() {
            let tensor = self.index("tensor", &self.plan.tensors, size.tensor)?;
            let says = tensor.shape.is_empty() && matches!(tensor.dtype, DType::I32 | DType::I64);
            let twice = output.sizes[..n].iter().any(|other| other.axis == size.axis);
            if !says || twice || size.axis >= rank {
                return Err(Problem::OutputSize { output: output.name.clone(), axis: size.axis });
            }
        }
        Ok(())
    }

    fn bindings(
        &self,
        dispatch: &Dispatch,
        shader: &Shader,
        what: impl Fn() -> String,
    ) -> Result<(), PlanError> {
        if dispatch.bindings.len() != shader.access.len() {
            let (found, expected) = (dispatch.bindings.len(), shader.access.len());
            return Err(at(what())(Problem::Bindings { found, shader: shader.name.clone(), expected }));
        }
        // The first binding of each buffer.
        let mut bound: HashMap<usize, (usize, Access)> = HashMap::with_capacity(dispatch.bindings.len());
        for (i, (range, access)) in dispatch.bindings.iter().zip(&shader.access).enumerate() {
            let at = || at(format!("{}, binding {i}", what()));
            let buffer = self.range(range).map_err(at())?;
            if buffer.kind == BufferKind::Weights && *access == Access::ReadWrite {
                return Err(at()(Problem::WritesWeights(buffer.name.clone())));
            }
            check_requirement(
                "bytes in a binding",
                range.size,
                self.plan.requirements.max_storage_buffer_binding_size,
                Requirements::GUARANTEED.max_storage_buffer_binding_size,
            )
            .map_err(at())?;
            let (first, a) = *bound.entry(range.buffer).or_insert((i, *access));
            if a != *access {
                let buffer = buffer.name.clone();
                return Err(at()(Problem::Conflict { buffer, first, a, second: i, b: *access }));
            }
        }
        Ok(())
    }

    /// Checks the rest of a dispatch and gives its workgroups with all symbols at their maximum; those of one step, if
    /// it is repeated.
    fn dispatch(&self, dispatch: &Dispatch, shader: &Shader, steps: Option<u64>) -> Result<u128, Problem> {
        let (words, size) = (dispatch.params.len(), shader.params_size);
        if wide(words).saturating_mul(4) > u64::from(size) {
            return Err(Problem::Params { words, size, shader: shader.name.clone() });
        }
        for param in &dispatch.params {
            match param {
                Param::Int(expr) => self.param(expr, steps.is_some())?,
                Param::Float(_) => {}
            }
        }
        let mut workgroups = 1u128;
        for (axis, count) in ['x', 'y', 'z'].into_iter().zip(&dispatch.workgroups) {
            let value = self.expr(count)?;
            if !(0..=MAX_WORKGROUPS).contains(&value) {
                return Err(Problem::Workgroups { axis, value });
            }
            workgroups *= u128::from(value.unsigned_abs());
        }
        // Each workgroup reads or writes something of its own, and folding a long grid at most doubles it.
        let bytes = dispatch.bindings.iter().fold(0u64, |sum, range| sum.saturating_add(range.size));
        if workgroups > u128::from(bytes) {
            return Err(Problem::Idle { count: workgroups, bytes });
        }
        for index in &dispatch.writes {
            self.index("tensor", &self.plan.tensors, *index)?;
        }
        self.expr(&dispatch.flops)?;
        self.expr(&dispatch.bytes)?;
        Ok(workgroups)
    }
}
