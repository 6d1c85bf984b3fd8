//! `Loop` and `Scan` as loops: of a number of steps that follows from sizes, or of so many that they are better not
//! unrolled.
//!
//! The body is imported into a graph of its own. What it reads of the graph around it becomes an input that is the same
//! at each step, or a constant of its own.

use std::collections::HashMap;

use kiln_graph::ops::{Along, Iota, Loop};
use kiln_graph::{DType, Dim, Formula, Graph, MOST_UNROLLED, Op, Tensor, ValueId};

use super::super::super::cx::{invalid, unsupported};
use super::super::super::order::{each_read, order};
use super::super::{HashSet, Importer, NodeProto, Scope, Slot};
use super::{At, GraphProto, Result, Stop};

/// Longer loops come from no model.
const MOST_STEPS: i64 = 1 << 20;

/// What an operator says of its loop.
pub(super) struct Walk {
    pub steps: Dim,
    /// Values before the first step.
    pub carried: Vec<ValueId>,
    /// Sequences that are walked along.
    pub scanned: Vec<(ValueId, Along)>,
    /// Axes and directions of the results of all steps.
    pub stacked: Vec<(i64, bool)>,
    /// What is also given to the body: a condition that is true. It is the second of its inputs, and the first of its
    /// outputs has to be so, too.
    pub condition: bool,
}

/// A body on its way.
struct Inside {
    /// Values around the body that its further inputs are.
    same: Vec<ValueId>,
    /// By value around the body: what it is inside.
    known: HashMap<ValueId, ValueId>,
}

