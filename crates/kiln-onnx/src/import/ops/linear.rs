//! Matrix products.

use kiln_graph::ops::{BinaryOp, MatMul};
use kiln_graph::{Dim, Op};

use super::super::cx::{Cx, Outputs};

/// As `numpy.matmul`: a vector is a row on the left and a column on the right.
pub(crate) fn mat_mul(cx: &mut Cx<'_>) -> Outputs {
    let (mut a, mut b) = (cx.input(0)?, cx.input(1)?);
    let (row, column) = (cx.rank(a) == 1, cx.rank(b) == 1);
    if row {
        let shape = [Dim::from(1), cx.dim(a, 0)?];
        a = cx.reshape(a, shape)?;
    }
    if column {
        let shape = [cx.dim(b, 0)?, Dim::from(1)];
        b = cx.reshape(b, shape)?;
    }
    let y = cx.op(Op::MatMul(MatMul { transpose_a: false, transpose_b: false }), &[a, b])?;
    let mut shape = cx.shape(y);
    if column {
        shape.pop();
    }
    if row {
        shape.remove(shape.len() - if column { 1 } else { 2 });
    }
    Ok(vec![cx.reshape(y, shape)?])
}

/// `alpha * A * B + beta * C`
pub(crate) fn gemm(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
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
