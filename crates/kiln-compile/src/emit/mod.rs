//! From launches on buffers without a place to a plan.
//!
//! Weights and states get places of their own, activations places in arenas that programs share ([`place`]); symbolic
//! sizes become expressions over the plan's symbols. Nothing is decided here that changes what is computed.

mod arenas;
mod dispatches;
mod kernels;
mod live_range;
mod offsets;
mod place;
mod report;
mod schedule;
mod symbols;

pub(crate) use kernels::Kernels;
pub use report::MemoryReport;
pub use schedule::{Dispatched, Launched, Live, Schedule, Sharing};

use std::collections::HashMap;

use kiln_graph::{Bindings, DType, Graph};
use kiln_plan::{OutputRef, OutputSize, Plan, Program, Range, Repeat, Role, Shader, Storage, Tensor};

use crate::element::state_type;
use crate::error::CompileError;
use crate::lower::program::Lowered;
use crate::memory::buffer::{BufferInit, TensorId};
use crate::memory::states::States;
use crate::target::Target;
use place::Places;
use symbols::Symbols;

/// A plan, and what is known of how it came about.
pub(crate) struct Emitted {
    pub plan: Plan,
    pub memory: MemoryReport,
    /// By program.
    pub schedules: Vec<Schedule>,
    /// The kernels of single launches.
    pub kernels: Vec<Shader>,
}

/// The plan of some lowered programs, called `name`.
pub(crate) fn emit(
    name: &str,
    mut programs: Vec<Lowered>,
    kernels: Kernels,
    states: &States,
    target: &Target,
    max: &Bindings,
) -> Result<Emitted, CompileError> {
    let symbols = Symbols::new(&programs, max);
    let places = match Places::new(&programs, states, &symbols, target) {
        // What waits to be merged is alive for longer.
        Err(CompileError::TooLarge { .. }) => {
            programs.iter_mut().for_each(Lowered::separate);
            Places::new(&programs, states, &symbols, target)?
        }
        places => places?,
    };
    let mut emitter = Emitter {
        symbols,
        places,
        target,
        kernels,
        tensors: vec![],
        states: HashMap::new(),
        index: HashMap::new(),
    };
    emitter.list_states(states)?;
    let listed_states = (0..emitter.tensors.len()).collect();
    let single = emitter.kernels.templates.kept.clone();
    let mut listed = Vec::with_capacity(programs.len());
    let mut schedules = Vec::with_capacity(programs.len());
    for (number, program) in programs.iter().enumerate() {
        let (program, schedule) = emitter.program(number, program)?;
        listed.push(program);
        schedules.push(schedule);
    }
    let Emitter { symbols, mut places, tensors, kernels, .. } = emitter;
    let (shaders, mut requirements) = kernels.finish(&mut listed);
    requirements.max_loop_iterations =
        programs.iter().map(|program| program.loop_iterations).max().unwrap_or(0);
    requirements.max_buffer_size = places.buffers.iter().map(|b| b.size).max().unwrap_or(0);
    let data = places.segments(programs, states)?;
    let plan = Plan {
        name: name.into(),
        producer: concat!("kiln ", env!("CARGO_PKG_VERSION")).into(),
        target: target.name.clone(),
        symbols: symbols.list(),
        requirements,
        shaders,
        buffers: places.buffers,
        tensors,
        states: listed_states,
        programs: listed,
        data,
        metadata: Default::default(),
    };
    Ok(Emitted { plan, memory: places.report, schedules, kernels: single })
}

/// The conditions that a graph has on its sizes, of which those up to `max` do not meet all, in a plan's terms: its symbols and
/// the guards.
pub fn conditions(graph: &Graph, max: &Bindings) -> (Vec<kiln_plan::Symbol>, Vec<kiln_plan::Guard>) {
    let symbols = Symbols::of_graph(graph, max);
    (symbols.list(), symbols.guards(graph.guards().list()))
}

/// An element type of the graph as the host sees it in a plan.
pub fn host_dtype(dtype: DType) -> kiln_plan::DType {
    match dtype {
        DType::F32 => kiln_plan::DType::F32,
        DType::F16 => kiln_plan::DType::F16,
        DType::F64 => kiln_plan::DType::F64,
        DType::I32 => kiln_plan::DType::I32,
        DType::I64 => kiln_plan::DType::I64,
        DType::U8 => kiln_plan::DType::U8,
        DType::I8 => kiln_plan::DType::I8,
        DType::U16 => kiln_plan::DType::U16,
        DType::I16 => kiln_plan::DType::I16,
        DType::U32 => kiln_plan::DType::U32,
        DType::Bool => kiln_plan::DType::Bool,
    }
}

