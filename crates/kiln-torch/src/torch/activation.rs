//! Activations and softmax.

use kiln_graph::functions::activation as act;
use kiln_graph::functions::normalization::per_channel;
use kiln_graph::ops::{BinaryOp, Random, Slice, SliceAxis, Softmax, UnaryOp};
use kiln_graph::{Dim, Op, ValueId};

use super::mode::Training;
use super::{Function, Init, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    TFM "relu" ("input, inplace=False") => relu,
    F "relu6" ("input, inplace=False") => relu6,
    F "leaky_relu" ("input, negative_slope=0.01, inplace=False") => leaky_relu,
    TFM "prelu" ("input, weight") => prelu,
    TF "rrelu" ("input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False") => rrelu,
    F "elu" ("input, alpha=1.0, inplace=False") => elu,
    TF "selu" ("input, inplace=False") => selu,
    TF "celu" ("input, alpha=1.0, inplace=False") => celu,
    F "gelu" ("input, approximate='none'") => gelu,
    F "silu" ("input, inplace=False") => silu,
    F "mish" ("input, inplace=False") => mish,
    TFM "sigmoid" ("input") => sigmoid,
    T "expit" ("input") => sigmoid,
    TFM "tanh" ("input") => tanh,
    F "softplus" ("input, beta=1.0, threshold=20.0") => softplus,
    F "softsign" ("input") => softsign,
    F "hardtanh" ("input, min_val=-1.0, max_val=1.0, inplace=False") => hardtanh,
    F "hardswish" ("input, inplace=False") => hardswish,
    F "hardsigmoid" ("input, inplace=False") => hardsigmoid,
    F "hardshrink" ("input, lambd=0.5") => hardshrink,
    F "softshrink" ("input, lambd=0.5") => softshrink,
    F "tanhshrink" ("input") => tanhshrink,
    F "logsigmoid" ("input") => logsigmoid,
    TF "threshold" ("input, threshold, value, inplace=False") => threshold,
    TFM "softmax" ("input, dim=None, _stacklevel=3, dtype=None") => |i, b| softmax(i, b, false),
    TFM "log_softmax" ("input, dim=None, _stacklevel=3, dtype=None") => |i, b| softmax(i, b, true),
    F "softmin" ("input, dim=None") => softmin,
    F "glu" ("input, dim=-1") => glu,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "ReLU" ("inplace=False") => |_, _, _| Ok(()), relu;
    "ReLU6" ("inplace=False") => |_, _, _| Ok(()), relu6;
    "LeakyReLU" ("negative_slope=0.01, inplace=False") => |_, _, _| Ok(()), leaky_relu;
    "PReLU" ("num_parameters=1, init=0.25, device=None, dtype=None") => |i, o, b| {
        let count = b.count("num_parameters")?;
        let weight = i.parameter(&[count], Init::Constant(b.float("init")? as f32))?;
        o.set("weight", weight);
        Ok(())
    }, prelu;
    "RReLU" ("lower=0.125, upper=0.3333333333333333, inplace=False") => |_, _, _| Ok(()), rrelu;
    "ELU" ("alpha=1.0, inplace=False") => |_, _, _| Ok(()), elu;
    "SELU" ("inplace=False") => |_, _, _| Ok(()), selu;
    "CELU" ("alpha=1.0, inplace=False") => |_, _, _| Ok(()), celu;
    "GELU" ("approximate='none'") => |_, _, _| Ok(()), gelu;
    "SiLU" ("inplace=False") => |_, _, _| Ok(()), silu;
    "Mish" ("inplace=False") => |_, _, _| Ok(()), mish;
    "Sigmoid" ("") => |_, _, _| Ok(()), sigmoid;
    "Tanh" ("") => |_, _, _| Ok(()), tanh;
    "Softplus" ("beta=1.0, threshold=20.0") => |_, _, _| Ok(()), softplus;
    "Softsign" ("") => |_, _, _| Ok(()), softsign;
    "Hardtanh" ("min_val=-1.0, max_val=1.0, inplace=False") => |_, _, _| Ok(()), hardtanh;
    "Hardswish" ("inplace=False") => |_, _, _| Ok(()), hardswish;
    "Hardsigmoid" ("inplace=False") => |_, _, _| Ok(()), hardsigmoid;
    "Hardshrink" ("lambd=0.5") => |_, _, _| Ok(()), hardshrink;
    "Softshrink" ("lambd=0.5") => |_, _, _| Ok(()), softshrink;
    "Tanhshrink" ("") => |_, _, _| Ok(()), tanhshrink;
    "LogSigmoid" ("") => |_, _, _| Ok(()), logsigmoid;
    "Threshold" ("threshold, value, inplace=False") => |_, _, _| Ok(()), threshold;
    "Softmax" ("dim=None") => |_, _, _| Ok(()), |i, b| softmax(i, b, false);
    "Softmax2d" ("") => |_, _, _| Ok(()), |i, b| {
        let x = i.tensor(b, "input")?;
        i.image(b, x, 2)?;
        Ok(Value::tensor(i.op(Op::Softmax(Softmax { axis: 1, log: false }), &[x])?))
    };
    "LogSoftmax" ("dim=None") => |_, _, _| Ok(()), |i, b| softmax(i, b, true);
    "Softmin" ("dim=None") => |_, _, _| Ok(()), softmin;
    "GLU" ("dim=-1") => |_, _, _| Ok(()), glu;
};

