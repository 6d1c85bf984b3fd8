//! Where every buffer that is used is placed: which buffer of the plan, which offset.
//!
//! Weights are filled once and only read. States are kept from run to run and shared by all programs; those that one
//! dispatch reads while it writes another are in different buffers, as WebGPU demands. Activations are in arenas
//! ([`arenas`](super::arenas)), which all programs use in turn.

use std::collections::HashMap;

use kiln_plan::{Access, Buffer, BufferKind, Range, Requirements, Segment};

use super::arenas::{live_ranges, plan};
use super::live_range::{ALIGNMENT, through};
use super::report::MemoryReport;
use super::symbols::Symbols;
use crate::error::CompileError;
use crate::lower::program::Lowered;
use crate::memory::buffer::{BufferId, BufferInit};
use crate::memory::states::States;

use crate::target::Target;

/// Buffers are no larger than every device has them, unless a single tensor or the activations need more.
const PREFERRED_BUFFER: u64 = Requirements::GUARANTEED.max_buffer_size;

/// What lies in an arena, and when; in merged dispatches.
pub(super) struct Placed {
    pub name: String,
    pub range: Range,
    pub size: u64,
    pub first: usize,
    pub last: usize,
}

/// All places of a plan.
pub(super) struct Places {
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// Places of the states, in their order.
    pub states: Vec<Range>,
    /// What all of it takes.
    pub report: MemoryReport,
    /// By program.
    ranges: Vec<HashMap<BufferId, Range>>,
    /// By program.
    placed: Vec<Vec<Placed>>,
    /// Weights in the order of their places.
    weights: Vec<(usize, BufferId)>,
}

impl Places {
    /// Gives everything that a launch of one of `programs` touches its place.
    pub(super) fn new(
        programs: &[Lowered],
        states: &States,
        symbols: &Symbols<'_>,
        target: &Target,
    ) -> Result<Self, CompileError> {
        let mut this = Self {
            buffers: vec![],
            states: vec![],
            report: MemoryReport::default(),
            ranges: vec![HashMap::new(); programs.len()],
            placed: programs.iter().map(|_| vec![]).collect(),
            weights: vec![],
        };
        for (number, program) in programs.iter().enumerate() {
            for buffer in program.used() {
                let memory = program.buffer(buffer);
                if matches!(memory.init, BufferInit::Weights(_)) && !this.ranges[number].contains_key(&buffer)
                {
                    this.place_weights(number, buffer, symbols.largest(&memory.bytes), target);
                }
            }
        }
        this.place_states(programs, states, target)?;
        let first = this.buffers.len();
        for (number, program) in programs.iter().enumerate() {
            this.place_activations(number, program, symbols, target, first)?;
        }
        this.report.activations = this.buffers[first..].iter().map(|buffer| buffer.size).sum();
        Ok(this)
    }

    /// Where a buffer of a program is.
    pub(super) fn range(&self, program: usize, buffer: BufferId) -> Option<Range> {
        self.ranges[program].get(&buffer).copied()
    }

    /// What a program has in arenas.
    pub(super) fn placed(&self, program: usize) -> &[Placed] {
        &self.placed[program]
    }

    /// Room in the last buffer of a kind whose name begins with `name`, or in a new one.
    fn append(&mut self, kind: BufferKind, name: &str, size: u64, target: &Target) -> Range {
        let room = size.next_multiple_of(ALIGNMENT);
        let fits = |buffer: &Buffer| {
            buffer.kind == kind
                && buffer.name.starts_with(name)
                && buffer.size + room <= target.max_buffer_size.min(PREFERRED_BUFFER)
        };
        let buffer = self.buffers.iter().rposition(fits).unwrap_or_else(|| {
            let number = self.buffers.iter().filter(|buffer| buffer.name.starts_with(name)).count();
            self.buffers.push(Buffer { name: format!("{name}{number}"), kind, size: 0 });
            self.buffers.len() - 1
        });
        let range = Range { buffer, offset: self.buffers[buffer].size, size };
        self.buffers[buffer].size += room;
        range
    }

    fn place_weights(&mut self, program: usize, buffer: BufferId, size: u64, target: &Target) {
        let range = self.append(BufferKind::Weights, "weights ", size, target);
        self.ranges[program].insert(buffer, range);
        self.weights.push((program, buffer));
        self.report.weights += size.next_multiple_of(ALIGNMENT);
    }

    fn place_states(
        &mut self,
        programs: &[Lowered],
        states: &States,
        target: &Target,
    ) -> Result<(), CompileError> {
        let colours = colours(programs, states.all().len());
        for (state, colour) in states.all().iter().zip(&colours) {
            let size = state.bytes()?.len() as u64;
            let name = format!("state {colour}.");
            let range = self.append(BufferKind::State, &name, size.max(16), target);
            self.states.push(range);
            self.report.states += size.next_multiple_of(ALIGNMENT);
        }
        for (number, program) in programs.iter().enumerate() {
            for (buffer, contents) in program.buffers.iter().enumerate() {
                if let BufferInit::State(index) = contents.init {
                    self.ranges[number].insert(BufferId(buffer), self.states[index]);
                }
            }
        }
        Ok(())
    }

