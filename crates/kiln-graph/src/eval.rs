//! Running a graph on the host, operator by operator: the meaning of a graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dim::{Atom, Bindings, Dim};
use crate::error::{EvalError, GraphError};
use crate::graph::{Def, Graph, ValueId};
use crate::ops::{Op, Precision, Slice, SliceAxis};
use crate::tensor::{ShapeDisplay, Tensor};

/// How a graph is evaluated.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// The precision of floating point computations.
    pub precision: Precision,
    /// Whether every value stays, not only results; otherwise memory is freed after the last use.
    pub keep_all: bool,
    /// States by name, where they are not those the graph starts with.
    pub states: BTreeMap<String, Tensor>,
}

impl EvaluateOptions {
    /// Only results stay, states are those the graph starts with.
    pub fn new(precision: Precision) -> Self {
        Self { precision, keep_all: false, states: BTreeMap::new() }
    }
}

/// The values of a graph after a run.
#[derive(Clone, Debug)]
pub struct Evaluation {
    values: Vec<Option<Tensor>>,
    outputs: Vec<(String, Tensor)>,
    new_states: Vec<(String, Tensor)>,
    symbols: Bindings,
}

impl Evaluation {
    /// A value, if it was kept.
    pub fn get(&self, id: ValueId) -> Option<&Tensor> {
        self.values.get(id.index())?.as_ref()
    }

    /// The outputs by name, in the model's order.
    pub fn outputs(&self) -> &[(String, Tensor)] {
        &self.outputs
    }

    /// The output called `name`.
    pub fn output(&self, name: &str) -> Option<&Tensor> {
        self.outputs.iter().find(|(output, _)| output == name).map(|(_, tensor)| tensor)
    }

    /// The new values of the states that have an update, by name.
    pub fn new_states(&self) -> &[(String, Tensor)] {
        &self.new_states
    }

    /// The values of the symbols.
    pub fn symbols(&self) -> &Bindings {
        &self.symbols
    }
}

/// Runs `graph` on `inputs` (by name).
pub fn evaluate(
    graph: &Graph,
    inputs: &BTreeMap<String, Tensor>,
    precision: Precision,
) -> Result<Evaluation, GraphError> {
    evaluate_with(graph, inputs, &EvaluateOptions::new(precision))
}

/// As [`evaluate`], with more to choose.
pub fn evaluate_with(
    graph: &Graph,
    inputs: &BTreeMap<String, Tensor>,
    options: &EvaluateOptions,
) -> Result<Evaluation, GraphError> {
    let precision = options.precision;
    let shapes = inputs.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
    let mut symbols = graph.bind_symbols(&shapes)?;

    let mut uses = vec![0usize; graph.values().len()];
    let read = graph.nodes().iter().flat_map(|node| node.inputs.iter().copied());
    for id in read.chain(graph.results()) {
        uses[id.index()] += 1;
    }

    let mut values: Vec<Option<Tensor>> = vec![None; graph.values().len()];
    for id in graph.value_ids() {
        let value = graph.value(id);
        let tensor = match &value.def {
            Def::Node { .. } => continue,
            Def::Constant(tensor) => tensor,
            Def::Input => inputs.get(&value.name).ok_or_else(|| missing(&value.name))?,
            Def::State(first) => options.states.get(&value.name).unwrap_or(first),
        };
        check_type(graph, id, tensor, precision)?;
        if uses[id.index()] > 0 || options.keep_all {
            values[id.index()] = Some(precision.hold(tensor));
        }
    }
    for node in graph.nodes() {
        let fail = |message: String| GraphError::Eval { node: node.name.clone(), message };
        let operands: Option<Vec<&Tensor>> =
            node.inputs.iter().map(|id| values[id.index()].as_ref()).collect();
        let operands = operands.ok_or_else(|| fail("an input is used before it is defined".into()))?;
        let results =
            node.op.evaluate(&operands, precision, &symbols).map_err(|error| fail(error.to_string()))?;
        if let (Some(count), Some(found)) = (node.op.count(), results.first()) {
            symbols.insert(count.clone(), i64::try_from(found.len()).unwrap_or(i64::MAX));
        }
        for (id, tensor) in node.outputs.iter().zip(results) {
            if uses[id.index()] > 0 || options.keep_all {
                values[id.index()] = Some(tensor);
            }
        }
        for id in &node.inputs {
            uses[id.index()] -= 1;
            if uses[id.index()] == 0 && !options.keep_all {
                values[id.index()] = None;
            }
        }
    }
    let result = |name: &str, id: ValueId| {
        let tensor = values[id.index()].clone();
        tensor.map(|tensor| (name.to_owned(), tensor)).ok_or_else(|| missing(name))
    };
    let outputs = graph.outputs().iter().map(|output| result(&output.name, output.value));
    let outputs = the_results(graph, outputs.collect::<Result<_, _>>()?, precision)?;
    let updates = graph.updates().iter();
    let new_states = updates.map(|update| result(&graph.value(update.state).name, update.value));
    let new_states = new_states.collect::<Result<_, _>>()?;
    Ok(Evaluation { values, outputs, new_states, symbols })
}

