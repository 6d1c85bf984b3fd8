//! Which values of the forward pass are kept for the backward pass.

use std::collections::HashSet;

use kiln_graph::{Bindings, Def, Dim, Graph, NodeId, TensorType, ValueId, work};

use crate::fuse::is_view;
use crate::passes::recompute::is_elementwise;
use crate::train::LOSS;

/// Values that take less than this share of all that is kept stay: statistics of channels, the loss.
const LITTLE: u64 = 1024;

/// The forward pass of a step: what the loss follows from.
pub(super) struct Forward<'a> {
    graph: &'a Graph,
    /// By node.
    pub is_forward: Vec<bool>,
    /// Arithmetic by node, with all dimensions at their largest.
    pub work: Vec<f64>,
    /// Bytes of each value that the forward pass computes and that is no view; of others 0.
    bytes: Vec<u64>,
    /// By value: whether the backward pass reads it, or a view of it.
    is_read: Vec<bool>,
    /// By value: the node of the forward pass that reads it, or a view of it, last.
    last_reader: Vec<usize>,
    /// Bytes of all that the backward pass reads.
    saved: u64,
    results: HashSet<ValueId>,
}

impl<'a> Forward<'a> {
    /// `None` for a graph that has no loss.
    pub(super) fn of(graph: &'a Graph, max: &Bindings) -> Option<Self> {
        let loss = graph.outputs().iter().find(|output| output.name == LOSS)?.value;
        let mut is_forward = vec![false; graph.nodes().len()];
        let mut open: Vec<NodeId> = graph.producer(loss).into_iter().collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut is_forward[id.index()], true) {
                open.extend(graph.node(id).inputs.iter().filter_map(|input| graph.producer(*input)));
            }
        }
        let values = graph.values().len();
        let mut this = Self {
            graph,
            work: vec![0.0; graph.nodes().len()],
            bytes: vec![0; values],
            is_read: vec![false; values],
            last_reader: vec![0; values],
            saved: 0,
            results: graph.results().collect(),
            is_forward,
        };
        for id in graph.node_ids() {
            this.note(id, max);
        }
        let saved = graph.value_ids().filter(|id| this.is_read[id.index()]);
        this.saved = saved.map(|id| this.bytes[id.index()]).sum();
        Some(this)
    }

    fn note(&mut self, id: NodeId, max: &Bindings) {
        let (graph, node) = (self.graph, self.graph.node(id));
        let is_forward = self.is_forward[id.index()];
        for input in &node.inputs {
            let source = source(graph, *input);
            if !is_forward {
                self.is_read[source.index()] = true;
            } else if !is_view(&node.op) {
                self.last_reader[source.index()] = id.index();
            }
        }
        if !is_forward || is_view(&node.op) {
            return;
        }
        let largest = |value: &ValueId| largest(graph.ty(*value), max);
        let read: Vec<TensorType> = node.inputs.iter().map(largest).collect();
        for output in &node.outputs {
            let ty = largest(output);
            let elements = ty.elements().as_const().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            self.bytes[output.index()] = elements.saturating_mul(ty.dtype.size() as u64);
            self.work[id.index()] = work(&node.op, &read.iter().collect::<Vec<_>>(), &ty) as f64;
        }
    }

    /// What is kept at any level.
    fn always_kept(&self, id: ValueId) -> bool {
        self.results.contains(&id) || self.bytes[id.index()] <= self.saved / LITTLE
    }

    /// All that the backward pass reads, but for what follows elementwise from the rest of it.
    pub(super) fn without_elementwise(&self) -> Vec<bool> {
        let mut kept = vec![false; self.bytes.len()];
        for id in self.computed() {
            let follows = || self.is_elementwise(id) && self.follows(id, &kept);
            kept[id.index()] = self.always_kept(id) || (self.is_read[id.index()] && !follows());
        }
        self.with_views(kept)
    }

    /// Whether a value follows elementwise from others that are in memory.
    fn follows(&self, id: ValueId, kept: &[bool]) -> bool {
        let Some(maker) = self.graph.producer(id) else { return false };
        let mut seen = HashSet::new();
        let mut open = self.graph.node(maker).inputs.clone();
        while let Some(input) = open.pop() {
            let input = source(self.graph, input);
            let Some(maker) = self.graph.producer(input) else { continue };
            if kept[input.index()] || !self.is_forward[maker.index()] || !seen.insert(input) {
                continue;
            }
            // What is read by the backward pass and not kept would take memory again until its last reader.
            if self.is_read[input.index()] || !self.is_elementwise(input) {
                return false;
            }
            open.extend(&self.graph.node(maker).inputs);
        }
        true
    }

    fn is_elementwise(&self, id: ValueId) -> bool {
        self.graph.producer(id).is_some_and(|maker| is_elementwise(&self.graph.node(maker).op))
    }

    /// What passes from one segment of the forward pass to the next, and the last segment.
    pub(super) fn between_segments(&self, count: u64) -> Vec<bool> {
        let cuts = self.cuts(count);
        let segment = |node: usize| cuts.partition_point(|cut| *cut < node);
        let mut kept = vec![false; self.bytes.len()];
        for id in self.computed() {
            let Some(maker) = self.graph.producer(id) else { continue };
            let own = segment(maker.index());
            let passes = own != segment(self.last_reader[id.index()].max(maker.index()));
            kept[id.index()] = self.always_kept(id) || passes || own == cuts.len();
        }
        self.with_views(kept)
    }

    /// The nodes behind which segments end: each time that there is a `count`th of all that is saved, where least passes.
    fn cuts(&self, count: u64) -> Vec<usize> {
        let most = self.saved.div_ceil(count.max(1)).max(1);
        let (mut cuts, mut begin, mut sum) = (Vec::new(), 0, 0);
        let mut places: Vec<(usize, u64)> = Vec::new();
        for id in self.graph.node_ids().filter(|id| self.is_forward[id.index()]) {
            let outputs = self.graph.node(id).outputs.iter();
            sum +=
                outputs.filter(|id| self.is_read[id.index()]).map(|id| self.bytes[id.index()]).sum::<u64>();
            places.push((id.index(), sum));
            if sum < most {
                continue;
            }
            // Not so early that segments become many more than were asked for.
            let late = places.iter().filter(|(_, there)| *there >= sum / 2).map(|(place, _)| *place);
            let best = late
                .filter(|place| *place >= begin)
                .min_by_key(|place| (self.passing(*place), usize::MAX - place));
            let Some(cut) = best else { continue };
            let done = places.iter().find(|(place, _)| *place == cut).map_or(0, |(_, there)| *there);
            cuts.push(cut);
            begin = cut + 1;
            places.retain(|(place, _)| *place > cut);
            places.iter_mut().for_each(|(_, there)| *there -= done);
            sum -= done;
        }
        cuts
    }

    /// Bytes that are computed up to a node and read behind it; what would not be in memory otherwise counts twice.
    fn passing(&self, cut: usize) -> u64 {
        let passes = |id: &ValueId| {
            let maker = self.graph.producer(*id);
            maker.is_some_and(|maker| maker.index() <= cut) && self.last_reader[id.index()] > cut
        };
        let cost = |id: ValueId| self.bytes[id.index()] * if self.is_read[id.index()] { 1 } else { 2 };
        self.computed().filter(passes).map(cost).sum()
    }

    /// What the forward pass computes, but for views.
    fn computed(&self) -> impl Iterator<Item = ValueId> {
        self.graph.value_ids().filter(|id| self.bytes[id.index()] > 0)
    }

    /// A view is there if what it is a view of is.
    fn with_views(&self, mut kept: Vec<bool>) -> Vec<bool> {
        for id in self.graph.value_ids() {
            let source = source(self.graph, id);
            if source != id {
                kept[id.index()] =
                    kept[source.index()] || !matches!(self.graph.value(source).def, Def::Node { .. });
            }
        }
        kept
    }
}

/// What a value is a view of.
fn source(graph: &Graph, mut id: ValueId) -> ValueId {
    while let Some(maker) = graph.producer(id).filter(|maker| is_view(&graph.node(*maker).op)) {
        id = graph.node(maker).inputs[0];
    }
    id
}

fn largest(ty: &TensorType, max: &Bindings) -> TensorType {
    let shape = ty.shape.iter().map(|dim| Dim::from(dim.upper(max)));
    TensorType { shape: shape.collect(), ..ty.clone() }
}
