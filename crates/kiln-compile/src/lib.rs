//! Kiln's compiler: from a graph to a plan.
//!
//! [`compile`] reads like a table of contents: passes tidy the graph, fusion decides which nodes become one kernel,
//! lowering chooses kernels and layouts, the memory planner gives everything its place, and what comes out is a plan.
//! Each step's result is data that can be looked at: [`Compiled`] keeps them all.
//!
//! What is deliberately absent: devices. The compiler runs without a GPU; what it should know of one is a [`Target`].

mod checkpointing;
pub mod differentiate;
mod element;
mod emit;
mod error;
pub mod fuse;
mod isolate;
mod kernels;
mod layout;
mod lower;
mod memory;
mod merge;
pub mod passes;
pub mod quantize;
mod ranges;
mod select;
mod target;
#[cfg(test)]
mod toy;
pub mod train;
mod wgsl;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use kiln_graph::{Bindings, Dim, Graph};
use kiln_plan::{Plan, Shader};

pub use emit::{Dispatched, Launched, Live, MemoryReport, Schedule, Sharing, conditions, host_dtype};
pub use error::CompileError;
pub use isolate::Isolated;
pub use kernels::family::{Choice, Estimate};
pub use kernels::problem::Problem;
pub use passes::halves::Precision;
pub use select::choose::{Preferences, Reason, Selection};
pub use select::enumerate::{Candidate, Refusal};
pub use select::records::{Record, Records};
pub use target::{DeviceClass, Target};

use kernels::family::Family;
use kernels::table::TABLE;
use lower::program::{Environment, lower};
use memory::states::States;
use wgsl::template::Templates;

/// What a compilation can be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The device the plan is for.
    pub target: Target,
    /// The maximum of each symbolic dimension: `N = 8`.
    pub max: BTreeMap<String, u32>,
    /// What the caller says of the choice of kernels.
    pub preferences: Preferences,
    /// What weights and activations of an inference plan are kept in. How a model is trained says that of its training.
    pub precision: Precision,
    /// Whether each kernel is a dispatch of its own, so that all that is computed can be looked at. Usually small ones are
    /// merged.
    pub separate: bool,
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
    /// The kernels of single launches; the plan has those that are not merged with others.
    pub kernels: Vec<Shader>,
    /// What a step computes twice, since its training would not fit into the memory that it may take.
    pub recomputed: Option<Recomputed>,
}

/// What the backward pass of a step computes again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recomputed {
    /// Nodes of the forward pass.
    pub nodes: usize,
    /// Their arithmetic as a share of that of the forward pass.
    pub share_of_forward: f64,
    /// What the plan would take without.
    pub without: MemoryReport,
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
    /// Which kernel was chosen for each group, and from what; groups that only make views are not among them.
    pub selections: Vec<Selection>,
    /// Of which launches its dispatches are made, and what they have in memory.
    pub schedule: Schedule,
}

impl CompiledProgram {
    fn new(name: &str, graph: Graph, fusion: fuse::Fusion) -> Self {
        Self { name: name.into(), graph, fusion, selections: vec![], schedule: Schedule::default() }
    }

    /// The group of layers of a selection by itself. `None` where it would be another problem: what is known of its operands
    /// follows from what is before them, or it is in the body of a loop.
    pub fn isolated(&self, selection: &Selection, options: &Options) -> Option<Isolated> {
        // Several groups may have one name.
        let groups = self.fusion.groups.iter().filter(|group| group.name == selection.group);
        let isolated = groups.filter_map(|group| isolate::isolated(&self.graph, group).ok());
        let is_same = |isolated: &Isolated| {
            let compiled = compile_isolated(isolated, options);
            compiled.is_ok_and(|compiled| {
                own_selection(&compiled).is_some_and(|own| own.problem == selection.problem)
            })
        };
        isolated.into_iter().find(is_same)
    }
}

/// The selection of the group that was compiled by itself: the last one, behind those for its inputs.
pub fn own_selection(isolated: &Compiled) -> Option<&Selection> {
    isolated.programs.first()?.selections.last()
}

/// Compiles an inference plan, whose only program is called `inference`.
pub fn compile(graph: &Graph, options: &Options) -> Result<Compiled, CompileError> {
    let graph = settled(graph)?;
    let max = largest_symbols(&[&graph], &options.max)?;
    let mut graph = passes::run(passes::INFERENCE, &graph)?;
    if options.precision == Precision::F16 {
        check_halves(&options.target)?;
        graph = passes::run(passes::HALVES, &graph)?;
    }
    assemble(vec![prepared("inference", graph)], &or_precise(options, false), &max, TABLE)
}

