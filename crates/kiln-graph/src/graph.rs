//! The graph itself: values, nodes, inputs, outputs and state, in static single assignment.

mod verify;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::contents::{self, Element};
use crate::dim::product;
use crate::error::{GraphError, ShapeError};
use crate::guards::Guards;
use crate::ops::Op;
use crate::tensor::{DType, MAX_ELEMENTS, Tensor, TensorType};

/// A value of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

/// A node of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl ValueId {
    /// Position in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Def {
    /// Given by the caller at each run.
    Input,
    /// Known when the graph is built.
    Constant(Tensor),
    /// Kept between runs: a parameter, a running statistic, an optimizer moment. The tensor is its first value.
    State(Tensor),
    /// Output `index` of a node.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        index: usize,
    },
}

/// A tensor that flows through the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The user's name for inputs and states, else a name derived from the node.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// Where it comes from.
    pub def: Def,
    /// The elements of a small tensor, where they follow from shapes: what `Shape -> Gather -> Concat` chains compute. Known
    /// without running anything.
    pub contents: Option<Vec<Element>>,
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The name the user knows it by, `layer1.0.conv1`; not necessarily unique.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// Inputs, in the operator's order.
    pub inputs: Vec<ValueId>,
    /// Outputs, in the operator's order.
    pub outputs: Vec<ValueId>,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name the caller asks for.
    pub name: String,
    /// The value.
    pub value: ValueId,
    /// The axes of which only a beginning is the result.
    pub sizes: Vec<OutputSize>,
}

/// How much of an axis of an output is the result, where its type has a bound: what another output says, an integer without
/// dimensions. That one is not for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSize {
    /// The axis.
    pub axis: usize,
    /// The place of the other output among all.
    pub output: usize,
}

/// The new value of a state after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The state; its definition is [`Def::State`].
    pub state: ValueId,
    /// Its new value; of the same type.
    pub value: ValueId,
}

