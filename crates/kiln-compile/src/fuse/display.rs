//! Groups as text, one block each: name and result, the anchor, then what is computed from it.
//!
//! ```text
//! conv1 + bn1 + relu -> f32[N, 64, 112, 112]
//!   y = conv(x: f32[N, 3, 224, 224], conv1.weight: f32[64, 3, 7, 7])
//!   relu(y + bn1.shift: f32[64, 1, 1])
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt;

use kiln_graph::ops::{BinaryOp, Loop};
use kiln_graph::{Graph, Op, ValueId};

use super::{FuseLimits, Fusion, Group, fuse};

impl Fusion {
    /// The groups as text: what `kiln dump --stage fused` shows.
    pub fn display(&self, graph: &Graph) -> impl fmt::Display {
        self.text(graph, false)
    }

    /// The same, and below each group why what reads its result is not in it.
    pub fn display_with_reasons(&self, graph: &Graph) -> impl fmt::Display {
        self.text(graph, true)
    }

    fn text(&self, graph: &Graph, with_reasons: bool) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            self.groups.iter().enumerate().try_for_each(|(n, group)| {
                f.write_str(&Text::new(graph, group).block())?;
                if let Some(apart) = self.apart(n).filter(|_| with_reasons) {
                    writeln!(f, "  ends here: {}", apart.display(self, graph))?;
                }
                match group.anchor.map(|id| &graph.node(id).op) {
                    Some(Op::Loop(op)) => body(op, f),
                    Some(_) | None => Ok(()),
                }
            })
        })
    }
}

/// The groups of a loop's body, behind the loop.
fn body(op: &Loop, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "  {} steps of", op.steps)?;
    let groups = fuse(&op.body, &FuseLimits::default()).display(&op.body).to_string();
    groups.lines().try_for_each(|line| writeln!(f, "    {line}"))
}

struct Text<'a> {
    graph: &'a Graph,
    group: &'a Group,
    /// How often each value is read in the group.
    reads: HashMap<ValueId, usize>,
    /// Values that have a line of their own, by what they are called there.
    named: HashMap<ValueId, String>,
    /// Inputs whose type was said.
    typed: HashSet<ValueId>,
}

impl<'a> Text<'a> {
    fn new(graph: &'a Graph, group: &'a Group) -> Self {
        let mut reads = HashMap::new();
        for input in group.prologue.iter().chain(&group.nodes).flat_map(|id| &graph.node(*id).inputs) {
            *reads.entry(*input).or_insert(0) += 1;
        }
        Self { graph, group, reads, named: HashMap::new(), typed: HashSet::new() }
    }

    fn block(mut self) -> String {
        let types: Vec<String> = self.group.outputs.iter().map(|v| self.graph.ty(*v).to_string()).collect();
        let mut out = format!("{} -> {}\n", self.group.name, types.join(", "));
        let Group { prologue, anchor, nodes, .. } = self.group;
        let lines = prologue.iter().chain(anchor).chain(nodes).copied().collect::<Vec<_>>();
        for id in &lines {
            let node = self.graph.node(*id);
            let is_anchor = self.group.anchor == Some(*id);
            let is_last = node.outputs.first() == self.group.outputs.first();
            let Some(output) = node.outputs.first().copied() else { continue };
            if is_last {
                out += &format!("  {}\n", self.applied(output, false));
            } else if is_anchor || self.reads.get(&output).is_some_and(|n| *n > 1) {
                let text = self.applied(output, false);
                let name = if is_anchor { "y".to_owned() } else { format!("t{}", self.named.len()) };
                out += &format!("  {name} = {text}\n");
                self.named.insert(output, name);
            }
        }
        out
    }

    /// A value where it is read.
    fn operand(&mut self, id: ValueId, in_infix: bool) -> String {
        if let Some(name) = self.named.get(&id) {
            return name.clone();
        }
        if !self.group.inputs.contains(&id) {
            return self.applied(id, in_infix);
        }
        if let Some(value) = self.graph.as_constant(id).filter(|t| t.len() == 1).map(|t| t.to_f64()) {
            return value.iter().map(|v| format!("{v}")).collect();
        }
        let name = &self.graph.value(id).name;
        if self.typed.insert(id) { format!("{name}: {}", self.graph.ty(id)) } else { name.clone() }
    }

    /// The operator that makes a value, with its operands.
    fn applied(&mut self, id: ValueId, in_infix: bool) -> String {
        let Some(node) = self.graph.producer(id).map(|id| self.graph.node(id)) else {
            return self.graph.value(id).name.clone();
        };
        if let Op::Size(size) = &node.op {
            return size.dim.to_string();
        }
        let sign = if let Op::Binary(op) = node.op { sign(op) } else { None };
        let operands: Vec<String> =
            node.inputs.iter().map(|input| self.operand(*input, sign.is_some())).collect();
        match (sign, operands.as_slice()) {
            (Some(sign), [a, b]) if in_infix => format!("({a} {sign} {b})"),
            (Some(sign), [a, b]) => format!("{a} {sign} {b}"),
            _ => format!("{}({})", node.op.name(), operands.join(", ")),
        }
    }
}

fn sign(op: BinaryOp) -> Option<char> {
    match op {
        BinaryOp::Add => Some('+'),
        BinaryOp::Sub => Some('-'),
        BinaryOp::Mul => Some('*'),
        BinaryOp::Div => Some('/'),
        BinaryOp::Pow
        | BinaryOp::Mod
        | BinaryOp::Rem
        | BinaryOp::Min
        | BinaryOp::Max
        | BinaryOp::ClampMin
        | BinaryOp::ClampMax
        | BinaryOp::Equal
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => None,
    }
}