/// Outputs without those that say how much of others counts, and no more of these than that.
fn the_results(
    graph: &Graph,
    outputs: Vec<(String, Tensor)>,
    precision: Precision,
) -> Result<Vec<(String, Tensor)>, GraphError> {
    let mut results = Vec::with_capacity(outputs.len());
    for (place, output) in
        graph.outputs().iter().enumerate().filter(|(place, _)| !graph.is_output_size(*place))
    {
        let mut tensor = outputs[place].1.clone();
        for size in &output.sizes {
            let length = outputs[size.output].1.to_ints().and_then(|ints| ints.first().copied()).unwrap_or(0);
            let cut = SliceAxis { axis: size.axis, start: 0.into(), length: length.into(), step: 1 };
            let cut = Op::Slice(Slice { axes: vec![cut] }).evaluate(&[&tensor], precision, &Bindings::new());
            let fail =
                |error: EvalError| GraphError::Eval { node: output.name.clone(), message: error.to_string() };
            tensor = cut.map_err(fail)?.remove(0);
        }
        results.push((output.name.clone(), tensor));
    }
    Ok(results)
}

impl Graph {
    /// The values of the symbols, given the shapes of the inputs by name.
    ///
    /// A symbol gets its value where a dimension is a multiple of it and a number (`H`, `32*h+1`); then all other dimensions
    /// have to agree.
    pub fn bind_symbols(&self, shapes: &BTreeMap<String, Vec<usize>>) -> Result<Bindings, GraphError> {
        if let Some(unknown) = shapes.keys().find(|name| !self.inputs_by_name().contains_key(name.as_str())) {
            return Err(GraphError::Eval { node: unknown.clone(), message: wanted(self) });
        }
        // Symbol, value, and the input that says so.
        let mut bound: BTreeMap<Arc<str>, (i64, String)> = BTreeMap::new();
        let mut dims = Vec::new();
        for id in self.inputs() {
            let (name, ty) = (&self.value(*id).name, self.ty(*id));
            let shape = shapes.get(name).ok_or_else(|| missing(name))?;
            if shape.len() != ty.rank() {
                let message = format!("expects {ty}, but the tensor has shape {}", ShapeDisplay(shape));
                return Err(GraphError::Eval { node: name.clone(), message });
            }
            for (axis, (dim, size)) in ty.shape.iter().zip(shape).enumerate() {
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                if let Some((symbol, value)) = dim.solved(size) {
                    bound.entry(symbol).or_insert_with(|| (value, name.clone()));
                }
                dims.push((name, ty, axis, dim, size));
            }
        }
        let symbols: Bindings = bound.iter().map(|(symbol, (value, _))| (symbol.clone(), *value)).collect();
        for (name, ty, axis, dim, size) in dims {
            let fail = |message: String| GraphError::Eval { node: name.clone(), message };
            let expected = dim.eval(&symbols).map_err(|symbol| {
                fail(format!(
                    "`{symbol}` in its shape {} is not a dimension of any input by itself",
                    ShapeDisplay(&ty.shape)
                ))
            })?;
            if expected == size {
                continue;
            }
            let source = bare_symbol(dim).and_then(|symbol| bound.get(symbol));
            return Err(fail(match source {
                Some((value, other)) => {
                    format!("dimension {axis} is {size}, but `{other}` says that {dim} is {value}")
                }
                None => format!("dimension {axis} is {size}, but should be {expected} (its type is {ty})"),
            }));
        }
        Ok(symbols)
    }
}

fn bare_symbol(dim: &Dim) -> Option<&Arc<str>> {
    match dim.terms() {
        [(atoms, 1)] => match atoms.as_slice() {
            [Atom::Symbol(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn missing(name: &str) -> GraphError {
    GraphError::Eval { node: name.into(), message: "no value is given for it".into() }
}

fn wanted(graph: &Graph) -> String {
    let inputs = graph.inputs().iter().map(|id| format!("`{}`", graph.value(*id).name));
    format!("there is no such input; the inputs are {}", inputs.collect::<Vec<_>>().join(", "))
}

/// Element types have to fit, and the shapes of states too; those of inputs are checked where symbols are bound.
fn check_type(graph: &Graph, id: ValueId, tensor: &Tensor, precision: Precision) -> Result<(), GraphError> {
    let value = graph.value(id);
    let shape_fits = matches!(value.def, Def::Input) || value.ty.shape == tensor.ty().shape;
    if precision.held(value.ty.dtype) == precision.held(tensor.dtype()) && shape_fits {
        return Ok(());
    }
    let message = format!("expects {}, but the tensor is {}", value.ty, tensor.ty());
    Err(GraphError::Eval { node: value.name.clone(), message })
}
