//! Positions in a sequence as rotations.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Concat, Op, SliceAxis};

const NAME: &str = "rotary_embedding";

/// Rotary position embedding (Su et al. 2021) of `x [.., features]`: pairs of its first features are rotated by angles
/// whose cosines and sines `[.., pairs]` are given, which broadcast against `x`. Pairs are neighbours if they are
/// `interleaved`, else they are half of the rotated features apart.
pub fn rotary(f: &mut Formula<'_>, x: ValueId, cos: ValueId, sin: ValueId, interleaved: bool) -> Made {
    let shape = f.shape(x);
    let (Some((features, lead)), Some(pairs)) = (shape.split_last(), f.shape(cos).pop()) else {
        return f.mismatch(NAME, format!("{} has no features to rotate", f.ty(x)));
    };
    let turned = &pairs * &2.into();
    let axis = lead.len();
    let rest = features.clone() - turned.clone();
    if rest.as_const().is_some_and(|n| n < 0) {
        return f.mismatch(NAME, format!("{pairs} angles are too many for {features} features"));
    }
    let part = |f: &mut Formula<'_>, start: Dim, length: &Dim, step: i64| {
        f.slice(x, vec![SliceAxis { axis, start, length: length.clone(), step }])
    };
    let (a, b) = if interleaved {
        (part(f, 0.into(), &pairs, 2)?, part(f, 1.into(), &pairs, 2)?)
    } else {
        (part(f, 0.into(), &pairs, 1)?, part(f, pairs.clone(), &pairs, 1)?)
    };
    let product = |f: &mut Formula<'_>, a, b| f.mul(a, b);
    let (real, other) = (product(f, cos, a)?, product(f, sin, b)?);
    let real = f.sub(real, other)?;
    let (imaginary, other) = (product(f, sin, a)?, product(f, cos, b)?);
    let imaginary = f.add(imaginary, other)?;
    let mut parts =
        if interleaved { vec![interleave(f, real, imaginary, &turned)?] } else { vec![real, imaginary] };
    if !rest.is(0) {
        parts.push(part(f, turned, &rest, 1)?);
    }
    if let [all] = parts[..] { Ok(all) } else { f.apply(Op::Concat(Concat { axis }), &parts) }
}

/// Elements of two tensors by turns along the last axis.
fn interleave(f: &mut Formula<'_>, a: ValueId, b: ValueId, both: &Dim) -> Result<ValueId, GraphError> {
    let mut shape = f.shape(a);
    let axis = shape.len();
    shape.push(1.into());
    let (a, b) = (f.reshape(a, shape.clone())?, f.reshape(b, shape.clone())?);
    let pairs = f.apply(Op::Concat(Concat { axis }), &[a, b])?;
    shape.truncate(axis - 1);
    shape.push(both.clone());
    f.reshape(pairs, shape)
}
