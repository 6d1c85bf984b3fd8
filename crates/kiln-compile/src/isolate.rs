//! A group by itself, as a graph that can be compiled and evaluated: what it computes of given values is measured and
//! compared, apart from everything around it.

use std::collections::HashMap;

use kiln_graph::ops::{Pool, PoolKind, UnaryOp};
use kiln_graph::{Def, Graph, GraphError, NodeId, Op, TensorType, ValueId};

use crate::fuse::{Fusion, Group, is_widening};

/// See the module's text. Values keep their names; inputs have a number, too.
#[derive(Clone, Debug)]
pub struct Isolated {
    /// The group's nodes. Constants and states are what they were; what other groups compute is an input.
    pub graph: Graph,
    /// The group, behind one for each input that is a result there.
    pub fusion: Fusion,
}

/// A group of a fused graph, by itself.
pub(crate) fn isolated(graph: &Graph, group: &Group) -> Result<Isolated, GraphError> {
    let mut cut =
        Cut { old: graph, graph: Graph::new(group.name.clone()), ids: HashMap::new(), before: vec![] };
    let mut all: Vec<NodeId> =
        group.prologue.iter().chain(&group.anchor).chain(&group.nodes).copied().collect();
    all.sort_unstable();
    let has_window = group.anchor.is_some_and(|anchor| has_window(&graph.node(anchor).op));
    let nodes = all.iter().map(|id| graph.node(*id));
    let inside: Vec<ValueId> = nodes.flat_map(|node| node.outputs.iter().copied()).collect();
    for id in &all {
        for value in &graph.node(*id).inputs {
            if !inside.contains(value) {
                cut.bring(*value, has_window)?;
            }
        }
    }
    let mut new = HashMap::new();
    for id in all {
        new.insert(id, cut.copy(id)?);
    }
    for (n, id) in group.outputs.iter().enumerate() {
        let value = cut.ids[id];
        cut.graph.output(format!("output{n}"), value)?;
    }
    let values = |ids: &[ValueId]| ids.iter().filter_map(|id| cut.ids.get(id).copied()).collect();
    let nodes = |ids: &[NodeId]| ids.iter().map(|id| new[id]).collect();
    let own = Group {
        name: group.name.clone(),
        anchor: group.anchor.map(|anchor| new[&anchor]),
        prologue: nodes(&group.prologue),
        nodes: nodes(&group.nodes),
        inputs: values(&group.inputs),
        outputs: values(&group.outputs),
    };
    let groups = cut.before.into_iter().chain([own]).collect();
    Ok(Isolated { graph: cut.graph, fusion: Fusion { groups, apart: vec![] } })
}

/// Whether an operator has results in layouts for windows, like those around it.
fn has_window(op: &Op) -> bool {
    matches!(op, Op::Conv(_) | Op::ConvGradWeight(_) | Op::Pool(_) | Op::PoolGrad(_))
}

struct Cut<'a> {
    old: &'a Graph,
    graph: Graph,
    ids: HashMap<ValueId, ValueId>,
    before: Vec<Group>,
}

impl Cut<'_> {
    /// Copies a node whose inputs are there.
    fn copy(&mut self, id: NodeId) -> Result<NodeId, GraphError> {
        let node = self.old.node(id);
        let inputs: Vec<ValueId> = node.inputs.iter().map(|id| self.ids[id]).collect();
        let made = self.graph.apply(node.name.clone(), node.op.clone(), &inputs)?;
        self.ids.extend(node.outputs.iter().copied().zip(made));
        Ok(self.graph.node_ids().next_back().unwrap_or(id))
    }

    /// Makes a value of another group.
    fn bring(&mut self, id: ValueId, has_window: bool) -> Result<(), GraphError> {
        if self.ids.contains_key(&id) {
            return Ok(());
        }
        let value = self.old.value(id);
        let name = value.name.clone();
        let made = match &value.def {
            Def::Constant(tensor) => self.graph.constant(name, tensor.clone()),
            Def::State(first) => self.graph.state(name, first.clone())?,
            Def::Node { node, .. } if matches!(self.old.node(*node).op, Op::Size(_)) => {
                self.copy(*node)?;
                return Ok(());
            }
            Def::Node { node, .. } if is_widening(self.old, *node) => {
                return self.widened(*node, id, has_window);
            }
            Def::Node { .. } => self.result(&name, &value.ty, has_window)?,
            Def::Input => self.graph.input(name, value.ty.clone())?,
        };
        self.ids.insert(id, made);
        Ok(())
    }

    /// A value of 32 bits that lies in memory as one of 16: that one is what another kernel stores.
    fn widened(&mut self, node: NodeId, id: ValueId, has_window: bool) -> Result<(), GraphError> {
        let narrow = self.old.node(node).inputs[0];
        self.bring(narrow, has_window)?;
        let made = self.copy(node)?;
        self.before.push(Group {
            name: self.old.node(node).name.clone(),
            anchor: Some(made),
            prologue: vec![],
            nodes: vec![],
            inputs: vec![self.ids[&narrow]],
            outputs: vec![self.ids[&id]],
        });
        Ok(())
    }

    /// A value that another kernel stores: in the layout of its kind, not as a caller hands it in.
    fn result(&mut self, name: &str, ty: &TensorType, has_window: bool) -> Result<ValueId, GraphError> {
        let rank = ty.rank();
        // Several values may have one name, and inputs may not.
        let given = self.graph.input(format!("{name}, {}", self.graph.inputs().len()), ty.clone())?;
        if !ty.dtype.is_float() || rank < 2 {
            return Ok(given);
        }
        let op = match rank {
            3..=5 if has_window => Op::Pool(Pool::new(PoolKind::Max, vec![1; rank - 2])),
            _ => Op::Unary(UnaryOp::Neg),
        };
        let is_anchor = matches!(op, Op::Pool(_));
        let made = self.graph.apply1(name, op, &[given])?;
        let node = self.graph.node_ids().next_back();
        self.before.push(Group {
            name: name.into(),
            anchor: node.filter(|_| is_anchor),
            prologue: vec![],
            nodes: node.filter(|_| !is_anchor).into_iter().collect(),
            inputs: vec![given],
            outputs: vec![made],
        });
        Ok(made)
    }
}
