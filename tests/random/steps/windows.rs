//! What belongs to images: convolution, pooling, resizing, batch normalization.

use kiln::graph::ops::{
    BatchNorm, Conv, CoordinateMode, Dropout, NearestMode, Pool, PoolKind, Resize, ResizeMode,
};
use kiln::graph::{Dim, Op};

use super::{SIZES, float};
use crate::dice::Dice;
use crate::sketch::{At, Sketch};

pub(super) fn conv(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[4, 3, 4, 5]);
    let x = sketch.squash(x, 8.0)?;
    let sizes = sketch.values[x].sizes.clone();
    let channels = sketch.values[x].dims[1].as_usize()?;
    let spatial = sizes.len() - 2;
    let divisors: Vec<usize> = (2..=channels).filter(|d| channels.is_multiple_of(*d)).collect();
    let groups = match dice.below(4) {
        2 => channels,
        3 if !divisors.is_empty() => dice.of(&divisors),
        _ => 1,
    };
    let out = groups * dice.of(&[1, 2, 3, 4]);
    let out = if groups == 1 && dice.odds(70) { dice.of(&[4, 8, 3, 16, 17, 33, 7, 64]) } else { out };
    let mut op = Conv { groups, ..Conv::new(spatial) };
    let mut kernel = vec![1; spatial];
    for (axis, kernel) in kernel.iter_mut().enumerate() {
        *kernel = dice.of(&[1, 3, 2, 3, 5]);
        op.dilations[axis] = dice.of(&[1, 1, 1, 2, 3]);
        op.input_dilations[axis] = dice.of(&[1, 1, 1, 1, 1, 2, 3]);
        op.strides[axis] = dice.of(&[1, 1, 2, 3]);
        let same = (op.dilations[axis] * (*kernel - 1) / 2) as i64;
        op.pads[axis] = match dice.below(4) {
            0 => [same, same],
            1 => [0, 0],
            2 => [dice.between(0, 3), dice.between(0, 3)],
            _ => [dice.between(-1, 2), dice.between(-1, 2)],
        };
    }
    let taps = channels / groups * kernel.iter().product::<usize>();
    let shape = [&[out, channels / groups], kernel.as_slice()].concat();
    let weight = sketch.weights(dice, &shape, 1.5 / (taps as f64).sqrt(), 0.0);
    sketch.apply(Op::Conv(op), &[x, weight])
}

pub(super) fn pool(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[4, 3, 5]);
    let spatial = sketch.values[x].rank() - 2;
    let kind = match dice.below(4) {
        0 | 1 => PoolKind::Max,
        2 => PoolKind::Average { count_include_pad: true },
        _ => PoolKind::Average { count_include_pad: false },
    };
    let mut op = Pool::new(kind, vec![1; spatial]);
    op.ceil_mode = dice.odds(25);
    for axis in 0..spatial {
        op.kernel[axis] = dice.of(&[2, 3, 1, 4]);
        op.strides[axis] = dice.of(&[2, 1, 3]);
        op.dilations[axis] = dice.of(&[1, 1, 1, 2]);
        let most = (op.kernel[axis] / 2) as i64;
        op.pads[axis] = [dice.between(0, most), dice.between(0, most)];
    }
    sketch.apply(Op::Pool(op), &[x])
}

const NEAREST: [NearestMode; 4] =
    [NearestMode::Floor, NearestMode::RoundPreferFloor, NearestMode::RoundPreferCeil, NearestMode::Ceil];

const COORDINATES: [CoordinateMode; 6] = [
    CoordinateMode::HalfPixel,
    CoordinateMode::Asymmetric,
    CoordinateMode::AlignCorners,
    CoordinateMode::PytorchHalfPixel,
    CoordinateMode::PytorchNearest,
    CoordinateMode::PytorchNearestExact,
];

pub(super) fn resize(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[4, 3, 5]);
    let known = &sketch.values[x];
    let (mut shape, sizes) = (known.dims.clone(), known.sizes.clone());
    for (axis, dim) in shape.iter_mut().enumerate().skip(2) {
        if dim.as_const().is_some() {
            *dim = match dice.below(4) {
                0 => Dim::from(2 * sizes[axis]),
                1 => Dim::from(dice.of(&SIZES)),
                2 => Dim::from(3 * sizes[axis]),
                _ => dim.clone(),
            };
        }
    }
    // The factors are given, or follow from the sizes.
    let mut scales = None;
    if dice.odds(25) {
        let factor = dice.of(&[2.0, 1.5, 0.5, 0.7, 3.0]);
        let mut factors = vec![1.0; sizes.len()];
        for axis in 2..sizes.len() {
            if shape[axis].as_const().is_some() {
                shape[axis] = Dim::from((sizes[axis] as f64 * factor).floor() as usize);
                factors[axis] = factor;
            }
        }
        scales = Some(factors);
    }
    let coordinates = dice.of(&COORDINATES);
    let mode = match coordinates {
        // What PyTorch's coordinates come with.
        CoordinateMode::PytorchNearest | CoordinateMode::PytorchNearestExact => {
            ResizeMode::Nearest(NearestMode::Floor)
        }
        CoordinateMode::HalfPixel
        | CoordinateMode::PytorchHalfPixel
        | CoordinateMode::AlignCorners
        | CoordinateMode::Asymmetric => {
            if dice.odds(50) {
                ResizeMode::Linear
            } else {
                ResizeMode::Nearest(dice.of(&NEAREST))
            }
        }
    };
    sketch.apply(Op::Resize(Resize { shape, scales, mode, coordinates }), &[x])
}

pub(super) fn batch_norm(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[4, 2, 3, 5]);
    let channels = sketch.values[x].dims[1].as_usize()?;
    let scale = sketch.weights(dice, &[channels], 1.0, 0.5);
    let bias = sketch.weights(dice, &[channels], 1.0, 0.0);
    let mean = sketch.weights(dice, &[channels], 0.5, 0.0);
    let var = sketch.weights(dice, &[channels], 0.4, 1.0);
    let op = BatchNorm { epsilon: 1e-5, momentum: 0.9, training: false, frozen: false, unbiased: true };
    sketch.apply(Op::BatchNorm(op), &[x, scale, bias, mean, var])
}

/// Nothing, when nothing is trained.
pub(super) fn dropout(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = float(sketch, dice, &[2, 3, 4]);
    sketch.apply(Op::Dropout(Dropout { ratio: 0.5, leading: dice.odds(50).then_some(2) }), &[x])
}
