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

use std::collections::BTreeMap;

use kiln_graph::{Bindings, Graph};
use kiln_plan::Plan;

pub use emit::host_dtype;
pub use error::CompileError;
pub use target::{Strategy, Target};

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
    /// The graph after all passes.
    pub graph: Graph,
    /// Which of its nodes became one kernel.
    pub fusion: fuse::Fusion,
    /// The plan.
    pub plan: Plan,
    /// What the plan takes in memory.
    pub memory: MemoryReport,
}

/// Bytes on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Weights and other constants.
    pub weights: u64,
    /// All arenas: inputs, activations, outputs.
    pub activations: u64,
    /// The largest sum of activations that are needed at the same time; no plan can do with less.
    pub largest_live_set: u64,
}

/// Compiles an inference plan.
pub fn compile(graph: &Graph, options: &Options) -> Result<Compiled, CompileError> {
    let max = largest_symbols(graph, &options.max)?;
    let graph = passes::inference(graph)?;
    let fusion = fuse::fuse(&graph, &fuse::FuseLimits::default());
    let (context, outputs) = lower::lower(&graph, &fusion, &options.target, &max)?;
    let (plan, memory) = emit::emit(context, &outputs, &max)?;
    Ok(Compiled { graph, fusion, plan, memory })
}

/// A largest value for each symbol of the graph, from those given.
fn largest_symbols(graph: &Graph, given: &BTreeMap<String, u32>) -> Result<Bindings, CompileError> {
    let symbols = graph.symbols();
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
