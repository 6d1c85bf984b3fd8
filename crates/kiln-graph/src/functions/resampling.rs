//! Interpolation of one axis at places that are known when the graph is built.
//!
//! Whatever the filter and whatever happens at the edges, an element of the output is a sum of a few elements of the
//! input with known shares. So interpolation along an axis is a product with a matrix, or, where each element is taken
//! whole, a selection, and there is neither a kernel nor a gradient rule for it. What is common and large (nearest and
//! linear interpolation of images) has an operator of its own, [`Resize`](crate::ops::Resize).

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{Gather, MatMul, Op};
use crate::tensor::Tensor;

const NAME: &str = "resample";

/// The most elements of a matrix: 64 MiB.
const MAX_MATRIX: usize = 1 << 24;

/// The most elements of the input that one of the output is made of, all of them together.
const MAX_SHARES: usize = 1 << 22;

/// Input elements and how much of each an output element has.
pub type Shares = Vec<(usize, f64)>;

/// How much an element counts at a distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// `1 - |d|` up to 1.
    Linear,
    /// Cubic convolution with a free coefficient, -1/2 in most image libraries, -3/4 in PyTorch (Keys, "Cubic
    /// Convolution Interpolation for Digital Image Processing", 1981, equation 15).
    Cubic(f64),
}

/// The values beyond the first and the last element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beyond {
    /// The first and the last element, again and again.
    Edge,
    /// Nothing: what is inside has all of the shares.
    Nothing,
}

impl Filter {
    /// From this distance on nothing counts.
    fn reach(self) -> f64 {
        match self {
            Filter::Linear => 1.0,
            Filter::Cubic(_) => 2.0,
        }
    }

    /// How much an element counts at `distance`.
    fn weight(self, distance: f64) -> f64 {
        let d = distance.abs();
        match self {
            Filter::Linear => (1.0 - d).max(0.0),
            Filter::Cubic(a) if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            Filter::Cubic(a) if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            Filter::Cubic(_) => 0.0,
        }
    }

    /// What the element at `place` (in elements of the input, 0 is the middle of the first) is made of, of an axis of
    /// `size` elements. A filter wider than its own reach, by the factor `width`, lets nothing fall between the
    /// elements of a smaller output (antialiasing).
    #[allow(clippy::as_conversions, reason = "places are checked to be reasonable, and indices clamped")]
    pub fn shares(self, place: f64, width: f64, size: usize, beyond: Beyond) -> Result<Shares, GraphError> {
        const LIMIT: f64 = 1e9;
        let (reach, last) = (self.reach() * width, size as f64 - 1.0);
        let reasonable = place.abs() <= LIMIT && (0.0..=LIMIT).contains(&reach) && size > 0;
        if !reasonable || reach > MAX_SHARES as f64 {
            let message = format!("{size} elements cannot be interpolated at {place}, {width} apart");
            return Err(GraphError::Unsuitable(message));
        }
        let (first, end) = ((place - reach).floor() as i64, (place + reach).ceil() as i64);
        let mut shares: Shares = Vec::new();
        for at in first..=end {
            let weight = self.weight((at as f64 - place) / width);
            let clamped = (at as f64).clamp(0.0, last);
            if weight == 0.0 || beyond == Beyond::Nothing && clamped != at as f64 {
                continue;
            }
            match shares.last_mut() {
                Some((index, share)) if *index == clamped as usize => *share += weight,
                Some(_) | None => shares.push((clamped as usize, weight)),
            }
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        // Positions far outside must have no effect.
        if sum != 0.0 {
            shares.iter_mut().for_each(|(_, share)| *share /= sum);
        }
        Ok(shares)
    }
}

/// `x` with `axis` made anew: element `i` is what `rows[i]` says.
pub fn resample(f: &mut Formula<'_>, x: ValueId, axis: usize, rows: &[Shares]) -> Made {
    let shape = f.shape(x);
    let Some(size) = shape.get(axis).and_then(Dim::as_usize) else {
        return f.mismatch(NAME, format!("axis {axis} of {} has no known size", f.ty(x)));
    };
    if rows.iter().flatten().any(|(index, _)| *index >= size) {
        return f.mismatch(NAME, format!("axis {axis} has {size} elements, too few"));
    }
    if rows.iter().enumerate().all(|(i, row)| row[..] == [(i, 1.0)]) && rows.len() == size {
        return Ok(x);
    }
    let whole = |row: &Shares| match row[..] {
        [(index, 1.0)] => i64::try_from(index).ok(),
        _ => None,
    };
    if let Some(indices) = rows.iter().map(whole).collect::<Option<Vec<i64>>>() {
        let indices = f.constant(Tensor::ints(indices));
        return f.apply(Op::Gather(Gather { axis }), &[x, indices]);
    }
    let Some(elements) = rows.len().checked_mul(size).filter(|n| *n <= MAX_MATRIX) else {
        let message = format!("interpolation of {size} elements to {} is too much", rows.len());
        return Err(GraphError::Unsuitable(message));
    };
    let mut matrix = vec![0.0; elements];
    for (row, shares) in matrix.chunks_mut(size).zip(rows) {
        for (index, share) in shares {
            #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
            if let Some(cell) = row.get_mut(*index) {
                *cell += *share as f32;
            }
        }
    }
    let matrix = f.constant(Tensor::f32([rows.len(), size], matrix)?);
    let matrix = f.cast(matrix, f.ty(x).dtype)?;
    let (before, after) = (product(&shape[..axis]), product(&shape[axis + 1..]));
    let y = if after.is(1) {
        // One tall matrix.
        let lines = f.reshape(x, vec![before, size.into()])?;
        f.matmul(MatMul { transpose_a: false, transpose_b: true }, lines, matrix)?
    } else {
        let stack = f.reshape(x, vec![before, size.into(), after])?;
        f.matmul(MatMul::default(), matrix, stack)?
    };
    let mut shape = shape;
    shape[axis] = rows.len().into();
    f.reshape(y, shape)
}
