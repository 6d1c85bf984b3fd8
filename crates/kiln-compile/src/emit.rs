//! From launches on unplaced memory to a plan.
//!
//! Weights get segments of their own, activations places in arenas ([`memory`]); symbolic sizes become expressions
//! over the plan's symbols. Nothing is decided here that changes what is computed.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_graph::{Atom, Bindings, DType, Dim, Graph};
use kiln_plan::{
    Buffer, BufferKind, Dispatch, Expr, Factor, OutputRef, Param, Plan, Program, Range, Requirements,
    Segment, Symbol, Tensor, Term,
};

use crate::MemoryReport;
use crate::error::CompileError;
use crate::lower::context::{Contents, Context, StorageId};
use crate::lower::kernel::{Launch, Word};
use crate::memory::{self, ALIGNMENT};
use crate::target::Target;

/// The plan of a lowered graph, whose outputs are the tensors `outputs`, and what it takes in memory.
pub fn emit(
    ctx: Context<'_>,
    outputs: &[usize],
    max: &Bindings,
) -> Result<(Plan, MemoryReport), CompileError> {
    let symbols = Symbols::new(ctx.graph, max);
    let (graph, target) = (ctx.graph, ctx.target);
    let inputs: Vec<usize> =
        graph.inputs().iter().filter_map(|id| ctx.versions(*id).first().copied()).collect();
    let mut layout = Layout::new(&ctx, &symbols, &inputs, outputs)?;
    let Context { memory, placed, launches, shaders, .. } = ctx;

    let mut tensors = Tensors::default();
    let mut list = |n: usize| -> Option<usize> {
        let of = &placed[n];
        let place = layout.range(of.storage)?;
        Some(tensors.list(n, || {
            Ok(Tensor {
                name: of.name.clone(),
                dtype: host_dtype(of.ty.dtype),
                storage: crate::lower::context::storage_type(&of.name, of.ty.dtype)?,
                shape: of.ty.shape.iter().map(|d| symbols.expr(d)).collect(),
                layout: of.layout.clone(),
                place,
            })
        }))
    };
    let program_inputs = inputs.iter().filter_map(|n| list(*n)).collect();
    let program_outputs = graph
        .outputs()
        .iter()
        .zip(outputs)
        .filter_map(|(output, n)| Some(OutputRef { name: output.name.clone(), tensor: list(*n)? }))
        .collect();
    let mut requirements =
        Requirements { max_storage_buffer_binding_size: 0, ..shaders.requirements.clone() };
    let mut dispatches = Vec::with_capacity(launches.len());
    for launch in &launches {
        let bindings: Vec<Range> =
            launch.bindings.iter().filter_map(|(storage, _)| layout.range(*storage)).collect();
        for (range, (storage, _)) in bindings.iter().zip(&launch.bindings) {
            let limit = target.max_storage_buffer_binding_size;
            if range.size > limit {
                return Err(CompileError::TooLarge {
                    tensor: memory[storage.0].name.clone(),
                    bytes: range.size,
                    limit,
                    hint: "; a smaller largest batch would do, or a target that binds more".into(),
                });
            }
            let size = &mut requirements.max_storage_buffer_binding_size;
            *size = range.size.max(*size);
        }
        let count = u32::try_from(bindings.len()).unwrap_or(u32::MAX);
        requirements.max_storage_buffers_per_shader_stage =
            requirements.max_storage_buffers_per_shader_stage.max(count);
        let bytes = launch.bindings.iter().fold(Dim::from(0), |sum, (s, _)| sum + memory[s.0].bytes.clone());
        dispatches.push(Dispatch {
            name: launch.name.clone(),
            shader: launch.shader,
            bindings,
            params: launch.words.iter().map(|word| symbols.param(word)).collect(),
            workgroups: launch.workgroups.each_ref().map(|n| symbols.expr(n)),
            writes: launch.writes.iter().filter_map(|n| list(*n)).collect(),
            flops: symbols.expr(&launch.flops),
            bytes: symbols.expr(&bytes),
        });
    }
    requirements.max_buffer_size = layout.buffers.iter().map(|b| b.size).max().unwrap_or(0);
    let data = layout.segments(memory);
    let plan = Plan {
        name: graph.name.clone(),
        producer: concat!("kiln ", env!("CARGO_PKG_VERSION")).into(),
        symbols: symbols.list(),
        requirements,
        shaders: shaders.kept,
        buffers: layout.buffers,
        tensors: tensors.finish()?,
        programs: vec![Program {
            name: "inference".into(),
            inputs: program_inputs,
            outputs: program_outputs,
            dispatches,
        }],
        data,
    };
    Ok((plan, layout.report))
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
        DType::Bool => kiln_plan::DType::Bool,
    }
}

/// The tensors that the plan lists, each once.
#[derive(Default)]
struct Tensors {
    index: HashMap<usize, usize>,
    tensors: Vec<Result<Tensor, CompileError>>,
}

impl Tensors {
    fn list(&mut self, placed: usize, make: impl FnOnce() -> Result<Tensor, CompileError>) -> usize {
        *self.index.entry(placed).or_insert_with(|| {
            self.tensors.push(make());
            self.tensors.len() - 1
        })
    }

    fn finish(self) -> Result<Vec<Tensor>, CompileError> {
        self.tensors.into_iter().collect()
    }
}

/// The symbols of a plan.
struct Symbols<'a> {
    names: Vec<Arc<str>>,
    max: &'a Bindings,
}

impl<'a> Symbols<'a> {
    fn new(graph: &Graph, max: &'a Bindings) -> Self {
        Self { names: graph.symbols(), max }
    }

