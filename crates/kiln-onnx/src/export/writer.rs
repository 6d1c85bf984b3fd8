//! The model as it is written, with helpers to append to it.

use std::collections::HashSet;

use kiln_graph::{Def, Graph, Tensor, ValueId};

use crate::proto::{AttributeProto, AttributeType, NodeProto, TensorProto};
use crate::tensor::encode;

pub(super) struct Writer<'a> {
    pub graph: &'a Graph,
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    /// The name of each value in the file.
    names: Vec<String>,
    taken: HashSet<String>,
    node_names: HashSet<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        let mut taken: HashSet<String> = HashSet::new();
        let mut names = vec![String::new(); graph.values().len()];
        // Inputs, and then results, have their names by right.
        for id in graph.inputs() {
            let name = graph.value(*id).name.clone();
            taken.insert(name.clone());
            names[id.index()] = name;
        }
        for output in graph.outputs() {
            let made = graph.producer(output.value).is_some();
            if made && names[output.value.index()].is_empty() && taken.insert(output.name.clone()) {
                names[output.value.index()] = output.name.clone();
            }
        }
        // A result that is an input, or has a second name, is written at the end, under the name it should have.
        taken.extend(graph.outputs().iter().map(|output| output.name.clone()));
        let mut writer =
            Self { graph, nodes: vec![], initializers: vec![], names, taken, node_names: HashSet::new() };
        for id in graph.value_ids() {
            if writer.names[id.index()].is_empty() {
                writer.names[id.index()] = writer.fresh(&graph.value(id).name);
            }
        }
        writer
    }

    /// A name like `base` that nothing has.
    pub(super) fn fresh(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut n = 1;
        while name.is_empty() || !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{base}~{n}");
        }
        name
    }

    pub(super) fn name(&self, id: ValueId) -> &str {
        &self.names[id.index()]
    }

    /// Adds those constants and states that a node reads, in front of what was added for single nodes.
    pub(super) fn known(&mut self) {
        let updated = self.graph.updates().iter().map(|update| self.name(update.state));
        let read: HashSet<&str> =
            self.nodes.iter().flat_map(|node| &node.input).map(String::as_str).chain(updated).collect();
        let known = self.graph.value_ids().filter_map(|id| match &self.graph.value(id).def {
            Def::Constant(tensor) | Def::State(tensor) if read.contains(self.name(id)) => {
                Some(encode(self.name(id), tensor))
            }
            Def::Constant(_) | Def::State(_) | Def::Input | Def::Node { .. } => None,
        });
        let known: Vec<TensorProto> = known.collect();
        self.initializers.splice(0..0, known);
    }

    /// A constant that the format wants as an input.
    pub(super) fn constant(&mut self, base: &str, tensor: &Tensor) -> String {
        let name = self.fresh(base);
        self.initializers.push(encode(&name, tensor));
        name
    }

    /// Integers as an input.
    pub(super) fn ints(&mut self, base: &str, values: impl IntoIterator<Item = i64>) -> String {
        self.constant(base, &Tensor::ints(values))
    }

    /// A name like `name` that no node has.
    pub(super) fn node_name(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut n = 1;
        while !self.node_names.insert(unique.clone()) {
            n += 1;
            unique = format!("{name}~{n}");
        }
        unique
    }

    /// Adds a node.
    pub(super) fn node(
        &mut self,
        name: &str,
        op_type: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let unique = self.node_name(name);
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        self.nodes.push(NodeProto {
            input: strings(inputs),
            output: strings(outputs),
            name: unique,
            op_type: op_type.into(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// Adds a node with one output that has no name of its own; gives its name.
    pub(super) fn inner(
        &mut self,
        name: &str,
        op_type: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = self.fresh(&format!("{name}.{}", op_type.to_lowercase()));
        self.node(name, op_type, inputs, &[&output], attribute);
        output
    }

    /// Makes sure that a value can be had under a result's name.
    pub(super) fn result(&mut self, wanted: &str, id: ValueId) {
        if self.name(id) != wanted {
            let from = self.name(id).to_owned();
            self.node(wanted, "Identity", &[&from], &[wanted], vec![]);
        }
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i: Some(value),
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float.into(),
        f: Some(value),
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, values: impl IntoIterator<Item = i64>) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: values.into_iter().collect(),
        ..AttributeProto::default()
    }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String.into(),
        s: Some(value.as_bytes().to_vec()),
        ..AttributeProto::default()
    }
}
