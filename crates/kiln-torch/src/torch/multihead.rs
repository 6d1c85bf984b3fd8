//! `nn.MultiheadAttention` (Vaswani et al. 2017, section 3.2.2).
//!
//! Attention between projections, with PyTorch's masks. Where the weights are asked for, a query without keys has NaN as in
//! PyTorch; where they are not, zeros.

use std::rc::Rc;

use kiln_graph::functions::attention::{self, Attended, Steps, merge_heads, split_heads};
use kiln_graph::ops::{BinaryOp, Concat, ReduceKind, SliceAxis, UnaryOp};
use kiln_graph::{DType, Dim, Formula, Op, ShapeDisplay, ValueId};

use super::attention::plain;
use super::dropout::{dropped, ratio};
use super::linear::rows_times;
use super::recurrent::{with_one, without_one};
use super::{Init, layers};
use crate::python::native::Layer;
use crate::python::{Args, Bound, Fault, Interpreter, Object, Result, Value};

pub(super) static LAYERS: &[Layer] = layers! {
    "MultiheadAttention" ("embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None, batch_first=False, device=None, dtype=None") => setup, multihead;
};

/// What `forward` takes.
pub(super) const INPUTS: &str = "query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False";

fn setup(i: &mut Interpreter, object: &Rc<Object>, b: &Bound) -> Result<()> {
    let (width, heads) = (b.count("embed_dim")?, b.count("num_heads")?);
    if width % heads != 0 {
        return Err(Fault::python(
            "AssertionError",
            format!("{}: `embed_dim={width}` cannot be split into {heads} heads", b.callee),
        )
        .help(format!("the number of heads has to divide {width}")));
    }
    ratio(b, "dropout")?;
    let own = |name: &str| if b.is_none(name) { Ok(width) } else { b.count(name) };
    let (keys, values) = (own("kdim")?, own("vdim")?);
    let xavier = |rows: usize, columns: usize| {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let bound = (6.0 / (rows as f64 + columns as f64)).sqrt();
        Init::Uniform(-bound, bound)
    };
    let together = keys == width && values == width;
    let rows = width.saturating_mul(3);
    let matrices = [
        ("q_proj_weight", width, width, !together),
        ("k_proj_weight", width, keys, !together),
        ("v_proj_weight", width, values, !together),
        ("in_proj_weight", rows, width, together),
    ];
    for (name, rows, columns, is_there) in matrices {
        let weight =
            if is_there { i.parameter(&[rows, columns], xavier(rows, columns))? } else { Value::None };
        object.set(name, weight);
    }
    let with_bias = b.bool("bias")?;
    let bias = if with_bias { i.parameter(&[rows], Init::Constant(0.0))? } else { Value::None };
    object.set("in_proj_bias", bias);
    for name in ["bias_k", "bias_v"] {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let normal = Init::Normal(0.0, (2.0 / (2.0 * width as f64)).sqrt());
        let extra = if b.bool("add_bias_kv")? { i.parameter(&[1, 1, width], normal)? } else { Value::None };
        object.set(name, extra);
    }
    let class = Value::Class(i.class("torch.nn.Linear")?);
    let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let mut args = Args::of([number(width), number(width)]);
    args.named.push(("bias".into(), Value::Bool(with_bias)));
    let output = i.call(&class, args)?;
    if let (Value::Object(linear), true) = (&output, with_bias) {
        let zeros = i.parameter(&[width], Init::Constant(0.0))?;
        linear.set("bias", zeros);
    }
    object.set("out_proj", output);
    for (name, size) in [("kdim", keys), ("vdim", values), ("head_dim", width / heads)] {
        object.set(name, number(size));
    }
    Ok(())
}

