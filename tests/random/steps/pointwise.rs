//! Elementwise functions.

use kiln::graph::ops::{BinaryOp, Cast, UnaryOp};
use kiln::graph::{DType, Op, Tensor};

use crate::dice::Dice;
use crate::sketch::{At, Sketch};

const UNARY: [UnaryOp; 30] = [
    UnaryOp::Relu,
    UnaryOp::Relu,
    UnaryOp::Relu,
    UnaryOp::Relu,
    UnaryOp::Relu,
    UnaryOp::Tanh,
    UnaryOp::Sigmoid,
    UnaryOp::Neg,
    UnaryOp::Abs,
    UnaryOp::Exp,
    UnaryOp::Sin,
    UnaryOp::Cos,
    UnaryOp::Sqrt,
    UnaryOp::Log,
    UnaryOp::Reciprocal,
    UnaryOp::Softplus,
    UnaryOp::Erf,
    UnaryOp::Floor,
    UnaryOp::Ceil,
    UnaryOp::Round,
    UnaryOp::Sign,
    UnaryOp::Tan,
    UnaryOp::Asin,
    UnaryOp::Acos,
    UnaryOp::Atan,
    UnaryOp::Sinh,
    UnaryOp::Cosh,
    UnaryOp::Asinh,
    UnaryOp::Acosh,
    UnaryOp::Atanh,
];

pub(super) fn unary(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let op = dice.of(&UNARY);
    let x = sketch.pick(dice, |known| known.is_float())?;
    let x = match op {
        UnaryOp::Exp | UnaryOp::Sinh | UnaryOp::Cosh => sketch.squash(x, 3.0)?,
        UnaryOp::Tan => sketch.squash(x, 1.2)?,
        UnaryOp::Sqrt | UnaryOp::Log | UnaryOp::Reciprocal => positive(sketch, x, 0.5)?,
        UnaryOp::Acosh => positive(sketch, x, 1.5)?,
        UnaryOp::Asin | UnaryOp::Acos | UnaryOp::Atanh => {
            let x = sketch.apply(Op::Unary(UnaryOp::Tanh), &[x])?;
            let most = sketch.constant(Tensor::scalar(0.75f32));
            sketch.apply(Op::Binary(BinaryOp::Mul), &[x, most])?
        }
        _ => x,
    };
    sketch.apply(Op::Unary(op), &[x])
}

/// At least `least`.
fn positive(sketch: &mut Sketch, x: At, least: f64) -> Option<At> {
    if sketch.values[x].numbers().iter().all(|x| *x >= least) {
        return Some(x);
    }
    let x = sketch.squash(x, 5.0)?;
    let square = sketch.apply(Op::Binary(BinaryOp::Mul), &[x, x])?;
    let least = sketch.constant(Tensor::scalar(least as f32));
    sketch.apply(Op::Binary(BinaryOp::Add), &[square, least])
}

const BINARY: [BinaryOp; 12] = [
    BinaryOp::Add,
    BinaryOp::Mul,
    BinaryOp::Sub,
    BinaryOp::Add,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Max,
    BinaryOp::Min,
    BinaryOp::Sub,
    BinaryOp::Pow,
    BinaryOp::Mod,
    BinaryOp::Rem,
];

pub(super) fn binary(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let op = dice.of(&BINARY);
    let a = sketch.pick(dice, |known| known.is_float())?;
    let b = beside(sketch, dice, a)?;
    let (a, b) = match op {
        BinaryOp::Div | BinaryOp::Mod | BinaryOp::Rem => (a, positive(sketch, b, 0.5)?),
        BinaryOp::Pow => (positive(sketch, a, 0.5)?, sketch.squash(b, 3.0)?),
        BinaryOp::Mul if sketch.values[a].largest() * sketch.values[b].largest() > 40.0 => {
            (sketch.squash(a, 5.0)?, sketch.squash(b, 5.0)?)
        }
        _ => (a, b),
    };
    // What has to be positive stays where it is.
    let fixed = matches!(op, BinaryOp::Div | BinaryOp::Mod | BinaryOp::Rem | BinaryOp::Pow);
    let operands = if !fixed && dice.odds(25) { [b, a] } else { [a, b] };
    sketch.apply(Op::Binary(op), &operands)
}

/// A second operand: a number, an array that is stretched to the shape of `a`, or a value that is there.
fn beside(sketch: &mut Sketch, dice: &mut Dice<'_>, a: At) -> Option<At> {
    let dims = sketch.values[a].dims.clone();
    let sizes = sketch.values[a].sizes.clone();
    match dice.below(8) {
        // The same shape, often the same value.
        0 | 1 => sketch.pick(dice, |known| known.is_float() && known.dims == dims),
        // One for each channel.
        2 | 3 if sizes.len() > 1 && dims[1].as_const().is_some() => {
            let shape: Vec<usize> =
                (1..sizes.len()).map(|axis| if axis == 1 { sizes[1] } else { 1 }).collect();
            Some(sketch.weights(dice, &shape, 1.5, 0.2))
        }
        // Any value whose dimensions are the same or one.
        4 | 5 => {
            let fits = |known: &crate::sketch::Known| {
                let both = known.dims.iter().rev().zip(dims.iter().rev());
                known.is_float() && both.into_iter().all(|(x, y)| x == y || x.is(1) || y.is(1))
            };
            sketch.pick(dice, fits)
        }
        // Some dimensions of it.
        6 => {
            let from = dice.below(sizes.len() + 1);
            let shape: Vec<usize> = (from..sizes.len())
                .map(|axis| if dims[axis].as_const().is_none() || dice.odds(50) { 1 } else { sizes[axis] })
                .collect();
            Some(sketch.weights(dice, &shape, 2.0, 0.0))
        }
        _ => {
            let number = dice.of(&[1.0f32, 0.5, 0.0, -1.0, 2.0, 0.25, -0.0, 3.0]);
            Some(sketch.constant(Tensor::scalar(number)))
        }
    }
}

