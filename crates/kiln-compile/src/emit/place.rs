//! Where every piece of memory that is used lies: which buffer, which offset.
//!
//! Weights are filled once and only read. States are kept from run to run and shared by all programs; those that one
//! dispatch reads while it writes another lie in different buffers, as WebGPU demands. Activations lie in arenas
//! ([`memory`]), which all programs use in turn.

use std::collections::HashMap;

use kiln_plan::{Access, Buffer, BufferKind, Range, Segment};

use super::symbols::Symbols;
use crate::MemoryReport;
use crate::error::CompileError;
use crate::lower::Lowered;
use crate::lower::context::{Contents, StorageId};
use crate::lower::states::States;
use crate::memory::{self, ALIGNMENT};
use crate::target::Target;

/// All places of a plan.
pub struct Places {
    /// The buffers.
    pub buffers: Vec<Buffer>,
    /// Places of the states, in their order.
    pub states: Vec<Range>,
    /// What all of it takes.
    pub report: MemoryReport,
    /// By program.
    ranges: Vec<HashMap<StorageId, Range>>,
    /// Weights in the order of their places.
    weights: Vec<(usize, StorageId)>,
}

impl Places {
    /// Gives everything that a launch of one of `programs` touches its place.
    pub fn new(
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
            weights: vec![],
        };
        for (number, program) in programs.iter().enumerate() {
            for storage in program.used() {
                let memory = &program.memory[storage.0];
                if matches!(memory.contents, Contents::Weights(_))
                    && !this.ranges[number].contains_key(&storage)
                {
                    this.place_weights(number, storage, symbols.largest(&memory.bytes), target);
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

    /// Where a memory of a program lies.
    pub fn range(&self, program: usize, storage: StorageId) -> Option<Range> {
        self.ranges[program].get(&storage).copied()
    }

    /// Room in the last buffer of a kind whose name begins with `name`, or in a new one.
    fn append(&mut self, kind: BufferKind, name: &str, size: u64, target: &Target) -> Range {
        let room = size.next_multiple_of(ALIGNMENT);
        let fits = |buffer: &Buffer| {
            buffer.kind == kind
                && buffer.name.starts_with(name)
                && buffer.size + room <= target.max_buffer_size
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

    fn place_weights(&mut self, program: usize, storage: StorageId, size: u64, target: &Target) {
        let range = self.append(BufferKind::Weights, "weights ", size, target);
        self.ranges[program].insert(storage, range);
        self.weights.push((program, storage));
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
            for (storage, memory) in program.memory.iter().enumerate() {
                if let Contents::State(index) = memory.contents {
                    self.ranges[number].insert(StorageId(storage), self.states[index]);
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
        let sizes = |storage: StorageId| {
            let memory = &program.memory[storage.0];
            let activation = matches!(memory.contents, Contents::Input | Contents::Activation);
            activation.then(|| symbols.largest(&memory.bytes))
        };
        let given: Vec<StorageId> = program.inputs.iter().map(|n| program.placed[*n].storage).collect();
        let kept: Vec<StorageId> = program.outputs.iter().map(|(_, n)| program.placed[*n].storage).collect();
        let pieces = memory::lifetimes(&program.launches, &sizes, &given, &kept);
        let arenas = memory::plan(&pieces, &program.launches, target.max_buffer_size);
        for (n, size) in arenas.sizes.iter().enumerate() {
            if *size > target.max_buffer_size {
                return Err(CompileError::TooLarge {
                    tensor: format!("activation arena {n}"),
                    bytes: *size,
                    limit: target.max_buffer_size,
                    hint: "; a smaller largest batch would do, or a target with larger buffers".into(),
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
        for (piece, place) in pieces.iter().zip(&arenas.places) {
            let size = sizes(piece.storage).unwrap_or(piece.size);
            let range = Range { buffer: first + place.arena, offset: place.offset, size };
            self.ranges[number].insert(piece.storage, range);
        }
        let live = &mut self.report.largest_live_set;
        *live = arenas.largest_live_set.max(*live);
        Ok(())
    }

    /// What weights and states are filled with.
    pub fn segments(
        &mut self,
        programs: Vec<Lowered>,
        states: &States,
    ) -> Result<Vec<Segment>, CompileError> {
        let mut memory: Vec<Vec<_>> =
            programs.into_iter().map(|program| program.memory.into_iter().map(Some).collect()).collect();
        let mut segments = Vec::new();
        for (program, storage) in std::mem::take(&mut self.weights) {
            let (Some(place), Some(memory)) =
                (self.range(program, storage), memory[program][storage.0].take())
            else {
                continue;
            };
            if let Contents::Weights(bytes) = memory.contents {
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
                    |(storage, _)| match program.memory[storage.0].contents {
                        Contents::State(index) => Some(index),
                        Contents::Input | Contents::Weights(_) | Contents::Activation => None,
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