/// A static, typed, named graph.
///
/// A graph only grows: a node's inputs exist before it, so the order of [`Graph::nodes`] is a topological order and
/// a cycle cannot be built. Passes make a new graph from an old one with [`Rewriter`](crate::Rewriter).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The model's name.
    pub name: String,
    nodes: Vec<Node>,
    values: Vec<Value>,
    inputs: Vec<ValueId>,
    states: Vec<ValueId>,
    outputs: Vec<Output>,
    updates: Vec<Update>,
    guards: Guards,
    /// Of inputs, states and outputs, so that a model with thousands of them is built in linear time.
    names: Names,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Names {
    inputs: HashSet<String>,
    states: HashSet<String>,
    outputs: HashSet<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds an input.
    pub fn input(&mut self, name: impl Into<String>, ty: TensorType) -> Result<ValueId, GraphError> {
        let name = name.into();
        check_size(&ty).map_err(|source| GraphError::Node { node: name.clone(), op: "input", source })?;
        insert_unique(&mut self.names.inputs, &name)?;
        self.guards.see(&ty);
        let ty = self.guards.canonical_type(&ty).into_owned();
        let id = self.add_value(Value { name, ty, def: Def::Input, contents: None });
        self.inputs.push(id);
        Ok(id)
    }

    /// As [`Graph::input`], of which the elements are known as dimensions: in the body of a loop, what follows from sizes
    /// around it.
    pub fn input_known(
        &mut self,
        name: impl Into<String>,
        ty: TensorType,
        contents: Option<Vec<Element>>,
    ) -> Result<ValueId, GraphError> {
        let id = self.input(name, ty)?;
        self.values[id.index()].contents = contents;
        Ok(id)
    }

    /// Adds a constant.
    pub fn constant(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let contents = contents::of_tensor(&tensor);
        self.add_value(Value { name: name.into(), ty: tensor.ty(), def: Def::Constant(tensor), contents })
    }

    /// Adds a state with its first value.
    pub fn state(&mut self, name: impl Into<String>, tensor: Tensor) -> Result<ValueId, GraphError> {
        let name = name.into();
        insert_unique(&mut self.names.states, &name)?;
        let id = self.add_value(Value { name, ty: tensor.ty(), def: Def::State(tensor), contents: None });
        self.states.push(id);
        Ok(id)
    }

    /// Gives a state another first value, of the same type.
    pub fn set_state(&mut self, id: ValueId, tensor: Tensor) -> Result<(), GraphError> {
        let value = &mut self.values[id.index()];
        if !matches!(value.def, Def::State(_)) || value.ty != tensor.ty() {
            let (name, ty, found) = (&value.name, &value.ty, tensor.ty());
            return Err(GraphError::Invalid(format!("`{name}` ({ty}) cannot be initialized with {found}")));
        }
        value.def = Def::State(tensor);
        Ok(())
    }

    /// Gives a state another name.
    pub fn rename_state(&mut self, id: ValueId, name: impl Into<String>) -> Result<(), GraphError> {
        let name = name.into();
        if !matches!(self.value(id).def, Def::State(_)) {
            return Err(GraphError::Invalid(format!("`{}` is no state", self.value(id).name)));
        }
        insert_unique(&mut self.names.states, &name)?;
        let old = std::mem::replace(&mut self.values[id.index()].name, name);
        self.names.states.remove(&old);
        Ok(())
    }

    /// Applies `op` to `inputs`; the outputs' types follow. The node is called `name`, its outputs after it.
    pub fn apply(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let name = name.into();
        let outputs = self.infer(&name, &op, inputs)?;
        let mut contents = match outputs.first() {
            Some(output) if contents::may_follow(self, &op, inputs) => {
                self.assume(&name, |graph, guards| contents::of_node(graph, &op, inputs, output, guards))
            }
            Some(_) | None => None,
        };
        let node = NodeId(u32::try_from(self.nodes.len()).map_err(|_| too_many())?);
        let outputs: Vec<ValueId> = outputs
            .into_iter()
            .enumerate()
            .map(|(index, ty)| {
                let value_name = if index == 0 { name.clone() } else { format!("{name}.{index}") };
                let contents = if index == 0 { contents.take() } else { None };
                self.add_value(Value { name: value_name, ty, def: Def::Node { node, index }, contents })
            })
            .collect();
        self.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// The types of the outputs of `op`, under what is assumed of sizes. A failure leaves no assumption behind.
    fn infer(&mut self, name: &str, op: &Op, inputs: &[ValueId]) -> Result<Vec<TensorType>, GraphError> {
        let rule = |graph: &Self, guards: &mut Guards| {
            let types: Vec<_> = inputs.iter().map(|id| guards.canonical_type(graph.ty(*id))).collect();
            let types: Vec<&TensorType> = types.iter().map(|ty| &**ty).collect();
            let mut outputs = op.infer_with(&types, guards)?;
            for ty in &mut outputs {
                if let Cow::Owned(canonical) = guards.canonical_type(ty) {
                    *ty = canonical;
                }
                check_size(ty)?;
            }
            Ok(outputs)
        };
        self.ask(name, rule).map_err(|source| GraphError::Node { node: name.into(), op: op.name(), source })
    }

    /// As [`Graph::apply`], for an operator with a single output.
    pub fn apply1(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, GraphError> {
        let outputs = self.apply(name, op, inputs)?;
        outputs.first().copied().ok_or_else(|| GraphError::Invalid("an operator without outputs".into()))
    }

    /// Names a value as a result.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId) -> Result<(), GraphError> {
        let name = name.into();
        insert_unique(&mut self.names.outputs, &name)?;
        self.outputs.push(Output { name, value, sizes: vec![] });
        Ok(())
    }

    /// Says that of `axis` of an output only a beginning is the result, as long as another output says; both by their places.
    pub fn output_size(&mut self, output: usize, axis: usize, size: usize) -> Result<(), GraphError> {
        let says = |output: &Output| {
            let ty = self.ty(output.value);
            ty.rank() == 0 && matches!(ty.dtype, DType::I32 | DType::I64)
        };
        let has_axis = |output: &Output| axis < self.ty(output.value).rank();
        let fits = self.outputs.get(size).is_some_and(says) && self.outputs.get(output).is_some_and(has_axis);
        match self.outputs.get_mut(output) {
            Some(output) if fits => {
                output.sizes.push(OutputSize { axis, output: size });
                Ok(())
            }
            Some(_) | None => Err(GraphError::Invalid(format!(
                "output {size} is not a size of axis {axis} of output {output}"
            ))),
        }
    }

    /// Whether an output says how much of others is the result, and is not one itself.
    pub fn is_output_size(&self, place: usize) -> bool {
        self.outputs.iter().flat_map(|output| &output.sizes).any(|size| size.output == place)
    }

    /// Takes all outputs away, so that the graph can have others.
    pub fn clear_outputs(&mut self) {
        self.outputs.clear();
        self.names.outputs.clear();
    }

    /// Says what `state` becomes after a run.
    pub fn update(&mut self, state: ValueId, value: ValueId) -> Result<(), GraphError> {
        if !matches!(self.value(state).def, Def::State(_)) || self.ty(state) != self.ty(value) {
            return Err(GraphError::Invalid(format!(
                "`{}` ({}) cannot be updated with `{}` ({})",
                self.value(state).name,
                self.ty(state),
                self.value(value).name,
                self.ty(value)
            )));
        }
        self.updates.push(Update { state, value });
        Ok(())
    }

    /// What is assumed of sizes.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    /// From here on nothing is assumed of the size `symbol`: a model that needs that is wrong, as one that does not take every
    /// batch.
    pub fn keep_free(&mut self, symbol: impl Into<Arc<str>>) {
        self.guards.keep_free(symbol.into());
    }

    /// Asks the guards on behalf of the node called `name`: what `question` needs is assumed, if it does not fail.
    pub fn ask<T, E>(
        &mut self,
        name: &str,
        question: impl FnOnce(&Self, &mut Guards) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut guards = self.guards.clone();
        guards.ask_for(Some(name));
        let answer = question(self, &mut guards)?;
        guards.ask_for(None);
        self.guards = guards;
        Ok(answer)
    }

    /// As [`Graph::ask`], of a question that has an answer or has none.
    pub fn assume<T>(
        &mut self,
        name: &str,
        question: impl FnOnce(&Self, &mut Guards) -> Option<T>,
    ) -> Option<T> {
        self.ask(name, |graph, guards| question(graph, guards).ok_or(())).ok()
    }

    /// An empty graph with the name and the guards of this one.
    pub(crate) fn successor(&self) -> Self {
        Self { guards: self.guards.clone(), ..Self::new(self.name.clone()) }
    }

    /// The nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All values, in the order of their making.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Inputs, in the model's order.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// States, in the model's order.
    pub fn states(&self) -> &[ValueId] {
        &self.states
    }

    /// Outputs, in the model's order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// State updates.
    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Ids of the nodes in topological order.
    pub fn node_ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Ids of all values.
    pub fn value_ids(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// A value's type.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.values[id.index()].ty
    }

    /// A copy in which values have the element types that `of` says: for a backend that holds them in others than the
    /// operators' own, without a word about it in the nodes. Constants keep their data.
    pub fn held_as(&self, of: impl Fn(ValueId) -> DType) -> Self {
        let mut held = self.clone();
        for id in self.value_ids() {
            held.values[id.index()].ty.dtype = of(id);
        }
        held
    }

    /// The data of a value that is a constant.
    pub fn as_constant(&self, id: ValueId) -> Option<&Tensor> {
        match &self.value(id).def {
            Def::Constant(tensor) => Some(tensor),
            Def::Input | Def::State(_) | Def::Node { .. } => None,
        }
    }

    /// The node that makes a value.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        match &self.value(id).def {
            Def::Node { node, .. } => Some(*node),
            Def::Input | Def::State(_) | Def::Constant(_) => None,
        }
    }

    /// For each value (by index), the nodes that read it; a node that reads it twice is listed twice.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (id, node) in self.node_ids().zip(&self.nodes) {
            for input in &node.inputs {
                consumers[input.index()].push(id);
            }
        }
        consumers
    }

    /// Values that have to be there after a run: outputs and new states.
    pub fn results(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.outputs.iter().map(|o| o.value).chain(self.updates.iter().map(|u| u.value))
    }

    /// The symbols in the inputs' shapes, in order of first sight.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        let mut symbols = Vec::new();
        for id in &self.inputs {
            for dim in &self.ty(*id).shape {
                dim.collect_symbols(&mut symbols);
            }
        }
        symbols
    }

    /// Inputs by name.
    pub fn inputs_by_name(&self) -> HashMap<&str, ValueId> {
        self.inputs.iter().map(|id| (self.value(*id).name.as_str(), *id)).collect()
    }

    fn add_value(&mut self, value: Value) -> ValueId {
        // 2^32 values would need more than 500 GB of `Value` first.
        let id = ValueId(self.values.len() as u32);
        self.values.push(value);
        id
    }
}

fn insert_unique(names: &mut HashSet<String>, name: &str) -> Result<(), GraphError> {
    if names.insert(name.to_owned()) { Ok(()) } else { Err(GraphError::DuplicateName(name.to_owned())) }
}

fn too_many() -> GraphError {
    GraphError::Invalid("more than 2^32 nodes".into())
}

fn check_size(ty: &TensorType) -> Result<(), ShapeError> {
    // Symbolic sizes are checked with the largest value of the symbol when a plan is made.
    let negative = ty.shape.iter().any(|d| d.as_const().is_some_and(|n| n < 0));
    let large = ty.shape.iter().any(|d| d.as_const().is_some_and(|n| n > MAX_ELEMENTS))
        // An empty tensor has other axes, too.
        || product(ty.shape.iter().filter(|d| !d.is(0))).as_const().is_some_and(|n| n > MAX_ELEMENTS);
    if negative {
        return Err(ShapeError::Mismatch(format!("{ty} has a negative dimension")));
    }
    if large { Err(ShapeError::TooLarge(ty.shape.clone())) } else { Ok(()) }
}