    /// Arenas of all programs are the same buffers, from number `first` on.
    fn place_activations(
        &mut self,
        number: usize,
        program: &Lowered,
        symbols: &Symbols<'_>,
        target: &Target,
        first: usize,
    ) -> Result<(), CompileError> {
        let sizes = |buffer: BufferId| {
            let memory = program.buffer(buffer);
            let activation = matches!(memory.init, BufferInit::Input | BufferInit::Activation);
            activation.then(|| symbols.largest(&memory.bytes))
        };
        let given: Vec<BufferId> = program.inputs.iter().map(|n| program.tensor(*n).buffer).collect();
        let kept: Vec<BufferId> =
            program.outputs.iter().map(|output| program.tensor(output.tensor).buffer).collect();
        let dispatch_of = program.dispatch_of();
        let mut ranges = live_ranges(&program.launches, &dispatch_of, &sizes, &given, &kept);
        for repeat in &program.repeats {
            through(&mut ranges, &repeat.launches, &program.launches, &given);
        }
        let arenas = plan(&ranges, &program.launches, target.max_buffer_size.min(PREFERRED_BUFFER));
        for (n, size) in arenas.sizes.iter().enumerate() {
            if *size > target.max_buffer_size {
                return Err(CompileError::TooLarge {
                    tensor: format!("activation arena {n}"),
                    bytes: *size,
                    limit: target.max_buffer_size,
                    hint: "; reduce the maximum batch, or choose a target with larger buffers".into(),
                });
            }
            match self.buffers.get_mut(first + n) {
                Some(buffer) => buffer.size = buffer.size.max(*size),
                None => self.buffers.push(Buffer {
                    name: format!("arena {n}"),
                    kind: BufferKind::Arena,
                    size: *size,
                }),
            }
        }
        for (live, place) in ranges.iter().zip(&arenas.places) {
            let size = sizes(live.buffer).unwrap_or(live.size);
            let range = Range { buffer: first + place.arena, offset: place.offset, size };
            self.ranges[number].insert(live.buffer, range);
            self.placed[number].push(Placed {
                name: program.buffer(live.buffer).name.clone(),
                range,
                size: live.size,
                first: live.first,
                last: live.last,
            });
        }
        let live = &mut self.report.largest_live_set;
        *live = arenas.largest_live_set.max(*live);
        Ok(())
    }

    /// What weights and states are filled with.
    pub(super) fn segments(
        &mut self,
        programs: Vec<Lowered>,
        states: &States,
    ) -> Result<Vec<Segment>, CompileError> {
        let mut memory: Vec<Vec<_>> =
            programs.into_iter().map(|program| program.buffers.into_iter().map(Some).collect()).collect();
        let mut segments = Vec::new();
        for (program, buffer) in std::mem::take(&mut self.weights) {
            let (Some(place), Some(memory)) = (self.range(program, buffer), memory[program][buffer.0].take())
            else {
                continue;
            };
            if let BufferInit::Weights(bytes) = memory.init {
                segments.push(segment(place, bytes));
            }
        }
        for (state, place) in states.all().iter().zip(&self.states) {
            segments.push(segment(*place, state.bytes()?));
        }
        Ok(segments)
    }
}

fn segment(place: Range, mut bytes: Vec<u8>) -> Segment {
    bytes.resize(usize::try_from(place.size).unwrap_or(bytes.len()), 0);
    Segment { place, bytes }
}

/// A number for each state such that two of them differ if a launch reads one while it writes the other.
fn colours(programs: &[Lowered], count: usize) -> Vec<usize> {
    let mut apart: Vec<Vec<usize>> = vec![vec![]; count];
    for program in programs {
        for launch in &program.launches {
            let of = |wanted: Access| {
                launch.bindings.iter().filter(move |(_, access)| *access == wanted).filter_map(
                    |(buffer, _)| match program.buffer(*buffer).init {
                        BufferInit::State(index) => Some(index),
                        BufferInit::Input | BufferInit::Weights(_) | BufferInit::Activation => None,
                    },
                )
            };
            for written in of(Access::ReadWrite) {
                for read in of(Access::Read) {
                    apart[written].push(read);
                    apart[read].push(written);
                }
            }
        }
    }
    let mut colours = vec![usize::MAX; count];
    for n in 0..count {
        colours[n] = (0..).find(|c| apart[n].iter().all(|m| colours[*m] != *c)).unwrap_or(0);
    }
    colours
}
