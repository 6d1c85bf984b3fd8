//! Reading images between their elements, at places that are computed.
//!
//! A sample is a sum over the elements around it (its *taps*: two along each axis for linear interpolation, four for
//! cubic), each times a polynomial of how far the place is from the element below. All taps are one more dimension
//! each, so there is one selection whatever the number of axes and taps. The selection takes whole rows of channels.
//! Gradients follow for the image, and through the polynomials for the places.

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::functions::activation::clamp;
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Gather, GatherElements, Op, SliceAxis, UnaryOp};
use crate::tensor::{DType, Data, Tensor};

const NAME: &str = "sample";

/// How values between elements are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Between {
    /// The nearest element; between two, the even one.
    Nearest,
    /// Linear along each axis.
    Linear,
    /// Cubic convolution along each axis, with this coefficient (Keys 1981, equation 15).
    Cubic(f64),
}

/// The values outside of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    /// Zeros.
    Zeros,
    /// The elements at the border.
    Border,
    /// The image mirrored, at the middle of its outermost elements or at their outer edge.
    Mirror {
        /// Whether at the middle.
        middle: bool,
    },
}

impl Between {
    /// Where taps are, counted from the element below, and for each the coefficients of the polynomial in the distance
    /// to that, the constant first.
    ///
    /// With the distance `t` the cubic taps have distances `1 + t`, `t`, `1 - t` and `2 - t`, put into Keys's pieces.
    fn taps(self) -> Vec<(i64, [f64; 4])> {
        match self {
            Between::Nearest => vec![(0, [1.0, 0.0, 0.0, 0.0])],
            Between::Linear => vec![(0, [1.0, -1.0, 0.0, 0.0]), (1, [0.0, 1.0, 0.0, 0.0])],
            Between::Cubic(a) => vec![
                (-1, [0.0, a, -2.0 * a, a]),
                (0, [1.0, 0.0, -a - 3.0, a + 2.0]),
                (1, [0.0, -a, 2.0 * a + 3.0, -a - 2.0]),
                (2, [0.0, 0.0, a, -a]),
            ],
        }
    }

    fn degree(self) -> usize {
        match self {
            Between::Nearest => 0,
            Between::Linear => 1,
            Between::Cubic(_) => 3,
        }
    }
}

/// How an image is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Between elements.
    pub between: Between,
    /// Outside of them.
    pub outside: Outside,
}

/// `x [N, C, spatial...]` at `places`, one value `[M, out...]` for each spatial dimension, in elements: 0 is the middle
/// of the first. They may have ones in place of dimensions that they do not depend on. Gives `[M, C, out...]`. `images
/// [M]` says which image each is of; without, there are as many as images.
pub fn sample(
    f: &mut Formula<'_>,
    x: ValueId,
    images: Option<ValueId>,
    places: &[ValueId],
    how: Sampling,
) -> Made {
    let Taps { values, taps } = taps(f, x, images, places, how)?;
    let y = f.sum(values, (1..1 + taps).collect())?;
    channels_second(f, y)
}

/// The taps of samples, each times its weight.
pub(super) struct Taps {
    /// `[M, taps of each spatial dimension..., out..., C]`.
    pub values: ValueId,
    /// Number of dimensions that have the taps.
    pub taps: usize,
}

/// `[M, ..., C]` as `[M, C, ...]`.
pub(super) fn channels_second(f: &mut Formula<'_>, y: ValueId) -> Made {
    let last = f.ty(y).rank() - 1;
    f.transpose(y, [0, last].into_iter().chain(1..last).collect())
}

