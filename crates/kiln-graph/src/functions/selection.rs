//! Selecting what the data say: positions of elements that are not zero, elements for which a condition holds, boxes that
//! non-maximum suppression keeps. How many there are is a count; see [`Dim::count`].

use super::indexing::extent;
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{ArgSort, BinaryOp, Concat, Gather, GatherElements, Iota, Nonzero, Op, Suppress};
use crate::tensor::{DType, Tensor};

/// The positions (int64, `[count]`) in row-major order of the elements that are not zero.
pub fn positions(f: &mut Formula<'_>, x: ValueId) -> Made {
    // Exporters ask again for each use, and two counts of one value would be two sizes.
    let found = f.graph.nodes().iter().find(|node| node.op.count().is_some() && node.inputs == [x]);
    if let Some(positions) = found.and_then(|node| node.outputs.first()) {
        return Ok(*positions);
    }
    let size = Dim::count(new_count(f));
    f.apply(Op::Nonzero(Nonzero { size }), &[x])
}

/// A name for a count after the node, which no symbol and no other count has.
fn new_count(f: &Formula<'_>) -> String {
    // As dimensions are written, these have a meaning.
    let plain = f.name.replace(|c: char| c.is_whitespace() || "+-*/()[],".contains(c), "_");
    let plain = plain.trim_matches('_');
    let mut taken = f.graph.symbols();
    taken.extend(f.graph.nodes().iter().filter_map(|node| node.op.count().cloned()));
    let free = |name: &String| !taken.iter().any(|taken| **taken == **name);
    let numbered = (1..).map(|n| if n == 1 { plain.to_owned() } else { format!("{plain}.{n}") });
    numbered.filter(|name| !name.is_empty()).find(free).unwrap_or_default()
}

/// The indices of the elements that are not zero: a line for each dimension, `[rank, count]`, int64.
pub fn nonzero(f: &mut Formula<'_>, x: ValueId) -> Made {
    let rank = f.ty(x).rank();
    let at = positions(f, x)?;
    let count = f.shape(at)[0].clone();
    if rank == 0 {
        let none = f.constant(Tensor::ints([]));
        let none = f.reshape(none, vec![0.into(), 1.into()])?;
        return f.expand(none, vec![0.into(), count]);
    }
    let mut lines = Vec::with_capacity(rank);
    for axis in 0..rank {
        let mut index = at;
        if axis + 1 < rank {
            let step = extent(f, x, axis + 1..rank)?;
            index = f.div(index, step)?;
        }
        if axis > 0 {
            let size = extent(f, x, axis..axis + 1)?;
            index = f.binary(BinaryOp::Mod, index, size)?;
        }
        lines.push(f.reshape(index, vec![1.into(), count.clone()])?);
    }
    if let [line] = lines[..] {
        return Ok(line);
    }
    f.apply(Op::Concat(Concat { axis: 0 }), &lines)
}

/// The slices of `x` along `axis` for which a condition (bool, `[n]`) holds.
pub fn compress(f: &mut Formula<'_>, x: ValueId, condition: ValueId, axis: usize) -> Made {
    let at = positions(f, condition)?;
    f.apply(Op::Gather(Gather { axis }), &[x, at])
}

/// What non-maximum suppression goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonMaxSuppression {
    /// Boxes overlap if their intersection over union is greater.
    pub iou_threshold: f32,
    /// Boxes are `[x_center, y_center, width, height]` rather than two opposite corners, `[y1, x1, y2, x2]`.
    pub center: bool,
    /// At most so many boxes of a class of an image are kept.
    pub most: Option<u32>,
    /// Only boxes with a greater score (a number without dimensions) are considered.
    pub score_threshold: Option<ValueId>,
}

/// Which boxes are kept: `[count, 3]` (int64), lines of image, class, and box, by falling score in each class; of equal scores
/// the first box comes first. `boxes` are `[images, n, 4]`, `scores` `[images, classes, n]`.
pub fn non_max_suppression(
    f: &mut Formula<'_>,
    boxes: ValueId,
    scores: ValueId,
    by: &NonMaxSuppression,
) -> Made {
    let name = "suppress";
    let (wanted, shape) = (f.shape(boxes), f.shape(scores));
    let ([images, boxes_n, four], [scored, classes, scores_n]) = (&wanted[..], &shape[..]) else {
        return f.mismatch(name, format!("{} and {} should have 3 dimensions", f.ty(boxes), f.ty(scores)));
    };
    let (Some(images), Some(n)) = (f.same(images, scored), f.same(boxes_n, scores_n)) else {
        return f.mismatch(name, format!("boxes {} and scores {} do not fit", f.ty(boxes), f.ty(scores)));
    };
    if !four.is(4) {
        return f.mismatch(name, format!("boxes {} should have a last dimension of 4", f.ty(boxes)));
    }
    let order = f.apply(Op::ArgSort(ArgSort { axis: 2, descending: true }), &[scores])?;
    let alive = match by.score_threshold {
        Some(threshold) => {
            let sorted = f.apply(Op::GatherElements(GatherElements { axis: 2 }), &[scores, order])?;
            f.binary(BinaryOp::Greater, sorted, threshold)?
        }
        None => {
            let yes = f.constant(Tensor::number(1.0, DType::Bool));
            f.expand(yes, shape.clone())?
        }
    };
    let sorted = sorted_boxes(f, boxes, order, &images)?;
    let suppress = Suppress { iou_threshold: by.iou_threshold, center: by.center, most: by.most };
    let kept = f.apply(Op::Suppress(suppress), &[sorted, alive])?;

    let at = positions(f, kept)?;
    let count = f.shape(at)[0].clone();
    let flat = f.reshape(order, vec![product([&images, classes, &n])])?;
    let chosen = f.apply(Op::Gather(Gather { axis: 0 }), &[flat, at])?;
    let [image, class] = if images.is(1) && classes.is(1) {
        let zero = f.number_like(0.0, at);
        let zeros = f.expand(zero, vec![count.clone()])?;
        [zeros, zeros]
    } else {
        let n = extent(f, scores, 2..3)?;
        let line = f.div(at, n)?;
        let classes = extent(f, scores, 1..2)?;
        [f.div(line, classes)?, f.binary(BinaryOp::Mod, line, classes)?]
    };
    let columns = [image, class, chosen].map(|column| f.reshape(column, vec![count.clone(), 1.into()]));
    let [image, class, chosen] = columns;
    f.apply(Op::Concat(Concat { axis: 1 }), &[image?, class?, chosen?])
}

/// The boxes `[images, n, 4]` of each class in its order: `[images, classes, n, 4]`.
fn sorted_boxes(
    f: &mut Formula<'_>,
    boxes: ValueId,
    order: ValueId,
    images: &Dim,
) -> Result<ValueId, GraphError> {
    let n = f.shape(boxes)[1].clone();
    let mut at = order;
    if !images.is(1) {
        // The boxes of images are stored one after the other.
        let image = Iota { dtype: DType::I64, shape: vec![images.clone(), 1.into(), 1.into()], axis: 0 };
        let image = f.apply(Op::Iota(image), &[])?;
        let size = extent(f, boxes, 1..2)?;
        let first = f.mul(image, size)?;
        at = f.add(order, first)?;
    }
    let rows = f.reshape(boxes, vec![images * &n, 4.into()])?;
    f.apply(Op::Gather(Gather { axis: 0 }), &[rows, at])
}
