//! The walk over a model's nodes.

mod bodies;
mod branch;
mod budget;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use kiln_graph::{Graph, GraphError, Relation, Tensor, ValueId};

use self::bodies::Control;
use self::budget::Budget;
use super::attributes::Attributes;
use super::constants::Uses;
use super::cut::cut;
use super::cx::{Cx, OpError, deciding};
use super::function::{self, Functions};
use super::ops::{self, Support};
use super::order::order;
use super::precision::rounds_to_bfloat16;
use super::types::{self, Symbols, TypeProblem};
use super::{ImportOptions, Imported, InputValue, OPSETS, describe, is_standard, operator_name, opset_of};
use crate::error::{Assumed, ImportError, Unsupported};
use crate::external::External;
use crate::names::Namer;
use crate::narrow::{self, Narrow};
use crate::proto::{GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto};
use crate::tensor::{self, TensorError};

/// How deep functions and branches may nest.
const MAX_DEPTH: usize = 32;
/// How many nodes a model may have once its functions are expanded.
const MAX_NODES: usize = 1 << 20;

pub(crate) fn import_model(
    mut model: ModelProto,
    directory: Option<&Path>,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let opset = opset_of(&model);
    if opset < OPSETS.0 || (opset > OPSETS.1 && !options.lenient) {
        return Err(ImportError::Opset { found: opset, range: OPSETS });
    }
    let rounds_to_bfloat16 = rounds_to_bfloat16(&model);
    let functions = Functions::of(&mut model);
    let versions = versions(&model.opset_import);
    let mut proto = model.graph.take().unwrap_or_default();
    cut(&mut proto, &options.cut_at)?;
    let mut importer = Importer {
        graph: Graph::new(if proto.name.is_empty() { "model" } else { &proto.name }),
        external: External::new(directory),
        symbols: Symbols::new(options.dims.clone()),
        values: options.values.clone(),
        lenient: options.lenient,
        functions: &functions,
        versions,
        unsupported: Vec::new(),
        failed: None,
        nodes: 0,
        unrolled: 0,
        budget: Budget::default(),
        decoded: HashMap::new(),
        calls: 0,
    };
    importer.graph_proto(proto, opset)?;
    if !importer.unsupported.is_empty() {
        return Err(ImportError::Unsupported(importer.unsupported));
    }
    if let Some(error) = importer.failed {
        return Err(error);
    }
    Ok(Imported {
        graph: importer.graph.settled()?,
        opset,
        ir_version: model.ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().into(),
        metadata: model.metadata_props.into_iter().map(|p| (p.key, p.value)).collect(),
        rounds_to_bfloat16,
    })
}

/// The meaning of a name.
#[derive(Clone)]
enum Slot {
    /// A value, and the weight's name if it is one.
    Value(ValueId),
    /// The result of something that could not be imported. What follows is still checked.
    Unknown,
}

/// Names and their values, in a graph or in the body of a function.
struct Scope<'a> {
    slots: HashMap<String, Slot>,
    /// Names that are read.
    read: HashSet<String>,
    declared: HashMap<&'a str, &'a TypeProto>,
    opset: i64,
    namer: Namer,
    /// The name of the call whose body this is.
    call: Option<String>,
    depth: usize,
}

struct Importer<'a> {
    graph: Graph,
    external: External,
    symbols: Symbols,
    /// The caller's values of inputs; those that occurred are removed.
    values: BTreeMap<String, InputValue>,
    lenient: bool,
    functions: &'a Functions,
    /// Versions of the operator sets that are not ONNX's own, by domain.
    versions: HashMap<String, i64>,
    unsupported: Vec<Unsupported>,
    /// The first thing that is wrong; it may be a consequence of something unsupported, which is reported instead.
    failed: Option<ImportError>,
    nodes: usize,
    /// Nodes of subgraphs that have been expanded.
    unrolled: usize,
    budget: Budget,
    /// The initializers of subgraphs, which may be expanded several times, by the address of the graph. They are
    /// those of the function that is being expanded: its nodes are dropped afterwards, and their addresses may be reused.
    decoded: HashMap<*const GraphProto, Vec<Slot>>,
    /// How many calls of functions are being expanded.
    calls: usize,
}

