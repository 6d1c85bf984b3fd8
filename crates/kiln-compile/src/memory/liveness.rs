//! How long values and buffers are needed, in groups.

use std::collections::HashMap;

use kiln_graph::{Graph, ValueId};

use super::buffer::BufferId;
use crate::fuse::Fusion;

/// The live ranges of values, and of the buffers that hold them.
pub(crate) struct Liveness {
    /// For each buffer, the last group that reads one of the values in it.
    last_reader: HashMap<BufferId, usize>,
    /// For each value, the last group that reads it; `usize::MAX` for results.
    last_use: Vec<usize>,
    /// By value: whether nodes read it.
    is_read: Vec<bool>,
    /// By value: whether the caller gets it.
    is_output: Vec<bool>,
    /// The group that is being lowered.
    group: usize,
}

impl Liveness {
    /// Of the values of a graph.
    pub(crate) fn of(graph: &Graph, fusion: &Fusion) -> Self {
        let count = graph.values().len();
        let (mut last_use, mut is_read, mut is_output) =
            (vec![0; count], vec![false; count], vec![false; count]);
        for (n, group) in fusion.groups.iter().enumerate() {
            for id in &group.inputs {
                last_use[id.index()] = n;
                is_read[id.index()] = true;
            }
        }
        for id in graph.results() {
            last_use[id.index()] = usize::MAX;
        }
        for output in graph.outputs() {
            is_output[output.value.index()] = true;
        }
        Self { last_reader: HashMap::new(), last_use, is_read, is_output, group: 0 }
    }

    /// Goes on to a group.
    pub(crate) fn begin(&mut self, group: usize) {
        self.group = group;
    }

    /// Keeps a buffer from being overwritten until `id`, which will be read from it, is dead.
    pub(crate) fn extend(&mut self, id: ValueId, buffer: BufferId) {
        let last = self.last_reader.entry(buffer).or_default();
        *last = self.last_use[id.index()].max(*last);
    }

    /// Keeps a buffer from ever being overwritten: what a loop reads, its next steps read, too.
    pub(crate) fn pin(&mut self, buffer: BufferId) {
        self.last_reader.insert(buffer, usize::MAX);
    }

    /// Whether neither the present group nor one after it reads a buffer.
    pub(crate) fn is_dead(&self, buffer: BufferId) -> bool {
        self.last_reader.get(&buffer).is_none_or(|last| *last < self.group)
    }

    /// Whether no group after the present one reads a buffer.
    pub(crate) fn is_last_reader(&self, buffer: BufferId) -> bool {
        self.last_reader.get(&buffer).is_none_or(|last| *last <= self.group)
    }

    /// Whether a value is an output that no node reads.
    pub(crate) fn is_only_output(&self, id: ValueId) -> bool {
        self.is_output[id.index()] && !self.is_read[id.index()]
    }
}
