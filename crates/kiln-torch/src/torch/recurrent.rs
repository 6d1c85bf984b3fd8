//! Recurrent layers and their cells.
//!
//! The arithmetic is that of `kiln_graph::functions::recurrent`, where the gates have ONNX's order; the parameters here
//! have PyTorch's names, shapes and order of gates, since state dicts do.

use std::rc::Rc;

use kiln_graph::functions::recurrent::{self, Activation, Cell, Recurrence, States, Weights};
use kiln_graph::ops::{Concat, SliceAxis};
use kiln_graph::{Dim, Formula, GraphError, Op, ShapeDisplay, ValueId};

use super::dropout::{dropped, ratio};
use super::{Init, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Object, Result, Value};

pub(super) static LAYERS: &[Layer] = layers! {
    "RNN" ("input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None") => |i, o, b| setup(i, o, b, 1), |i, b| {
        let cell = simple(b)?;
        layer(i, b, cell)
    };
    "LSTM" ("input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None") => |i, o, b| setup(i, o, b, 4), |i, b| layer(i, b, LSTM);
    "GRU" ("input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None") => |i, o, b| setup(i, o, b, 3), |i, b| layer(i, b, GRU);
    "RNNCell" ("input_size, hidden_size, bias=True, nonlinearity='tanh', device=None, dtype=None") => |i, o, b| setup_cell(i, o, b, 1), |i, b| {
        let cell = simple(b)?;
        step(i, b, cell)
    };
    "LSTMCell" ("input_size, hidden_size, bias=True, device=None, dtype=None") => |i, o, b| setup_cell(i, o, b, 4), |i, b| step(i, b, LSTM);
    "GRUCell" ("input_size, hidden_size, bias=True, device=None, dtype=None") => |i, o, b| setup_cell(i, o, b, 3), |i, b| step(i, b, GRU);
};

const LSTM: Cell = Cell::Lstm {
    gate: Activation::Sigmoid,
    cell: Activation::Tanh,
    hidden: Activation::Tanh,
    input_forget: false,
};

const GRU: Cell =
    Cell::Gru { gate: Activation::Sigmoid, hidden: Activation::Tanh, linear_before_reset: true };

/// Whether a layer is one of these, whose `forward` takes a state, too.
pub(super) fn is_recurrent(layer: &Layer) -> bool {
    LAYERS.iter().any(|other| other.name == layer.name)
}

/// `tanh` or `relu`.
fn simple(b: &Bound) -> Result<Cell> {
    let activation = match &*b.string("nonlinearity")? {
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        _ => return Err(b.wrong("nonlinearity", "'tanh' or 'relu'")),
    };
    Ok(Cell::Simple { activation })
}

/// PyTorch's order of gates: input, forget, new, output; reset, update, new. In the order of `Cell`.
fn order(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Simple { .. } => &[0],
        Cell::Gru { .. } => &[1, 0, 2],
        Cell::Lstm { .. } => &[0, 3, 1, 2],
    }
}

/// What a layer of a stack is called in the names of its parameters: `l0`, `l0_reverse`.
fn suffix(layer: usize, is_reverse: bool) -> String {
    format!("l{layer}{}", if is_reverse { "_reverse" } else { "" })
}

fn setup(i: &mut Interpreter, object: &Rc<Object>, b: &Bound, gates: usize) -> Result<()> {
    let (inputs, hidden) = (b.count("input_size")?, b.count("hidden_size")?);
    let (count, directions) = (b.count("num_layers")?, if b.bool("bidirectional")? { 2 } else { 1 });
    ratio(b, "dropout")?;
    if gates == 1 {
        simple(b)?;
    }
    match (b.int("proj_size")?, gates) {
        (0, _) => {}
        (_, 4) => {
            return Err(Fault::unsupported(format!("{}: `proj_size` is not supported", b.callee))
                .help("an `nn.Linear` behind an LSTM of `proj_size=0` makes its states smaller, too"));
        }
        _ => {
            return Err(Fault::value(format!("{}: `proj_size` is for `nn.LSTM` only", b.callee)));
        }
    }
    let mut names = vec![];
    for layer in 0..count {
        let inputs = if layer == 0 { inputs } else { hidden.saturating_mul(directions) };
        for direction in 0..directions {
            i.cells(16)?;
            let suffix = suffix(layer, direction == 1);
            let made = parameters(i, object, b, [inputs, hidden, gates], &format!("_{suffix}"))?;
            names.push(Value::list(made.into_iter().map(Value::str)));
        }
    }
    // The names that programs go through to set the bias of a gate.
    object.set("_all_weights", Value::list(names));
    Ok(())
}