    fn list(&self) -> Vec<Symbol> {
        let largest = |name| self.max.get(name).and_then(|n| u32::try_from(*n).ok()).unwrap_or(1);
        self.names.iter().map(|name| Symbol { name: name.to_string(), max: largest(name) }).collect()
    }

    fn expr(&self, dim: &Dim) -> Expr {
        let terms = dim.terms().iter().map(|(atoms, coefficient)| Term {
            coefficient: *coefficient,
            factors: atoms
                .iter()
                .map(|atom| match atom {
                    Atom::Symbol(name) => {
                        // All symbols of a graph are in the shapes of its inputs; the verifier sees to that.
                        Factor::Symbol(self.names.iter().position(|n| n == name).unwrap_or(usize::MAX))
                    }
                    Atom::FloorDiv(dim, divisor) => Factor::FloorDiv(self.expr(dim), *divisor),
                })
                .collect(),
        });
        Expr { terms: terms.collect() }
    }

    fn param(&self, word: &Word) -> Param {
        match word {
            Word::Int(dim) => Param::Int(self.expr(dim)),
            Word::Float(value) => Param::Float(*value),
        }
    }

    /// Bytes of a piece of memory for the largest symbols; nothing is so small that it cannot be bound.
    fn largest(&self, bytes: &Dim) -> u64 {
        u64::try_from(bytes.eval(self.max).unwrap_or(i64::MAX)).unwrap_or(0).max(16)
    }
}

/// Where every piece of memory that is used lies.
struct Layout {
    buffers: Vec<Buffer>,
    ranges: HashMap<StorageId, Range>,
    /// Weights in the order of their places.
    weights: Vec<StorageId>,
    report: MemoryReport,
}

impl Layout {
    fn new(
        ctx: &Context<'_>,
        symbols: &Symbols<'_>,
        inputs: &[usize],
        outputs: &[usize],
    ) -> Result<Self, CompileError> {
        let storage =
            |placed: &[usize]| -> Vec<StorageId> { placed.iter().map(|n| ctx.placed[*n].storage).collect() };
        let (given, kept) = (storage(inputs), storage(outputs));
        let mut this = Self {
            buffers: vec![],
            ranges: HashMap::new(),
            weights: vec![],
            report: MemoryReport::default(),
        };
        let used = ctx.launches.iter().flat_map(|l| &l.bindings).map(|(s, _)| *s).chain(kept.iter().copied());
        for storage in used {
            let memory = &ctx.memory[storage.0];
            if matches!(memory.contents, Contents::Weights(_)) && !this.ranges.contains_key(&storage) {
                this.place_weights(storage, symbols.largest(&memory.bytes), ctx.target);
            }
        }
        let sizes = |storage: StorageId| {
            let memory = &ctx.memory[storage.0];
            let activation = matches!(memory.contents, Contents::Input | Contents::Activation);
            activation.then(|| symbols.largest(&memory.bytes))
        };
        this.place_activations(&ctx.launches, &sizes, &given, &kept, ctx.target)?;
        Ok(this)
    }

    fn place_weights(&mut self, storage: StorageId, size: u64, target: &Target) {
        let room = size.next_multiple_of(ALIGNMENT);
        let buffer = match self.buffers.last() {
            Some(last) if last.size + room <= target.max_buffer_size => self.buffers.len() - 1,
            Some(_) | None => {
                let name = format!("weights {}", self.buffers.len());
                self.buffers.push(Buffer { name, kind: BufferKind::Weights, size: 0 });
                self.buffers.len() - 1
            }
        };
        self.ranges.insert(storage, Range { buffer, offset: self.buffers[buffer].size, size });
        self.buffers[buffer].size += room;
        self.weights.push(storage);
        self.report.weights += room;
    }

    fn place_activations(
        &mut self,
        launches: &[Launch],
        sizes: &dyn Fn(StorageId) -> Option<u64>,
        given: &[StorageId],
        kept: &[StorageId],
        target: &Target,
    ) -> Result<(), CompileError> {
        let pieces = memory::lifetimes(launches, sizes, given, kept);
        let arenas = memory::plan(&pieces, launches, target.max_buffer_size);
        let first = self.buffers.len();
        for (n, size) in arenas.sizes.iter().enumerate() {
            if *size > target.max_buffer_size {
                return Err(CompileError::TooLarge {
                    tensor: format!("activation arena {n}"),
                    bytes: *size,
                    limit: target.max_buffer_size,
                    hint: "; a smaller largest batch would do, or a target with larger buffers".into(),
                });
            }
            let name = format!("arena {n}");
            self.buffers.push(Buffer { name, kind: BufferKind::Arena, size: *size });
        }
        for (piece, place) in pieces.iter().zip(&arenas.places) {
            let size = sizes(piece.storage).unwrap_or(piece.size);
            let range = Range { buffer: first + place.arena, offset: place.offset, size };
            self.ranges.insert(piece.storage, range);
        }
        self.report.activations = arenas.sizes.iter().sum();
        self.report.largest_live_set = arenas.largest_live_set;
        Ok(())
    }

    fn range(&self, storage: StorageId) -> Option<Range> {
        self.ranges.get(&storage).copied()
    }

    fn segments(&mut self, memory: Vec<crate::lower::context::Memory>) -> Vec<Segment> {
        let mut memory: Vec<_> = memory.into_iter().map(Some).collect();
        let weights = std::mem::take(&mut self.weights);
        weights
            .into_iter()
            .filter_map(|storage| {
                let place = self.range(storage)?;
                let Contents::Weights(mut bytes) = memory[storage.0].take()?.contents else { return None };
                bytes.resize(usize::try_from(place.size).ok()?, 0);
                Some(Segment { place, bytes })
            })
            .collect()
    }
}
