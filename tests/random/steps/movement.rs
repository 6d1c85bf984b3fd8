//! What moves elements without computing.

use kiln::graph::ops::{
    Concat, Expand, Gather, GatherElements, Pad, PadMode, Reshape, Scatter, ScatterReduction, Slice,
    SliceAxis, Transpose,
};
use kiln::graph::{DType, Data, Dim, Op, Tensor};

use super::{elements, fixed_axis, shape};
use crate::dice::Dice;
use crate::sketch::{At, Known, Sketch};

pub(super) fn transpose(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 1)?;
    let rank = sketch.values[x].rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    match dice.below(4) {
        0 => perm.swap(rank - 1, rank - 2),
        // Channels last, and back.
        1 => perm[1..].rotate_left(1),
        2 => perm[1..].rotate_right(1),
        _ => {
            for i in (1..rank).rev() {
                perm.swap(i, dice.below(i + 1));
            }
        }
    }
    sketch.apply(Op::Transpose(Transpose { perm }), &[x])
}

pub(super) fn reshape(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |_| true)?;
    let mut dims = sketch.values[x].dims.clone();
    let rank = dims.len();
    match dice.below(6) {
        // Two dimensions as one.
        0 if rank > 1 => {
            let axis = dice.below(rank - 1);
            let both = &dims[axis] * &dims[axis + 1];
            dims.splice(axis..axis + 2, [both]);
        }
        // All but the first as one.
        1 if rank > 1 => {
            let rest = elements(&dims[1..]);
            dims.splice(1.., [rest]);
        }
        // One as two.
        2 if rank > 0 && rank < 6 => {
            let axis = fixed_axis(sketch, dice, x)?;
            let size = dims[axis].as_usize()?;
            let factors: Vec<usize> = (1..=size).filter(|d| size.is_multiple_of(*d)).collect();
            let factor = dice.of(&factors);
            dims.splice(axis..=axis, [Dim::from(factor), Dim::from(size / factor)]);
        }
        3 if rank < 6 => dims.insert(dice.below(rank + 1), 1.into()),
        4 => dims.retain(|dim| !dim.is(1)),
        _ => dims = vec![elements(&dims)],
    }
    sketch.apply(Op::Reshape(Reshape { shape: dims }), &[x])
}

pub(super) fn expand(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() < 6 && known.len() < 1000)?;
    let mut shape = sketch.values[x].dims.clone();
    for dim in &mut shape {
        if dim.is(1) && dice.odds(60) {
            *dim = dice.of(&[2, 3, 5, 4]).into();
        }
    }
    if shape.len() < 5 && dice.odds(40) {
        shape.insert(0, dice.of(&[2, 1, 3]).into());
    }
    sketch.apply(Op::Expand(Expand { shape }), &[x])
}

pub(super) fn slice(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0)?;
    let dims = sketch.values[x].dims.clone();
    let one = dice.below(dims.len());
    let mut axes = vec![];
    for (axis, dim) in dims.iter().enumerate() {
        if axis != one && dice.odds(70) {
            continue;
        }
        axes.push(match dim.as_const() {
            Some(size) => {
                let step = dice.of(&[1, 1, 1, 2, -1, -2, 3]);
                let start = dice.between(0, size - 1);
                let most = if step > 0 { (size - 1 - start) / step } else { start / -step } + 1;
                let length = if dice.odds(60) { most } else { dice.between(1, most) };
                SliceAxis { axis, start: start.into(), length: length.into(), step }
            }
            None => {
                let last = dim.clone() - 1.into();
                match dice.below(3) {
                    0 => SliceAxis { axis, start: last, length: dim.clone(), step: -1 },
                    1 => SliceAxis { axis, start: last, length: 1.into(), step: 1 },
                    _ => SliceAxis { axis, start: 0.into(), length: 1.into(), step: 1 },
                }
            }
        });
    }
    sketch.apply(Op::Slice(Slice { axes }), &[x])
}

pub(super) fn concat(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0)?;
    let (dtype, dims) = (sketch.values[x].dtype, sketch.values[x].dims.clone());
    let axis = if dims.len() > 1 && dice.odds(60) { 1 } else { dice.below(dims.len()) };
    let mut parts = vec![x];
    for _ in 0..1 + dice.below(3) {
        let fits = |known: &Known| {
            known.dtype == dtype
                && known.rank() == dims.len()
                && (0..dims.len()).all(|i| i == axis || known.dims[i] == dims[i])
        };
        parts.push(sketch.pick(dice, fits)?);
    }
    if dice.odds(50) {
        parts.reverse();
    }
    sketch.apply(Op::Concat(Concat { axis }), &parts)
}

