//! Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), with what later models add to it: heads that share
//! keys (Ainslie et al. 2023), scores that are capped (Gemma 2), a window of keys (Beltagy et al. 2020), keys of earlier
//! calls in front of the new ones.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Concat, Iota, MatMul, Op, ReduceKind, Softmax, UnaryOp};
use crate::tensor::DType;

const NAME: &str = "attention";

/// Options of attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// The factor of the scores; `1 / sqrt(features of a head)` if there is none.
    pub scale: Option<f64>,
    /// Scores become `cap * tanh(score / cap)`.
    pub cap: Option<f64>,
    /// Whether a query sees no keys behind its own place.
    pub causal: bool,
    /// How many keys before its own place a query sees.
    pub left: Option<i64>,
    /// How many keys behind its own place a query sees.
    pub right: Option<i64>,
    /// The type in which the softmax is computed, if not that of the scores.
    pub precision: Option<DType>,
}

/// Queries, keys and values, and which keys count.
#[derive(Clone, Debug)]
pub struct Attended {
    /// `[B, heads, L, features]`
    pub query: ValueId,
    /// `[B, key heads, S, features]`; each key head serves as many neighbouring heads as there are for it.
    pub key: ValueId,
    /// `[B, key heads, S, value features]`
    pub value: ValueId,
    /// Truth values that say which keys count, or numbers that are added to the scores; broadcast to `[B, heads, L, S]`
    /// but for the last dimension: keys behind its end do not count.
    pub mask: Option<ValueId>,
    /// How many of the keys come before the place of the first query.
    pub past: Dim,
    /// For each of the batch how many keys count, `[B]` integers. The last query is at the last of them.
    pub lengths: Option<ValueId>,
}

/// Intermediate results of attention.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// The products of queries and keys times the factor.
    pub scores: ValueId,
    /// Those with a cap.
    pub capped: ValueId,
    /// Those with the mask: minus infinity for keys that do not count.
    pub masked: ValueId,
    /// Their softmax; zeros for a query for which no key counts.
    pub weights: ValueId,
    /// The result, `[B, heads, L, value features]`.
    pub result: ValueId,
}

/// `[B, L, heads * features]` as `[B, heads, L, features]`.
pub fn split_heads(f: &mut Formula<'_>, x: ValueId, heads: usize) -> Made {
    let [b, l, all] = &f.shape(x)[..] else {
        return f.mismatch(NAME, format!("{} should be [batch, length, features]", f.ty(x)));
    };
    let heads = Dim::from(heads);
    let features = if heads.is(0) { None } else { all.exact_div(&heads) };
    let Some(features) = features else {
        return f.mismatch(NAME, format!("{all} features cannot be split into {heads} heads"));
    };
    let x = f.reshape(x, vec![b.clone(), l.clone(), heads, features])?;
    f.transpose(x, vec![0, 2, 1, 3])
}

/// The other way.
pub fn merge_heads(f: &mut Formula<'_>, x: ValueId) -> Made {
    let [b, heads, l, features] = &f.shape(x)[..] else {
        return f.mismatch(NAME, format!("{} should be [batch, heads, length, features]", f.ty(x)));
    };
    let shape = vec![b.clone(), l.clone(), heads * features];
    let x = f.transpose(x, vec![0, 2, 1, 3])?;
    f.reshape(x, shape)
}