impl Importer<'_> {
    /// The results of a loop; nothing if it should be unrolled instead, because something in its body has to be known.
    pub(super) fn looped(
        &mut self,
        scope: &mut Scope,
        at: &At<'_>,
        body: &GraphProto,
        walk: &Walk,
    ) -> Result<Option<Vec<ValueId>>> {
        if let Some(steps) = walk.steps.as_const().filter(|steps| *steps > MOST_STEPS) {
            let reason = format!("{steps} iterations are not supported; at most {MOST_STEPS} are");
            return unsupported(reason).map_err(Stop::Op);
        }
        let (reported, failed) = (self.unsupported.len(), self.failed.is_some());
        let made = self.in_graph_of_its_own(scope, at, body, walk);
        let can_unroll = walk.steps.as_usize().is_some_and(|steps| steps <= MOST_UNROLLED);
        let went_wrong = self.unsupported.len() > reported || self.failed.is_some() && !failed;
        let result = match made {
            Ok((inner, same)) if !went_wrong => self.applied(at, inner, &same, walk),
            Ok(_) => Err(Stop::Reported),
            Err(stop) => Err(stop),
        };
        match result {
            Ok(outputs) => Ok(Some(outputs)),
            Err(_) if can_unroll => {
                self.unsupported.truncate(reported);
                if !failed {
                    self.failed = None;
                }
                Ok(None)
            }
            Err(stop) => Err(stop),
        }
    }

    /// The body as a graph, and what it is given besides. Afterwards names mean what they did.
    fn in_graph_of_its_own(
        &mut self,
        scope: &mut Scope,
        at: &At<'_>,
        body: &GraphProto,
        walk: &Walk,
    ) -> Result<(Graph, Vec<ValueId>)> {
        let outer = std::mem::replace(&mut self.graph, Graph::new(format!("{}.step", at.name)));
        let slots = std::mem::take(&mut scope.slots);
        // They are values of the graph around.
        let decoded = std::mem::take(&mut self.decoded);
        let seen = self.budget.enter();
        let call = scope.call.replace(at.name.to_owned());
        scope.depth += 1;
        let made = self.inside(scope, at, body, walk, (&outer, &slots));
        scope.depth -= 1;
        scope.call = call;
        self.budget.leave(seen);
        self.decoded = decoded;
        scope.slots = slots;
        let inner = std::mem::replace(&mut self.graph, outer);
        made.map(|same| (inner, same))
    }

    fn inside(
        &mut self,
        scope: &mut Scope,
        at: &At<'_>,
        body: &GraphProto,
        walk: &Walk,
        (outer, slots): (&Graph, &HashMap<String, Slot>),
    ) -> Result<Vec<ValueId>> {
        let formal = self.formal(outer, body, walk)?;
        let mut inside = Inside { same: Vec::new(), known: HashMap::new() };
        let own: HashSet<&str> = {
            let made = body.node.iter().flat_map(|node| &node.output);
            let named = body.input.iter().map(|input| &input.name);
            let stored = body.initializer.iter().map(|tensor| &tensor.name);
            named.chain(stored).chain(made).map(String::as_str).collect()
        };
        for name in read(body).into_iter().filter(|name| !own.contains(name)) {
            let Some(slot) = slots.get(name) else { continue };
            let slot = match slot {
                Slot::Value(id) => Slot::Value(self.captured(outer, *id, &mut inside)?),
                Slot::Unknown => Slot::Unknown,
            };
            scope.slots.insert(name.to_owned(), slot);
        }
        for (name, slot) in self.initializers(body, scope.opset)? {
            scope.slots.insert(name.clone(), slot);
        }
        for (input, value) in body.input.iter().zip(formal) {
            scope.slots.insert(input.name.clone(), Slot::Value(value));
        }
        self.nodes = self.nodes.saturating_add(1 + body.input.len() + body.initializer.len());
        for index in order(&body.node)? {
            self.node(scope, &body.node[index])?;
        }
        self.results(scope, at.node, body, walk)?;
        Ok(inside.same)
    }

    /// The inputs of the body in the order of the file: of a step's number, a condition and what is carried, or of what is
    /// carried and the parts of sequences. In the graph what is carried comes first.
    fn formal(&mut self, outer: &Graph, body: &GraphProto, walk: &Walk) -> Result<Vec<ValueId>> {
        let mut carried = Vec::new();
        for (n, id) in walk.carried.iter().enumerate() {
            let ty = outer.ty(*id).clone();
            carried.push(self.graph.input(format!("carried {n}"), ty)?);
        }
        let mut parts = Vec::new();
        for (n, (id, along)) in walk.scanned.iter().enumerate() {
            let mut ty = outer.ty(*id).clone();
            ty.shape.remove(along.axis);
            parts.push(self.graph.input(format!("part {n}"), ty)?);
        }
        let all: Vec<ValueId> = if walk.condition {
            let goes_on = self.graph.constant("goes on", Tensor::number(1.0, DType::Bool));
            parts.into_iter().chain([goes_on]).chain(carried).collect()
        } else {
            carried.into_iter().chain(parts).collect()
        };
        if all.len() != body.input.len() {
            let (has, gets) = (body.input.len(), all.len());
            return invalid(format!("its graph has {has} inputs, but gets {gets}")).map_err(Stop::Op);
        }
        Ok(all)
    }

    /// A value of the graph around, inside.
    fn captured(&mut self, outer: &Graph, id: ValueId, inside: &mut Inside) -> Result<ValueId> {
        if let Some(known) = inside.known.get(&id) {
            return Ok(*known);
        }
        let value = outer.value(id);
        let inner = match outer.as_constant(id) {
            Some(tensor) => {
                let constant = self.graph.constant(value.name.clone(), tensor.clone());
                self.budget.pass(&self.graph);
                constant
            }
            None => {
                let name = format!("{} (outside {})", value.name, inside.same.len());
                inside.same.push(id);
                self.graph.input_known(name, value.ty.clone(), value.contents.clone())?
            }
        };
        inside.known.insert(id, inner);
        Ok(inner)
    }

    /// Names the results of the body.
    fn results(&mut self, scope: &Scope, node: &NodeProto, body: &GraphProto, walk: &Walk) -> Result<()> {
        let skipped = usize::from(walk.condition);
        for (n, output) in body.output.iter().enumerate() {
            let value = match self.find(scope, &output.name, || super::super::describe(node))? {
                Slot::Value(value) => value,
                Slot::Unknown => return Err(Stop::Reported),
            };
            let Some(n) = n.checked_sub(skipped) else {
                let known = self.graph.as_constant(value).and_then(Tensor::to_ints);
                if known.and_then(|ints| ints.first().copied()).is_none_or(|goes_on| goes_on == 0) {
                    return unsupported(CONDITION).map_err(Stop::Op);
                }
                continue;
            };
            if let Some(before) = self.graph.inputs().get(n).filter(|_| n < walk.carried.len()) {
                let (is, was) = (self.graph.ty(value), self.graph.ty(*before));
                if is != was {
                    let reason = format!("a state that changes from {was} to {is} is not supported");
                    return unsupported(reason).map_err(Stop::Op);
                }
            }
            self.graph.output(format!("result {n}"), value)?;
        }
        Ok(())
    }

    /// The loop with this body.
    fn applied(&mut self, at: &At<'_>, body: Graph, same: &[ValueId], walk: &Walk) -> Result<Vec<ValueId>> {
        let mut stacked = Vec::new();
        for ((axis, reverse), output) in
            walk.stacked.iter().zip(body.outputs().iter().skip(walk.carried.len()))
        {
            let rank = body.ty(output.value).rank();
            let axis = super::super::super::cx::axis(*axis, rank + 1)?;
            stacked.push(Along { axis, reverse: *reverse });
        }
        let scanned = walk.scanned.iter().map(|(_, along)| *along).collect();
        let inputs: Vec<ValueId> = walk
            .carried
            .iter()
            .copied()
            .chain(walk.scanned.iter().map(|(id, _)| *id))
            .chain(same.iter().copied())
            .collect();
        let (steps, carried) = (walk.steps.clone(), walk.carried.len());
        let op = Loop { body: body.into(), steps, carried, scanned, stacked };
        Ok(self.graph.apply(at.name, Op::Loop(op), &inputs)?)
    }

    /// The walk of an operator `Loop` of so many steps: its body is given their numbers.
    pub(super) fn counted(
        &mut self,
        at: &At<'_>,
        steps: Dim,
        carried: Vec<ValueId>,
        made: usize,
    ) -> Result<Walk> {
        // Of a number of steps that is refused, nothing is made.
        let length = if steps.as_const().is_some_and(|steps| steps > MOST_STEPS) {
            Dim::from(0)
        } else {
            steps.clone()
        };
        let f = &mut Formula::new(&mut self.graph, at.name);
        let numbers = Iota { dtype: DType::I64, shape: vec![length], axis: 0 };
        let numbers = f.apply(Op::Iota(numbers), &[])?;
        let scanned = vec![(numbers, Along { axis: 0, reverse: false })];
        Ok(Walk { steps, carried, scanned, stacked: vec![(0, false); made], condition: true })
    }
}

/// Why a loop is not imported whose condition is computed.
pub(super) const CONDITION: &str = "its condition has to be constant, but is computed from data; a loop whose number of \
                                    steps is constant or follows from sizes, and whose condition is true, can be imported";

/// The names that a body reads.
fn read(body: &GraphProto) -> HashSet<&str> {
    let mut names: HashSet<&str> = body.output.iter().map(|output| output.name.as_str()).collect();
    for node in &body.node {
        each_read(node, &mut |name| {
            names.insert(name);
        });
    }
    names
}