fn unary(i: &mut Interpreter, b: &Bound, op: UnaryOp) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    Ok(Value::tensor(i.op(Op::Unary(op), &[x])?))
}

/// Of integers and truth values, too.
fn real(i: &mut Interpreter, b: &Bound, op: UnaryOp) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let x = i.as_float(x)?;
    Ok(Value::tensor(i.op(Op::Unary(op), &[x])?))
}

fn relu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    unary(i, b, UnaryOp::Relu)
}

fn sigmoid(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    real(i, b, UnaryOp::Sigmoid)
}

fn tanh(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    real(i, b, UnaryOp::Tanh)
}

/// A formula of the input.
fn of_input(
    i: &mut Interpreter,
    b: &Bound,
    formula: impl FnOnce(&mut kiln_graph::Formula<'_>, ValueId) -> kiln_graph::Made,
) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    i.step(1)?;
    i.nodes()?;
    Ok(Value::tensor(formula(&mut i.formula(), x)?))
}

fn relu6(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| act::clamp(f, x, Some(0.0), Some(6.0)))
}

fn hardtanh(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (low, high) = (b.float("min_val")?, b.float("max_val")?);
    of_input(i, b, |f, x| act::clamp(f, x, Some(low), Some(high)))
}

fn leaky_relu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let slope = b.float("negative_slope")?;
    of_input(i, b, |f, x| act::leaky_relu(f, x, slope))
}

/// Below zero, the slope is random in training, for each element, and the mean of the limits else.
fn rrelu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (lower, upper) = (b.float("lower")?, b.float("upper")?);
    if lower > upper {
        return Err(b.wrong("lower", "at most `upper`"));
    }
    if !Training::of(i, b)?.is_random(i, b, "RReLU")? {
        return of_input(i, b, |f, x| act::leaky_relu(f, x, f64::midpoint(lower, upper)));
    }
    let x = i.tensor(b, "input")?;
    let (shape, dtype) = (i.shape(x), i.dtype(x));
    let drawn = i.op(Op::Random(Random { stream: 0, shape }), &[])?;
    let drawn = i.as_type(drawn, dtype)?;
    let mut f = i.formula();
    let slope = f.with(BinaryOp::Mul, drawn, upper - lower)?;
    let slope = f.with(BinaryOp::Add, slope, lower)?;
    let line = f.mul(x, slope)?;
    let above = f.with(BinaryOp::Greater, x, 0.0)?;
    Ok(Value::tensor(f.select(above, x, line)?))
}

fn prelu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, weight) = (i.tensor(b, "input")?, i.tensor(b, "weight")?);
    let spatial = i.graph.ty(x).rank().saturating_sub(2);
    let mut f = i.formula();
    let slope = if f.ty(weight).elements().is(1) { weight } else { per_channel(&mut f, weight, spatial)? };
    Ok(Value::tensor(act::prelu(&mut f, x, slope)?))
}

fn elu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let alpha = b.float("alpha")?;
    of_input(i, b, |f, x| act::elu(f, x, alpha))
}

fn selu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| act::selu(f, x, act::SELU_ALPHA, act::SELU_GAMMA))
}

