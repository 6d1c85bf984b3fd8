//! Integers and truth values.

use kiln::graph::ops::{BinaryOp, Iota, ShapeOf, Size, UnaryOp};
use kiln::graph::{DType, Dim, Op, Tensor};

use super::{SIZES, input};
use crate::dice::Dice;
use crate::sketch::{At, Sketch};

const BINARY: [BinaryOp; 18] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Min,
    BinaryOp::Max,
    BinaryOp::Less,
    BinaryOp::Equal,
    BinaryOp::Greater,
    BinaryOp::LessOrEqual,
    BinaryOp::GreaterOrEqual,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Rem,
    BinaryOp::BitAnd,
    BinaryOp::BitOr,
    BinaryOp::BitXor,
    BinaryOp::ShiftLeft,
    BinaryOp::ShiftRight,
];

pub(super) fn binary(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let is_integer = |dtype: DType| !dtype.is_float() && dtype != DType::Bool;
    let a = match sketch.pick(dice, |known| is_integer(known.dtype)) {
        Some(found) => found,
        None => {
            let rank = dice.below(4);
            input(sketch, dice, DType::I32, rank, 0)
        }
    };
    if dice.odds(20) {
        let op = dice.of(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Sign, UnaryOp::Relu, UnaryOp::BitNot]);
        return sketch.apply(Op::Unary(op), &[a]);
    }
    let op = dice.of(&BINARY);
    let (dtype, dims) = (sketch.values[a].dtype, sketch.values[a].dims.clone());
    let never_zero = matches!(op, BinaryOp::Div | BinaryOp::Mod | BinaryOp::Rem);
    let b = if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight) {
        sketch.constant(Tensor::number(dice.of(&[1.0, 0.0, 3.0, 7.0]), dtype))
    } else if never_zero || dice.odds(50) {
        let number = dice.of(&[2.0, 3.0, 1.0, -1.0, -2.0, 7.0, -5.0]);
        sketch.constant(Tensor::number(number, dtype))
    } else {
        sketch.pick(dice, |known| known.dtype == dtype && known.dims == dims)?
    };
    sketch.apply(Op::Binary(op), &[a, b])
}

pub(super) fn logic(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let a = match sketch.pick(dice, |known| known.dtype == DType::Bool) {
        Some(found) => found,
        None => {
            let rank = dice.below(4);
            input(sketch, dice, DType::Bool, rank, 0)
        }
    };
    if dice.odds(25) {
        return sketch.apply(Op::Unary(UnaryOp::Not), &[a]);
    }
    let op = dice.of(&[BinaryOp::And, BinaryOp::Or, BinaryOp::Xor, BinaryOp::Equal]);
    let dims = sketch.values[a].dims.clone();
    let b = sketch.pick(dice, |known| {
        let both = known.dims.iter().rev().zip(dims.iter().rev());
        known.dtype == DType::Bool && both.into_iter().all(|(x, y)| x == y || x.is(1) || y.is(1))
    })?;
    sketch.apply(Op::Binary(op), &[a, b])
}

/// Sizes and positions.
pub(super) fn counted(sketch: &mut Sketch, dice: &mut Dice<'_>) -> Option<At> {
    let x = sketch.pick(dice, |known| known.rank() > 0)?;
    let dims = sketch.values[x].dims.clone();
    match dice.below(4) {
        0 => {
            let start = dice.below(dims.len());
            let end = start + 1 + dice.below(dims.len() - start);
            sketch.apply(Op::ShapeOf(ShapeOf { start, end }), &[x])
        }
        1 => sketch.apply(Op::Size(Size { dim: dims[dice.below(dims.len())].clone() }), &[]),
        2 => {
            // Beside a value: what it is compared with or indexed by.
            let dtype = dice.of(&[DType::I32, DType::I64, DType::F32]);
            let axis = dice.below(dims.len());
            sketch.apply(Op::Iota(Iota { dtype, shape: dims, axis }), &[])
        }
        _ => {
            let dtype = dice.of(&[DType::I64, DType::I32, DType::F32]);
            let shape = vec![Dim::from(dice.of(&SIZES))];
            sketch.apply(Op::Iota(Iota { dtype, shape, axis: 0 }), &[])
        }
    }
}
