//! Linear layers, embeddings, matrix products.

use std::rc::Rc;

use kiln_graph::functions::linear::matmul;
use kiln_graph::ops::{BinaryOp, Gather, MatMul, Reshape, Scatter, ScatterReduction};
use kiln_graph::{Dim, Op, ShapeDisplay, ValueId, product};

use super::{Function, Init, functions, layers};
use crate::python::native::Layer;
use crate::python::{Bound, Fault, Interpreter, Object, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "linear" ("input, weight, bias=None") => linear,
    TM "matmul" ("input, other") => product_of,
    TM "mm" or "bmm" or "mv" or "dot" ("input, mat2") => |i, b| {
        let (x, y) = (i.tensor(b, "input")?, i.tensor(b, "mat2")?);
        Ok(Value::tensor(matmul(&mut i.formula(), x, y)?))
    },
    T "addmm" ("input, mat1, mat2, *, beta=1, alpha=1") => |i, b| {
        let (c, x, y) = (i.tensor(b, "input")?, i.tensor(b, "mat1")?, i.tensor(b, "mat2")?);
        let (beta, alpha) = (b.float("beta")?, b.float("alpha")?);
        let mut f = i.formula();
        let z = matmul(&mut f, x, y)?;
        let (z, c) = (f.scale(z, alpha)?, f.scale(c, beta)?);
        Ok(Value::tensor(f.add(z, c)?))
    },
    F "bilinear" ("input1, input2, weight, bias=None") => bilinear,
    F "embedding" ("input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False") => embedding,
};

pub(super) static LAYERS: &[Layer] = layers! {
    "Linear" ("in_features, out_features, bias=True, device=None, dtype=None") => |i, o, b| {
        let (inputs, outputs) = (b.count("in_features")?, b.count("out_features")?);
        let weight = i.parameter(&[outputs, inputs], Init::layer(inputs))?;
        let bias = if b.bool("bias")? { i.parameter(&[outputs], Init::layer(inputs))? } else { Value::None };
        o.set("weight", weight);
        o.set("bias", bias);
        Ok(())
    }, linear;
    "Bilinear" ("in1_features, in2_features, out_features, bias=True, device=None, dtype=None") => |i, o, b| {
        let (first, second) = (b.count("in1_features")?, b.count("in2_features")?);
        let outputs = b.count("out_features")?;
        let weight = i.parameter(&[outputs, first, second], Init::layer(first))?;
        let bias = if b.bool("bias")? { i.parameter(&[outputs], Init::layer(first))? } else { Value::None };
        o.set("weight", weight);
        o.set("bias", bias);
        Ok(())
    }, bilinear;
    "Embedding" ("num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False, device=None, dtype=None") => setup_embedding, embedding;
};

fn setup_embedding(i: &mut Interpreter, object: &Rc<Object>, b: &Bound) -> Result<()> {
    let (count, width) = (b.count("num_embeddings")?, b.count("embedding_dim")?);
    let normal = Init::Normal(0.0, 1.0);
    let init = match b.is_none("padding_idx") {
        true => normal,
        false => {
            let row = crate::python::position(&b.get("padding_idx"), count, "embedding")?;
            Init::WithoutRow(Box::new(normal), row)
        }
    };
    let weight = i.parameter(&[count, width], init)?;
    object.set("weight", weight);
    Ok(())
}

fn embedding(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (indices, weight) = (i.tensor(b, "input")?, i.tensor(b, "weight")?);
    if !b.is_none("max_norm") {
        return Err(Fault::unsupported(format!("{}: `max_norm` is not supported", b.callee)));
    }
    if i.dtype(indices).is_float() {
        return Err(Fault::type_error(format!(
            "{} takes whole numbers, but `{}` delivers {}",
            b.callee,
            i.maker(indices),
            i.graph.ty(indices)
        ))
        .help("`--input i64:16` declares an input of 16 integers"));
    }
    let y = i.op(Op::Gather(Gather { axis: 0 }), &[weight, indices])?;
    if !i.has_gradient(y)? {
        return Ok(Value::tensor(y));
    }
    let y = if b.bool("scale_grad_by_freq")? { by_frequency(i, weight, indices, y)? } else { y };
    let y = if b.is_none("padding_idx") { y } else { without_padding(i, b, weight, indices, y)? };
    Ok(Value::tensor(y))
}

