//! Matrix products, and other operators on matrices.

use kiln_graph::Op;
use kiln_graph::functions::{determinant, einsum, linear};
use kiln_graph::ops::{BinaryOp, MatMul};

use super::super::cx::{Cx, OpError, Outputs};

pub(crate) fn mat_mul(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    Ok(vec![linear::matmul(&mut cx.formula(), a, b)?])
}

/// `alpha * A * B + beta * C`
pub(crate) fn gemm(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    // Up to version 6, broadcasting of C had to be requested.
    cx.attributes.ignore("broadcast");
    let transpose_a = cx.attributes.flag("transA", false)?;
    let transpose_b = cx.attributes.flag("transB", false)?;
    let alpha = cx.attributes.float_or("alpha", 1.0)?;
    let beta = cx.attributes.float_or("beta", 1.0)?;
    let mut y = cx.op(Op::MatMul(MatMul { transpose_a, transpose_b }), &[a, b])?;
    if alpha != 1.0 {
        y = cx.with(BinaryOp::Mul, y, alpha.into())?;
    }
    if let Some(mut c) = cx.optional(2) {
        if beta != 1.0 {
            c = cx.with(BinaryOp::Mul, c, beta.into())?;
        }
        y = cx.add(y, c)?;
    }
    Ok(vec![y])
}

pub(crate) fn einsum(cx: &mut Cx<'_>) -> Outputs {
    let operands = cx.all_inputs()?;
    let equation = cx.attributes.string("equation")?;
    let equation = equation.ok_or_else(|| OpError::Invalid("attribute `equation` is missing".into()))?;
    Ok(vec![einsum::einsum(&mut cx.formula(), equation, &operands)?])
}

pub(crate) fn det(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![determinant::determinant(&mut cx.formula(), x)?])
}