struct Emitter<'a> {
    symbols: Symbols<'a>,
    places: Places,
    target: &'a Target,
    kernels: Kernels,
    /// The tensors that the plan lists, states first.
    tensors: Vec<Tensor>,
    /// Which of them are at the place of a state.
    states: HashMap<Range, Vec<usize>>,
    /// By program and tensor.
    index: HashMap<(usize, TensorId), usize>,
}

impl Emitter<'_> {
    fn list_states(&mut self, states: &States) -> Result<(), CompileError> {
        for (state, place) in states.all().iter().zip(self.places.states.clone()) {
            let ty = state.first.ty();
            self.states.entry(place).or_default().push(self.tensors.len());
            self.tensors.push(Tensor {
                name: state.name.clone(),
                dtype: host_dtype(ty.dtype),
                storage: state_type(ty.dtype),
                shape: ty.shape.iter().map(|dim| self.symbols.expr(dim)).collect(),
                layout: state.layout.clone(),
                place,
            });
        }
        Ok(())
    }

    /// The place in the plan's list of a tensor of a program, if it is in memory at all.
    fn tensor(
        &mut self,
        number: usize,
        program: &Lowered,
        id: TensorId,
    ) -> Result<Option<usize>, CompileError> {
        if let Some(index) = self.index.get(&(number, id)) {
            return Ok(Some(*index));
        }
        let of = program.tensor(id);
        let Some(place) = self.places.range(number, of.buffer) else { return Ok(None) };
        let storage = program.buffer(of.buffer).element;
        let narrow = storage == Storage::F16 && of.ty.dtype == DType::F32;
        let tensor = Tensor {
            name: of.name.clone(),
            // What lies there is 16-bit floats, whatever they are read as.
            dtype: if narrow { kiln_plan::DType::F16 } else { host_dtype(of.ty.dtype) },
            storage,
            shape: of.ty.shape.iter().map(|dim| self.symbols.expr(dim)).collect(),
            layout: of.layout.clone(),
            place,
        };
        let is_state = matches!(program.buffer(of.buffer).init, BufferInit::State(_));
        let there = self.states.get(&tensor.place).map_or(&[][..], Vec::as_slice);
        let known = there.iter().copied().find(|index| is_state && self.tensors[*index] == tensor);
        let index = known.unwrap_or_else(|| {
            if is_state {
                self.states.entry(tensor.place).or_default().push(self.tensors.len());
            }
            self.tensors.push(tensor);
            self.tensors.len() - 1
        });
        self.index.insert((number, id), index);
        Ok(Some(index))
    }

    fn program(&mut self, number: usize, program: &Lowered) -> Result<(Program, Schedule), CompileError> {
        let mut inputs = Vec::new();
        for id in &program.inputs {
            inputs.extend(self.tensor(number, program, *id)?);
        }
        let mut outputs = Vec::new();
        for output in program.outputs.iter().filter(|output| !output.is_size) {
            let mut sizes = Vec::new();
            for size in &output.sizes {
                let says =
                    program.outputs.get(size.output).map(|says| self.tensor(number, program, says.tensor));
                sizes
                    .extend(says.transpose()?.flatten().map(|tensor| OutputSize { axis: size.axis, tensor }));
            }
            if let Some(tensor) = self.tensor(number, program, output.tensor)? {
                outputs.push(OutputRef { name: output.name.clone(), tensor, sizes });
            }
        }
        let mut dispatches = Vec::with_capacity(program.dispatches.len());
        let (mut dispatched, mut first_of) = (vec![], vec![]);
        for merged in &program.dispatches {
            first_of.push(dispatches.len());
            self.dispatches(number, program, merged, &mut dispatches)?;
            dispatched.extend(schedule::dispatched(merged, dispatches.len() - dispatched.len()));
        }
        first_of.push(dispatches.len());
        let memory = schedule::live(self.places.placed(number), &first_of);
        let schedule = Schedule { launches: schedule::launches(program), dispatches: dispatched, memory };
        let guards = self.symbols.guards(&program.guards);
        let repeats = program.repeats.iter().map(|repeat| Repeat {
            name: repeat.name.clone(),
            first: repeat.launches.start,
            count: repeat.launches.len(),
            steps: self.symbols.expr(&repeat.steps),
        });
        let listed = Program {
            name: program.name.clone(),
            roles: vec![Role::Data; inputs.len()],
            inputs,
            outputs,
            dispatches,
            guards,
            repeats: repeats.collect(),
        };
        Ok((listed, schedule))
    }
}
