//! Which nodes become one kernel.
//!
//! Fusion is general: an *anchor* (convolution, matrix product, pooling, reduction) takes the elementwise nodes behind
//! it as an expression that is computed before its result is stored, and elementwise nodes that no anchor takes become
//! one kernel with those they feed. There are no patterns to match, and a fused kernel is no operator: a [`Fusion`] is
//! a partition of the nodes, beside the graph, as data.
//!
//! One rule keeps it right: **of a group, exactly one value is read outside**. Every node of a group then leads to that
//! value, so if two groups read each other there would be a cycle among the nodes, and there is none. It follows too
//! that groups can run in the order of the nodes that make these values.

mod apart;
mod display;
mod name;
mod reasons;
mod role;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use kiln_graph::ops::{Reduce, ReduceKind};
use kiln_graph::{DType, Dim, Graph, NodeId, Op, ValueId};

use apart::Stop;
pub use apart::{Apart, Reason};
use role::{Role, role};

/// Nodes that become one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The names of the nodes, `layer1.0.conv1 + bn1 + relu`.
    pub name: String,
    /// What the kernel does first and what decides how it is written. `None`: a chain of elementwise nodes.
    pub anchor: Option<NodeId>,
    /// Elementwise nodes that make what a reduction combines, computed while it is read.
    pub prologue: Vec<NodeId>,
    /// The elementwise nodes, without the anchor, in topological order. With an anchor, they are its epilogue.
    pub nodes: Vec<NodeId>,
    /// The values read from outside, each once: first the anchor's operands in the operator's order, then those of
    /// the nodes. Constants are among them, scalar ones too.
    pub inputs: Vec<ValueId>,
    /// The values read outside: one, but for an anchor of several outputs, which has all of them here.
    pub outputs: Vec<ValueId>,
}

impl Group {
    /// The values that the prologue reads from outside.
    pub fn prologue_inputs(&self, graph: &Graph) -> Vec<ValueId> {
        let nodes = || self.prologue.iter().map(|id| graph.node(*id));
        let mut seen: HashSet<ValueId> = nodes().flat_map(|node| node.outputs.clone()).collect();
        nodes()
            .flat_map(|node| node.inputs.clone())
            .filter(|id| seen.insert(*id) && !is_size(graph, *id))
            .collect()
    }
}

/// Whether the result of an operator lies where its operand does.
pub(crate) fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_))
}

/// Whether a value is a size as a number: a parameter of whatever kernel reads it.
pub fn is_size(graph: &Graph, id: ValueId) -> bool {
    graph.producer(id).is_some_and(|node| matches!(graph.node(node).op, Op::Size(_)))
}

/// Whether a node makes floats of 32 bits of 16-bit floats, and nothing outside has to see them: its result may lie where
/// its operand does.
pub fn is_widening(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let types = |from: DType, to: DType| from == DType::F16 && to == DType::F32;
    matches!(node.op, Op::Cast(_))
        && types(graph.ty(node.inputs[0]).dtype, graph.ty(node.outputs[0]).dtype)
        && !graph.results().any(|result| result == node.outputs[0])
}

/// Whether a reduction is a sum (or mean) over everything but the channels, or over everything, or a variance over everything
/// but the channels: of these the terms may be computed on the way.
pub fn sums_columns(graph: &Graph, node: NodeId, op: &Reduce) -> bool {
    let ty = graph.ty(graph.node(node).inputs[0]);
    let channels = if ty.rank() > 1 { 1 } else { 0 };
    let rest = (0..ty.rank()).filter(|axis| *axis != channels);
    let all = op.axes.len() == ty.rank();
    let columns = ty.rank() > 1 && op.axes.iter().copied().eq(rest);
    ty.dtype == DType::F32
        && ty.rank() > 0
        && match op.kind {
            ReduceKind::Sum | ReduceKind::Mean => all || columns,
            ReduceKind::Variance => columns,
            ReduceKind::Max
            | ReduceKind::Min
            | ReduceKind::Prod
            | ReduceKind::MaxFirst
            | ReduceKind::MinFirst => false,
        }
}

/// All groups, in an order in which they can run. Each node that leads to a result is in exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fusion {
    /// The groups.
    pub groups: Vec<Group>,
    /// Why they are apart, in the order of the groups.
    pub apart: Vec<Apart>,
}