/// The rows `y` of `weight`, whose gradients are divided by how often their indices are there.
fn by_frequency(i: &mut Interpreter, weight: ValueId, indices: ValueId, y: ValueId) -> Result<ValueId> {
    let (rows, dtype) = (i.shape(weight)[0].clone(), i.dtype(y));
    let mut column = i.shape(indices);
    let total = product(&column);
    column.push(1.into());
    let mut f = i.formula();
    let (zero, one) = (f.number_like(0.0, y), f.number_like(1.0, y));
    let (zeros, ones) = (f.expand(zero, vec![rows])?, f.expand(one, vec![total.clone()])?);
    let flat = f.reshape(indices, vec![total])?;
    let add = Scatter { axis: 0, reduction: ScatterReduction::Add };
    let counts = f.apply(Op::Scatter(add), &[zeros, flat, ones])?;
    let counts = f.apply(Op::Gather(Gather { axis: 0 }), &[counts, indices])?;
    let counts = f.reshape(counts, column)?;
    let counts = f.cast(counts, dtype)?;
    let scaled = f.div(y, counts)?;
    Ok(f.apply(Op::StopGradient, &[y, scaled])?)
}

/// The rows `y` of `weight`, where that of the padding has no gradient.
fn without_padding(
    i: &mut Interpreter,
    b: &Bound,
    weight: ValueId,
    indices: ValueId,
    y: ValueId,
) -> Result<ValueId> {
    let rows = i.shape(weight)[0].as_usize().unwrap_or(0);
    let padding = crate::python::position(&b.get("padding_idx"), rows, "embedding")?;
    let mut column = i.shape(indices);
    column.push(1.into());
    let mut f = i.formula();
    #[allow(clippy::as_conversions, reason = "numbers of rows are far below 2^53")]
    let is_padding = f.with(BinaryOp::Equal, indices, padding as f64)?;
    let is_padding = f.reshape(is_padding, column)?;
    let stopped = f.apply(Op::StopGradient, &[y])?;
    Ok(f.select(is_padding, stopped, y)?)
}

fn product_of(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, y) = (i.tensor(b, "input")?, i.tensor(b, "other")?);
    Ok(Value::tensor(matmul(&mut i.formula(), x, y)?))
}

/// `x * weight^T + bias` over the last dimension of `x`.
fn linear(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, weight) = (i.tensor(b, "input")?, i.tensor(b, "weight")?);
    let (shape, weights) = (i.shape(x), i.shape(weight));
    let [outputs, inputs] = &weights[..] else {
        return Err(Fault::value(format!(
            "{}: a weight of shape {} is not a matrix",
            b.callee,
            ShapeDisplay(&weights)
        )));
    };
    if shape.last() != Some(inputs) {
        return Err(mismatch(i, b, x, inputs, outputs));
    }
    let bias = i.optional_tensor(b, "bias")?;
    rows_times(i, x, weight, bias).map(Value::tensor)
}

/// The same for what is known to fit.
pub(super) fn rows_times(
    i: &mut Interpreter,
    x: ValueId,
    weight: ValueId,
    bias: Option<ValueId>,
) -> Result<ValueId> {
    let (shape, weights) = (i.shape(x), i.shape(weight));
    let op = Op::MatMul(MatMul { transpose_a: false, transpose_b: true });
    // A product of stacks would stretch the weight for each matrix: rows are put together instead.
    let rows = match &shape[..] {
        [_, _] => x,
        [front @ .., inputs] => {
            let flat = vec![product(front), inputs.clone()];
            i.op(Op::Reshape(Reshape { shape: flat }), &[x])?
        }
        [] => x,
    };
    let mut y = i.op(op, &[rows, weight])?;
    if let Some(bias) = bias {
        y = i.op(Op::Binary(BinaryOp::Add), &[y, bias])?;
    }
    if shape.len() != 2 {
        let mut out = shape;
        out.pop();
        out.extend(weights.first().cloned());
        y = i.op(Op::Reshape(Reshape { shape: out }), &[y])?;
    }
    Ok(y)
}

