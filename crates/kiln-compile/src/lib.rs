//! Kiln's compiler: from a graph to a plan.
//!
//! [`compile`] reads like a table of contents: passes tidy the graph, fusion decides which nodes become one kernel,
//! lowering chooses kernels and layouts, the memory planner gives everything its place, and what comes out is a plan.
//! Each step's result is data that can be looked at: [`Compiled`] keeps them all.
//!
//! What is deliberately absent: devices. The compiler runs without a GPU; what it should know of one is a [`Target`].

pub mod differentiate;
mod emit;
mod error;
pub mod fuse;
mod layout;
mod lower;
mod memory;
pub mod passes;
mod shader;
mod target;
pub mod train;

use std::collections::{BTreeMap, BTreeSet};

use kiln_graph::{Bindings, Graph};
use kiln_plan::Plan;

pub use emit::host_dtype;
pub use error::CompileError;
pub use target::{Strategy, Target};

use lower::states::States;
use shader::Shaders;

/// What a compilation can be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The device the plan is for.
    pub target: Target,
    /// The largest value of each symbolic dimension: `N = 8`.
    pub max: BTreeMap<String, u32>,
}

/// A plan and how it came about.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The programs of the plan, in its order.
    pub programs: Vec<CompiledProgram>,
    /// The plan.
    pub plan: Plan,
    /// What the plan takes in memory.
    pub memory: MemoryReport,
}

/// A program of a plan, before it became dispatches.
#[derive(Clone, Debug)]
pub struct CompiledProgram {
    /// What the plan calls it.
    pub name: String,
    /// The graph after all passes.
    pub graph: Graph,
    /// Which of its nodes became one kernel.
    pub fusion: fuse::Fusion,
}

/// Bytes on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Weights and other constants.
    pub weights: u64,
    /// What is kept from run to run: in training parameters, statistics, moments.
    pub states: u64,
    /// All arenas: inputs, activations, outputs; programs use the same.
    pub activations: u64,
    /// The largest sum of activations that are needed at the same time; no plan can do with less.
    pub largest_live_set: u64,
}

/// Compiles an inference plan, whose only program is called `inference`.
pub fn compile(graph: &Graph, options: &Options) -> Result<Compiled, CompileError> {
    let max = largest_symbols(&[graph], &options.max)?;
    let program = prepared("inference", passes::run(passes::INFERENCE, graph)?);
    assemble(vec![program], &options.target, &max)
}

/// Compiles several graphs into one plan, each to the program that it is called after. States stay states, shared by
/// name.
pub fn compile_programs(graphs: &[(&str, &Graph)], options: &Options) -> Result<Compiled, CompileError> {
    let all: Vec<&Graph> = graphs.iter().map(|(_, graph)| *graph).collect();
    let max = largest_symbols(&all, &options.max)?;
    let mut programs = Vec::with_capacity(graphs.len());
    for (name, graph) in graphs {
        programs.push(prepared(name, passes::run(passes::TRAINING, graph)?));
    }
    assemble(programs, &options.target, &max)
}

/// Compiles a plan that trains: programs `train`, `evaluate` and `inference`.
pub fn compile_training(
    model: &Graph,
    training: &train::Training,
    options: &Options,
) -> Result<Compiled, CompileError> {
    let programs = train::programs(model, training)?;
    let programs: Vec<(&str, &Graph)> = programs.iter().map(|(name, graph)| (*name, graph)).collect();
    compile_programs(&programs, options)
}

fn prepared(name: &str, graph: Graph) -> CompiledProgram {
    let fusion = fuse::fuse(&graph, &fuse::FuseLimits::default());
    CompiledProgram { name: name.into(), graph, fusion }
}

/// From graphs after all passes to a plan.
fn assemble(
    programs: Vec<CompiledProgram>,
    target: &Target,
    max: &Bindings,
) -> Result<Compiled, CompileError> {
    let states = States::of(programs.iter().map(|program| &program.graph))?;
    let mut shaders = Shaders::new()?;
    let mut lowered = Vec::with_capacity(programs.len());
    for CompiledProgram { name, graph, fusion } in &programs {
        lowered.push(lower::lower(name, graph, fusion, target, max, &mut shaders, &states)?);
    }
    let name = programs.first().map_or("", |program| program.graph.name.as_str());
    let (plan, memory) = emit::emit(name, lowered, shaders, &states, target, max)?;
    Ok(Compiled { programs, plan, memory })
}

/// A largest value for each symbol of the graphs, from those given.
fn largest_symbols(graphs: &[&Graph], given: &BTreeMap<String, u32>) -> Result<Bindings, CompileError> {
    let symbols: BTreeSet<_> = graphs.iter().flat_map(|graph| graph.symbols()).collect();
    if let Some(symbol) = given.keys().find(|name| symbols.iter().all(|s| **s != ***name)) {
        let known: Vec<String> = symbols.iter().map(|s| format!("`{s}`")).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(CompileError::UnknownSymbol { symbol: symbol.clone(), known });
    }
    symbols
        .into_iter()
        .map(|symbol| match given.get(&*symbol) {
            Some(0) | None => Err(CompileError::UnboundSymbol { symbol: symbol.to_string() }),
            Some(max) => Ok((symbol, i64::from(*max))),
        })
        .collect()
}