fn celu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let alpha = b.float("alpha")?;
    of_input(i, b, |f, x| act::celu(f, x, alpha))
}

fn gelu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let tanh = match &*b.string("approximate")? {
        "none" => false,
        "tanh" => true,
        _ => return Err(b.wrong("approximate", "'none' or 'tanh'")),
    };
    of_input(i, b, |f, x| act::gelu(f, x, tanh))
}

fn silu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| act::swish(f, x, 1.0))
}

fn mish(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, act::mish)
}

/// `log(1 + exp(beta * x)) / beta`; where `beta * x` is beyond the threshold, `x`. From the default threshold on, both
/// are the same to within rounding, unless the product overflows.
fn softplus(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let beta = b.float("beta")?;
    if beta <= 0.0 {
        return Err(b.wrong("beta", "positive"));
    }
    let threshold = b.float("threshold")?;
    of_input(i, b, |f, x| {
        let scaled = f.scale(x, beta)?;
        let soft = f.unary(UnaryOp::Softplus, scaled)?;
        let soft = f.scale(soft, 1.0 / beta)?;
        if threshold >= 20.0 && beta <= 1.0 {
            return Ok(soft);
        }
        let beyond = f.with(BinaryOp::Greater, scaled, threshold)?;
        f.select(beyond, x, soft)
    })
}

fn softsign(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, act::softsign)
}

fn hardswish(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, act::hard_swish)
}

fn hardsigmoid(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| act::hard_sigmoid(f, x, 1.0 / 6.0, 0.5))
}

fn hardshrink(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let lambd = b.float("lambd")?;
    of_input(i, b, |f, x| act::shrink_numbers(f, x, lambd, 0.0))
}

fn softshrink(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let lambd = b.float("lambd")?;
    of_input(i, b, |f, x| act::shrink_numbers(f, x, lambd, lambd))
}

fn tanhshrink(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| {
        let tanh = f.unary(UnaryOp::Tanh, x)?;
        f.sub(x, tanh)
    })
}

/// `-softplus(-x)`
fn logsigmoid(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    of_input(i, b, |f, x| {
        let negative = f.neg(x)?;
        let soft = f.unary(UnaryOp::Softplus, negative)?;
        f.neg(soft)
    })
}

fn threshold(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (limit, otherwise) = (b.float("threshold")?, b.float("value")?);
    of_input(i, b, |f, x| act::threshold(f, x, limit, otherwise))
}

/// The dimension that probabilities are over. PyTorch guesses it with a warning where none is named.
fn softmax_axis(i: &Interpreter, b: &Bound, x: ValueId) -> Result<usize> {
    let rank = i.graph.ty(x).rank();
    if b.is_none("dim") {
        return Ok(if matches!(rank, 0 | 1 | 3) { 0 } else { 1 });
    }
    i.axis(b.int("dim")?, rank)
}

fn softmax(i: &mut Interpreter, b: &Bound, log: bool) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let axis = softmax_axis(i, b, x)?;
    Ok(Value::tensor(i.op(Op::Softmax(Softmax { axis, log }), &[x])?))
}

fn softmin(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let axis = softmax_axis(i, b, x)?;
    let negative = i.op(Op::Unary(UnaryOp::Neg), &[x])?;
    Ok(Value::tensor(i.op(Op::Softmax(Softmax { axis, log: false }), &[negative])?))
}

/// The first half times the sigmoid of the second (Dauphin et al. 2017).
fn glu(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let x = i.tensor(b, "input")?;
    let shape = i.shape(x);
    let axis = i.axis(b.int("dim")?, shape.len())?;
    let half = shape[axis]
        .exact_div(&Dim::from(2))
        .ok_or_else(|| Fault::value(format!("{}: {} elements cannot be halved", b.callee, shape[axis])))?;
    let mut part = |start: Dim| {
        let cut = SliceAxis { axis, start, length: half.clone(), step: 1 };
        i.op(Op::Slice(Slice { axes: vec![cut] }), &[x])
    };
    let (first, second) = (part(0.into())?, part(half.clone())?);
    let gate = i.op(Op::Unary(UnaryOp::Sigmoid), &[second])?;
    Ok(Value::tensor(i.op(Op::Binary(BinaryOp::Mul), &[first, gate])?))
}
