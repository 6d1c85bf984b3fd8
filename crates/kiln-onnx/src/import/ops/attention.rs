//! Attention as ONNX defines it: three or four dimensions, keys of earlier calls, and intermediate results as outputs.

use kiln_graph::functions::attention::{self, Attended, Attention};
use kiln_graph::{DType, Dim, ValueId};

use super::super::attributes::Attributes;
use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use crate::tensor::dtype_of;

pub(crate) fn attention(cx: &mut Cx<'_>) -> Outputs {
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let packed = cx.rank(inputs[0]) == 3;
    let [query, key, value] = heads(cx, inputs, packed)?;
    let how = how(cx)?;
    let (key, value, past) = match (cx.optional(4), cx.optional(5)) {
        (Some(keys), Some(values)) => {
            let past = cx.dim(keys, 2)?;
            (cx.concat(&[keys, key], 2)?, cx.concat(&[values, value], 2)?, past)
        }
        (None, None) => (key, value, Dim::from(0)),
        _ => return invalid("`past_key` and `past_value` have to be given together"),
    };
    let lengths = cx.optional(6);
    if lengths.is_some() && !past.is(0) {
        return invalid("`nonpad_kv_seqlen` and `past_key` exclude each other");
    }
    let mode = cx.attributes.int_or("qk_matmul_output_mode", 0)?;
    let of = Attended { query, key, value, mask: cx.optional(3), past, lengths };
    let steps = attention::attention(&mut cx.formula(), &how, &of)?;
    let seen = match mode {
        0 => steps.scores,
        1 => steps.capped,
        2 => steps.masked,
        3 => steps.weights,
        other => return invalid(format!("`qk_matmul_output_mode` is {other}, but should be 0 to 3")),
    };
    let y = if packed { attention::merge_heads(&mut cx.formula(), steps.result)? } else { steps.result };
    Ok(vec![y, key, value, seen])
}

/// Queries, keys and values with a dimension for their heads.
fn heads(cx: &mut Cx<'_>, inputs: [ValueId; 3], packed: bool) -> Result<[ValueId; 3]> {
    let query = count(cx, "q_num_heads")?;
    let key = count(cx, "kv_num_heads")?;
    if !packed {
        return Ok(inputs);
    }
    let (Some(query), Some(key)) = (query, key) else {
        return invalid("inputs of three dimensions need `q_num_heads` and `kv_num_heads`");
    };
    let f = &mut cx.formula();
    let mut split = |x, heads| attention::split_heads(f, x, heads);
    Ok([split(inputs[0], query)?, split(inputs[1], key)?, split(inputs[2], key)?])
}

/// A number of heads, which is positive.
pub(crate) fn count(cx: &Cx<'_>, what: &str) -> Result<Option<usize>> {
    let Some(given) = cx.attributes.int(what)? else { return Ok(None) };
    match usize::try_from(given) {
        Ok(heads) if heads > 0 => Ok(Some(heads)),
        Ok(_) | Err(_) => invalid(format!("`{what}` is {given}, but should be positive")),
    }
}

fn how(cx: &Cx<'_>) -> Result<Attention> {
    let window = |what| match cx.attributes.int_or(what, -1)? {
        -1 => Ok(None),
        size @ 0.. => Ok(Some(size)),
        other => invalid(format!("`{what}` is {other}, but should be -1 or a number of keys")),
    };
    let cap = cx.attributes.float_or("softcap", 0.0)?;
    Ok(Attention {
        scale: cx.attributes.float("scale")?.map(f64::from),
        cap: (cap > 0.0).then_some(cap.into()),
        causal: cx.attributes.flag("is_causal", false)?,
        left: window("left_window_size")?,
        right: window("right_window_size")?,
        precision: softmax_precision(&cx.attributes)?,
    })
}

/// The type of the softmax, if it is said.
pub(crate) fn softmax_precision(attributes: &Attributes<'_>) -> Result<Option<DType>> {
    let Some(given) = attributes.int("softmax_precision")? else { return Ok(None) };
    let given =
        i32::try_from(given).map_err(|_| OpError::Invalid(format!("{given} is not an element type")))?;
    match dtype_of(given) {
        Ok(dtype) if dtype.is_float() => Ok(Some(dtype)),
        Ok(dtype) => invalid(format!("`softmax_precision` is {dtype}, but should be a floating point type")),
        Err(found) => unsupported(format!("`softmax_precision` = {found} is not supported")),
    }
}
