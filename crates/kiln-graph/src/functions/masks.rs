//! Masks that depend on an element's position: triangles, diagonals, one-hot vectors, reversed sequences.
//!
//! All of them compare counted places with numbers, so that sizes may be symbols and a mask costs no memory: it is
//! computed where it is used.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, GatherElements, Iota, Op};
use crate::tensor::{DType, Tensor};

/// Which part of a matrix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Triangle {
    /// On and below the diagonal.
    Lower,
    /// On and above the diagonal.
    Upper,
}

/// `0, 1, ...` along `axis` of a shape of ones of `rank` dimensions.
pub fn counted(f: &mut Formula<'_>, dtype: DType, size: Dim, axis: usize, rank: usize) -> Made {
    let mut shape = vec![Dim::from(1); rank];
    let Some(place) = shape.get_mut(axis) else {
        return f.mismatch("iota", format!("axis {axis} is out of range for {rank} dimensions"));
    };
    *place = size;
    f.apply(Op::Iota(Iota { dtype, shape, axis }), &[])
}

/// `column - row` of each element of a matrix, as int64: 0 on the diagonal, positive above it.
fn offset(f: &mut Formula<'_>, rows: Dim, columns: Dim) -> Made {
    let row = counted(f, DType::I64, rows, 0, 2)?;
    let column = counted(f, DType::I64, columns, 1, 2)?;
    f.sub(column, row)
}

/// The last two dimensions.
fn matrix(f: &Formula<'_>, op: &'static str, x: ValueId) -> Result<(Dim, Dim), GraphError> {
    match &f.ty(x).shape[..] {
        [.., rows, columns] => Ok((rows.clone(), columns.clone())),
        _ => f.mismatch(op, format!("its input is {}, but should be [..., rows, columns]", f.ty(x))),
    }
}

/// The part of the matrices `x [..., rows, columns]` on one side of a diagonal, zero elsewhere. `k` is an int64 number:
/// the offset of the diagonal above the main one.
pub fn triangle(f: &mut Formula<'_>, x: ValueId, k: ValueId, part: Triangle) -> Made {
    let (rows, columns) = matrix(f, "triangle", x)?;
    let offset = offset(f, rows, columns)?;
    let kept = match part {
        Triangle::Lower => f.binary(BinaryOp::LessOrEqual, offset, k)?,
        Triangle::Upper => f.binary(BinaryOp::GreaterOrEqual, offset, k)?,
    };
    let zero = f.number_like(0.0, x);
    f.select(kept, x, zero)
}

/// The matrix of `rows` and `columns` with ones on the diagonal `k` above the main one.
pub fn eye(f: &mut Formula<'_>, dtype: DType, rows: Dim, columns: Dim, k: i64) -> Made {
    let offset = offset(f, rows, columns)?;
    let k = f.constant(Tensor::ints([k]));
    let on = f.binary(BinaryOp::Equal, offset, k)?;
    f.cast(on, dtype)
}

/// For each index a line along the new dimension `axis` with `on` at its place and `off` elsewhere; negative indices
/// count from the end, and those out of range have no place. `indices` are i32 or i64, `on` and `off` numbers.
pub fn one_hot(
    f: &mut Formula<'_>,
    indices: ValueId,
    depth: i64,
    axis: usize,
    on: ValueId,
    off: ValueId,
) -> Made {
    let (mut shape, dtype) = (f.shape(indices), f.ty(indices).dtype);
    if axis > shape.len() {
        return f.mismatch("one_hot", format!("axis {axis} is out of range for {}", f.ty(indices)));
    }
    shape.insert(axis, 1.into());
    let rank = shape.len();
    let indices = f.reshape(indices, shape)?;
    // Places are computed with, not indices, which may be any number.
    let place = counted(f, dtype, depth.into(), axis, rank)?;
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    let from_end = f.with(BinaryOp::Sub, place, depth as f64)?;
    let counted = f.binary(BinaryOp::Equal, indices, place)?;
    let counted_back = f.binary(BinaryOp::Equal, indices, from_end)?;
    let hit = f.binary(BinaryOp::Or, counted, counted_back)?;
    f.select(hit, on, off)
}

/// `x` with the first `lengths[i]` elements along `time` in the opposite order, for each place `i` along `batch`; the
/// others stay. `lengths` has one integer for each place along `batch`.
pub fn reverse_sequence(
    f: &mut Formula<'_>,
    x: ValueId,
    lengths: ValueId,
    time: usize,
    batch: usize,
) -> Made {
    let shape = f.shape(x);
    let rank = shape.len();
    if time >= rank || batch >= rank || time == batch {
        return f.mismatch(
            "reverse_sequence",
            format!("axes {time} and {batch} of {} are not two different axes", f.ty(x)),
        );
    }
    if f.shape(lengths) != [shape[batch].clone()] {
        let message = format!("{} should have one length for each of {}", f.ty(lengths), shape[batch]);
        return f.mismatch("reverse_sequence", message);
    }
    let lengths = f.cast(lengths, DType::I32)?;
    let mut line = vec![Dim::from(1); rank];
    line[batch] = shape[batch].clone();
    let lengths = f.reshape(lengths, line)?;
    let place = counted(f, DType::I32, shape[time].clone(), time, rank)?;
    let last = f.with(BinaryOp::Sub, lengths, 1.0)?;
    let opposite = f.sub(last, place)?;
    let inside = f.binary(BinaryOp::Less, place, lengths)?;
    let from = f.select(inside, opposite, place)?;
    let from = f.expand(from, shape)?;
    f.apply(Op::GatherElements(GatherElements { axis: time }), &[x, from])
}