impl Importer<'_> {
    fn graph_proto(&mut self, mut proto: GraphProto, opset: i64) -> Result<(), ImportError> {
        let initializers = std::mem::take(&mut proto.initializer);
        let proto = proto;
        let uses = Uses::of(&proto);
        let mut scope = Scope {
            slots: HashMap::new(),
            read: uses.read.iter().map(|name| (*name).to_owned()).collect(),
            declared: declared(proto.value_info.iter().chain(&proto.output)),
            opset,
            namer: Namer::new(&proto.node),
            call: None,
            depth: 0,
        };
        for sparse in &proto.sparse_initializer {
            let name = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
            self.unsupported(&name, "initializer", opset, "sparse initializers are not supported");
            scope.slots.insert(name, Slot::Unknown);
        }
        let known: HashSet<&str> = initializers.iter().map(|t| t.name.as_str()).collect();
        for input in proto.input.iter().filter(|i| !known.contains(i.name.as_str())) {
            let slot = self.input(input, opset)?;
            define(&mut scope, &input.name, slot, "the inputs")?;
        }
        for tensor in initializers {
            let name = tensor.name.clone();
            let slot = if scope.read.contains(&name) {
                self.initializer(tensor, &uses, opset)?
            } else {
                // Not even decoded: it is unused.
                Slot::Unknown
            };
            define(&mut scope, &name, slot, "the initializers")?;
        }
        self.check_bindings(&proto.input)?;
        self.budget.pass(&self.graph);
        for index in order(&proto.node)? {
            self.node(&mut scope, &proto.node[index])?;
        }
        for output in &proto.output {
            if let Some(found) = types::widened(output.r#type.as_ref()) {
                let reason =
                    format!("has elements of type {found}; a cast to float32 in front of it would do");
                self.unsupported(&output.name, "output", opset, reason);
                continue;
            }
            let reader = || format!("output `{}`", output.name);
            match self.find(&scope, &output.name, reader)? {
                Slot::Value(value) => {
                    if self.graph.producer(value).is_none() {
                        self.check_declared(&scope, "an output", "", &output.name, value)?;
                    }
                    self.graph.output(output.name.clone(), value)?;
                }
                Slot::Unknown => {}
            }
        }
        Ok(())
    }

    fn input(&mut self, input: &ValueInfoProto, opset: i64) -> Result<Slot, ImportError> {
        match types::input_type(&input.name, input.r#type.as_ref(), &mut self.symbols) {
            Ok(ty) => Ok(Slot::Value(match self.values.remove(&input.name) {
                Some(value) => {
                    let wrong =
                        |given| ImportError::Value { input: input.name.clone(), expected: ty.clone(), given };
                    let tensor = value.tensor(&ty).map_err(wrong)?;
                    self.graph.constant(input.name.clone(), tensor)
                }
                None => self.graph.input(input.name.clone(), ty)?,
            })),
            Err(TypeProblem::Wrong(error)) => Err(error),
            Err(TypeProblem::Unsupported(reason)) => {
                self.unsupported(&input.name, "input", opset, reason);
                Ok(Slot::Unknown)
            }
        }
    }

    fn initializer(
        &mut self,
        proto: crate::proto::TensorProto,
        uses: &Uses,
        opset: i64,
    ) -> Result<Slot, ImportError> {
        let name = proto.name.clone();
        let decoded = match Narrow::of(proto.data_type) {
            // Whatever else reads them, perhaps as zero points, would take them for numbers of 8 bits.
            Some(narrow) if !narrow.is_float() && uses.is_only_dequantized(&name) => {
                narrow::decode(narrow, proto, &mut self.external)
            }
            Some(_) | None => tensor::decode_constant(proto, &mut self.external),
        };
        let tensor: Tensor = match decoded {
            Ok(tensor) => tensor,
            Err(TensorError::Type { found, .. }) => {
                let reason = format!("elements of type {found} are not supported");
                self.unsupported(&name, "initializer", opset, reason);
                return Ok(Slot::Unknown);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Slot::Value(if uses.is_weight(&name, &tensor) {
            self.graph.state(name, tensor)?
        } else {
            self.graph.constant(name, tensor)
        }))
    }

    /// The initializers of a subgraph: constants, which are decoded once however often it is expanded.
    fn initializers<'b>(
        &mut self,
        graph: &'b GraphProto,
        opset: i64,
    ) -> Result<Vec<(&'b String, Slot)>, ImportError> {
        let place = std::ptr::from_ref(graph);
        if !self.decoded.contains_key(&place) {
            let mut slots = Vec::new();
            for tensor in &graph.initializer {
                slots.push(self.initializer(tensor.clone(), &Uses::default(), opset)?);
                if self.calls == 0 {
                    self.budget.pass(&self.graph);
                }
            }
            self.decoded.insert(place, slots);
        }
        let slots = self.decoded.get(&place).cloned().unwrap_or_default();
        Ok(graph.initializer.iter().map(|tensor| &tensor.name).zip(slots).collect())
    }

    /// A number for a symbol that does not occur is a slip of the pen, and so is a value for an input that does not.
    fn check_bindings(&self, inputs: &[ValueInfoProto]) -> Result<(), ImportError> {
        if let Some(name) = self.values.keys().next() {
            let known = inputs.iter().map(|input| input.name.clone()).collect();
            return Err(ImportError::UnknownInput { name: name.clone(), known });
        }
        let Some(name) = self.symbols.unused() else { return Ok(()) };
        let known = self.symbols.known();
        let known = match known.as_slice() {
            [] => "is none: all sizes are numbers".into(),
            [one] => format!("is `{one}`"),
            [first @ .., _] if first.len() >= 50 => {
                format!("are {}, `{}` among them", known.len(), first[..50].join("`, `"))
            }
            many => format!("are `{}`", many.join("`, `")),
        };
        Err(ImportError::UnknownSymbol { name: name.into(), known })
    }

    fn node(&mut self, scope: &mut Scope, node: &NodeProto) -> Result<(), ImportError> {
        let inputs: Vec<Option<Slot>> = node
            .input
            .iter()
            .map(|name| (!name.is_empty()).then(|| self.find(scope, name, || describe(node))).transpose())
            .collect::<Result<_, _>>()?;
        let weight = inputs.iter().zip(&node.input).skip(1).find_map(|(slot, name)| match slot {
            Some(Slot::Value(id)) if self.graph.states().is_empty() || self.is_state(*id) => {
                Some(name.as_str())
            }
            Some(Slot::Value(_) | Slot::Unknown) | None => None,
        });
        let name = match &scope.call {
            // Inside of a function nothing but the call has a name that people know.
            Some(call) => call.clone(),
            None => scope.namer.name(node, weight),
        };
        self.nodes += 1;
        if self.nodes > MAX_NODES || scope.depth > MAX_DEPTH {
            return Err(ImportError::Nesting { node: name, limit: MAX_DEPTH });
        }
        if let Some(function) = self.functions.get(node) {
            let function = function.clone();
            return self.call(scope, node, &name, &function, inputs);
        }
        let operator = operator_name(node);
        let opset = match self.versions.get(&node.domain) {
            Some(version) if !is_standard(&node.domain) => *version,
            Some(_) | None => scope.opset,
        };
        let found = ops::support(&node.domain, &node.op_type, opset);
        let table = match found {
            Support::Yes(table) => Some(table),
            Support::TooNew(_) | Support::Gone(_) | Support::LeftOut(_) | Support::No => None,
        };
        let control = Control::of(node, opset);
        if table.is_none() && control.is_none() {
            self.unsupported(&name, &operator, opset, found.reason());
            return self.give_up(scope, node);
        }
        let mut values = Vec::with_capacity(inputs.len());
        for slot in inputs {
            match slot {
                None => values.push(None),
                Some(Slot::Value(id)) => values.push(Some(id)),
                Some(Slot::Unknown) => return self.give_up(scope, node),
            }
        }
        if let Some(control) = control {
            self.control(scope, node, &name, control, &values)?;
            return self.budget.check(&self.graph, &name, &operator);
        }
        let Some(table) = table else { return Ok(()) };
        let mut cx = Cx {
            graph: &mut self.graph,
            external: &mut self.external,
            name: &name,
            opset,
            inputs: values,
            outputs_used: node.output.iter().map(|o| scope.read.contains(o)).collect(),
            attributes: Attributes::new(&node.attribute),
        };
        if cx.opset < 6 {
            // A hint about memory that the first operators had.
            cx.attributes.ignore("consumed_inputs");
        }
        let outputs = (table.import)(&mut cx);
        let unread: Vec<String> = cx.attributes.unread().into_iter().map(String::from).collect();
        if scope.depth == 0 && is_standard(&node.domain) && node.op_type == "Constant" {
            self.budget.pass(&self.graph);
        }
        self.budget.check(&self.graph, &name, &operator)?;
        let outputs = match outputs {
            Ok(outputs) => {
                for attribute in &unread {
                    let reason = format!("attribute `{attribute}` is not supported");
                    self.unsupported(&name, &operator, opset, reason);
                }
                outputs
            }
            Err(OpError::Unsupported(reason)) => {
                self.unsupported(&name, &operator, opset, reason);
                return self.give_up(scope, node);
            }
            Err(other) => {
                let error = other.at(&name, &operator);
                self.failed.get_or_insert(error);
                return self.give_up(scope, node);
            }
        };
        for (i, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
            match outputs.get(i) {
                Some(value) => {
                    if let Err(error) = self.check_declared(scope, &name, &operator, output, *value) {
                        self.failed.get_or_insert(error);
                        self.stand_in(scope, output);
                        continue;
                    }
                    scope.slots.insert(output.clone(), Slot::Value(*value));
                }
                None => {
                    if scope.read.contains(output) {
                        let reason = format!("its output {i} (`{output}`) is not supported");
                        self.unsupported(&name, &operator, opset, reason);
                    }
                    scope.slots.insert(output.clone(), Slot::Unknown);
                }
            }
        }
        Ok(())
    }

    fn is_state(&self, id: ValueId) -> bool {
        matches!(self.graph.value(id).def, kiln_graph::Def::State(_))
    }

    /// Writes out the body of a function in place of a call.
    fn call(
        &mut self,
        scope: &mut Scope,
        node: &NodeProto,
        name: &str,
        function: &crate::proto::FunctionProto,
        inputs: Vec<Option<Slot>>,
    ) -> Result<(), ImportError> {
        let nodes = function::body(function, node);
        let opset =
            function.opset_import.iter().find(|o| is_standard(&o.domain)).map_or(scope.opset, |o| o.version);
        let mut read: HashSet<String> = nodes.iter().flat_map(|n| n.input.iter().cloned()).collect();
        // Results that the call leaves out are not read.
        let results = function.output.iter().zip(&node.output).filter(|(_, actual)| !actual.is_empty());
        read.extend(results.map(|(formal, _)| formal.clone()));
        let mut inner = Scope {
            slots: HashMap::new(),
            read,
            declared: HashMap::new(),
            opset,
            namer: Namer::default(),
            call: Some(name.into()),
            depth: scope.depth + 1,
        };
        for (formal, slot) in function.input.iter().zip(inputs) {
            if let Some(slot) = slot {
                inner.slots.insert(formal.clone(), slot);
            }
        }
        let outside = std::mem::take(&mut self.decoded);
        self.calls += 1;
        for index in order(&nodes)? {
            self.node(&mut inner, &nodes[index])?;
        }
        self.calls -= 1;
        self.decoded = outside;
        for (formal, actual) in function.output.iter().zip(&node.output).filter(|(_, a)| !a.is_empty()) {
            let slot = self.find(&inner, formal, || describe(node))?;
            scope.slots.insert(actual.clone(), slot);
        }
        Ok(())
    }

    fn find(&self, scope: &Scope, name: &str, reader: impl Fn() -> String) -> Result<Slot, ImportError> {
        let undefined = || ImportError::Undefined { reader: reader(), value: name.into() };
        scope.slots.get(name).cloned().ok_or_else(undefined)
    }

    /// The outputs of a node that could not be imported.
    fn give_up(&mut self, scope: &mut Scope, node: &NodeProto) -> Result<(), ImportError> {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            self.stand_in(scope, output);
        }
        Ok(())
    }

    /// If the file declares the type of the result, the walk continues with that, to find all errors.
    /// The graph is discarded in any case.
    fn stand_in(&mut self, scope: &mut Scope, output: &str) {
        let declared = scope.declared.get(output).copied();
        let ty = declared.and_then(|ty| types::input_type(output, Some(ty), &mut self.symbols).ok());
        let slot = ty
            .and_then(|ty| self.graph.input(format!("stand-in for {output}"), ty).ok())
            .map_or(Slot::Unknown, Slot::Value);
        scope.slots.insert(output.into(), slot);
    }

    fn check_declared(
        &self,
        scope: &Scope,
        node: &str,
        operator: &str,
        value: &str,
        id: ValueId,
    ) -> Result<(), ImportError> {
        let inferred = self.graph.ty(id);
        let guards = self.graph.guards().list().iter();
        let differing = guards.filter(|guard| guard.relation == Relation::NotEqual);
        match scope.declared.get(value) {
            Some(declared) if !self.lenient && !types::agrees(declared, inferred) => {
                Err(ImportError::Declared {
                    node: node.into(),
                    operator: operator.into(),
                    value: value.into(),
                    declared: types::show(declared),
                    inferred: inferred.clone(),
                    assumed: Assumed(differing.cloned().collect()),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn unsupported(&mut self, node: &str, operator: &str, opset: i64, reason: impl Into<String>) {
        let (node, operator) = (node.into(), operator.into());
        self.unsupported.push(Unsupported { node, operator, opset, reason: reason.into() });
    }
}

impl OpError {
    /// The error of the node `name`.
    fn at(self, name: &str, operator: &str) -> ImportError {
        let (node, operator) = (name.to_owned(), operator.to_owned());
        match self {
            OpError::Graph(GraphError::Node { source, .. }) => ImportError::Node { node, operator, source },
            OpError::Graph(other) => ImportError::Graph(other),
            OpError::Tensor(error) => ImportError::Tensor(error),
            OpError::Invalid(message) | OpError::Unsupported(message) => {
                ImportError::Invalid { node, operator, message }
            }
        }
    }
}

/// Versions of operator sets by domain.
fn versions(imports: &[crate::proto::OperatorSetIdProto]) -> HashMap<String, i64> {
    imports.iter().map(|import| (import.domain.clone(), import.version)).collect()
}

/// Declared types by name.
fn declared<'a>(infos: impl Iterator<Item = &'a ValueInfoProto>) -> HashMap<&'a str, &'a TypeProto> {
    infos.filter_map(|info| Some((info.name.as_str(), info.r#type.as_ref()?))).collect()
}

fn define(scope: &mut Scope, name: &str, slot: Slot, among: &str) -> Result<(), ImportError> {
    if scope.slots.insert(name.into(), slot).is_some() {
        return Err(ImportError::MadeTwice {
            value: name.into(),
            first: "an input or initializer".into(),
            second: among.into(),
        });
    }
    Ok(())
}