const COMPARISONS: [BinaryOp; 5] =
    [BinaryOp::Greater, BinaryOp::Less, BinaryOp::GreaterOrEqual, BinaryOp::LessOrEqual, BinaryOp::Equal];

/// A comparison, or the truth that is there.
fn condition(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    if dice.odds(30)
        && let Some(found) = sketch.pick(dice, |known| known.dtype == DType::Bool)
    {
        return Some(found);
    }
    let op = dice.of(&COMPARISONS);
    let a = sketch.pick(dice, |known| known.is_float())?;
    let b = beside(sketch, dice, a)?;
    sketch.apply(Op::Binary(op), &[a, b])
}

pub(super) fn select(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let condition = condition(sketch, dice)?;
    let dims = sketch.values[condition].dims.clone();
    let fits = |known: &crate::sketch::Known| {
        let both = known.dims.iter().rev().zip(dims.iter().rev());
        known.is_float() && both.into_iter().all(|(x, y)| x == y || x.is(1) || y.is(1))
    };
    let a = sketch.pick(dice, fits)?;
    let b = beside(sketch, dice, a)?;
    sketch.apply(Op::Select, &[condition, a, b])
}

pub(super) fn cast(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |_| true)?;
    let from = sketch.values[x].dtype;
    let to = match from {
        DType::F32 => dice.of(&[DType::I32, DType::Bool, DType::F32, DType::F16]),
        DType::I32 => {
            dice.of(&[DType::F32, DType::I64, DType::Bool, DType::U8, DType::I8, DType::I16, DType::U16])
        }
        DType::I64 => dice.of(&[DType::I32, DType::F32, DType::Bool]),
        DType::Bool => dice.of(&[DType::F32, DType::I32, DType::I64]),
        DType::U8 | DType::I8 | DType::U16 | DType::I16 => dice.of(&[DType::I32, DType::F32]),
        _ => DType::F32,
    };
    let y = sketch.apply(Op::Cast(Cast { to }), &[x])?;
    // Little can be done with 16 bits but to go back.
    if to == DType::F16 { sketch.apply(Op::Cast(Cast { to: DType::F32 }), &[y]) } else { Some(y) }
}

const DOUBLE: [BinaryOp; 6] =
    [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Sub, BinaryOp::Div, BinaryOp::Max, BinaryOp::Min];

/// 64-bit floats, of which devices know arithmetic.
pub(super) fn double(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    if !sketch.wide {
        return None;
    }
    let a = match sketch.pick(dice, |known| known.dtype == DType::F64) {
        Some(found) => found,
        None => {
            let x = sketch.pick(dice, |known| known.is_float())?;
            sketch.apply(Op::Cast(Cast { to: DType::F64 }), &[x])?
        }
    };
    if dice.odds(40) {
        let op = dice.of(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Ceil, UnaryOp::Floor, UnaryOp::Sign]);
        return sketch.apply(Op::Unary(op), &[a]);
    }
    let op = dice.of(&DOUBLE);
    let dims = sketch.values[a].dims.clone();
    let found = if dice.odds(60) && op != BinaryOp::Div {
        sketch.pick(dice, |known| known.dtype == DType::F64 && known.dims == dims)
    } else {
        None
    };
    let b = match found {
        Some(found) => found,
        None => sketch.constant(Tensor::number(dice.of(&[0.5, 1.0, -2.0, 0.1]), DType::F64)),
    };
    let y = sketch.apply(Op::Binary(op), &[a, b])?;
    if dice.odds(50) { sketch.apply(Op::Cast(Cast { to: DType::F32 }), &[y]) } else { Some(y) }
}

/// A sum of many values, more than a kernel may read.
pub(super) fn many(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.is_float() && known.rank() > 0)?;
    let dims = sketch.values[x].dims.clone();
    let mut sum = sketch.squash(x, 4.0)?;
    for _ in 0..3 + dice.below(8) {
        let found =
            sketch.pick(dice, |known| known.is_float() && known.dims == dims && known.largest() < 4.0)?;
        let shape: Vec<usize> = sketch.values[sum].sizes.iter().skip(1).copied().collect();
        let other = if dice.odds(50) { sketch.weights(dice, &shape, 1.0, 0.0) } else { found };
        sum = sketch.apply(Op::Binary(BinaryOp::Add), &[sum, other])?;
    }
    Some(sum)
}
