//! Operators of sequence models besides attention: rotations, caches, convolutions and recurrences that carry a state.

use kiln_graph::functions::{activation, attention, convolution, embedding};
use kiln_graph::ops::{BinaryOp, Conv, Gather, GatherElements, Iota, MatMul, SliceAxis, UnaryOp};
use kiln_graph::{DType, Dim, Op, Tensor, ValueId};

use super::super::cx::{Cx, Outputs, Result, invalid, unsupported};
use super::attention::count;

/// The cosines and sines are a table by place, or there for each of the batch.
pub(crate) fn rotary_embedding(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let interleaved = cx.attributes.flag("interleaved", false)?;
    let turned = cx.attributes.int_or("rotary_embedding_dim", 0)?;
    let heads = cx.attributes.int_or("num_heads", 0)?;
    let mut angles = [cx.input(1)?, cx.input(2)?];
    if let Some(places) = cx.optional(3) {
        for angle in &mut angles {
            *angle = cx.op(Op::Gather(Gather { axis: 0 }), &[*angle, places])?;
        }
    }
    // `[B, L, pairs]` beside `[B, L, heads, features]` or `[B, heads, L, features]`.
    let shape = cx.shape(x);
    let (x, axis) = match (&shape[..], usize::try_from(heads)) {
        ([_, _, _, _], _) => (x, 1),
        ([b, l, all], Ok(heads)) if heads > 0 => {
            let Some(features) = all.exact_div(&heads.into()) else {
                return invalid(format!("{all} features cannot be split into {heads} heads"));
            };
            (cx.reshape(x, [b.clone(), l.clone(), heads.into(), features])?, 2)
        }
        ([_, _, _], _) => return invalid("an input of three dimensions needs a positive `num_heads`"),
        _ => return invalid(format!("its input is {}, but should have 3 or 4 dimensions", cx.ty(x))),
    };
    let features = if turned == 0 { cx.dim(x, 3)? } else { turned.into() };
    for angle in &mut angles {
        let mut shape = cx.shape(*angle);
        if shape.len() != 3 || &shape[2] * &2.into() != features {
            return invalid(format!("{} are not angles for {features} rotated features", cx.ty(*angle)));
        }
        shape.insert(axis, 1.into());
        *angle = cx.reshape(*angle, shape)?;
    }
    let [cos, sin] = angles;
    let y = embedding::rotary(&mut cx.formula(), x, cos, sin, interleaved)?;
    Ok(vec![cx.reshape(y, shape)?])
}

/// A cache in which new elements take the places from an index on, which each of the batch has its own of. Seen from
/// the cache: each place is an old element or a certain new one.
pub(crate) fn tensor_scatter(cx: &mut Cx<'_>) -> Outputs {
    let (cache, update) = (cx.input(0)?, cx.input(1)?);
    let axis = cx.axis_of(-2, cache)?;
    let circular = match cx.attributes.string_or("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        other => return invalid(format!("`mode` is \"{other}\", but should be \"linear\" or \"circular\"")),
    };
    let (shape, new) = (cx.shape(cache), cx.shape(update));
    let (Some(size), Some(count)) = (cx.dim(cache, axis)?.as_usize(), cx.dim(update, axis)?.as_usize())
    else {
        return unsupported("the lengths of the cache and of what is written have to be numbers");
    };
    let fits = new.len() == shape.len() && (0..shape.len()).all(|i| i == axis || shape[i] == new[i]);
    if axis == 0 || !fits || count > size || count == 0 {
        return invalid(format!(
            "{} cannot be written into {} along axis {axis}",
            cx.ty(update),
            cx.ty(cache)
        ));
    }
    let mut line = vec![Dim::from(1); shape.len()];
    line[axis] = size.into();
    let mut place = cx.op(Op::Iota(Iota { dtype: DType::I32, shape: line.clone(), axis }), &[])?;
    if let Some(start) = cx.optional(2) {
        let start = cx.cast(start, DType::I32)?;
        line[axis] = 1.into();
        line[0] = shape[0].clone();
        let start = cx.reshape(start, line)?;
        place = cx.binary(BinaryOp::Sub, place, start)?;
    }
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    let (size, count) = (size as f64, count as f64);
    if circular {
        place = cx.with(BinaryOp::Mod, place, size)?;
    }
    let behind = cx.with(BinaryOp::GreaterOrEqual, place, 0.0)?;
    let before = cx.with(BinaryOp::Less, place, count)?;
    let written = cx.binary(BinaryOp::And, behind, before)?;
    let taken = cx.with(BinaryOp::Max, place, 0.0)?;
    let taken = cx.with(BinaryOp::Min, taken, count - 1.0)?;
    let taken = cx.expand(taken, shape)?;
    let taken = cx.op(Op::GatherElements(GatherElements { axis }), &[update, taken])?;
    Ok(vec![cx.op(Op::Select, &[written, taken, cache])?])
}

