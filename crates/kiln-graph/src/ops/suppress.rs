//! Non-maximum suppression of boxes.

use super::take;
use crate::array::Array;
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::number::Number;
use crate::tensor::{DType, TensorType};

/// Which of the boxes of a line are kept, where each box that is kept suppresses all later ones that overlap it. Inputs `boxes`
/// (`[.., n, 4]`), best first, and `alive` (bool, `[.., n]`): what is not alive is neither kept nor suppresses. The output
/// (bool) has the shape of `alive`.
///
/// Two boxes overlap if their intersection over union is greater than a threshold; a box without an area overlaps nothing. The
/// arithmetic, in the boxes' element type, is that of ONNX Runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppress {
    /// The threshold.
    pub iou_threshold: f32,
    /// Boxes are `[x_center, y_center, width, height]` rather than two opposite corners, `[y1, x1, y2, x2]`.
    pub center: bool,
    /// At most so many of a line are kept.
    pub most: Option<u32>,
}

impl Suppress {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [boxes, alive] = take(inputs)?;
        if !boxes.dtype.is_float() {
            let (operand, expected) = ("the boxes", "floating point".into());
            return Err(ShapeError::DType { operand, expected, found: boxes.dtype });
        }
        if alive.dtype != DType::Bool {
            let (operand, expected) = ("what is alive", "bool".into());
            return Err(ShapeError::DType { operand, expected, found: alive.dtype });
        }
        match boxes.shape.split_last() {
            Some((four, lines))
                if four.is(4) && !lines.is_empty() && guards.same_shape(lines, &alive.shape) =>
            {
                Ok(alive.clone())
            }
            Some(_) | None => Err(ShapeError::Mismatch(format!(
                "boxes {boxes} should have the shape of {alive} and a last dimension of 4"
            ))),
        }
    }

    pub(crate) fn eval<T: Number>(&self, boxes: &Array<T>, alive: &[i64]) -> Vec<i64> {
        let n = boxes.shape.get(boxes.shape.len().wrapping_sub(2)).copied().unwrap_or(0);
        if n == 0 {
            return vec![];
        }
        let most = self.most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let corners: Vec<Corners<T>> = boxes.data.chunks_exact(4).map(|four| self.corners(four)).collect();
        let mut kept = vec![0; alive.len()];
        for (line, corners) in corners.chunks(n).enumerate() {
            let mut chosen: Vec<usize> = Vec::new();
            for place in (0..n).filter(|place| alive[line * n + place] != 0) {
                if chosen.len() >= most {
                    break;
                }
                if !chosen.iter().any(|earlier| self.overlap(&corners[*earlier], &corners[place])) {
                    kept[line * n + place] = 1;
                    chosen.push(place);
                }
            }
        }
        kept
    }

    fn corners<T: Number>(&self, four: &[T]) -> Corners<T> {
        let [a, b, c, d] = [four[0], four[1], four[2], four[3]];
        if !self.center {
            return Corners { x: sorted(b, d), y: sorted(a, c) };
        }
        let half = |size: T| size.mul(T::from_f64(0.5));
        let around = |middle: T, size: T| [middle.sub(half(size)), middle.add(half(size))];
        Corners { x: around(a, c), y: around(b, d) }
    }

    fn overlap<T: Number>(&self, one: &Corners<T>, other: &Corners<T>) -> bool {
        let zero = T::from_f64(0.0);
        let common = |a: [T; 2], b: [T; 2]| {
            let (low, high) = (if a[0] < b[0] { b[0] } else { a[0] }, if b[1] < a[1] { b[1] } else { a[1] });
            (high > low).then(|| high.sub(low))
        };
        let (Some(width), Some(height)) = (common(one.x, other.x), common(one.y, other.y)) else {
            return false;
        };
        let intersection = width.mul(height);
        let (area, other_area) = (one.area(), other.area());
        let union = area.add(other_area).sub(intersection);
        let positive = [intersection, area, other_area, union].into_iter().all(|size| size > zero);
        let share = intersection.div(union);
        positive && share.is_some_and(|share| share > T::from_f64(f64::from(self.iou_threshold)))
    }
}

/// The ends of a box along both axes.
struct Corners<T> {
    x: [T; 2],
    y: [T; 2],
}

impl<T: Number> Corners<T> {
    fn area(&self) -> T {
        self.x[1].sub(self.x[0]).mul(self.y[1].sub(self.y[0]))
    }
}

fn sorted<T: Number>(a: T, b: T) -> [T; 2] {
    if b < a { [b, a] } else { [a, b] }
}
