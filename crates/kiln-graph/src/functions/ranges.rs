//! Numbers in equal steps.

use crate::dim::Dim;
use crate::formula::{Formula, Made};
use crate::ops::{BinaryOp, Iota, Op};
use crate::tensor::DType;

/// `start, start + step, ...`: `count` numbers, as `arange` of NumPy and PyTorch.
pub fn arange(f: &mut Formula<'_>, dtype: DType, count: Dim, start: f64, step: f64) -> Made {
    let mut y = f.apply(Op::Iota(Iota { dtype, shape: vec![count], axis: 0 }), &[])?;
    if step != 1.0 {
        y = f.with(BinaryOp::Mul, y, step)?;
    }
    if start != 0.0 {
        y = f.with(BinaryOp::Add, y, start)?;
    }
    Ok(y)
}