fn setup_cell(i: &mut Interpreter, object: &Rc<Object>, b: &Bound, gates: usize) -> Result<()> {
    if gates == 1 {
        simple(b)?;
    }
    let (inputs, hidden) = (b.count("input_size")?, b.count("hidden_size")?);
    parameters(i, object, b, [inputs, hidden, gates], "").map(|_| ())
}

/// The parameters of one direction of a layer; gives their names.
fn parameters(
    i: &mut Interpreter,
    object: &Rc<Object>,
    b: &Bound,
    [inputs, hidden, gates]: [usize; 3],
    suffix: &str,
) -> Result<Vec<String>> {
    let rows = hidden.saturating_mul(gates);
    let mut shapes = vec![("weight_ih", vec![rows, inputs]), ("weight_hh", vec![rows, hidden])];
    if b.bool("bias")? {
        shapes.extend([("bias_ih", vec![rows]), ("bias_hh", vec![rows])]);
    }
    let mut names = vec![];
    for (name, shape) in shapes {
        let parameter = i.parameter(&shape, Init::layer(hidden))?;
        let name = format!("{name}{suffix}");
        object.set(&name, parameter);
        names.push(name);
    }
    Ok(names)
}

/// `x [T, N, I]` through all layers of a stack; the outputs are PyTorch's.
fn layer(i: &mut Interpreter, b: &Bound, cell: Cell) -> Result<Value> {
    let given = i.tensor(b, "input")?;
    let rank = i.graph.ty(given).rank();
    if rank != 2 && rank != 3 {
        return Err(Fault::value(format!(
            "{} takes sequences, [steps, batch, features], or [batch, steps, features] with `batch_first=True`, but `{}` \
             delivers {}",
            b.callee,
            i.maker(given),
            ShapeDisplay(&i.shape(given))
        )));
    }
    let is_batched = rank == 3;
    check_input(i, b, given)?;
    let batch_first = b.bool("batch_first")? && is_batched;
    let mut x = match (is_batched, batch_first) {
        (false, _) => with_one(i, given, 1)?,
        (true, true) => i.formula().transpose(given, vec![1, 0, 2])?,
        (true, false) => given,
    };
    let (count, directions) = (b.count("num_layers")?, if b.bool("bidirectional")? { 2 } else { 1 });
    let hidden = b.count("hidden_size")?;
    let batch = i.shape(x)[1].clone();
    let first =
        First::of(i, b, cell, &[count.saturating_mul(directions).into(), batch, hidden.into()], is_batched)?;
    let p = ratio(b, "dropout")?;
    let (mut last_hidden, mut last_cell) = (vec![], vec![]);
    for n in 0..count {
        let mut outputs = vec![];
        for direction in 0..directions {
            let suffix = format!("_{}", suffix(n, direction == 1));
            let weights = weights(i, b, cell, hidden, &suffix)?;
            let (h, c) = first.of_layer(i, n * directions + direction)?;
            let states = run(i, b, x, &weights, (cell, direction == 1), (h, c))?;
            outputs.push(states.all);
            last_hidden.push(states.hidden);
            last_cell.extend(states.cell);
        }
        x = joined(&mut i.formula(), &outputs, 2)?;
        if p > 0.0 && n + 1 < count {
            x = dropped(i, b, x, p, None)?;
        }
    }
    let output = match (is_batched, batch_first) {
        (false, _) => without_one(i, x, 1)?,
        (true, true) => i.formula().transpose(x, vec![1, 0, 2])?,
        (true, false) => x,
    };
    let h = stacked(i, &last_hidden, is_batched)?;
    if last_cell.is_empty() {
        return Ok(Value::tuple([Value::tensor(output), h]));
    }
    let c = stacked(i, &last_cell, is_batched)?;
    Ok(Value::tuple([Value::tensor(output), Value::tuple([h, c])]))
}