/// As [`sample`], before the sum over taps.
pub(super) fn taps(
    f: &mut Formula<'_>,
    x: ValueId,
    images: Option<ValueId>,
    places: &[ValueId],
    how: Sampling,
) -> Result<Taps, GraphError> {
    let shape = f.shape(x);
    let spatial = places.len();
    let [n, c, sizes @ ..] = &shape[..] else {
        return f.mismatch(NAME, format!("its input is {}, but should be [N, C, ...]", f.ty(x)));
    };
    if sizes.len() != spatial || spatial == 0 {
        return f.mismatch(NAME, format!("{} cannot be sampled at points of {spatial} dimensions", f.ty(x)));
    }
    if sizes.iter().any(|size| size.is(0)) {
        return f.mismatch(NAME, format!("{} has no elements to sample", f.ty(x)));
    }
    let out = f.ty(places[0]).rank() - 1;
    // Of which image, where that is not simply the next one.
    let mut at = match images {
        Some(images) => {
            let images = f.cast(images, DType::I32)?;
            let count = f.shape(images);
            Some(f.reshape(images, [&count[..], &vec![1.into(); spatial + out]].concat())?)
        }
        None => None,
    };
    let mut weight: Option<ValueId> = None;
    for (i, (place, size)) in places.iter().zip(sizes).enumerate() {
        if f.ty(*place).rank() != out + 1 {
            return f.mismatch(NAME, "places differ in their number of dimensions");
        }
        let along = Along { axis: i, spatial, size: size.clone(), how };
        let (index, share) = along.taps(f, *place)?;
        at = Some(match at {
            Some(at) => {
                let size = size_like(f, size, at)?;
                let wide = f.mul(at, size)?;
                f.add(wide, index)?
            }
            None => index,
        });
        weight = match (weight, share) {
            (Some(weight), Some(share)) => Some(f.mul(weight, share)?),
            (weight, share) => weight.or(share),
        };
    }
    let Some(at) = at else { return f.mismatch(NAME, "there are no places") };
    // [M, taps..., out...]
    let mut shape = f.shape(at);
    let rows = f.transpose(x, [0].into_iter().chain(2..2 + spatial).chain([1]).collect())?;
    let values = if images.is_some() {
        let at = f.reshape(at, vec![product(&shape)])?;
        let rows = f.reshape(rows, vec![n * &product(sizes), c.clone()])?;
        f.apply(Op::Gather(Gather { axis: 0 }), &[rows, at])?
    } else {
        let count = product(&shape[1..]);
        let at = f.reshape(at, vec![shape[0].clone(), count.clone(), 1.into()])?;
        let at = f.expand(at, vec![n.clone(), count, c.clone()])?;
        shape[0] = n.clone();
        let rows = f.reshape(rows, vec![n.clone(), product(sizes), c.clone()])?;
        f.apply(Op::GatherElements(GatherElements { axis: 1 }), &[rows, at])?
    };
    let mut values = f.reshape(values, [&shape[..], std::slice::from_ref(c)].concat())?;
    if let Some(weight) = weight {
        let own = f.shape(weight);
        let weight = f.reshape(weight, [&own[..], &[1.into()]].concat())?;
        let weight = f.cast(weight, f.ty(values).dtype)?;
        values = f.mul(values, weight)?;
    }
    Ok(Taps { values, taps: spatial })
}

/// One spatial dimension.
struct Along {
    axis: usize,
    spatial: usize,
    size: Dim,
    how: Sampling,
}

impl Along {
    /// The indices of the taps and their weights, both `[M, taps..., out...]` with ones for the taps of other dimensions.
    fn taps(&self, f: &mut Formula<'_>, place: ValueId) -> Result<(ValueId, Option<ValueId>), GraphError> {
        // Half precision does not even know all elements of a large image.
        let place = if f.ty(place).dtype == DType::F16 { f.cast(place, DType::F32)? } else { place };
        let mut shape = f.shape(place);
        shape.splice(1..1, vec![1.into(); self.spatial]);
        let place = f.reshape(place, shape)?;
        let Sampling { between, outside } = self.how;
        let cubic = matches!(between, Between::Cubic(_));
        // Reflection and clamping apply to the position, but for cubic interpolation to each tap.
        let place = if cubic { place } else { self.inside(f, place)? };
        let below = if between == Between::Nearest { UnaryOp::Round } else { UnaryOp::Floor };
        let below = f.unary(below, place)?;
        let taps = between.taps();
        #[allow(clippy::as_conversions, reason = "from -1 to 2")]
        let offsets: Vec<f64> = taps.iter().map(|(offset, _)| *offset as f64).collect();
        let index = self.with_taps(f, BinaryOp::Add, below, &offsets)?;
        let index = if cubic { self.inside(f, index)? } else { index };
        let clamped = self.clamped(f, index)?;
        let mut weight = None;
        if between.degree() > 0 {
            let distance = f.sub(place, below)?;
            // Horner's rule, the highest power first.
            for power in (0..=between.degree()).rev() {
                let own: Vec<f64> = taps.iter().map(|(_, polynomial)| polynomial[power]).collect();
                weight = Some(match weight {
                    None => self.tap_constant(f, &own, place)?,
                    Some(sum) => {
                        let product = f.mul(sum, distance)?;
                        self.with_taps(f, BinaryOp::Add, product, &own)?
                    }
                });
            }
        }
        if outside == Outside::Zeros {
            let inside = f.binary(BinaryOp::Equal, index, clamped)?;
            let one = f.number_like(1.0, place);
            let zero = f.number_like(0.0, place);
            weight = Some(f.select(inside, weight.unwrap_or(one), zero)?);
        }
        let index = f.cast(clamped, DType::I32)?;
        Ok((index, weight))
    }