/// Compiles several graphs into one plan, each to the program that it is called after. States stay states, shared by
/// name. They are graphs for the precision of the options already: it only says what the target has to have.
pub fn compile_programs(graphs: &[(&str, &Graph)], options: &Options) -> Result<Compiled, CompileError> {
    let (programs, max) = after_passes(graphs, options)?;
    assemble(programs, &or_precise(options, true), &max, TABLE)
}

/// Programs whose states stay states after all passes, and the largest sizes.
fn after_passes(
    graphs: &[(&str, &Graph)],
    options: &Options,
) -> Result<(Vec<CompiledProgram>, Bindings), CompileError> {
    if options.precision == Precision::F16 {
        check_halves(&options.target)?;
    }
    let settled = graphs.iter().map(|(_, graph)| settled(graph)).collect::<Result<Vec<_>, _>>()?;
    let max = largest_symbols(&settled.iter().map(|graph| &**graph).collect::<Vec<_>>(), &options.max)?;
    let mut programs = Vec::with_capacity(graphs.len());
    for ((name, _), graph) in graphs.iter().zip(&settled) {
        programs.push(prepared(name, passes::run(passes::TRAINING, graph)?));
    }
    Ok((programs, max))
}

/// Compiles a plan that trains: programs `train`, `evaluate` and `inference`; `gradients` and `apply` instead of `train` where
/// the training is split. With [`train::Training::memory`], the backward pass computes as much again as it takes for the plan to
/// fit.
pub fn compile_training(
    model: &Graph,
    training: &train::Training,
    options: &Options,
) -> Result<Compiled, CompileError> {
    let programs = train::programs(model, training)?;
    let programs: Vec<(&str, &Graph)> = programs.iter().map(|(name, graph)| (*name, graph)).collect();
    let options = or_precise(&Options { precision: training.precision, ..options.clone() }, true);
    let (programs, max) = after_passes(&programs, &options)?;
    let mut compiled = within(training.memory, programs, &options, &max)?;
    train::name_roles(&mut compiled.plan, &training.optimizer);
    Ok(compiled)
}

/// The programs of a training as a plan that takes at most so many bytes.
fn within(
    budget: Option<u64>,
    programs: Vec<CompiledProgram>,
    options: &Options,
    max: &Bindings,
) -> Result<Compiled, CompileError> {
    let Some(budget) = budget else { return assemble(programs, options, max, TABLE) };
    let whole = assemble(programs.clone(), options, max, TABLE)?;
    if whole.memory.total() <= budget {
        return Ok(whole);
    }
    let mut least = whole.memory;
    // By compiling: only the plan says what it takes.
    for level in checkpointing::LEVELS {
        let mut changed = programs.clone();
        let has_gradients = |program: &&mut CompiledProgram| ["train", "gradients"].contains(&&*program.name);
        let Some(step) = changed.iter_mut().find(has_gradients) else { break };
        let Some(found) = checkpointing::checkpointed(&step.graph, *level, max)? else { continue };
        let (nodes, share_of_forward) = (found.nodes, found.share_of_forward);
        *step = prepared(&step.name, found.graph);
        let compiled = assemble(changed, options, max, TABLE)?;
        if compiled.memory.total() <= budget {
            let recomputed = Recomputed { nodes, share_of_forward, without: whole.memory };
            return Ok(Compiled { recomputed: Some(recomputed), ..compiled });
        }
        if compiled.memory.total() < least.total() {
            least = compiled.memory;
        }
    }
    Err(CompileError::Memory { budget, least: least.total(), states: least.weights + least.states })
}

/// Refuses targets whose memory would hold 16-bit floats in 32 bits: all that is left of them there is the rounding.
fn check_halves(target: &Target) -> Result<(), CompileError> {
    if target.float16 { Ok(()) } else { Err(CompileError::NoHalves { target: target.name.clone() }) }
}