/// One step: `x [N, I]` and the states `[N, H]`.
fn step(i: &mut Interpreter, b: &Bound, cell: Cell) -> Result<Value> {
    let given = i.tensor(b, "input")?;
    let rank = i.graph.ty(given).rank();
    if rank != 1 && rank != 2 {
        return Err(Fault::value(format!(
            "{} takes one step, [batch, features], but `{}` delivers {}",
            b.callee,
            i.maker(given),
            ShapeDisplay(&i.shape(given))
        ))
        .help("`for t in range(x.size(1)): h = cell(x[:, t], h)` goes through the steps of a sequence"));
    }
    check_input(i, b, given)?;
    let is_batched = rank == 2;
    let hidden = b.count("hidden_size")?;
    let x = if is_batched { given } else { with_one(i, given, 0)? };
    let batch = i.shape(x)[0].clone();
    let x = with_one(i, x, 0)?;
    let first = First::of(i, b, cell, &[batch, hidden.into()], is_batched)?;
    let weights = weights(i, b, cell, hidden, "")?;
    let states = run(i, b, x, &weights, (cell, false), (first.hidden, first.cell))?;
    let mut result =
        |id: ValueId| Ok::<_, Fault>(Value::tensor(if is_batched { id } else { without_one(i, id, 0)? }));
    let h = result(states.hidden)?;
    match states.cell {
        Some(c) => Ok(Value::tuple([h, result(c)?])),
        None => Ok(h),
    }
}

/// Runs one direction.
fn run(
    i: &mut Interpreter,
    b: &Bound,
    x: ValueId,
    weights: &Weights,
    (cell, reverse): (Cell, bool),
    (h, first_cell): (Option<ValueId>, Option<ValueId>),
) -> Result<States> {
    let shape = i.shape(x);
    let mut first_hidden = h;
    let hidden = i.shape(weights.state).get(1).cloned();
    if let (true, None, Some(hidden)) = (shape[0].is(1), h, hidden) {
        // A parameter that the loss depends on has a gradient, of zeros if need be: the only step has a state, too.
        let mut f = i.formula();
        let zero = f.number_like(0.0, x);
        first_hidden = Some(f.expand(zero, vec![shape[1].clone(), hidden])?);
    }
    let how = Recurrence { cell, clip: None, reverse, first_hidden, first_cell, lengths: None };
    recurrent::recurrent(&mut i.formula(), x, weights, &how).map_err(|error| match error {
        GraphError::Unsuitable(message) => {
            let fault = Fault::unsupported(format!("{}: {message}", b.callee));
            let is_first = matches!(b.given("batch_first"), Some(Value::Bool(false)));
            match shape[0].as_const() {
                None if is_first => fault.help(
                    "without `batch_first=True` the first dimension has the steps and the second the batch",
                ),
                _ => fault,
            }
        }
        other => other.into(),
    })
}

/// The number of features.
fn check_input(i: &Interpreter, b: &Bound, x: ValueId) -> Result<()> {
    let (shape, inputs) = (i.shape(x), b.count("input_size")?);
    if !i.dtype(x).is_float() {
        return Err(Fault::value(format!(
            "{} takes numbers with a point, but `{}` delivers {}",
            b.callee,
            i.maker(x),
            i.graph.ty(x)
        ))
        .help("`nn.Embedding` makes features of whole numbers, and `x.float()` numbers with a point"));
    }
    let Some(found) = shape.last().filter(|found| **found != Dim::from(inputs)) else { return Ok(()) };
    let fault = Fault::python(
        "RuntimeError",
        format!(
            "{} expects {inputs} input features, but `{}` delivers {}, whose last dimension is {found}",
            b.callee,
            i.maker(x),
            ShapeDisplay(&shape)
        ),
    );
    if shape.len() == 3 && shape[1] == Dim::from(inputs) {
        return Err(fault.help("`x.transpose(1, 2)` exchanges features and steps"));
    }
    let class = b.callee.rsplit("(nn.").next().unwrap_or_default().trim_end_matches(')');
    Err(fault.help(format!("`nn.{class}({found}, {})` would fit", b.count("hidden_size")?)))
}

/// The weights of one direction with gates in the order of `Cell`.
fn weights(i: &mut Interpreter, b: &Bound, cell: Cell, hidden: usize, suffix: &str) -> Result<Weights> {
    let one = |i: &mut Interpreter, name: &str| -> Result<ValueId> {
        let id = i.tensor(b, &format!("{name}{suffix}"))?;
        let parts = order(cell);
        let is_in_order = parts.iter().enumerate().all(|(at, gate)| at == *gate);
        if is_in_order {
            return Ok(id);
        }
        let mut f = i.formula();
        let cut = |gate: &usize| {
            let (start, length) = ((gate * hidden).into(), hidden.into());
            vec![SliceAxis { axis: 0, start, length, step: 1 }]
        };
        let gates =
            parts.iter().map(|gate| f.slice(id, cut(gate))).collect::<Result<Vec<_>, GraphError>>()?;
        Ok(joined(&mut f, &gates, 0)?)
    };
    let (input, state) = (one(i, "weight_ih")?, one(i, "weight_hh")?);
    let biases = match b.bool("bias")? {
        true => Some((one(i, "bias_ih")?, one(i, "bias_hh")?)),
        false => None,
    };
    Ok(Weights { input, state, biases, peepholes: None })
}