    /// Places (or indices) as places inside of the image, or as they are where outside of it are zeros.
    fn inside(&self, f: &mut Formula<'_>, place: ValueId) -> Made {
        let place = match self.how.outside {
            Outside::Zeros => return Ok(place),
            Outside::Border => place,
            Outside::Mirror { middle: true } if self.size.is(1) => return f.with(BinaryOp::Mul, place, 0.0),
            Outside::Mirror { middle } => {
                if middle && !f.differ(&self.size, &1.into()) {
                    return f.mismatch(NAME, "an image of one element has no middle to be mirrored at");
                }
                // To and fro between the mirrors is a period.
                let (first, span) =
                    if middle { (0.0, self.size.clone() - 1.into()) } else { (-0.5, self.size.clone()) };
                let from_mirror = f.with(BinaryOp::Sub, place, first)?;
                let whole = size_like(f, &(&span * &2.into()), place)?;
                let period = f.binary(BinaryOp::Mod, from_mirror, whole)?;
                let back = f.sub(whole, period)?;
                let nearer = f.binary(BinaryOp::Min, period, back)?;
                f.with(BinaryOp::Add, nearer, first)?
            }
        };
        self.clamped(f, place)
    }

    /// Places within the image.
    fn clamped(&self, f: &mut Formula<'_>, place: ValueId) -> Made {
        let last = self.size.clone() - 1.into();
        if let Some(last) = last.as_const() {
            return clamp(f, place, Some(0.0), Some(as_f64(last)));
        }
        let place = clamp(f, place, Some(0.0), None)?;
        let last = size_like(f, &last, place)?;
        f.binary(BinaryOp::ClampMax, place, last)
    }

    /// `x` and a number for each tap.
    fn with_taps(&self, f: &mut Formula<'_>, op: BinaryOp, x: ValueId, numbers: &[f64]) -> Made {
        match numbers {
            [0.0] if op == BinaryOp::Add => Ok(x),
            numbers => {
                let numbers = self.tap_constant(f, numbers, x)?;
                f.binary(op, x, numbers)
            }
        }
    }

    /// A number for each tap, in the dimension of this axis's taps.
    fn tap_constant(&self, f: &mut Formula<'_>, numbers: &[f64], like: ValueId) -> Made {
        let mut shape = vec![1; f.ty(like).rank()];
        shape[1 + self.axis] = numbers.len();
        #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
        let data = numbers.iter().map(|x| *x as f32).collect();
        let constant = f.constant(Tensor::new(shape, Data::F32(data))?);
        f.cast(constant, f.ty(like).dtype)
    }
}

/// A size as a number of the element type of `like`.
fn size_like(f: &mut Formula<'_>, size: &Dim, like: ValueId) -> Made {
    if let Some(size) = size.as_const() {
        return Ok(f.number_like(as_f64(size), like));
    }
    let dtype = f.ty(like).dtype;
    let size = f.size(size.clone())?;
    f.cast(size, dtype)
}

#[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
fn as_f64(size: i64) -> f64 {
    size as f64
}

/// How the places of a grid are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Corners {
    /// Whether -1 and 1 are the middles of the first and last element, or the outer edges of them.
    pub aligned: bool,
}

