//! Functions that move elements in blocks and copies. Slices are in [`slicing`](super::slicing).

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;

/// How the channels of a block of `block * block` places are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockOrder {
    /// `[block, block, depth]`: all channels of the first place, then of the next. ONNX calls it DCR.
    PlaceFirst,
    /// `[depth, block, block]`: all places of the first channel, then of the next. ONNX calls it CRD, PyTorch has
    /// nothing else.
    ChannelFirst,
}

/// Blocks of channels become blocks of places: `[..., depth * block^2, h, w]` to `[..., depth, h * block, w * block]`.
pub fn depth_to_space(f: &mut Formula<'_>, x: ValueId, block: usize, order: BlockOrder) -> Made {
    let name = "depth_to_space";
    let (lead, [c, h, w]) = image(f, name, x)?;
    let size = Dim::from(block);
    let depth = divided(f, name, &c, &(&size * &size))?;
    let (split, perm) = match order {
        BlockOrder::PlaceFirst => {
            ([size.clone(), size.clone(), depth.clone(), h.clone(), w.clone()], [2, 3, 0, 4, 1])
        }
        BlockOrder::ChannelFirst => {
            ([depth.clone(), size.clone(), size.clone(), h.clone(), w.clone()], [0, 3, 1, 4, 2])
        }
    };
    rearranged(f, x, &lead, &split, &perm, &[depth, &h * &size, &w * &size])
}

/// Blocks of places become blocks of channels: `[..., depth, h * block, w * block]` to `[..., depth * block^2, h, w]`.
pub fn space_to_depth(f: &mut Formula<'_>, x: ValueId, block: usize, order: BlockOrder) -> Made {
    let name = "space_to_depth";
    let (lead, [c, h, w]) = image(f, name, x)?;
    let size = Dim::from(block);
    let (rows, columns) = (divided(f, name, &h, &size)?, divided(f, name, &w, &size)?);
    let split = [c.clone(), rows.clone(), size.clone(), columns.clone(), size.clone()];
    let perm = match order {
        BlockOrder::PlaceFirst => [2, 4, 0, 1, 3],
        BlockOrder::ChannelFirst => [0, 2, 4, 1, 3],
    };
    rearranged(f, x, &lead, &split, &perm, &[&c * &(&size * &size), rows, columns])
}

/// PyTorch's `pixel_shuffle` (Shi et al. 2016, sub-pixel convolution).
pub fn pixel_shuffle(f: &mut Formula<'_>, x: ValueId, upscale: usize) -> Made {
    depth_to_space(f, x, upscale, BlockOrder::ChannelFirst)
}

/// PyTorch's `pixel_unshuffle`, which undoes [`pixel_shuffle`].
pub fn pixel_unshuffle(f: &mut Formula<'_>, x: ValueId, downscale: usize) -> Made {
    space_to_depth(f, x, downscale, BlockOrder::ChannelFirst)
}

/// `x` so many times along each dimension, as `numpy.tile` and PyTorch's `repeat`. Where there are more repeats than
/// dimensions, `x` gets new ones in front.
///
/// Each dimension gets another in front, which is expanded and merged with it.
pub fn tile(f: &mut Formula<'_>, x: ValueId, repeats: &[Dim]) -> Made {
    let shape = f.shape(x);
    let Some(new) = repeats.len().checked_sub(shape.len()) else {
        return f.mismatch("tile", format!("{} repeats are too few for {}", repeats.len(), f.ty(x)));
    };
    let shape = std::iter::repeat_n(Dim::from(1), new).chain(shape);
    let (mut split, mut expanded, mut merged) = (vec![], vec![], vec![]);
    for (dim, repeat) in shape.zip(repeats) {
        if !repeat.is(1) {
            split.push(1.into());
            expanded.push(repeat.clone());
        }
        merged.push(&dim * repeat);
        split.push(dim.clone());
        expanded.push(dim);
    }
    let x = f.reshape(x, split)?;
    let x = f.expand(x, expanded)?;
    f.reshape(x, merged)
}

/// The dimensions before an image's, and `[channels, height, width]`.
fn image(f: &Formula<'_>, op: &'static str, x: ValueId) -> Result<(Vec<Dim>, [Dim; 3]), GraphError> {
    match &f.ty(x).shape[..] {
        [lead @ .., c, h, w] => Ok((lead.to_vec(), [c.clone(), h.clone(), w.clone()])),
        _ => f.mismatch(op, format!("its input is {}, but should be [..., C, H, W]", f.ty(x))),
    }
}

fn divided(f: &Formula<'_>, op: &'static str, dim: &Dim, by: &Dim) -> Result<Dim, GraphError> {
    let part = if by.is(0) { None } else { dim.exact_div(by) };
    part.map_or_else(|| f.mismatch(op, format!("{dim} is not a multiple of {by}")), Ok)
}

/// The dimensions behind `lead` split, permuted and merged.
fn rearranged(
    f: &mut Formula<'_>,
    x: ValueId,
    lead: &[Dim],
    split: &[Dim],
    perm: &[usize],
    merged: &[Dim],
) -> Made {
    let kept = lead.len();
    let x = f.reshape(x, [lead, split].concat())?;
    let x = f.transpose(x, (0..kept).chain(perm.iter().map(|axis| axis + kept)).collect())?;
    f.reshape(x, [lead, merged].concat())
}
