//! Branches: the one that is taken is written in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_graph::{Atom, Bounds, Dim, Element, Tensor, Truth, ValueId, product};

use super::{Attributes, ImportError, Importer, Scope, Slot, deciding, describe, order};
use crate::proto::NodeProto;

const THEN: &str = "then_branch";
const ELSE: &str = "else_branch";

fn assign(scope: &mut Scope, node: &NodeProto, slots: Vec<Slot>) {
    for (slot, outer) in slots.into_iter().zip(&node.output).filter(|(_, outer)| !outer.is_empty()) {
        scope.slots.insert(outer.clone(), slot);
    }
}

/// The counts that are all zero exactly if `dim` is.
fn zero_with(dim: &Dim) -> Option<Vec<Arc<str>>> {
    let mut counts = Vec::new();
    // A sum of what is never negative is zero where each term is.
    for (atoms, coefficient) in dim.terms() {
        let mut rest = atoms.iter().filter(|atom| !matches!(atom, Atom::Symbol(_)));
        let (Some(atom), None, 1..) = (rest.next(), rest.next(), *coefficient) else { return None };
        let positive = |dim: &Dim| dim.never_below(&1.into(), Bounds::default());
        match atom {
            Atom::Count(count) => counts.push(count.clone()),
            Atom::Min(a, b) if positive(a) => counts.extend(zero_with(b)?),
            Atom::Min(a, b) if positive(b) => counts.extend(zero_with(a)?),
            Atom::Symbol(_) | Atom::Min(..) | Atom::FloorDiv(..) => return None,
        }
    }
    Some(counts)
}

impl Importer<'_> {
    /// A branch whose condition is known is the branch that is taken.
    pub(super) fn branch(
        &mut self,
        scope: &mut Scope,
        node: &NodeProto,
        name: &str,
        values: &[Option<ValueId>],
    ) -> Result<(), ImportError> {
        let attributes = Attributes::new(&node.attribute);
        let condition = values.first().copied().flatten();
        if let Some((counts, empty)) = condition.and_then(|id| self.whether_empty(id)) {
            return self.branch_of_elements(scope, node, name, &attributes, &counts, empty);
        }
        match self.condition(name, condition) {
            Ok(taken) => {
                let which = if taken { THEN } else { ELSE };
                let slots = self.branch_taken(scope, node, name, &attributes, which)?;
                assign(scope, node, slots);
                Ok(())
            }
            Err(reason) => {
                self.unsupported(name, "If", scope.opset, reason);
                // What else is in the way is in either branch.
                for which in [THEN, ELSE] {
                    self.branch_taken(scope, node, name, &attributes, which)?;
                }
                self.give_up(scope, node)
            }
        }
    }

    /// The value of a condition: it is a constant, or follows from sizes. Else why it is not known.
    fn condition(&mut self, name: &str, condition: Option<ValueId>) -> Result<bool, String> {
        let Some(id) = condition else { return Err("it has no condition".into()) };
        let value = self.graph.value(id);
        if let Some(ints) = self.graph.as_constant(id).and_then(Tensor::to_ints) {
            return ints.first().map(|taken| *taken != 0).ok_or_else(|| "its condition is empty".into());
        }
        if let Some([Element::Truth(truth)]) = value.contents.as_deref() {
            let truth = truth.clone();
            let assumed = self.graph.assume(name, |_, guards| truth.assumed(guards));
            return assumed.ok_or_else(|| {
                let flags = deciding(truth.size());
                format!("which branch is taken depends on sizes; {flags}")
            });
        }
        Err(match value.def {
            kiln_graph::Def::Input => format!(
                "its condition is the input `{0}` of the model; give its value: --value {0}=1 or --value {0}=0",
                value.name
            ),
            kiln_graph::Def::Constant(_) | kiln_graph::Def::State(_) | kiln_graph::Def::Node { .. } => {
                "its condition is computed from data, but a plan has one fixed list of dispatches".into()
            }
        })
    }

    /// The results of one branch.
    fn branch_taken(
        &mut self,
        scope: &mut Scope,
        node: &NodeProto,
        name: &str,
        attributes: &Attributes<'_>,
        which: &str,
    ) -> Result<Vec<Slot>, ImportError> {
        let body = attributes.graph(which).map_err(|e| e.at(name, "If"))?;
        let Some(body) = body else {
            let message = format!("it has no `{which}`");
            return Err(ImportError::Invalid { node: name.into(), operator: "If".into(), message });
        };
        scope.depth += 1;
        for (name, slot) in self.initializers(body, scope.opset)? {
            scope.slots.insert(name.clone(), slot);
        }
        for index in order(&body.node)? {
            self.node(scope, &body.node[index])?;
        }
        scope.depth -= 1;
        body.output.iter().map(|inner| self.find(scope, &inner.name, || describe(node))).collect()
    }

    /// The counts that are all zero exactly if a condition has a certain value, and that value.
    fn whether_empty(&self, condition: ValueId) -> Option<(Vec<Arc<str>>, bool)> {
        let [Element::Truth(Truth::Zero(dim, negated))] = self.graph.value(condition).contents.as_deref()?
        else {
            return None;
        };
        zero_with(dim).map(|counts| (counts, !negated))
    }

    /// A branch for a tensor without elements, as exporters write it where code asks `if x.numel() == 0`: the other branch
    /// serves both, if it makes tensors without elements of the same shapes then.
    fn branch_of_elements(
        &mut self,
        scope: &mut Scope,
        node: &NodeProto,
        name: &str,
        attributes: &Attributes<'_>,
        counts: &[Arc<str>],
        empty: bool,
    ) -> Result<(), ImportError> {
        let [of_none, of_some] = if empty { [THEN, ELSE] } else { [ELSE, THEN] };
        let none = self.branch_taken(scope, node, name, attributes, of_none)?;
        let some = self.branch_taken(scope, node, name, attributes, of_some)?;
        let without = self.without(counts);
        let same = |(none, some): (&Slot, &Slot)| match (none, some) {
            (Slot::Value(none), Slot::Value(some)) => {
                let (none, some) = (self.graph.ty(*none), self.graph.ty(*some));
                let shape: Vec<Dim> = some.shape.iter().map(|dim| dim.substitute(&without)).collect();
                none.dtype == some.dtype && none.shape == shape && product(&shape).is(0)
            }
            (Slot::Unknown, _) | (_, Slot::Unknown) => true,
        };
        if !none.iter().zip(&some).all(same) {
            let reason = format!(
                "which branch is taken depends on whether `{}` finds an element, and the branches differ in more than that; \
                 `--cut-at {name}` compiles what lies before it",
                counts.join("`, `")
            );
            self.unsupported(name, "If", scope.opset, reason);
            return self.give_up(scope, node);
        }
        assign(scope, node, some);
        Ok(())
    }

    /// What all counts are where some are zero: among no elements none is found.
    fn without(&self, counts: &[Arc<str>]) -> BTreeMap<Arc<str>, Dim> {
        let zeros = counts.iter().map(|count| (count.clone(), Dim::from(0)));
        let mut known: BTreeMap<_, _> = zeros.collect();
        for node in self.graph.nodes() {
            if let (Some(found), Some(among)) = (node.op.count(), node.inputs.first())
                && self.graph.ty(*among).elements().substitute(&known).is(0)
            {
                known.insert(found.clone(), 0.into());
            }
        }
        known
    }
}