/// How large a group may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuseLimits {
    /// Most values read from outside, not counting constants of one element, which are written into the kernel.
    pub max_inputs: usize,
    /// Most elementwise nodes.
    pub max_nodes: usize,
}

impl Default for FuseLimits {
    /// WebGPU promises eight storage buffers: six inputs leave room for the output and something of an anchor's.
    fn default() -> Self {
        Self { max_inputs: 6, max_nodes: 24 }
    }
}

/// Groups the nodes of a graph.
///
/// Anchors choose last to first, so what joins two branches (`add(conv2, downsample)`) goes to the later one, whose
/// other operand is there by then.
pub fn fuse(graph: &Graph, limits: &FuseLimits) -> Fusion {
    let mut fuser = Fuser::new(graph, limits);
    let live: Vec<NodeId> = graph.node_ids().rev().filter(|id| fuser.live[id.index()]).collect();
    for id in live.iter().copied() {
        let role = role(&graph.node(id).op);
        if matches!(role, Role::Anchor | Role::Alone) {
            let (nodes, stop) = match role {
                Role::Anchor => fuser.epilogue(id),
                Role::Elementwise | Role::Alone | Role::Free => {
                    (vec![], Stop::new(id, None, Reason::NoEpilogue))
                }
            };
            fuser.add_group(Some(id), nodes, stop);
        }
    }
    for id in live {
        if fuser.group_of[id.index()].is_some() || fuser.is_free(id) {
            continue;
        }
        match fuser.group_to_join(id) {
            Ok((group, front)) => fuser.join(id, group, front),
            // Another way to read what is in memory, which no kernel has to make.
            Err(stop) if is_widening(graph, id) => fuser.add_group(Some(id), vec![], stop),
            Err(stop) if role(&graph.node(id).op) == Role::Free => fuser.add_group(Some(id), vec![], stop),
            Err(stop) => fuser.add_group(None, vec![id], stop),
        }
    }
    fuser.finish()
}

struct Fuser<'a> {
    graph: &'a Graph,
    limits: &'a FuseLimits,
    /// By node: whether it leads to a result.
    live: Vec<bool>,
    /// By value: the live nodes that read it, once for each time.
    readers: Vec<Vec<NodeId>>,
    /// By value: whether it is a result.
    is_result: Vec<bool>,
    /// By node.
    group_of: Vec<Option<usize>>,
    groups: Vec<Members>,
}