/// A depthwise convolution along a sequence that sees nothing behind its place; what it needs of the sequence's end
/// is the state for the next.
pub(crate) fn causal_conv(cx: &mut Cx<'_>) -> Outputs {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let ([b, channels, _], [_, _, kernel]) = (&cx.shape(x)[..], &cx.shape(w)[..]) else {
        return invalid(format!("{} and {} should have three dimensions", cx.ty(x), cx.ty(w)));
    };
    let swish = match cx.attributes.string_or("activation", "none")? {
        "none" => false,
        "silu" | "swish" => true,
        other => {
            return invalid(format!(
                "`activation` is \"{other}\", but should be \"none\", \"silu\" or \"swish\""
            ));
        }
    };
    let (Some(groups), Some(carried)) =
        (channels.as_usize(), kernel.as_usize().and_then(|k| k.checked_sub(1)))
    else {
        return unsupported("the number of channels and the size of the kernel have to be numbers");
    };
    let past = match cx.optional(3) {
        Some(past) => Some(past),
        None if carried == 0 => None,
        None => {
            let zero = cx.constant_value(Tensor::number(0.0, cx.dtype(x)));
            Some(cx.expand(zero, [b.clone(), channels.clone(), carried.into()])?)
        }
    };
    let all = match past {
        Some(past) if carried > 0 => cx.concat(&[past, x], 2)?,
        Some(_) | None => x,
    };
    let mut y = cx.op(Op::Conv(Conv { groups, ..Conv::new(1) }), &[all, w])?;
    if let Some(bias) = cx.optional(2) {
        y = convolution::conv_bias(&mut cx.formula(), y, bias, 1)?;
    }
    if swish {
        y = activation::swish(&mut cx.formula(), y, 1.0)?;
    }
    let start = cx.dim(all, 2)? - carried.into();
    let end = SliceAxis { axis: 2, start, length: carried.into(), step: 1 };
    Ok(vec![y, cx.formula().slice(all, vec![end])?])
}

/// Maximum number of unrolled steps.
const MAX_STEPS: usize = 256;