/// `x [N, C, in...]` at the places of `grid [N, out..., d]`, which go from -1 to 1; of a place the last dimension comes
/// first (spatial transformer networks, Jaderberg et al. 2015). Gives `[N, C, out...]`.
pub fn grid_sample(f: &mut Formula<'_>, x: ValueId, grid: ValueId, how: Sampling, corners: Corners) -> Made {
    let (shape, sizes) = (f.shape(grid), f.shape(x));
    let spatial = sizes.len().saturating_sub(2);
    let fits =
        spatial > 0 && shape.len() == spatial + 2 && shape.last().is_some_and(|d| *d == spatial.into());
    let same = match (shape.first(), sizes.first()) {
        (Some(grids), Some(images)) => f.same(grids, images).is_some(),
        _ => false,
    };
    if !fits || !same {
        return f.mismatch("grid_sample", format!("{} is not a grid of points for {}", f.ty(grid), f.ty(x)));
    }
    let last = shape.len() - 1;
    let mut places = Vec::with_capacity(spatial);
    for (i, size) in sizes[2..].iter().enumerate() {
        let start = Dim::from(spatial - 1 - i);
        let cut = SliceAxis { axis: last, start, length: 1.into(), step: 1 };
        let place = f.slice(grid, vec![cut])?;
        let place = f.reshape(place, vec![shape[0].clone(), product(&shape[1..last])])?;
        // ((g + 1) * size - 1) / 2, or (g + 1) / 2 * (size - 1)
        let span = if corners.aligned { size.clone() - 1.into() } else { size.clone() };
        let from_edge = f.with(BinaryOp::Add, place, 1.0)?;
        let span = size_like(f, &span, from_edge)?;
        let scaled = f.mul(from_edge, span)?;
        let first = if corners.aligned { scaled } else { f.with(BinaryOp::Sub, scaled, 1.0)? };
        places.push(f.with(BinaryOp::Mul, first, 0.5)?);
    }
    let y = sample(f, x, None, &places, how)?;
    f.reshape(y, [&sizes[..2], &shape[1..last]].concat())
}

/// The grid over which an affine map `theta [N, d, d + 1]` takes images of `sizes`: `[N, sizes..., d]`, for
/// [`grid_sample`]. Places are the middles of elements, or with aligned corners go from -1 to 1.
pub fn affine_grid(f: &mut Formula<'_>, theta: ValueId, sizes: &[Dim], corners: Corners) -> Made {
    let (shape, d) = (f.shape(theta), sizes.len());
    let [n, rows, columns] = &shape[..] else {
        return f
            .mismatch("affine_grid", format!("its input is {}, but should be [N, d, d + 1]", f.ty(theta)));
    };
    if d == 0 || *rows != d.into() || *columns != (d + 1).into() {
        return f.mismatch("affine_grid", format!("{} is not a map of {d} dimensions", f.ty(theta)));
    }
    let part = |f: &mut Formula<'_>, column: usize| {
        let cut = SliceAxis { axis: 2, start: column.into(), length: 1.into(), step: 1 };
        let part = f.slice(theta, vec![cut])?;
        let ones = vec![Dim::from(1); d];
        f.reshape(part, [std::slice::from_ref(n), &ones[..], &[d.into()]].concat())
    };
    let mut sum = part(f, d)?;
    for (axis, size) in sizes.iter().enumerate() {
        let mut along = vec![1; d + 2];
        along[axis + 1] = size.as_usize().filter(|n| *n <= 1 << 24).ok_or_else(|| {
            GraphError::Unsuitable(format!("a grid of size `{size}` is not supported; bind it to a number"))
        })?;
        #[allow(clippy::as_conversions, reason = "sizes are below 2^24")]
        let count = along[axis + 1] as f64;
        #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
        let place = |i: usize| {
            let i = i as f64;
            let place = match corners.aligned {
                true if count == 1.0 => 0.0,
                true => 2.0 * i / (count - 1.0) - 1.0,
                false => (2.0 * i + 1.0) / count - 1.0,
            };
            place as f32
        };
        let numbers = (0..along[axis + 1]).map(place).collect();
        let numbers = f.constant(Tensor::f32(along, numbers)?);
        let numbers = f.cast(numbers, f.ty(theta).dtype)?;
        let factor = part(f, d - 1 - axis)?;
        let term = f.mul(factor, numbers)?;
        sum = f.add(sum, term)?;
    }
    let whole = [std::slice::from_ref(n), sizes, &[d.into()]].concat();
    f.expand(sum, whole)
}