/// `forward` of the layer, with the batch first inside.
fn multihead(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let (width, heads) = (b.count("embed_dim")?, b.count("num_heads")?);
    let (tensors, is_batched) = inputs(i, b, width)?;
    let [query, key, _] = tensors;
    let (shape, keys) = (i.shape(query), i.shape(key)[1].clone());
    let full = [shape[0].clone(), heads.into(), shape[1].clone(), keys];
    let needs_weights = b.bool("need_weights")?;
    let (mut mask, is_causal) = masks(i, b, &full, needs_weights, is_batched)?;
    let [query, mut key, mut value] = projected(i, b, tensors, width)?;
    for (name, is_there) in [("bias", b.bool("add_bias_kv")?), ("zero", b.bool("add_zero_attn")?)] {
        if is_there {
            (key, value) = (longer(i, b, key, name, "bias_k")?, longer(i, b, value, name, "bias_v")?);
            mask = mask.map(|mask| seen(&mut i.formula(), mask)).transpose()?;
        }
    }
    let mut f = i.formula();
    let query = split_heads(&mut f, query, heads)?;
    let (key, value) = (split_heads(&mut f, key, heads)?, split_heads(&mut f, value, heads)?);
    let of = Attended { query, key, value, mask, past: 0.into(), lengths: None };
    let steps = attention::attention(&mut f, &plain(None, is_causal), &of)?;
    let mut weights = steps.weights;
    if needs_weights && mask.is_some() {
        weights = undefined_where_empty(&mut f, &steps)?;
    }
    let p = ratio(b, "dropout")?;
    if p > 0.0 {
        weights = dropped(i, b, weights, p, None)?;
    }
    let mut f = i.formula();
    let result =
        if weights == steps.weights { steps.result } else { attention::weighted(&mut f, weights, value)? };
    let merged = merge_heads(&mut f, result)?;
    let output = output(i, b, merged)?;
    let output = match (is_batched, b.bool("batch_first")?) {
        (false, _) => without_one(i, output, 0)?,
        (true, true) => output,
        (true, false) => i.formula().transpose(output, vec![1, 0, 2])?,
    };
    if !needs_weights {
        return Ok(Value::tuple([Value::tensor(output), Value::None]));
    }
    if b.bool("average_attn_weights")? {
        weights = i.formula().reduce(ReduceKind::Mean, weights, vec![1], false)?;
    }
    if !is_batched {
        weights = without_one(i, weights, 0)?;
    }
    Ok(Value::tuple([Value::tensor(output), Value::tensor(weights)]))
}

/// Query, key and value as `[batch, length, features]`, and whether they have a batch.
fn inputs(i: &mut Interpreter, b: &Bound, width: usize) -> Result<([ValueId; 3], bool)> {
    let tensors = [i.tensor(b, "query")?, i.tensor(b, "key")?, i.tensor(b, "value")?];
    let rank = i.graph.ty(tensors[0]).rank();
    let told = |i: &Interpreter| {
        let [q, k, v] = tensors.map(|id| i.graph.ty(id).to_string());
        format!("{}: the query is {q}, the key {k} and the value {v}", b.callee)
    };
    let shapes = tensors.map(|id| i.shape(id));
    if rank != 2 && rank != 3 || shapes.iter().any(|shape| shape.len() != rank) {
        return Err(Fault::python("AssertionError", told(i)).help(
            "each should be [length, batch, features], or [batch, length, features] with `batch_first=True`",
        ));
    }
    let features = [width, b.count("kdim")?, b.count("vdim")?];
    for ((shape, wanted), name) in shapes.iter().zip(features).zip(["query", "key", "value"]) {
        if shape.last() != Some(&Dim::from(wanted)) {
            return Err(Fault::python(
                "AssertionError",
                format!(
                    "{} expects {wanted} features of the {name}, but it is {}",
                    b.callee,
                    ShapeDisplay(shape)
                ),
            ));
        }
    }
    let is_batched = rank == 3;
    let batch_first = b.bool("batch_first")?;
    let mut inside = tensors;
    for id in &mut inside {
        *id = match (is_batched, batch_first) {
            (false, _) => with_one(i, *id, 0)?,
            (true, true) => *id,
            (true, false) => i.formula().transpose(*id, vec![1, 0, 2])?,
        };
    }
    let [q, k, v] = inside.map(|id| i.shape(id));
    if q[0] != k[0] || k[..2] != v[..2] {
        return Err(Fault::python("AssertionError", told(i))
            .help("all need the same batch, and key and value the same length"));
    }
    // One tensor three times is projected at once.
    if tensors[0] == tensors[1] {
        inside[1] = inside[0];
    }
    if tensors[1] == tensors[2] {
        inside[2] = inside[1];
    }
    Ok((inside, is_batched))
}

