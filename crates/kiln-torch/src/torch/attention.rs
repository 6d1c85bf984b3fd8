//! `F.scaled_dot_product_attention` (Vaswani et al. 2017, section 3.2.1): `kiln_graph::functions::attention` behind what
//! PyTorch allows of dimensions and masks.

use kiln_graph::functions::attention::{self, Attended, Attention};
use kiln_graph::ops::broadcast_shapes;
use kiln_graph::{DType, Dim, Formula, ShapeDisplay, ValueId, product};

use super::dropout::{dropped_now, ratio};
use super::{Function, functions};
use crate::python::{Bound, Fault, Interpreter, Result, Value};

pub(super) static FUNCTIONS: &[Function] = functions! {
    F "scaled_dot_product_attention" ("query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False") => function,
};

/// Attention without what only other front ends have.
pub(super) fn plain(scale: Option<f64>, causal: bool) -> Attention {
    Attention { scale, cap: None, causal, left: None, right: None, precision: None }
}

/// Tensors with a batch in front of heads, whatever they have in front.
fn function(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let tensors = [i.tensor(b, "query")?, i.tensor(b, "key")?, i.tensor(b, "value")?];
    let (is_causal, shares) = (b.bool("is_causal")?, b.bool("enable_gqa")?);
    let mask = i.optional_tensor(b, "attn_mask")?;
    if is_causal && mask.is_some() {
        return Err(Fault::python(
            "RuntimeError",
            format!("{}: `attn_mask` and `is_causal=True` exclude each other", b.callee),
        )
        .help("a mask made by `torch.tril` can have both in it"));
    }
    let p = ratio(b, "dropout_p")?;
    let scale = if b.is_none("scale") { None } else { Some(b.float("scale")?) };
    let shapes = tensors.map(|id| i.shape(id));
    let front = in_front(i, b, &tensors, &shapes, shares)?;
    let mut lifted = vec![];
    for (id, shape) in tensors.into_iter().zip(&shapes) {
        // With `enable_gqa` the heads of keys stay fewer.
        let mut own = front.clone();
        if let (true, Some(heads)) = (shares, own.last_mut()) {
            *heads = shape[shape.len() - 3].clone();
        }
        lifted.push(lift(&mut i.formula(), id, &own)?);
    }
    let &[query, key, value] = &lifted[..] else { return Err(b.wrong("query", "a tensor")) };
    let (length, keys) = (i.shape(query)[2].clone(), i.shape(key)[2].clone());
    let mask = match mask {
        Some(mask) => {
            let mut full = front.clone();
            full.extend([length.clone(), keys]);
            Some(fitted(i, b, mask, &full)?)
        }
        None => None,
    };
    let of = Attended { query, key, value, mask, past: 0.into(), lengths: None };
    let steps = attention::attention(&mut i.formula(), &plain(scale, is_causal), &of)?;
    let mut result = steps.result;
    if p > 0.0 {
        let weights = dropped_now(i, b, steps.weights, p)?;
        result = attention::weighted(&mut i.formula(), weights, value)?;
    }
    let mut shape = front;
    shape.extend([length, i.shape(result)[3].clone()]);
    Ok(Value::tensor(i.formula().reshape(result, shape)?))
}

/// The dimensions in front of the last two, which all three share, the heads last.
fn in_front(
    i: &Interpreter,
    b: &Bound,
    tensors: &[ValueId; 3],
    shapes: &[Vec<Dim>; 3],
    shares: bool,
) -> Result<Vec<Dim>> {
    let [query, key, value] = shapes;
    let told = || {
        let [q, k, v] = tensors.map(|id| i.graph.ty(id).to_string());
        format!("{}: the query is {q}, the key {k} and the value {v}", b.callee)
    };
    let ([q_front @ .., _, features], [k_front @ .., keys, other], [v_front @ .., values, _]) =
        (&query[..], &key[..], &value[..])
    else {
        return Err(Fault::value(told()).help("each should be [batch, heads, length, features]"));
    };
    if features != other || keys != values {
        return Err(Fault::python("RuntimeError", told()).help(
            "query and key need the same number of features, key and value the same length: [.., L, E], [.., S, E] and \
             [.., S, V]",
        ));
    }
    if shares {
        let heads = |front: &[Dim]| front.last().cloned();
        let fits = |front: &[Dim]| {
            let (Some(all), Some(own)) = (heads(q_front), heads(front)) else { return false };
            !own.is(0) && all.exact_div(&own).is_some() && front.len() == q_front.len()
        };
        let same = |front: &[Dim]| front.split_last().map(|(_, rest)| rest.to_vec());
        if !fits(k_front)
            || heads(k_front) != heads(v_front)
            || same(k_front) != same(q_front)
            || same(v_front) != same(q_front)
        {
            return Err(Fault::python("RuntimeError", told()).help(
                "with `enable_gqa=True` the heads of the query have to be a multiple of those of key and value",
            ));
        }
        return Ok(q_front.to_vec());
    }
    let both = broadcast_shapes(q_front, k_front).and_then(|both| broadcast_shapes(&both, v_front));
    let Ok(both) = both else {
        return Err(Fault::python("RuntimeError", told()).help(
            "the dimensions in front of the last two have to be equal; `enable_gqa=True` allows fewer heads",
        ));
    };
    Ok(both)
}

/// A tensor with `front` in front of its last two dimensions, as `[batch, heads, length, features]`.
fn lift(f: &mut Formula<'_>, x: ValueId, front: &[Dim]) -> Result<ValueId> {
    let mut shape = f.shape(x);
    let last = shape.split_off(shape.len() - 2);
    let x = if shape == front { x } else { f.expand(x, [front, &last[..]].concat())? };
    let (batch, heads) = match front {
        [] => (1.into(), 1.into()),
        [batch] => (batch.clone(), 1.into()),
        [rest @ .., heads] => (product(rest), heads.clone()),
    };
    Ok(f.reshape(x, [&[batch, heads], &last[..]].concat())?)
}

/// A mask for scores of the shape `full`, as `[batch, heads, L, S]` or what spreads to it.
fn fitted(i: &mut Interpreter, b: &Bound, mask: ValueId, full: &[Dim]) -> Result<ValueId> {
    let shape = i.shape(mask);
    let spreads = broadcast_shapes(&shape, full).is_ok_and(|both| both == full);
    if !spreads || shape.len() < 2 || i.dtype(mask) != DType::Bool && !i.dtype(mask).is_float() {
        return Err(Fault::python(
            "RuntimeError",
            format!(
                "{}: the mask is {}, but should be of truth values or numbers with a point and fit {}",
                b.callee,
                i.graph.ty(mask),
                ShapeDisplay(full)
            ),
        ));
    }
    let mut f = i.formula();
    let (l, s) = (full[full.len() - 2].clone(), full[full.len() - 1].clone());
    if shape.len() == 2 {
        return Ok(f.expand(mask, vec![l, s])?);
    }
    let front = &full[..full.len() - 2];
    let mask = f.expand(mask, full.to_vec())?;
    lift(&mut f, mask, front)
}