/// Attention without a softmax (Katharopoulos et al. 2020): a sum of products of keys and values is the state `[B, heads,
/// features, value features]` that queries read. It may decay (Yang et al. 2023), and a value may replace what the state
/// has for its key instead of being added (Yang et al. 2024).
pub(crate) fn linear_attention(cx: &mut Cx<'_>) -> Outputs {
    let rule = cx.attributes.string_or("update_rule", "gated_delta")?;
    let (gated, delta) = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return invalid(format!("`update_rule` is \"{other}\", which does not exist")),
    };
    // How an implementation might split the work.
    cx.attributes.ignore("chunk_size");
    let (Some(heads), Some(shared)) = (count(cx, "q_num_heads")?, count(cx, "kv_num_heads")?) else {
        return invalid("`q_num_heads` and `kv_num_heads` are missing");
    };
    let group = heads / shared;
    if group * shared != heads {
        return invalid(format!("{heads} heads cannot share {shared}"));
    }
    let scale = cx.attributes.float_or("scale", 0.0)?;
    let own = cx.dtype(cx.input(0)?);
    let mut split = |i: usize, heads: usize| -> Result<ValueId> {
        let x = cx.input(i)?;
        let x = cx.cast(x, DType::F32)?;
        Ok(attention::split_heads(&mut cx.formula(), x, heads)?)
    };
    let (q, k, v) = (split(0, heads)?, split(1, shared)?, split(2, shared)?);
    let decay = if gated { Some(split(4, shared)?) } else { None };
    let beta = if delta { Some(beta(cx, shared)?) } else { None };
    if (gated, delta) != (cx.optional(4).is_some(), cx.optional(5).is_some()) {
        return invalid(format!("`decay` and `beta` are not those that \"{rule}\" needs"));
    }
    let (b, features, values) = (cx.dim(q, 0)?, cx.dim(q, 3)?, cx.dim(v, 3)?);
    let (Some(steps), Some(size)) = (cx.dim(q, 2)?.as_usize(), features.as_usize()) else {
        return unsupported("the length of the sequence and the features of a head have to be numbers");
    };
    if steps > MAX_STEPS {
        return unsupported(format!("a sequence of {steps} steps is longer than {MAX_STEPS}"));
    }
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    let scale = if scale == 0.0 { 1.0 / (size as f64).sqrt() } else { scale.into() };
    let q = cx.with(BinaryOp::Mul, q, scale)?;
    // Heads that share a state are more queries of it.
    let q = cx.reshape(q, [b.clone(), shared.into(), group.into(), steps.into(), features.clone()])?;
    let (mut state, kept) = match cx.optional(3) {
        Some(past) => (cx.cast(past, DType::F32)?, cx.dtype(past)),
        None => {
            let zero = cx.constant_value(Tensor::scalar(0.0));
            (cx.expand(zero, [b.clone(), shared.into(), features.clone(), values.clone()])?, own)
        }
    };
    let mut read = Vec::with_capacity(steps);
    for step in 0..steps {
        let at = |cx: &mut Cx<'_>, x: ValueId, axis: usize| -> Result<ValueId> {
            Ok(cx
                .formula()
                .slice(x, vec![SliceAxis { axis, start: step.into(), length: 1.into(), step: 1 }])?)
        };
        if let Some(decay) = decay {
            let rate = at(cx, decay, 2)?;
            let rate = cx.unary(UnaryOp::Exp, rate)?;
            let rate = cx.transpose(rate, [0, 1, 3, 2])?;
            state = cx.mul(state, rate)?;
        }
        let (key, mut value) = (at(cx, k, 2)?, at(cx, v, 2)?);
        if let Some(beta) = beta {
            let known = cx.op(Op::MatMul(MatMul::default()), &[key, state])?;
            let apart = cx.binary(BinaryOp::Sub, value, known)?;
            let rate = at(cx, beta, 2)?;
            value = cx.mul(rate, apart)?;
        }
        let key = cx.transpose(key, [0, 1, 3, 2])?;
        let outer = cx.mul(key, value)?;
        state = cx.add(state, outer)?;
        let query = at(cx, q, 3)?;
        let query = cx.reshape(query, [b.clone(), shared.into(), group.into(), features.clone()])?;
        let y = cx.op(Op::MatMul(MatMul::default()), &[query, state])?;
        read.push(cx.reshape(y, [b.clone(), heads.into(), 1.into(), values.clone()])?);
    }
    if read.is_empty() {
        return unsupported("a sequence without steps is not supported");
    }
    let y = cx.concat(&read, 2)?;
    let y = attention::merge_heads(&mut cx.formula(), y)?;
    Ok(vec![cx.cast(y, own)?, cx.cast(state, kept)?])
}

/// The rates of a delta rule, one for each head or for all, as `[B, heads or 1, L, 1]`.
fn beta(cx: &mut Cx<'_>, heads: usize) -> Result<ValueId> {
    let x = cx.input(5)?;
    let heads = if cx.dim(x, 2)?.is(1) { 1 } else { heads };
    let x = cx.cast(x, DType::F32)?;
    Ok(attention::split_heads(&mut cx.formula(), x, heads)?)
}