/// `in_proj`: query, key and value in the features of the layer.
fn projected(i: &mut Interpreter, b: &Bound, tensors: [ValueId; 3], width: usize) -> Result<[ValueId; 3]> {
    let bias = i.optional_tensor(b, "in_proj_bias")?;
    let cut = |n: usize| SliceAxis {
        axis: 0,
        start: n.saturating_mul(width).into(),
        length: width.into(),
        step: 1,
    };
    let together = if b.is_none("in_proj_weight") { None } else { Some(i.tensor(b, "in_proj_weight")?) };
    let mut made = tensors;
    if let Some(weight) = together
        && tensors[0] == tensors[1]
        && tensors[1] == tensors[2]
    {
        let all = rows_times(i, tensors[0], weight, bias)?;
        for (n, part) in made.iter_mut().enumerate() {
            *part = i.formula().slice(all, vec![SliceAxis { axis: 2, ..cut(n) }])?;
        }
        return Ok(made);
    }
    for (n, name) in ["q_proj_weight", "k_proj_weight", "v_proj_weight"].into_iter().enumerate() {
        let weight = match together {
            Some(weight) => i.formula().slice(weight, vec![cut(n)])?,
            None => i.tensor(b, name)?,
        };
        let bias = match bias {
            Some(bias) => Some(i.formula().slice(bias, vec![cut(n)])?),
            None => None,
        };
        made[n] = rows_times(i, tensors[n], weight, bias)?;
    }
    Ok(made)
}

/// `out_proj`
fn output(i: &mut Interpreter, b: &Bound, x: ValueId) -> Result<ValueId> {
    let linear = b.object("out_proj")?;
    let mut of = |name: &str| match linear.get(name) {
        Some(value) => i.optional_tensor_of(&value),
        None => Ok(None),
    };
    let (weight, bias) = (of("weight")?, of("bias")?);
    let Some(weight) = weight else { return Err(b.wrong("out_proj", "a linear layer")) };
    rows_times(i, x, weight, bias)
}

/// `[N, S, E]` with one more key or value: a parameter, or zeros.
fn longer(i: &mut Interpreter, b: &Bound, x: ValueId, kind: &str, parameter: &str) -> Result<ValueId> {
    let mut shape = i.shape(x);
    shape[1] = 1.into();
    let one = match kind {
        "bias" => i.tensor(b, parameter)?,
        _ => i.formula().number_like(0.0, x),
    };
    let mut f = i.formula();
    let one = f.expand(one, shape)?;
    Ok(f.apply(Op::Concat(Concat { axis: 1 }), &[x, one])?)
}

/// A mask of one more key, which counts.
fn seen(f: &mut Formula<'_>, mask: ValueId) -> Result<ValueId> {
    let mut shape = f.shape(mask);
    let axis = shape.len() - 1;
    shape[axis] = 1.into();
    let counts = f.number_like(if f.ty(mask).dtype == DType::Bool { 1.0 } else { 0.0 }, mask);
    let counts = f.expand(counts, shape)?;
    Ok(f.apply(Op::Concat(Concat { axis }), &[mask, counts])?)
}