/// Compiles a group of layers by itself, as it is: no pass runs. The maxima of `options` may be those of the whole program.
pub fn compile_isolated(isolated: &Isolated, options: &Options) -> Result<Compiled, CompileError> {
    let Isolated { graph, fusion } = isolated.clone();
    let symbols = graph.symbols();
    let has = |name: &str| symbols.iter().any(|symbol| **symbol == *name);
    let max =
        options.max.iter().filter(|(name, _)| has(name)).map(|(name, max)| (name.clone(), *max)).collect();
    let max = largest_symbols(&[&graph], &max)?;
    let program = CompiledProgram::new("group", graph, fusion);
    // Its kernels are timed one by one.
    assemble(vec![program], &Options { separate: true, ..options.clone() }, &max, TABLE)
}

/// The options with an answer to whether sums have to be of the operators' own products, if they have none.
fn or_precise(options: &Options, precise: bool) -> Options {
    let mut options = options.clone();
    options.preferences.precise.get_or_insert(precise);
    options
}

/// The graph with what its guards say of sizes everywhere.
fn settled(graph: &Graph) -> Result<Cow<'_, Graph>, CompileError> {
    if graph.guards().is_empty() {
        return Ok(Cow::Borrowed(graph));
    }
    Ok(Cow::Owned(graph.clone().settled()?))
}

fn prepared(name: &str, graph: Graph) -> CompiledProgram {
    let fusion = fuse::fuse(&graph, &fuse::FuseLimits::default());
    CompiledProgram::new(name, graph, fusion)
}

/// From graphs after all passes to a plan.
fn assemble(
    mut programs: Vec<CompiledProgram>,
    options: &Options,
    max: &Bindings,
    table: &[&Family],
) -> Result<Compiled, CompileError> {
    let Options { target, preferences, precision, separate, .. } = options;
    let states = States::of(programs.iter().map(|program| &program.graph))?;
    let halves = *precision == Precision::F16;
    let environment = Environment { target, max, states: &states, table, preferences, halves };
    let mut templates = Templates::new(table.iter().flat_map(|family| family.templates))?;
    let mut lowered = Vec::with_capacity(programs.len());
    for CompiledProgram { name, graph, fusion, .. } in &programs {
        lowered.push(lower(name, graph, fusion, &environment, &mut templates)?);
    }
    let kernels = if *separate { vec![] } else { merge::taken_apart(&templates.kept) };
    for (program, lowered) in programs.iter_mut().zip(&mut lowered) {
        if !separate {
            merge::merge(lowered, &kernels, target, max);
        }
        program.selections = std::mem::take(&mut lowered.selections);
    }
    let name = programs.first().map_or("", |program| program.graph.name.as_str());
    let kernels = emit::Kernels::new(templates, kernels);
    let emit::Emitted { plan, memory, schedules, kernels } =
        emit::emit(name, lowered, kernels, &states, target, max)?;
    for (program, schedule) in programs.iter_mut().zip(schedules) {
        program.schedule = schedule;
    }
    Ok(Compiled { programs, plan, memory, kernels, recomputed: None })
}

/// A largest value for each symbol of the graphs, from those given.
fn largest_symbols(graphs: &[&Graph], given: &BTreeMap<String, u32>) -> Result<Bindings, CompileError> {
    let symbols: BTreeSet<_> = graphs.iter().flat_map(|graph| graph.symbols()).collect();
    // A symbol that was found equal to another one is still a name for it.
    let unified: Vec<_> = graphs.iter().flat_map(|graph| graph.guards().unified()).collect();
    let is_known = |name: &str| {
        symbols.iter().any(|symbol| **symbol == *name) || unified.iter().any(|one| *one.symbol == *name)
    };
    if let Some(symbol) = given.keys().find(|name| !is_known(name)) {
        let known: Vec<String> = symbols.iter().map(|s| format!("`{s}`")).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(CompileError::UnknownSymbol { symbol: symbol.clone(), known });
    }
    let (mut largest, mut missing) = (Bindings::new(), Vec::new());
    for symbol in symbols {
        let here = Dim::symbol(symbol.clone());
        let mut others = unified.iter().filter(|one| one.dim == here).map(|one| &*one.symbol);
        match given.get(&*symbol).or_else(|| others.find_map(|name| given.get(name))) {
            Some(0) | None => missing.push(symbol.to_string()),
            Some(max) => {
                largest.insert(symbol, i64::from(*max));
            }
        }
    }
    if missing.is_empty() { Ok(largest) } else { Err(CompileError::UnboundSymbols { symbols: missing }) }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
