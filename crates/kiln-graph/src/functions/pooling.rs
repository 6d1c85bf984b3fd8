//! Indices of max pooling, and unpooling.

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{
    ArgKind, ArgReduce, BinaryOp, Gather, GatherElements, Iota, Op, Pool, Scatter, ScatterReduction,
};
use crate::tensor::{DType, Data, Tensor};

const NAME: &str = "max_pool_indices";

/// The most elements of all windows over a plane.
const MAX_TAPS: usize = 1 << 22;

/// How the elements of an image `[N, C, spatial...]` are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// Within their plane, the last dimension fastest (PyTorch).
    Plane,
    /// From the first of all, the last dimension fastest (ONNX).
    All,
    /// From the first of all, but within a plane the first dimension is the fastest (ONNX, `storage_order` = 1).
    AllColumnMajor,
}

/// The numbers of the elements that `pooled`, the result of the max pooling `pool` of `x`, consists of: of equal ones
/// the first in its window, and of NaN, too, where PyTorch names the last.
///
/// The elements of all windows are selected side by side, and the largest of each is looked up in a table.
pub fn max_pool_indices(
    f: &mut Formula<'_>,
    x: ValueId,
    pooled: ValueId,
    pool: &Pool,
    numbering: Numbering,
) -> Made {
    let (shape, out) = (f.shape(x), f.shape(pooled));
    let [n, c, sizes @ ..] = &shape[..] else { return f.mismatch(NAME, "its input has too few dimensions") };
    let known = |sizes: &[Dim]| sizes.iter().map(Dim::as_usize).collect::<Option<Vec<_>>>();
    let (Some(size), Some(count)) = (known(sizes), known(&out[2..])) else {
        let message = format!("indices into planes of {} need sizes that are numbers; bind them", f.ty(x));
        return Err(GraphError::Unsuitable(message));
    };
    let windows: usize = count.iter().fold(1, |n, m| n.saturating_mul(*m));
    let taps: usize = pool.kernel.iter().fold(1, |n, m| n.saturating_mul(*m));
    if windows.saturating_mul(taps) > MAX_TAPS {
        let message =
            format!("{windows} windows of {taps} elements are too many to tell which was the largest");
        return Err(GraphError::Unsuitable(message));
    }
    let Table { at, numbers } = Table::of(pool, &size, &count, numbering);
    let (planes, plane) = (n * c, product(sizes));
    let lines = f.reshape(x, vec![planes.clone(), plane.clone()])?;
    let at = f.constant(Tensor::ints(at));
    let all = f.apply(Op::Gather(Gather { axis: 1 }), &[lines, at])?;
    let all = f.reshape(all, vec![planes.clone(), windows.into(), taps.into()])?;
    let largest = ArgReduce { kind: ArgKind::Max, axis: 2, keep_dims: true, select_last_index: false };
    let tap = f.apply(Op::ArgReduce(largest), &[all])?;
    let numbers = f.constant(Tensor::new([1, windows, taps], Data::I64(numbers))?);
    let numbers = f.expand(numbers, vec![planes, windows.into(), taps.into()])?;
    let mut index = f.apply(Op::GatherElements(GatherElements { axis: 2 }), &[numbers, tap])?;
    index = f.reshape(index, out)?;
    if numbering == Numbering::Plane {
        return Ok(index);
    }
    // Of the planes before, those of the images before and those of the channels before.
    for (axis, (size, planes)) in [(n, c.clone()), (c, 1.into())].into_iter().enumerate() {
        let mut shape = vec![Dim::from(1); f.ty(index).rank()];
        shape[axis] = size.clone();
        let count = Op::Iota(Iota { dtype: DType::I64, shape: vec![size.clone()], axis: 0 });
        let before = f.apply(count, &[])?;
        let before = f.reshape(before, shape)?;
        let Some(elements) = (&planes * &plane).as_const() else {
            let message = format!("indices into {} need a number of channels; bind it", f.ty(x));
            return Err(GraphError::Unsuitable(message));
        };
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let before = f.with(BinaryOp::Mul, before, elements as f64)?;
        index = f.add(index, before)?;
    }
    Ok(index)
}

