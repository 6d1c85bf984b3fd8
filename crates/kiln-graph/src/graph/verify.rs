//! Whether a graph is valid.
//!
//! [`Graph`]'s methods build only valid graphs; the verifier finds mistakes in those methods and
//! in passes, and is run after each pass in debug builds and tests.

use std::collections::{HashMap, HashSet};

use super::{Def, Graph, Value, ValueId};
use crate::error::GraphError;
use crate::ops::Op;
use crate::tensor::TensorType;

impl Graph {
    /// Checks that ids are in range, every value is made once and before it is used, types are what the operators
    /// say, and names of inputs, states and outputs are unique.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut listed = HashMap::new();
        for id in self.inputs.iter().chain(&self.states) {
            *listed.entry(*id).or_insert(0) += 1;
        }
        for (id, value) in self.value_ids().zip(&self.values) {
            self.verify_definition(id, value, listed.get(&id).copied().unwrap_or(0))?;
        }
        let mut guards = self.guards.clone();
        for (index, node) in self.nodes.iter().enumerate() {
            let fail = |message: String| broken(format!("node {index}, `{}`: {message}", node.name));
            let mut types = Vec::new();
            for id in &node.inputs {
                let value = self.existing(*id)?;
                if let Def::Node { node: producer, .. } = value.def
                    && producer.index() >= index
                {
                    return Err(fail(format!("`{}` is used before it is defined", value.name)));
                }
                types.push(&value.ty);
            }
            let canonical: Vec<_> = types.iter().map(|ty| guards.canonical_type(ty)).collect();
            let types: Vec<&TensorType> = canonical.iter().map(|ty| &**ty).collect();
            let inferred = node.op.infer_with(&types, &mut guards).map_err(|source| GraphError::Node {
                node: node.name.clone(),
                op: node.op.name(),
                source,
            })?;
            if let Op::Loop(op) = &node.op {
                op.body.verify()?;
            }
            let mut stored: Vec<&TensorType> = Vec::new();
            for (position, id) in node.outputs.iter().enumerate() {
                let value = self.existing(*id)?;
                let made_here = matches!(value.def, Def::Node { node, index: i } if node.index() == index && i == position);
                if !made_here {
                    return Err(fail(format!(
                        "its output {position}, `{}`, is not defined by it",
                        value.name
                    )));
                }
                stored.push(&value.ty);
            }
            let same = |(stored, inferred): (&&TensorType, &TensorType)| {
                stored.dtype == inferred.dtype
                    && guards.canonical_type(stored) == guards.canonical_type(inferred)
            };
            if stored.len() != inferred.len() || !stored.iter().zip(&inferred).all(same) {
                let list = |types: &[&TensorType]| {
                    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let inferred = list(&inferred.iter().collect::<Vec<_>>());
                return Err(fail(format!("its outputs are {inferred}, but {} is stored", list(&stored))));
            }
        }
        self.verify_interface()
    }

    fn existing(&self, id: ValueId) -> Result<&Value, GraphError> {
        self.values.get(id.index()).ok_or_else(|| broken(format!("there is no value {}", id.index())))
    }

