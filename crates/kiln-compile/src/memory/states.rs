//! How states lie in memory: one layout for each, whatever program reads it.
//!
//! A weight is stored as the forward pass reads it; what is kept beside it (a momentum, a second moment) is stored as the weight
//! does, so that updates run straight through memory.

use std::collections::BTreeMap;

use kiln_graph::{Def, Graph, Node, Op, Tensor, ValueId};
use kiln_plan::Layout;

use super::packed::pack;
use crate::element::state_type;
use crate::error::CompileError;
use crate::layout::{row_major, transposed, weight_layout};

/// A state of a plan.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Its name.
    pub name: String,
    /// What it is at first.
    pub first: Tensor,
    /// Order of elements.
    pub layout: Layout,
}

impl State {
    /// What it is at first, as it is stored.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, CompileError> {
        let dtype = self.first.dtype();
        let bytes = pack(&self.first, &self.layout, state_type(dtype));
        bytes.ok_or_else(|| CompileError::DType { value: self.name.clone(), dtype })
    }
}

/// The states of all programs of a plan, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    states: Vec<State>,
    index: BTreeMap<String, usize>,
}

impl States {
    /// The states of some graphs. Those of the same name are the same state, and have to be of one type.
    pub(crate) fn of<'a>(graphs: impl Iterator<Item = &'a Graph>) -> Result<Self, CompileError> {
        let mut this = Self::default();
        let mut wanted: BTreeMap<usize, Layout> = BTreeMap::new();
        for graph in graphs {
            for id in graph.states() {
                this.add(graph, *id)?;
            }
            for (name, layout) in preferences(graph) {
                if let Some(index) = this.index.get(&name) {
                    wanted.entry(*index).or_insert(layout);
                }
            }
        }
        for (index, layout) in wanted {
            this.states[index].layout = layout;
        }
        Ok(this)
    }

    fn add(&mut self, graph: &Graph, id: ValueId) -> Result<(), CompileError> {
        let value = graph.value(id);
        let Def::State(first) = &value.def else { return Ok(()) };
        if let Some(index) = self.index.get(&value.name) {
            let other = &self.states[*index].first;
            if other.ty() == first.ty() {
                return Ok(());
            }
            return Err(CompileError::Unsupported {
                node: value.name.clone(),
                message: format!("is {} in one program and {} in another", other.ty(), first.ty()),
            });
        }
        // Vectors of four, but what is one number or counts is left alone.
        let lanes =
            if first.shape().last().is_some_and(|n| *n > 1) && first.dtype().is_float() { 4 } else { 1 };
        let layout = row_major(first.shape().len(), lanes);
        self.index.insert(value.name.clone(), self.states.len());
        self.states.push(State { name: value.name.clone(), first: first.clone(), layout });
        Ok(())
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[State] {
        &self.states
    }

    /// The place of a state in [`States::all`].
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }
}

/// The state that is a layer's weight, and how the layer's forward pass wants it.
fn weight_of(graph: &Graph, node: &Node) -> Option<(ValueId, Layout)> {
    let layout: fn(usize) -> Layout = if let Op::Conv(_) = &node.op {
        weight_layout
    } else if let Op::MatMul(op) = &node.op
        && op.transpose_b
    {
        transposed
    } else {
        return None;
    };
    let weight = *node.inputs.get(1)?;
    let is_state = matches!(graph.value(weight).def, Def::State(_));
    is_state.then(|| (weight, layout(graph.ty(weight).rank())))
}

/// The layouts that the nodes of a graph want its states in.
fn preferences(graph: &Graph) -> Vec<(String, Layout)> {
    // Values of one shape that elementwise operators connect lie alike.
    let mut family: Vec<usize> = (0..graph.values().len()).collect();
    let root = |family: &mut Vec<usize>, mut n: usize| {
        while family[n] != n {
            family[n] = family[family[n]];
            n = family[n];
        }
        n
    };
    let mut wanted: BTreeMap<usize, Layout> = BTreeMap::new();
    for node in graph.nodes() {
        if let Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) = &node.op {
            let output = node.outputs[0];
            for id in node.inputs.iter().filter(|id| graph.ty(**id).shape == graph.ty(output).shape) {
                let (a, b) = (root(&mut family, id.index()), root(&mut family, output.index()));
                family[a] = b;
            }
        } else if let Some((weight, layout)) = weight_of(graph, node) {
            wanted.entry(weight.index()).or_insert(layout);
        }
    }
    let mut of_family: BTreeMap<usize, Layout> = BTreeMap::new();
    for (index, layout) in wanted {
        of_family.entry(root(&mut family, index)).or_insert(layout);
    }
    let states = graph.states().iter();
    let found = states.filter_map(|id| {
        let layout = of_family.get(&root(&mut family, id.index()))?;
        let fits = layout.order.len() == graph.ty(*id).rank();
        fits.then(|| (graph.value(*id).name.clone(), layout.clone()))
    });
    found.collect()
}
