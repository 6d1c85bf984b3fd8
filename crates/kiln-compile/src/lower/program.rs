//! A program of a plan as launches on buffers that have no place yet.

use std::sync::Arc;

use kiln_graph::{Bindings, Graph, Guard, OutputSize};

use super::im2col::Im2cols;
use super::loops::lower_group;
use super::merged::Merged;
use super::realize::{Launch, Lowering, Repeated};
use super::updates::update_states;
use crate::error::CompileError;
use crate::fuse::Fusion;
use crate::kernels::family::Family;
use crate::layout::row_major;
use crate::memory::buffer::{Buffer, BufferId, Tensor, TensorId};
use crate::memory::states::States;
use crate::memory::values::Values;
use crate::ranges::device_types;
use crate::select::choose::{Preferences, Selection};
use crate::target::Target;
use crate::wgsl::template::Templates;

/// What all programs of a plan share while they are lowered.
pub(crate) struct Environment<'a> {
    /// The device.
    pub target: &'a Target,
    /// Maxima of the symbols.
    pub max: &'a Bindings,
    /// The states.
    pub states: &'a States,
    /// The families of kernels.
    pub table: &'a [&'a Family],
    /// What a caller says of choices.
    pub preferences: &'a Preferences,
    /// Whether floats of 32 bits may have 16 in memory where that loses nothing.
    pub halves: bool,
}

/// See the module's text.
pub(crate) struct Lowered {
    /// The program's name.
    pub name: String,
    /// The symbols of its graph.
    pub symbols: Vec<Arc<str>>,
    /// What its graph assumes of sizes.
    pub guards: Vec<Guard>,
    /// The tensors that are given.
    pub inputs: Vec<TensorId>,
    /// The results by name, and behind them what says how much of them counts.
    pub outputs: Vec<LoweredOutput>,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// Launches in order.
    pub launches: Vec<Launch>,
    /// What becomes one dispatch, in order: each launch once.
    pub dispatches: Vec<Merged>,
    /// Which of the launches are repeated. Then each is a dispatch.
    pub repeats: Vec<Repeated>,
    /// What was chosen, group by group.
    pub selections: Vec<Selection>,
    /// Most loop iterations of an invocation.
    pub loop_iterations: u64,
}

/// A result of a program.
pub(crate) struct LoweredOutput {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub tensor: TensorId,
    /// How much of it counts: axes, and places among all results.
    pub sizes: Vec<OutputSize>,
    /// Whether it only says how much of others counts.
    pub is_size: bool,
}

impl Lowered {
    /// Makes each launch a dispatch, in the order of the launches.
    pub(crate) fn separate(&mut self) {
        self.dispatches = (0..self.launches.len()).map(Merged::Alone).collect();
    }

    /// The number of the dispatch of each launch.
    pub(crate) fn dispatch_of(&self) -> Vec<usize> {
        let mut dispatch_of = vec![0; self.launches.len()];
        for (n, dispatch) in self.dispatches.iter().enumerate() {
            for launch in dispatch.launches() {
                dispatch_of[launch] = n;
            }
        }
        dispatch_of
    }

    /// The buffers that are used, in order of first use, with repetitions.
    pub(crate) fn used(&self) -> impl Iterator<Item = BufferId> {
        let bound = self.launches.iter().flat_map(|launch| &launch.bindings).map(|(buffer, _)| *buffer);
        bound.chain(self.outputs.iter().map(|output| self.tensor(output.tensor).buffer))
    }

    /// A buffer by its number.
    pub(crate) fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// A tensor by its number.
    pub(crate) fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }
}

/// Lowers all groups of a graph, leaves every output dense, and brings new states to the place of the old ones.
pub(crate) fn lower(
    name: &str,
    graph: &Graph,
    fusion: &Fusion,
    environment: &Environment<'_>,
    templates: &mut Templates,
) -> Result<Lowered, CompileError> {
    let Environment { target, max, states, table, preferences, halves } = *environment;
    let host_types = graph;
    let graph = &device_types(graph, max);
    let mut lowering = Lowering {
        values: Values::new(graph, host_types, target, max, fusion, states, halves)?,
        table,
        preferences,
        templates,
        im2cols: Im2cols::default(),
        launches: vec![],
        repeats: vec![],
        selections: vec![],
        loop_iterations: 0,
    };
    for (n, group) in fusion.groups.iter().enumerate() {
        lowering.values.liveness.begin(n);
        let first = lowering.selections.len();
        lower_group(&mut lowering, group)?;
        lowering.selections[first..].iter_mut().for_each(|selection| selection.place = n);
    }
    let outputs = lowering.converting(|layouts| {
        let dense = graph.outputs().iter().map(|output| {
            let layout = row_major(graph.ty(output.value).rank(), 1);
            let tensor = layouts.tensor(output.value, &layout)?;
            // A view of 16-bit floats is not what the caller gets.
            let values = &*layouts.values;
            let is_stored_so =
                values.buffer(values.tensor(tensor).buffer).element == values.storage(output.value);
            if is_stored_so { Ok(tensor) } else { layouts.copy(output.value, &layout) }
        });
        let mut outputs = dense.collect::<Result<Vec<_>, _>>()?;
        update_states(layouts, &mut outputs)?;
        Ok(outputs)
    })?;
    let values = lowering.values;
    let inputs = graph.inputs().iter().filter_map(|id| values.versions(*id).first().copied()).collect();
    let results =
        graph.outputs().iter().zip(outputs).enumerate().map(|(place, (output, tensor))| LoweredOutput {
            name: output.name.clone(),
            tensor,
            sizes: output.sizes.clone(),
            is_size: graph.is_output_size(place),
        });
    let mut lowered = Lowered {
        name: name.into(),
        symbols: graph.symbols(),
        guards: graph.guards().list().to_vec(),
        inputs,
        outputs: results.collect(),
        buffers: values.buffers,
        tensors: values.tensors,
        dispatches: vec![],
        launches: lowering.launches,
        repeats: lowering.repeats,
        selections: lowering.selections,
        loop_iterations: lowering.loop_iterations,
    };
    lowered.separate();
    Ok(lowered)
}