    /// `listed`: how often the value is among inputs and states.
    fn verify_definition(&self, id: ValueId, value: &Value, listed: usize) -> Result<(), GraphError> {
        let (stored, listed) = match &value.def {
            Def::Input => (None, listed),
            Def::State(tensor) => (Some(tensor.ty()), listed),
            Def::Constant(tensor) => (Some(tensor.ty()), 1),
            Def::Node { node, index } => {
                let outputs = self.nodes.get(node.index()).map(|node| &node.outputs);
                (
                    None,
                    usize::from(outputs.and_then(|ids| ids.get(*index)).is_some_and(|output| *output == id)),
                )
            }
        };
        if listed != 1 {
            return Err(broken(format!(
                "value {}, `{}`, is listed {listed} times where it is defined",
                id.index(),
                value.name
            )));
        }
        match stored {
            Some(ty) if ty != value.ty => {
                Err(broken(format!("`{}` has type {}, but its data is {ty}", value.name, value.ty)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn verify_interface(&self) -> Result<(), GraphError> {
        for (what, ids) in [("input", &self.inputs), ("state", &self.states)] {
            let mut names = HashSet::new();
            for id in ids {
                let value = self.existing(*id)?;
                let fits = match value.def {
                    Def::Input => what == "input",
                    Def::State(_) => what == "state",
                    Def::Constant(_) | Def::Node { .. } => false,
                };
                if !fits {
                    return Err(broken(format!("`{}` is listed as {what}, which it is not", value.name)));
                }
                if !names.insert(&value.name) {
                    return Err(GraphError::DuplicateName(value.name.clone()));
                }
            }
        }
        let mut names = HashSet::new();
        for output in &self.outputs {
            self.existing(output.value)?;
            if !names.insert(&output.name) {
                return Err(GraphError::DuplicateName(output.name.clone()));
            }
        }
        let mut updated = HashSet::new();
        for update in &self.updates {
            let (state, value) = (self.existing(update.state)?, self.existing(update.value)?);
            if !matches!(state.def, Def::State(_)) || state.ty != value.ty {
                return Err(broken(format!(
                    "`{}` ({}) cannot be updated with `{}` ({})",
                    state.name, state.ty, value.name, value.ty
                )));
            }
            if !updated.insert(update.state) {
                return Err(broken(format!("`{}` is updated twice", state.name)));
            }
        }
        Ok(())
    }
}

fn broken(message: String) -> GraphError {
    GraphError::Invalid(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{NodeId, Output, Update};
    use crate::ops::{Op, UnaryOp};
    use crate::tensor::Tensor;

    fn sound() -> Graph {
        let mut graph = Graph::new("sound");
        let x = graph.input("x", TensorType::f32(["N".into(), 3.into()])).expect("a new name");
        let s = graph.state("s", Tensor::scalar(0.0)).expect("a new name");
        graph.constant("c", Tensor::scalar(1.0));
        let relu = graph.apply1("relu", Op::Unary(UnaryOp::Relu), &[x]).expect("relu takes anything");
        let neg = graph.apply1("neg", Op::Unary(UnaryOp::Neg), &[relu]).expect("neg takes anything");
        let new = graph.apply1("new", Op::Unary(UnaryOp::Neg), &[s]).expect("neg takes anything");
        graph.output("y", neg).expect("a new name");
        graph.update(s, new).expect("of the same type");
        graph
    }

    #[test]
    fn finds_what_is_broken() {
        type Damage = fn(&mut Graph);
        let rows: [(Damage, &str); 12] = [
            (|g| g.nodes[0].inputs[0] = ValueId(99), "the graph is broken: there is no value 99"),
            (|g| g.outputs[0].value = ValueId(99), "the graph is broken: there is no value 99"),
            (
                |g| g.nodes.swap(0, 1),
                "the graph is broken: value 3, `relu`, is listed 0 times where it is defined",
            ),
            (
                |g| g.nodes[0].inputs[0] = ValueId(4),
                "the graph is broken: node 0, `relu`: `neg` is used before it is defined",
            ),
            (
                |g| g.values[3].ty = TensorType::f32([4.into()]),
                "the graph is broken: node 0, `relu`: its outputs are f32[N, 3], but f32[4] is stored",
            ),
            (
                |g| g.nodes[0].outputs.push(ValueId(2)),
                "the graph is broken: node 0, `relu`: its output 1, `c`, is not defined by it",
            ),
            (
                |g| g.values[3].def = Def::Node { node: NodeId(7), index: 0 },
                "the graph is broken: value 3, `relu`, is listed 0 times where it is defined",
            ),
            (
                |g| g.values[2].ty = TensorType::f32([4.into()]),
                "the graph is broken: `c` has type f32[4], but its data is f32[]",
            ),
            (
                |g| g.inputs.clear(),
                "the graph is broken: value 0, `x`, is listed 0 times where it is defined",
            ),
            (
                |g| g.outputs.push(Output { name: "y".into(), value: ValueId(0), sizes: vec![] }),
                "the name `y` is used twice; names of inputs, states and outputs have to be unique",
            ),
            (
                |g| g.updates[0].value = ValueId(0),
                "the graph is broken: `s` (f32[]) cannot be updated with `x` (f32[N, 3])",
            ),
            (
                |g| g.updates.push(Update { state: ValueId(1), value: ValueId(1) }),
                "the graph is broken: `s` is updated twice",
            ),
        ];
        assert_eq!(sound().verify(), Ok(()));
        for (damage, message) in rows {
            let mut graph = sound();
            damage(&mut graph);
            let found = graph.verify().expect_err(message).to_string();
            assert_eq!(found, message);
        }
    }
}