/// `x^T W_k y + bias_k` over the last dimensions of `x` and `y`, for each matrix of the weight.
fn bilinear(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (x, y, weight) = (i.tensor(b, "input1")?, i.tensor(b, "input2")?, i.tensor(b, "weight")?);
    let (left, right, weights) = (i.shape(x), i.shape(y), i.shape(weight));
    let [outputs, first, second] = &weights[..] else {
        return Err(Fault::value(format!(
            "{}: a weight of shape {} is not a stack of matrices",
            b.callee,
            ShapeDisplay(&weights)
        )));
    };
    let ([front @ .., _], [other_front @ .., _]) = (&left[..], &right[..]) else {
        return Err(Fault::value(format!("{} takes tensors of one dimension or more", b.callee)));
    };
    if left.last() != Some(first) || right.last() != Some(second) || front != other_front {
        return Err(Fault::value(format!(
            "{} takes tensors whose last dimensions are {first} and {second} and whose other dimensions agree, but \
             `{}` delivers {} and `{}` {}",
            b.callee,
            i.maker(x),
            ShapeDisplay(&left),
            i.maker(y),
            ShapeDisplay(&right)
        )));
    }
    let bias = i.optional_tensor(b, "bias")?;
    let rows = product(front);
    let mut f = i.formula();
    // All matrices side by side: one product gives `x^T W_k` for each of them.
    let matrices = f.transpose(weight, vec![1, 0, 2])?;
    let matrices = f.reshape(matrices, vec![first.clone(), product([outputs, second])])?;
    let x = f.reshape(x, vec![rows.clone(), first.clone()])?;
    let half = matmul(&mut f, x, matrices)?;
    let half = f.reshape(half, vec![rows.clone(), outputs.clone(), second.clone()])?;
    let y = f.reshape(y, vec![rows, second.clone(), 1.into()])?;
    let whole = matmul(&mut f, half, y)?;
    let mut out = front.to_vec();
    out.push(outputs.clone());
    let whole = f.reshape(whole, out)?;
    Ok(Value::tensor(match bias {
        Some(bias) => f.add(whole, bias)?,
        None => whole,
    }))
}

/// The most common mistake: the number of features is wrong, or the image is not flattened.
fn mismatch(i: &Interpreter, b: &Bound, x: ValueId, inputs: &Dim, outputs: &Dim) -> Fault {
    let shape = i.shape(x);
    let maker = i.maker(x);
    let features = product(shape.iter().skip(1));
    if shape.len() > 2 {
        let found = shape.last().map_or_else(String::new, ToString::to_string);
        let fault = Fault::value(format!(
            "{} expects {inputs} input features, but `{maker}` delivers {}, whose last dimension is {found}",
            b.callee,
            ShapeDisplay(&shape)
        ));
        let flat =
            format!("`nn.Flatten()`, `torch.flatten(x, 1)` or `x.view(-1, {features})` in front of it");
        return fault.help(if features == *inputs {
            format!("flatten the image first: {flat}")
        } else {
            format!(
                "flatten the image first: {flat}, with `nn.Linear({features}, {outputs})` ({})",
                factors(&shape[1..])
            )
        });
    }
    let [rows, found] = &shape[..] else {
        let fault = Fault::value(format!(
            "{} expects {inputs} input features, but `{maker}` delivers {}",
            b.callee,
            ShapeDisplay(&shape)
        ));
        return match &shape[..] {
            [all] if all.as_const().is_none() => fault.help(
                "this has put the samples of the batch together, too: `torch.flatten(x, 1)`, `x.flatten(1)` and `nn.Flatten()` leave the first dimension",
            ),
            _ => fault,
        };
    };
    // The flattened shape, if a flattening comes before.
    let before =
        i.graph.producer(x).map(|node| i.graph.node(node)).filter(|node| matches!(node.op, Op::Reshape(_)));
    let before = before.map(|node| i.shape(node.inputs[0])).filter(|before| before.len() > 2);
    let made_of = before.as_ref().map_or_else(String::new, |before| format!(" ({})", factors(&before[1..])));
    let fault = Fault::value(format!(
        "{} expects {inputs} input features, but `{maker}` delivers {found}{made_of}",
        b.callee
    ));
    match before {
        // `view(-1, 500)` has taken rows of the wrong length.
        Some(before) if *rows != before[0] => {
            let all = product(&before[1..]);
            fault.help(format!(
                "`{maker}` makes {rows} rows of {} samples; `view(-1, {all})` and `nn.Linear({all}, {outputs})` would fit",
                before[0]
            ))
        }
        Some(_) | None => fault.help(format!("`nn.Linear({found}, {outputs})` would fit")),
    }
}

/// `32 x 8 x 8`
fn factors(shape: &[Dim]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}