/// `softmax(query key^T * scale) value`
pub fn attention(f: &mut Formula<'_>, how: &Attention, of: &Attended) -> Result<Steps, GraphError> {
    let scores = scores(f, of.query, of.key, how.scale)?;
    let capped = match how.cap {
        Some(cap) => {
            let part = f.with(BinaryOp::Div, scores, cap)?;
            let bent = f.unary(UnaryOp::Tanh, part)?;
            f.with(BinaryOp::Mul, bent, cap)?
        }
        None => scores,
    };
    let (added, counts) = masks(f, how, of, scores)?;
    let mut masked = added.map_or(Ok(capped), |added| f.add(capped, added))?;
    let never = f.number_like(f64::NEG_INFINITY, masked);
    if let Some(counts) = counts {
        masked = f.select(counts, masked, never)?;
    }
    // A causal mask alone leaves each query a key.
    let can_be_empty = of.mask.is_some() || of.lengths.is_some() || how.left.is_some() || how.right.is_some();
    let empty = if can_be_empty { nothing_counts(f, added, counts, never)? } else { None };
    let zero = f.number_like(0.0, masked);
    // Softmax has no meaning where nothing counts, so it gets zeros there, which keeps gradients clean, too.
    let known = empty.map_or(Ok(masked), |empty| f.select(empty, zero, masked))?;
    let own = f.ty(known).dtype;
    let known = f.cast(known, how.precision.unwrap_or(own))?;
    let axis = f.ty(known).rank() - 1;
    let weights = f.apply(Op::Softmax(Softmax { axis, log: false }), &[known])?;
    let weights = f.cast(weights, own)?;
    let weights = empty.map_or(Ok(weights), |empty| f.select(empty, zero, weights))?;
    let result = weighted(f, weights, of.value)?;
    Ok(Steps { scores, capped, masked, weights, result })
}

/// `query key^T * scale`, `[B, heads, L, S]`.
pub fn scores(f: &mut Formula<'_>, query: ValueId, key: ValueId, scale: Option<f64>) -> Made {
    let ([b, heads, l, features], [_, _, s, _]) = (sizes(f, query)?, sizes(f, key)?);
    let scale = match (scale, features.as_const()) {
        (Some(scale), _) => scale,
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        (None, Some(n)) => 1.0 / (n as f64).sqrt(),
        (None, None) => {
            let message = format!(
                "the number of features of a head (`{features}`) is symbolic, so the scale is not known"
            );
            return Err(GraphError::Unsuitable(message));
        }
    };
    // Half of it on either side, so that products of 16-bit numbers do not overflow.
    let (query, key) = if f.ty(query).dtype == DType::F16 {
        (f.with(BinaryOp::Mul, query, scale.sqrt())?, f.with(BinaryOp::Mul, key, scale.sqrt())?)
    } else {
        (f.with(BinaryOp::Mul, query, scale)?, key)
    };
    let query = by_key_head(f, query, key)?;
    let scores = f.matmul(MatMul { transpose_a: false, transpose_b: true }, query, key)?;
    f.reshape(scores, vec![b, heads, l, s])
}

/// `weights value`, `[B, heads, L, value features]`.
pub fn weighted(f: &mut Formula<'_>, weights: ValueId, value: ValueId) -> Made {
    let ([b, heads, l, _], [_, _, _, features]) = (sizes(f, weights)?, sizes(f, value)?);
    let weights = by_key_head(f, weights, value)?;
    let result = f.matmul(MatMul::default(), weights, value)?;
    f.reshape(result, vec![b, heads, l, features])
}

/// `[B, heads, L, ..]` as `[B, key heads, group * L, ..]`: heads that share keys are more queries.
fn by_key_head(f: &mut Formula<'_>, x: ValueId, key: ValueId) -> Made {
    let ([b, heads, l, last], [_, shared, ..]) = (sizes(f, x)?, sizes(f, key)?);
    let group = if shared.is(0) { None } else { heads.exact_div(&shared) };
    let Some(group) = group else {
        return f.mismatch(NAME, format!("{heads} heads cannot share {shared} heads of keys"));
    };
    f.reshape(x, vec![b, shared, &group * &l, last])
}

fn sizes(f: &Formula<'_>, x: ValueId) -> Result<[Dim; 4], GraphError> {
    match <[Dim; 4]>::try_from(f.shape(x)) {
        Ok(sizes) => Ok(sizes),
        Err(_) => f.mismatch(NAME, format!("{} should be [batch, heads, length, features]", f.ty(x))),
    }
}

