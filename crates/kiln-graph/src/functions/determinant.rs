//! The determinant of small matrices, by elimination.

use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{ArgKind, ArgReduce, BinaryOp, GatherElements, Op, SliceAxis, UnaryOp};
use crate::tensor::{DType, Tensor};

use super::masks::counted;

const NAME: &str = "determinant";

/// Elimination is unrolled, with some ten nodes for each row.
const LARGEST: usize = 64;

/// `x [..., n, n]` gives `[...]`: the product of the pivots of Gaussian elimination, each the largest element left in
/// its column, with the sign of the exchanges of rows (Golub and Van Loan, "Matrix Computations", 3.4).
pub fn determinant(f: &mut Formula<'_>, x: ValueId) -> Made {
    let shape = f.shape(x);
    let (lead, size) = match &shape[..] {
        [lead @ .., rows, columns] if rows == columns => (lead, rows),
        _ => return f.mismatch(NAME, format!("its input is {}, but should be [..., n, n]", f.ty(x))),
    };
    let Some(size) = size.as_usize().filter(|size| *size <= LARGEST) else {
        let message = format!("the determinant of {}; up to {LARGEST} rows are supported", f.ty(x));
        return Err(GraphError::Unsuitable(message));
    };
    let rank = shape.len();
    let (row, column) = (rank - 2, rank - 1);
    let dtype = f.ty(x).dtype;
    let mut product = f.constant(Tensor::number(1.0, dtype));
    let mut rest = x;
    let part = |axis: usize, start: usize, length: usize| SliceAxis {
        axis,
        start: start.into(),
        length: length.into(),
        step: 1,
    };
    for left in (1..=size).rev() {
        let first = f.slice(rest, vec![part(column, 0, 1)])?;
        if left == 1 {
            product = f.mul(first, product)?;
            break;
        }
        let magnitude = f.unary(UnaryOp::Abs, first)?;
        let largest = ArgReduce { kind: ArgKind::Max, axis: row, keep_dims: true, select_last_index: false };
        let chosen = f.apply(Op::ArgReduce(largest), &[magnitude])?;
        let mut line = lead.to_vec();
        line.extend([1.into(), left.into()]);
        let index = f.expand(chosen, line)?;
        let pivots = f.apply(Op::GatherElements(GatherElements { axis: row }), &[rest, index])?;
        // The first row goes where the chosen one was.
        let top = f.slice(rest, vec![part(row, 0, 1)])?;
        let below = f.slice(rest, vec![part(row, 1, left - 1)])?;
        let place = counted(f, DType::I64, left.into(), row, rank)?;
        let place = f.slice(place, vec![part(row, 1, left - 1)])?;
        let exchanged = f.binary(BinaryOp::Equal, place, chosen)?;
        let below = f.select(exchanged, top, below)?;
        let pivot = f.slice(pivots, vec![part(column, 0, 1)])?;
        let stays = f.with(BinaryOp::Equal, chosen, 0.0)?;
        let minus = f.neg(pivot)?;
        let signed = f.select(stays, pivot, minus)?;
        product = f.mul(signed, product)?;
        // Where the largest is zero, all of the column is, and nothing has to be eliminated.
        let none = f.with(BinaryOp::Equal, pivot, 0.0)?;
        let one = f.number_like(1.0, pivot);
        let divisor = f.select(none, one, pivot)?;
        let factors = f.slice(below, vec![part(column, 0, 1)])?;
        let factors = f.div(factors, divisor)?;
        let pivots = f.slice(pivots, vec![part(column, 1, left - 1)])?;
        let below = f.slice(below, vec![part(column, 1, left - 1)])?;
        let taken = f.mul(factors, pivots)?;
        rest = f.sub(below, taken)?;
    }
    if size == 0 {
        return f.expand(product, lead.to_vec());
    }
    f.reshape(product, lead.to_vec())
}
