//! Arithmetic on float constants, in `f64`, for passes that fold one constant into another.

use half::f16;
use kiln_graph::{DType, Data, Tensor};

/// What added to numbers of 8 bits with a sign gives all elements, if these are whole and so near to each other and to zero,
/// with which weights are padded: 0 wherever it can be. Weights that are such numbers stay so: they are stored in as many
/// bits, so nothing is multiplied into them.
pub(crate) fn bytes_from(tensor: &Tensor) -> Option<i32> {
    let (mut low, mut high) = (0f64, 0f64);
    let mut fits = |x: f64| {
        (low, high) = (low.min(x), high.max(x));
        x.fract() == 0.0 && high - low <= 255.0
    };
    let all = match tensor.data() {
        // Without a copy: nearly all weights are floats, and their first element tells.
        Data::F32(values) => values.iter().all(|x| fits(f64::from(*x))),
        _ => tensor.to_f64().into_iter().all(fits),
    };
    if all { bytes_from_range((low as i64, high as i64)) } else { None }
}

/// The same for whole numbers in a range.
pub(crate) fn bytes_from_range((low, high): (i64, i64)) -> Option<i32> {
    let (low, high) = (low.min(0), high.max(0));
    let from = if low >= -128 && high <= 127 { 0 } else { low.checked_add(128)? };
    if high.checked_sub(low)? <= 255 { i32::try_from(from).ok() } else { None }
}

/// A float tensor of type `dtype`; `None` for other types or a wrong number of values.
pub(super) fn floats(dtype: DType, shape: &[usize], values: impl Iterator<Item = f64>) -> Option<Tensor> {
    let data = match dtype {
        DType::F32 => Data::F32(values.map(|v| v as f32).collect()),
        DType::F16 => Data::F16(values.map(f16::from_f64).collect()),
        DType::F64 => Data::F64(values.collect()),
        DType::I32
        | DType::I64
        | DType::U8
        | DType::I8
        | DType::U16
        | DType::I16
        | DType::U32
        | DType::Bool => return None,
    };
    Tensor::new(shape, data).ok()
}

/// `f` of each element.
pub(super) fn map(tensor: &Tensor, f: impl Fn(f64) -> f64) -> Option<Tensor> {
    floats(tensor.dtype(), tensor.shape(), tensor.to_f64().into_iter().map(f))
}

/// `f` of each pair of elements, broadcast against each other.
///
/// `None` where that is not possible, or where the result would be larger than both: folding must not grow a model.
pub(super) fn combine(a: &Tensor, b: &Tensor, f: impl Fn(f64, f64) -> f64) -> Option<Tensor> {
    if a.dtype() != b.dtype() {
        return None;
    }
    let rank = a.shape().len().max(b.shape().len());
    let (shape_a, shape_b) = (padded(a.shape(), rank), padded(b.shape(), rank));
    let shape = shape_a
        .iter()
        .zip(&shape_b)
        .map(|(x, y)| if x == y || *y == 1 { Some(*x) } else { (*x == 1).then_some(*y) })
        .collect::<Option<Vec<usize>>>()?;
    let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    if size > a.len().max(b.len()) {
        return None;
    }
    let (a_values, b_values) = (a.to_f64(), b.to_f64());
    let values = (0..size)
        .map(|i| f(a_values[position(i, &shape, &shape_a)], b_values[position(i, &shape, &shape_b)]));
    floats(a.dtype(), &shape, values)
}

/// Multiplies by factors along `axis`: as many as the axis is long, or one for all.
pub(super) fn scale_axis(tensor: &Tensor, axis: usize, factors: &[f64]) -> Option<Tensor> {
    let length = *tensor.shape().get(axis)?;
    if factors.len() != 1 && factors.len() != length {
        return None;
    }
    let inner: usize = tensor.shape()[axis + 1..].iter().product();
    let factor = |i: usize| if factors.len() == 1 { factors[0] } else { factors[i / inner % length] };
    match tensor.data() {
        // The common case, without a copy in f64.
        Data::F32(values) => floats(
            DType::F32,
            tensor.shape(),
            values.iter().enumerate().map(|(i, v)| f64::from(*v) * factor(i)),
        ),
        Data::F16(_)
        | Data::F64(_)
        | Data::I32(_)
        | Data::I64(_)
        | Data::U8(_)
        | Data::I8(_)
        | Data::U16(_)
        | Data::I16(_)
        | Data::U32(_)
        | Data::Bool(_) => {
            let values = tensor.to_f64();
            floats(tensor.dtype(), tensor.shape(), values.iter().enumerate().map(|(i, v)| v * factor(i)))
        }
    }
}

/// The elements along dimension `axis` of a value of `rank` dimensions that the tensor is broadcast to; `None` if it
/// varies along another dimension. One element if it does not vary at all.
pub(crate) fn along_axis(tensor: &Tensor, rank: usize, axis: usize) -> Option<Vec<f64>> {
    let missing = rank.checked_sub(tensor.shape().len())?;
    let varies_elsewhere = tensor.shape().iter().enumerate().any(|(i, d)| i + missing != axis && *d != 1);
    (!varies_elsewhere).then(|| tensor.to_f64())
}

fn padded(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut out = vec![1; rank - shape.len()];
    out.extend(shape);
    out
}

/// Where element `i` of a tensor of `shape` comes from in one of shape `from` that is broadcast to it.
fn position(mut i: usize, shape: &[usize], from: &[usize]) -> usize {
    let (mut at, mut stride) = (0, 1);
    for (size, own) in shape.iter().zip(from).rev() {
        if *own != 1 {
            at += i % size * stride;
        }
        i /= size;
        stride *= own;
    }
    at
}

#[cfg(test)]
mod tests {
    use kiln_graph::Tensor;

    use crate::passes::constant::bytes_from;

    #[test]
    fn numbers_of_eight_bits() {
        for (numbers, from) in [
            (vec![-128.0, 127.0], Some(0)),
            (vec![0.0, 255.0], Some(128)),
            (vec![1.0, 200.0], Some(128)),
            (vec![-255.0, -3.0], Some(-127)),
            (vec![-100.0, 150.0], Some(28)),
            (vec![-1.0, 255.0], None),
            (vec![300.0, 301.0], None),
            (vec![1.0, 0.5], None),
            (vec![f32::NAN], None),
            (vec![f32::INFINITY], None),
            (vec![], Some(0)),
        ] {
            let tensor = Tensor::f32([numbers.len()], numbers.clone()).expect("as many as there are");
            assert_eq!(bytes_from(&tensor), from, "{numbers:?}");
        }
    }
}