/// Both masks as one that says which keys count or is added, and whether the causal one stands for them.
fn masks(
    i: &mut Interpreter,
    b: &Bound,
    full: &[Dim; 4],
    needs_weights: bool,
    is_batched: bool,
) -> Result<(Option<ValueId>, bool)> {
    let is_causal = b.bool("is_causal")?;
    let [batch, heads, l, s] = full.clone();
    let wrong = |i: &Interpreter, name: &str, id: ValueId, wanted: String| {
        let found = i.graph.ty(id);
        Fault::python(
            "RuntimeError",
            format!("{}: `{name}` is {found}, but should be {wanted} of truth values or numbers", b.callee),
        )
    };
    let padding = match i.optional_tensor(b, "key_padding_mask")? {
        Some(id) => {
            let wanted = if is_batched { vec![batch.clone(), s.clone()] } else { vec![s.clone()] };
            if i.shape(id) != wanted || !is_mask(i.dtype(id)) {
                return Err(wrong(i, "key_padding_mask", id, ShapeDisplay(&wanted).to_string()));
            }
            Some(i.formula().reshape(id, vec![batch.clone(), 1.into(), 1.into(), s.clone()])?)
        }
        None => None,
    };
    let Some(mask) = i.optional_tensor(b, "attn_mask")? else {
        if is_causal {
            return Err(Fault::python(
                "RuntimeError",
                format!("{}: `is_causal=True` needs `attn_mask`, too", b.callee),
            )
            .help("`nn.Transformer.generate_square_subsequent_mask(length)` makes it"));
        }
        return Ok((padding.map(|id| counting(&mut i.formula(), id)).transpose()?, false));
    };
    let shape = i.shape(mask);
    let all = &batch * &heads;
    let mask = if shape == [l.clone(), s.clone()] && is_mask(i.dtype(mask)) {
        mask
    } else if shape == [all.clone(), l.clone(), s.clone()] && is_mask(i.dtype(mask)) {
        i.formula().reshape(mask, full.to_vec())?
    } else {
        let wanted =
            [ShapeDisplay(&[l.clone(), s.clone()]).to_string(), ShapeDisplay(&[all, l, s]).to_string()];
        return Err(wrong(i, "attn_mask", mask, wanted.join(" or ")));
    };
    // PyTorch takes the hint for the mask where its own kernels can.
    if is_causal && padding.is_none() && !needs_weights {
        return Ok((None, true));
    }
    let mut f = i.formula();
    let Some(padding) = padding else { return Ok((Some(counting(&mut f, mask)?), false)) };
    if f.ty(mask).dtype == DType::Bool && f.ty(padding).dtype == DType::Bool {
        let hidden = f.binary(BinaryOp::Or, mask, padding)?;
        return Ok((Some(counting(&mut f, hidden)?), false));
    }
    let (mask, padding) = (added(&mut f, mask)?, added(&mut f, padding)?);
    Ok((Some(f.add(mask, padding)?), false))
}

fn is_mask(dtype: DType) -> bool {
    dtype == DType::Bool || dtype.is_float()
}

/// Truth values of this layer say which keys do not count.
fn counting(f: &mut Formula<'_>, mask: ValueId) -> Result<ValueId> {
    Ok(if f.ty(mask).dtype == DType::Bool { f.unary(UnaryOp::Not, mask)? } else { mask })
}

/// A mask as numbers to add.
fn added(f: &mut Formula<'_>, mask: ValueId) -> Result<ValueId> {
    if f.ty(mask).dtype != DType::Bool {
        return Ok(mask);
    }
    let (never, zero) = (f.number(f64::NEG_INFINITY), f.number(0.0));
    Ok(f.select(mask, never, zero)?)
}

/// The weights, which the layer leaves undefined for a query without keys.
fn undefined_where_empty(f: &mut Formula<'_>, steps: &Steps) -> Result<ValueId> {
    let most = f.reduce(ReduceKind::Max, steps.masked, vec![3], true)?;
    let is_empty = f.with(BinaryOp::Equal, most, f64::NEG_INFINITY)?;
    let undefined = f.number_like(f64::NAN, steps.weights);
    Ok(f.select(is_empty, undefined, steps.weights)?)
}
