//! Operators on the bits of numbers.

use kiln_graph::DType;
use kiln_graph::ops::{BinaryOp, UnaryOp};

use super::super::cx::{Cx, OpError, Outputs, invalid, unsupported};
use crate::tensor::dtype_of;

fn bitwise(cx: &mut Cx<'_>, op: BinaryOp) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    Ok(vec![cx.binary(op, a, b)?])
}

pub(crate) fn bitwise_and(cx: &mut Cx<'_>) -> Outputs {
    bitwise(cx, BinaryOp::BitAnd)
}

pub(crate) fn bitwise_or(cx: &mut Cx<'_>) -> Outputs {
    bitwise(cx, BinaryOp::BitOr)
}

pub(crate) fn bitwise_xor(cx: &mut Cx<'_>) -> Outputs {
    bitwise(cx, BinaryOp::BitXor)
}

pub(crate) fn bitwise_not(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![cx.unary(UnaryOp::BitNot, x)?])
}

pub(crate) fn bit_shift(cx: &mut Cx<'_>) -> Outputs {
    match cx.attributes.string_or("direction", "")? {
        "LEFT" => bitwise(cx, BinaryOp::ShiftLeft),
        "RIGHT" => bitwise(cx, BinaryOp::ShiftRight),
        other => invalid(format!("`direction` is \"{other}\", but should be \"LEFT\" or \"RIGHT\"")),
    }
}

/// The same bits as a number of another type.
pub(crate) fn bit_cast(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let to = cx.attributes.int("to")?.ok_or_else(|| OpError::Invalid("attribute `to` is missing".into()))?;
    let to = i32::try_from(to).map_err(|_| OpError::Invalid(format!("{to} is not an element type")))?;
    let to =
        dtype_of(to).map_err(|found| OpError::Unsupported(format!("bits as {found} are not supported")))?;
    let from = cx.dtype(x);
    match (from, to) {
        _ if from == to => Ok(vec![x]),
        (DType::F32, DType::I32) => Ok(vec![cx.unary(UnaryOp::ToBits, x)?]),
        (DType::I32, DType::F32) => Ok(vec![cx.unary(UnaryOp::FromBits, x)?]),
        // True is the byte 1. Numbers that are cast to the other sign of their size keep their bits.
        (DType::Bool | DType::U8 | DType::I8, DType::U8 | DType::I8)
        | (DType::U16 | DType::I16, DType::U16 | DType::I16)
        | (DType::U32 | DType::I32, DType::U32 | DType::I32) => Ok(vec![cx.cast(x, to)?]),
        _ if from.size() != to.size() => invalid(format!("{from} and {to} differ in size")),
        _ => unsupported(format!("the bits of {from} as {to} are not supported")),
    }
}
