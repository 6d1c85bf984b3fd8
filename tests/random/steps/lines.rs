//! What combines whole lines: matrix products, reductions, softmax.

use kiln::graph::ops::{ArgKind, ArgReduce, ArgSort, GatherElements, MatMul, Reduce, ReduceKind, Softmax};
use kiln::graph::{DType, Op};

use super::{SIZES, float};
use crate::dice::Dice;
use crate::sketch::{At, Known, Sketch};

pub(super) fn matmul(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let a = float(sketch, dice, &[2, 3, 4, 5]);
    let a = sketch.squash(a, 8.0)?;
    let op = MatMul { transpose_a: dice.odds(30), transpose_b: dice.odds(40) };
    let (dims, sizes) = (sketch.values[a].dims.clone(), sketch.values[a].sizes.clone());
    let rank = sizes.len();
    let k = if op.transpose_a { rank - 2 } else { rank - 1 };
    let b = if dice.odds(35) {
        // Two values that are there, such as an attention's.
        let fits = |known: &Known| {
            let own = known.rank().checked_sub(if op.transpose_b { 1 } else { 2 });
            known.is_float()
                && known.rank() > 1
                && known.largest() < 8.0
                && own.is_some_and(|own| known.dims.get(own) == Some(&dims[k]))
        };
        sketch.pick(dice, fits)?
    } else {
        dims[k].as_const()?;
        let n = if dice.odds(20) { dice.of(&[33, 64, 70]) } else { dice.of(&SIZES) };
        // Batches of weights, or one for all.
        let batch: Vec<usize> = match dice.below(4) {
            0 | 1 => vec![],
            2 => (0..rank - 2).map(|i| if dims[i].as_const().is_some() { sizes[i] } else { 1 }).collect(),
            _ => (0..rank - 2)
                .map(|i| if dims[i].as_const().is_some() && dice.odds(50) { sizes[i] } else { 1 })
                .collect(),
        };
        let matrix = if op.transpose_b { [n, sizes[k]] } else { [sizes[k], n] };
        let scale = 1.5 / (sizes[k] as f64).sqrt();
        sketch.weights(dice, &[batch.as_slice(), &matrix].concat(), scale, 0.0)
    };
    sketch.apply(Op::MatMul(op), &[a, b])
}

pub(super) fn softmax(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[2, 1, 3, 4, 5]);
    let x = sketch.squash(x, 10.0)?;
    let axis = dice.below(sketch.values[x].rank());
    sketch.apply(Op::Softmax(Softmax { axis, log: dice.odds(40) }), &[x])
}

pub(super) fn reduce(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let kind = dice.of(&[
        ReduceKind::Mean,
        ReduceKind::Sum,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::MaxFirst,
        ReduceKind::MinFirst,
        ReduceKind::Sum,
        ReduceKind::Variance,
        ReduceKind::Prod,
    ]);
    let floats_only = matches!(kind, ReduceKind::Mean | ReduceKind::Variance) || dice.odds(80);
    let x = sketch.pick(dice, |known| {
        known.rank() > 0
            && (known.is_float() || !floats_only && matches!(known.dtype, DType::I32 | DType::I64))
    })?;
    let rank = sketch.values[x].rank();
    let axes: Vec<usize> = match dice.below(4) {
        0 => vec![dice.below(rank)],
        1 if rank > 2 => (2..rank).collect(),
        2 => (0..rank).collect(),
        _ => (0..rank).filter(|_| dice.odds(50)).collect(),
    };
    let x = match kind {
        ReduceKind::Sum if sketch.values[x].is_float() => sketch.squash(x, 3.0)?,
        _ => x,
    };
    sketch.apply(Op::Reduce(Reduce { kind, axes, keep_dims: dice.odds(50) }), &[x])
}

pub(super) fn arg_reduce(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0 && matches!(known.dtype, DType::F32 | DType::I32))?;
    let axis = dice.below(sketch.values[x].rank());
    let kind = dice.of(&[ArgKind::Max, ArgKind::Min]);
    let op = ArgReduce { kind, axis, keep_dims: dice.odds(50), select_last_index: dice.odds(30) };
    sketch.apply(Op::ArgReduce(op), &[x])
}

/// The order of the elements, or the elements in order.
pub(super) fn sort(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0 && matches!(known.dtype, DType::F32 | DType::I32))?;
    let axis = dice.below(sketch.values[x].rank());
    let order = sketch.apply(Op::ArgSort(ArgSort { axis, descending: dice.odds(50) }), &[x])?;
    if dice.odds(40) {
        return Some(order);
    }
    sketch.apply(Op::GatherElements(GatherElements { axis }), &[x, order])
}
