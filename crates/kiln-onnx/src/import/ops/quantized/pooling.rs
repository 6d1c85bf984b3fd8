//! Pooling of quantized numbers.

use kiln_graph::functions::quantization;
use kiln_graph::ops::ReduceKind;
use kiln_graph::{ValueId, product};

use super::super::super::cx::{Cx, Outputs, Result};
use super::super::pool;
use super::{Operand, steps};

/// The permutation that moves channels from the end to the second place, and the one back.
fn channels_first(rank: usize) -> [Vec<usize>; 2] {
    let there = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let back = [0].into_iter().chain(2..rank).chain([1]).collect();
    [there, back]
}

/// Does something to images with channels first, whatever order they are in.
fn on_channels_first(
    cx: &mut Cx<'_>,
    x: ValueId,
    of: impl FnOnce(&mut Cx<'_>, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    if !cx.attributes.flag("channels_last", false)? {
        return of(cx, x);
    }
    let spatial = cx.spatial(x)?;
    let [there, back] = channels_first(spatial + 2);
    let x = cx.transpose(x, there)?;
    let y = of(cx, x)?;
    cx.transpose(y, back)
}

/// The mean of integers from their exact sum.
pub(crate) fn global_average_pool(cx: &mut Cx<'_>) -> Outputs {
    let (x, y) = (Operand::at(cx, 0)?, steps(cx, 3)?);
    let to = x.dtype(cx);
    let whole = x.centered(cx)?;
    let result = on_channels_first(cx, whole, |cx, whole| {
        let spatial = cx.spatial(whole)?;
        let axes: Vec<usize> = (2..2 + spatial).collect();
        let count = product(&cx.shape(whole)[2..]);
        let sums = cx.reduce(ReduceKind::Sum, whole, &axes, true)?;
        let count = cx.formula().size(count)?;
        let divisor = cx.mul(y.scale, count)?;
        let factor = cx.div(x.steps.scale, divisor)?;
        Ok(quantization::requantize(&mut cx.formula(), sums, factor, y.zero, to)?)
    })?;
    Ok(vec![result])
}

/// The mean of the numbers that the integers stand for.
pub(crate) fn average_pool(cx: &mut Cx<'_>) -> Outputs {
    let (x, y) = (Operand::at(cx, 0)?, steps(cx, 3)?);
    let to = x.dtype(cx);
    let numbers = x.dequantized(cx)?;
    let mean = on_channels_first(cx, numbers, pool::average)?;
    Ok(vec![quantization::quantize(&mut cx.formula(), mean, y, to)?])
}