/// The bias that is added to the scores, and the mask.
fn masks(
    f: &mut Formula<'_>,
    how: &Attention,
    of: &Attended,
    scores: ValueId,
) -> Result<(Option<ValueId>, Option<ValueId>), GraphError> {
    let (mut added, mut counts) = (None, None);
    let [b, _, l, s] = sizes(f, scores)?;
    if let Some(mask) = of.mask {
        let mask = up_to(f, mask, &s)?;
        *if f.ty(mask).dtype == DType::Bool { &mut counts } else { &mut added } = Some(mask);
    }
    let mut and = |f: &mut Formula<'_>, condition: ValueId| {
        counts = Some(match counts {
            Some(before) => f.binary(BinaryOp::And, before, condition)?,
            None => condition,
        });
        Ok::<(), GraphError>(())
    };
    let column =
        f.apply(Op::Iota(Iota { dtype: DType::F32, shape: vec![1.into(), s.clone()], axis: 1 }), &[])?;
    let lengths = match of.lengths {
        Some(lengths) => {
            let lengths = f.cast(lengths, DType::F32)?;
            Some(f.reshape(lengths, vec![b, 1.into(), 1.into(), 1.into()])?)
        }
        None => None,
    };
    if how.causal || how.left.is_some() || how.right.is_some() {
        let row =
            f.apply(Op::Iota(Iota { dtype: DType::F32, shape: vec![l.clone(), 1.into()], axis: 0 }), &[])?;
        let first = match lengths {
            Some(lengths) => {
                let queries = f.size(l)?;
                f.sub(lengths, queries)?
            }
            None => f.size(of.past.clone())?,
        };
        let place = f.add(row, first)?;
        // The distance of a key before its query.
        let before = f.sub(place, column)?;
        if how.causal {
            let seen = f.with(BinaryOp::GreaterOrEqual, before, 0.0)?;
            and(f, seen)?;
        }
        #[allow(clippy::as_conversions, reason = "a window beyond 2^53 is no limit")]
        if let Some(left) = how.left {
            let near = f.with(BinaryOp::LessOrEqual, before, left as f64)?;
            and(f, near)?;
        }
        #[allow(clippy::as_conversions, reason = "a window beyond 2^53 is no limit")]
        if let Some(right) = how.right {
            let near = f.with(BinaryOp::GreaterOrEqual, before, -(right as f64))?;
            and(f, near)?;
        }
    }
    if let Some(lengths) = lengths {
        let inside = f.binary(BinaryOp::Less, column, lengths)?;
        and(f, inside)?;
    }
    Ok((added, counts))
}

/// A mask whose last dimension is `size`: further keys do not count.
fn up_to(f: &mut Formula<'_>, mask: ValueId, size: &Dim) -> Made {
    let mut shape = f.shape(mask);
    let Some(last) = shape.last_mut() else { return Ok(mask) };
    let Some(missing) = (size.clone() - last.clone()).as_const().filter(|n| *n >= 0) else {
        return f.mismatch(NAME, format!("the mask {} is for {last} keys, but there are {size}", f.ty(mask)));
    };
    if missing == 0 {
        return Ok(mask);
    }
    *last = missing.into();
    let never = f.number_like(if f.ty(mask).dtype == DType::Bool { 0.0 } else { f64::NEG_INFINITY }, mask);
    let axis = shape.len() - 1;
    let rest = f.expand(never, shape)?;
    f.apply(Op::Concat(Concat { axis }), &[mask, rest])
}

/// Whether no key counts for a query, with 1 in place of the keys.
fn nothing_counts(
    f: &mut Formula<'_>,
    added: Option<ValueId>,
    counts: Option<ValueId>,
    never: ValueId,
) -> Result<Option<ValueId>, GraphError> {
    let bias = match (added, counts) {
        (None, None) => return Ok(None),
        (Some(added), None) => added,
        (added, Some(counts)) => {
            let zero = f.number_like(0.0, never);
            f.select(counts, added.unwrap_or(zero), never)?
        }
    };
    let Some(last) = f.ty(bias).rank().checked_sub(1) else { return Ok(None) };
    let most = f.reduce(ReduceKind::Max, bias, vec![last], true)?;
    f.binary(BinaryOp::Equal, most, never).map(Some)
}
