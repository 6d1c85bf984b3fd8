//! Differences of versions 1 to 6 of the operator set: broadcasting had to be requested.

use kiln_graph::{Dim, ValueId};

use super::super::cx::{Cx, Result, invalid};

/// The two operands of an elementwise operator, ready for NumPy's broadcasting, which version 7 brought. Before, the
/// attribute `broadcast` let the second one stretch, aligned to the first at `axis` or else at the end.
pub(crate) fn operands(cx: &mut Cx<'_>) -> Result<(ValueId, ValueId)> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.opset >= 7 {
        return Ok((a, b));
    }
    let stretches = cx.attributes.flag("broadcast", false)?;
    let axis = cx.attributes.int("axis")?;
    if !stretches {
        if cx.shape(a) != cx.shape(b) {
            return invalid(format!(
                "its operands are {} and {}, but `broadcast` is not set",
                cx.ty(a),
                cx.ty(b)
            ));
        }
        return Ok((a, b));
    }
    match axis {
        Some(axis) => {
            let axis = cx.axis(axis, cx.rank(a))?;
            Ok((a, aligned(cx, b, axis, cx.rank(a))?))
        }
        None => Ok((a, b)),
    }
}

/// A slope for each channel, where version 7 asks for a shape that broadcasts.
pub(crate) fn slope(cx: &mut Cx<'_>, x: ValueId, slope: ValueId) -> Result<ValueId> {
    if cx.opset >= 7 || cx.rank(slope) != 1 || cx.shape(slope)[0].is(1) || cx.rank(x) < 2 {
        return Ok(slope);
    }
    aligned(cx, slope, 1, cx.rank(x))
}

/// `b` with ones behind it, so that its first dimension meets dimension `axis` of something of `rank` dimensions.
fn aligned(cx: &mut Cx<'_>, b: ValueId, axis: usize, rank: usize) -> Result<ValueId> {
    let mut shape = cx.shape(b);
    let Some(ones) = rank.checked_sub(axis + shape.len()) else {
        return invalid(format!("{} does not fit at axis {axis} of {rank} dimensions", cx.ty(b)));
    };
    shape.extend(vec![Dim::from(1); ones]);
    cx.reshape(b, shape)
}