/// `x [N, C, pooled...]` at the places `indices` (as [`max_pool_indices`] gives them) of an image `[N, C, image...]`
/// that is zero elsewhere; of several for one place the last. Where elements are numbered from the first of all, they
/// belong to the plane they come from nevertheless.
pub fn max_unpool(
    f: &mut Formula<'_>,
    x: ValueId,
    indices: ValueId,
    image: &[Dim],
    numbering: Numbering,
) -> Made {
    const NAME: &str = "max_unpool";
    let (shape, found) = (f.shape(x), f.shape(indices));
    let [n, c, pooled @ ..] = &shape[..] else { return f.mismatch(NAME, "its input has too few dimensions") };
    if found != shape || pooled.len() != image.len() {
        return f.mismatch(NAME, format!("{} has indices {}", f.ty(x), f.ty(indices)));
    }
    let (planes, lines, plane) = (n * c, product(pooled), product(image));
    let updates = f.reshape(x, vec![planes.clone(), lines.clone()])?;
    // A device cannot hold more than 2^31 elements, so 32 bits are enough for what is inside.
    let indices = f.cast(indices, DType::I32)?;
    let mut indices = f.reshape(indices, vec![planes.clone(), lines])?;
    match numbering {
        Numbering::Plane => {}
        Numbering::All => {
            let Some(plane) = plane.as_const().filter(|n| *n > 0) else {
                let message =
                    format!("planes of {plane} elements are not supported; bind the symbol to a number");
                return Err(GraphError::Unsuitable(message));
            };
            #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
            let plane = plane as f64;
            indices = f.with(BinaryOp::Mod, indices, plane)?;
        }
        Numbering::AllColumnMajor => {
            return Err(GraphError::Unsuitable("indices by columns are not supported".into()));
        }
    }
    let zero = f.number_like(0.0, x);
    let zeros = f.expand(zero, vec![planes, plane])?;
    let scatter = Op::Scatter(Scatter { axis: 1, reduction: ScatterReduction::None });
    let y = f.apply(scatter, &[zeros, indices, updates])?;
    f.reshape(y, [&shape[..2], image].concat())
}

/// For each window over a plane and each tap of it. In place of padding there is the first element of the window that
/// is none: no number is so low that an element could not be as low, and be taken for padding.
struct Table {
    /// The position of the element.
    at: Vec<i64>,
    /// Its number.
    numbers: Vec<i64>,
}

impl Table {
    #[allow(clippy::as_conversions, reason = "sizes are those of tensors, far below 2^53")]
    fn of(pool: &Pool, size: &[usize], count: &[usize], numbering: Numbering) -> Self {
        let spatial = size.len();
        let step = |i: usize| size[i + 1..].iter().product::<usize>() as i64;
        let numbered = |i: usize| match numbering {
            Numbering::Plane | Numbering::All => step(i),
            Numbering::AllColumnMajor => size[..i].iter().product::<usize>() as i64,
        };
        // One axis after the other: position, whether inside, number; of all windows, then of all their taps.
        let mut table: Vec<Vec<(i64, bool, i64)>> = vec![vec![(0, true, 0)]];
        for i in 0..spatial {
            let along = |window: usize, tap: usize| {
                let shift = tap.saturating_mul(pool.dilations[i]);
                let at = window.saturating_mul(pool.strides[i]).saturating_add(shift);
                let at = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub(pool.pads[i][0]);
                (0..size[i] as i64).contains(&at).then_some(at)
            };
            table = table
                .iter()
                .flat_map(|before| {
                    (0..count[i]).map(move |window| {
                        let taps = |(at, inside, number): &(i64, bool, i64)| {
                            let next = |tap| match along(window, tap) {
                                Some(place) if *inside => {
                                    (at + place * step(i), true, number + place * numbered(i))
                                }
                                Some(_) | None => (0, false, 0),
                            };
                            (0..pool.kernel[i]).map(next).collect::<Vec<_>>()
                        };
                        before.iter().flat_map(taps).collect()
                    })
                })
                .collect();
        }
        for window in &mut table {
            if let Some(first) = window.iter().find(|(_, inside, _)| *inside).copied() {
                window.iter_mut().filter(|(_, inside, _)| !*inside).for_each(|tap| *tap = first);
            }
        }
        let all = || table.iter().flatten();
        Self { at: all().map(|(at, ..)| *at).collect(), numbers: all().map(|(.., number)| *number).collect() }
    }
}