/// States before the first step, of all layers or of a cell.
struct First {
    hidden: Option<ValueId>,
    cell: Option<ValueId>,
}

impl First {
    /// The argument `hx`, whose tensors should have `shape`, without the batch where there is none.
    fn of(i: &mut Interpreter, b: &Bound, cell: Cell, shape: &[Dim], is_batched: bool) -> Result<Self> {
        let value = b.get("hx");
        let values = match (&value, cell) {
            (Value::None, _) => return Ok(Self { hidden: None, cell: None }),
            (Value::Tensor(_) | Value::Parameter(_), Cell::Lstm { .. }) => {
                return Err(Fault::type_error(format!(
                    "{}: `hx` should be a pair of tensors, (h, c)",
                    b.callee
                )));
            }
            (Value::Tuple(_) | Value::List(_), Cell::Lstm { .. }) => {
                let values = i.items(&value)?;
                if values.len() != 2 {
                    return Err(Fault::value(format!(
                        "{}: `hx` has {} tensors, but should be the pair (h, c)",
                        b.callee,
                        values.len()
                    )));
                }
                values
            }
            (one, _) => vec![one.clone()],
        };
        let mut states = vec![];
        for value in &values {
            let Some(id) = i.optional_tensor_of(value)? else { return Err(b.wrong("hx", "a tensor")) };
            // The batch is the last dimension but one.
            let id = match is_batched {
                true => id,
                false if i.graph.ty(id).rank() + 1 == shape.len() => with_one(i, id, shape.len() - 2)?,
                false => id,
            };
            let found = i.shape(id);
            if found != shape {
                let (mut wanted, mut found) = (shape.to_vec(), found);
                if !is_batched {
                    wanted.remove(shape.len() - 2);
                    found = i.optional_tensor_of(value)?.map_or(found, |id| i.shape(id));
                }
                return Err(Fault::python(
                    "RuntimeError",
                    format!(
                        "{}: the first state should be {}, but is {}",
                        b.callee,
                        ShapeDisplay(&wanted),
                        ShapeDisplay(&found)
                    ),
                ));
            }
            states.push(id);
        }
        Ok(Self { hidden: states.first().copied(), cell: states.get(1).copied() })
    }

    /// Those of one direction of one layer.
    fn of_layer(&self, i: &mut Interpreter, n: usize) -> Result<(Option<ValueId>, Option<ValueId>)> {
        let mut f = i.formula();
        let mut part = |id: ValueId| {
            let rest = f.shape(id)[1..].to_vec();
            let part =
                f.slice(id, vec![SliceAxis { axis: 0, start: n.into(), length: 1.into(), step: 1 }])?;
            f.reshape(part, rest)
        };
        Ok((self.hidden.map(&mut part).transpose()?, self.cell.map(&mut part).transpose()?))
    }
}

/// States of layers on top of each other.
fn stacked(i: &mut Interpreter, states: &[ValueId], is_batched: bool) -> Result<Value> {
    let states = states.iter().map(|id| with_one(i, *id, 0)).collect::<Result<Vec<_>>>()?;
    let all = joined(&mut i.formula(), &states, 0)?;
    Ok(Value::tensor(if is_batched { all } else { without_one(i, all, 1)? }))
}

fn joined(f: &mut Formula<'_>, parts: &[ValueId], axis: usize) -> Result<ValueId, GraphError> {
    match parts {
        [one] => Ok(*one),
        many => f.apply(Op::Concat(Concat { axis }), many),
    }
}

/// One more dimension.
pub(super) fn with_one(i: &mut Interpreter, x: ValueId, axis: usize) -> Result<ValueId> {
    let mut shape = i.shape(x);
    shape.insert(axis, 1.into());
    Ok(i.formula().reshape(x, shape)?)
}

/// One dimension less.
pub(super) fn without_one(i: &mut Interpreter, x: ValueId, axis: usize) -> Result<ValueId> {
    let mut shape = i.shape(x);
    shape.remove(axis);
    Ok(i.formula().reshape(x, shape)?)
}