pub(super) fn pad(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0)?;
    let (dims, dtype) = (sketch.values[x].dims.clone(), sketch.values[x].dtype);
    let mode = match dice.below(6) {
        0 | 1 => PadMode::Constant(0.0),
        2 => PadMode::Constant(if dtype.is_float() { -1.5 } else { 1.0 }),
        3 => PadMode::Reflect,
        4 => PadMode::Edge,
        _ => PadMode::Wrap,
    };
    let mut pads = vec![[0, 0]; dims.len()];
    let first = if dims.len() > 2 && dice.odds(70) { 2 } else { 0 };
    for (axis, dim) in dims.iter().enumerate().skip(first) {
        let Some(size) = dim.as_const() else { continue };
        let most = match mode {
            PadMode::Constant(_) | PadMode::Edge => 3,
            PadMode::Reflect => (size - 1).min(3),
            PadMode::Wrap => size.min(3),
        };
        let least = if size > 3 && dice.odds(20) { -1 } else { 0 };
        pads[axis] = [dice.between(least, most), dice.between(least, most)];
    }
    sketch.apply(Op::Pad(Pad { pads, mode }), &[x])
}

/// Whole numbers that are positions among `size`, counted from either end.
fn positions(sketch: &mut Sketch, dice: &mut Dice<'_>, size: usize, sizes: &[usize]) -> At {
    let most = size as i64 - 1;
    let count: usize = sizes.iter().product();
    let numbers: Vec<i64> = if dice.odds(30) {
        // Neighbours in order.
        let first = dice.between(0, most);
        (0..count as i64).map(|i| (first + i) % (most + 1)).collect()
    } else {
        let noise = sketch.noise(count);
        noise.iter().map(|x| (x * size as f64).floor() as i64).map(|i| i.clamp(-most - 1, most)).collect()
    };
    let data = if dice.odds(30) {
        Data::I32(numbers.into_iter().map(|i| i as i32).collect())
    } else {
        Data::I64(numbers)
    };
    sketch.constant(Tensor::new(sizes, data).expect("as many as the shape says"))
}

pub(super) fn gather(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0)?;
    let axis = fixed_axis(sketch, dice, x)?;
    let size = sketch.values[x].sizes[axis];
    // What was computed may serve as a position, if it is one.
    let fits = |known: &Known| {
        matches!(known.dtype, DType::I32 | DType::I64)
            && known.rank() < 3
            && known.numbers().iter().all(|i| (-(size as f64)..size as f64).contains(i))
    };
    let found = if dice.odds(40) { sketch.pick(dice, fits) } else { None };
    let indices = match found {
        Some(found) => found,
        None => {
            let rank = dice.of(&[1, 0, 1, 2]);
            let sizes = shape(dice, rank, 40);
            positions(sketch, dice, size, &sizes)
        }
    };
    sketch.apply(Op::Gather(Gather { axis }), &[x, indices])
}

/// A value and positions along one of its axes, one for each element of a smaller shape.
fn scattered(
    sketch: &mut Sketch,
    dice: &mut Dice<'_>,
    fits: impl Fn(&Known) -> bool,
) -> Option<(At, At, usize)> {
    let x = sketch.pick(dice, |known| {
        known.rank() > 0 && known.dims.iter().all(|dim| dim.as_const().is_some()) && fits(known)
    })?;
    let own = sketch.values[x].sizes.clone();
    let axis = dice.below(own.len());
    let sizes: Vec<usize> = (0..own.len())
        .map(|i| if i == axis { dice.of(&[2, 1, 3, 5]) } else { own[i] - dice.below(own[i]) })
        .collect();
    let indices = positions(sketch, dice, own[axis], &sizes);
    Some((x, indices, axis))
}

pub(super) fn gather_elements(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let (x, indices, axis) = scattered(sketch, dice, |_| true)?;
    sketch.apply(Op::GatherElements(GatherElements { axis }), &[x, indices])
}

pub(super) fn scatter(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let (x, indices, axis) = scattered(sketch, dice, Known::is_float)?;
    let (sizes, dims) = (sketch.values[indices].sizes.clone(), sketch.values[indices].dims.clone());
    let found = sketch.pick(dice, |known| known.is_float() && known.dims == dims);
    let updates = match found {
        Some(found) => found,
        None => sketch.weights(dice, &sizes, 1.5, 0.0),
    };
    let reduction = dice.of(&ScatterReduction::ALL);
    sketch.apply(Op::Scatter(Scatter { axis, reduction }), &[x, indices, updates])
}