struct Members {
    anchor: Option<NodeId>,
    prologue: Vec<NodeId>,
    nodes: Vec<NodeId>,
    /// What counts against [`FuseLimits::max_inputs`].
    inputs: HashSet<ValueId>,
    stop: Stop,
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, limits: &'a FuseLimits) -> Self {
        let mut is_result = vec![false; graph.values().len()];
        for id in graph.results() {
            is_result[id.index()] = true;
        }
        let mut live = vec![false; graph.nodes().len()];
        let mut readers = vec![Vec::new(); graph.values().len()];
        for id in graph.node_ids().rev() {
            let node = graph.node(id);
            live[id.index()] =
                node.outputs.iter().any(|v| is_result[v.index()] || !readers[v.index()].is_empty());
            if live[id.index()] {
                for input in &node.inputs {
                    readers[input.index()].push(id);
                }
            }
        }
        let group_of = vec![None; graph.nodes().len()];
        Self { graph, limits, live, readers, is_result, group_of, groups: vec![] }
    }

    /// The elementwise nodes that an anchor takes: grown one by one in topological order, up to the last moment at
    /// which a single value was read outside. In between there may be several: in `y * clamp(y/6 + 1/2, 0, 1)` the
    /// anchor's `y` is read twice. And what ended that.
    fn epilogue(&self, anchor: NodeId) -> (Vec<NodeId>, Stop) {
        let [output] = self.graph.node(anchor).outputs[..] else {
            return (vec![], Stop::new(anchor, None, Reason::SeveralResults));
        };
        let shape = &self.graph.ty(output).shape;
        let mut inputs: HashSet<ValueId> = self.counted(anchor).collect();
        // Reads that are still to come, for each value of the group.
        let mut unread = HashMap::from([(output, self.readers[output.index()].len())]);
        let mut open = 1;
        let mut next: BinaryHeap<Reverse<NodeId>> = BinaryHeap::new();
        let (mut nodes, mut best) = (vec![], 0);
        let (mut newest, mut last) = (output, anchor);
        let stop = loop {
            // Once a value has to be there for others, nothing behind it can make the group end in one value.
            let readers = &self.readers[newest.index()];
            let outside = readers.iter().find_map(|id| self.stays_out(last, *id, shape));
            if self.is_result[newest.index()] {
                break Stop::new(last, None, Reason::Result);
            }
            if let Some(stop) = outside {
                break stop;
            }
            next.extend(readers.iter().map(|id| Reverse(*id)));
            let Some(Reverse(id)) = next.pop() else { break Stop::new(last, None, Reason::Result) };
            while next.peek() == Some(&Reverse(id)) {
                next.pop();
            }
            inputs.extend(self.counted(id).filter(|v| !unread.contains_key(v)));
            if nodes.len() == self.limits.max_nodes || inputs.len() > self.limits.max_inputs {
                break Stop::new(last, Some(id), self.too_much(inputs.len(), self.limits.max_inputs));
            }
            for input in &self.graph.node(id).inputs {
                if let Some(left) = unread.get_mut(input) {
                    *left -= 1;
                    open -= usize::from(*left == 0);
                }
            }
            (newest, last) = (self.graph.node(id).outputs[0], id);
            unread.insert(newest, self.readers[newest.index()].len());
            open += 1;
            nodes.push(id);
            if open == 1 && !is_widening(self.graph, id) {
                best = nodes.len();
            }
        };
        nodes.truncate(best);
        (nodes, stop)
    }

    /// Why a reader of a node's value is not for the epilogue of an anchor whose result has `shape`, if it is not.
    fn stays_out(&self, node: NodeId, reader: NodeId, shape: &[Dim]) -> Option<Stop> {
        let reason = if role(&self.graph.node(reader).op) != Role::Elementwise {
            Reason::ReadsMemory
        } else if self.group_of[reader.index()].is_some() {
            Reason::Taken
        } else if self.graph.ty(self.graph.node(reader).outputs[0]).shape != *shape {
            Reason::OtherShape
        } else {
            return None;
        };
        Some(Stop::new(node, Some(reader), reason))
    }

    /// Which of the limits is exceeded by so many inputs, or else by one more node.
    fn too_much(&self, inputs: usize, limit: usize) -> Reason {
        if inputs > limit {
            Reason::TooManyInputs { inputs, limit }
        } else {
            Reason::TooManyNodes { limit: self.limits.max_nodes }
        }
    }

    /// Operands that count against the limit.
    fn counted(&self, id: NodeId) -> impl Iterator<Item = ValueId> {
        let is_scalar = |id: ValueId| self.graph.as_constant(id).is_some_and(|tensor| tensor.len() == 1);
        let given = move |id: &ValueId| !is_scalar(*id) && !is_size(self.graph, *id);
        self.graph.node(id).inputs.iter().copied().filter(given)
    }

    /// Whether a size needs no kernel, because all that read it are elementwise nodes.
    fn is_free(&self, id: NodeId) -> bool {
        let output = self.graph.node(id).outputs[0];
        let elementwise = |reader: &NodeId| role(&self.graph.node(*reader).op) == Role::Elementwise;
        role(&self.graph.node(id).op) == Role::Free
            && !self.is_result[output.index()]
            && self.readers[output.index()].iter().all(elementwise)
    }

    fn add_group(&mut self, anchor: Option<NodeId>, nodes: Vec<NodeId>, stop: Stop) {
        let mut inputs = HashSet::new();
        for id in anchor.iter().chain(&nodes) {
            inputs.extend(self.counted(*id));
            self.group_of[id.index()] = Some(self.groups.len());
        }
        for id in anchor.iter().chain(&nodes) {
            for output in &self.graph.node(*id).outputs {
                inputs.remove(output);
            }
        }
        self.groups.push(Members { anchor, prologue: vec![], nodes, inputs, stop });
    }

    /// The group of all readers of an elementwise node, if they are elementwise nodes of one group of the same shape
    /// that has room, or a reduction that computes what it combines; and whether the node is in front of that. The
    /// readers come later and so are in groups already. Otherwise why there is none.
    fn group_to_join(&self, id: NodeId) -> Result<(usize, bool), Stop> {
        let output = self.graph.node(id).outputs[0];
        let readers = &self.readers[output.index()];
        let refuse = |reader: Option<NodeId>, reason: Reason| Err(Stop::new(id, reader, reason));
        let first = readers.first().copied();
        let Some((reader, group)) = first.and_then(|r| Some((r, self.group_of[r.index()]?))) else {
            return refuse(first, if first.is_none() { Reason::Result } else { Reason::ReadsMemory });
        };
        if self.is_result[output.index()] {
            return refuse(None, Reason::Result);
        }
        let kernels: HashSet<_> = readers.iter().map(|reader| self.group_of[reader.index()]).collect();
        if kernels.len() > 1 {
            return refuse(None, Reason::SeveralKernels { kernels: kernels.len() });
        }
        let members = &self.groups[group];
        let shape = |id: NodeId| &self.graph.ty(self.graph.node(id).outputs[0]).shape;
        // In a reduction's group, what is read by the reduction or by what it already has in front of it.
        let in_front = |reader: &NodeId| match members.anchor {
            Some(anchor) if anchor == *reader => {
                matches!(&self.graph.node(anchor).op, Op::Reduce(op) if sums_columns(self.graph, anchor, op))
            }
            Some(_) | None => members.prologue.contains(reader) && shape(*reader) == shape(id),
        };
        let behind = |reader: &NodeId| members.nodes.contains(reader) && shape(*reader) == shape(id);
        let front = readers.iter().all(in_front);
        if !front && !readers.iter().all(behind) {
            let outside = readers.iter().copied().find(|reader| !behind(reader)).unwrap_or(reader);
            let is_elementwise = role(&self.graph.node(outside).op) == Role::Elementwise;
            let reason = if is_elementwise { Reason::OtherShape } else { Reason::ReadsMemory };
            return refuse(Some(outside), reason);
        }
        let new = self.counted(id).filter(|v| !members.inputs.contains(v)).collect::<HashSet<_>>().len();
        // This node's value stops being an input.
        let inputs = (members.inputs.len() + new).saturating_sub(1);
        // Without an anchor there is room for one more.
        let most = self.limits.max_inputs + usize::from(members.anchor.is_none());
        let nodes = if front { &members.prologue } else { &members.nodes };
        if inputs <= most && nodes.len() < self.limits.max_nodes {
            return Ok((group, front));
        }
        refuse(Some(reader), self.too_much(inputs, most))
    }

    fn join(&mut self, id: NodeId, group: usize, front: bool) {
        let operands: Vec<ValueId> = self.counted(id).collect();
        let members = &mut self.groups[group];
        members.inputs.remove(&self.graph.node(id).outputs[0]);
        members.inputs.extend(operands);
        if front {
            members.prologue.push(id);
        } else {
            members.nodes.push(id);
        }
        self.group_of[id.index()] = Some(group);
    }

    fn finish(self) -> Fusion {
        let mut groups: Vec<(NodeId, Group, Stop)> = Vec::with_capacity(self.groups.len());
        for mut members in self.groups {
            members.nodes.sort_unstable();
            members.prologue.sort_unstable();
            let ids = members.prologue.iter().chain(&members.anchor).chain(&members.nodes);
            let all = || ids.clone().map(|id| self.graph.node(*id));
            let made: HashSet<ValueId> = all().flat_map(|node| &node.outputs).copied().collect();
            let mut seen = made.clone();
            let given = |v: &ValueId| seen.insert(*v) && !is_size(self.graph, *v);
            let inputs = all().flat_map(|node| &node.inputs).copied().filter(given).collect();
            let Some(last) = members.nodes.last().copied().max(members.anchor) else { continue };
            let outputs = self.graph.node(last).outputs.clone();
            let name = name::of_group(all());
            let Members { anchor, prologue, nodes, stop, .. } = members;
            groups.push((last, Group { name, anchor, prologue, nodes, inputs, outputs }, stop));
        }
        groups.sort_unstable_by_key(|(last, ..)| *last);
        // What nobody reads has nothing to be apart from.
        let is_read = |group: &Group| group.outputs.iter().any(|id| !self.readers[id.index()].is_empty());
        let read = groups.iter().enumerate().filter(|(_, (_, group, _))| is_read(group));
        let apart = read.map(|(group, (.., stop))| {
            let Stop { node, reader, reason } = *stop;
            Apart { group, node, reader, reason }
        });
        let apart = apart.collect();
        Fusion { groups: groups.into_iter().map(|(_, group, _)| group).collect(), apart }
    }
}
