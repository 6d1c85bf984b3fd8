//! Matrix products.

use crate::dim::Dim;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::MatMul;

/// As `numpy.matmul`: a vector is a row on the left and a column on the right, and so is not a dimension of the result.
pub fn matmul(f: &mut Formula<'_>, a: ValueId, b: ValueId) -> Made {
    let (row, column) = (f.ty(a).rank() == 1, f.ty(b).rank() == 1);
    let (mut a_shape, mut b_shape) = (f.shape(a), f.shape(b));
    if row {
        a_shape.insert(0, Dim::from(1));
    }
    if column {
        b_shape.push(Dim::from(1));
    }
    let (a, b) = (f.reshape(a, a_shape)?, f.reshape(b, b_shape)?);
    let y = f.matmul(MatMul { transpose_a: false, transpose_b: false }, a, b)?;
    let mut shape = f.shape(y);
    if column {
        shape.pop();
    }
    if row {
        shape.remove(shape.len() - if column { 1 } else { 2 });
    }
    f.reshape(y, shape)
}
