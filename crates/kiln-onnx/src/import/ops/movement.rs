//! Operators that move elements.

use kiln_graph::functions::movement::{self, BlockOrder};
use kiln_graph::functions::padding;
use kiln_graph::functions::slicing::{self, Cut};
use kiln_graph::ops::{Gather, GatherElements, Pad, PadMode};
use kiln_graph::{DType, Dim, Op, Tensor, ValueId};

use super::super::cx::{Cx, Outputs, Result, deciding, invalid, unsupported};

pub(crate) fn concat(cx: &mut Cx<'_>) -> Outputs {
    let inputs = cx.all_inputs()?;
    let Some(first) = inputs.first() else { return invalid("it has no inputs") };
    let axis = cx.axis_of(1, *first)?;
    Ok(vec![cx.concat(&inputs, axis)?])
}

/// Into parts of given sizes, or of equal ones (the last may be smaller).
pub(crate) fn split(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let axis = cx.axis_of(0, x)?;
    let size = cx.dim(x, axis)?;
    // Version 18 says the number of outputs, which is there to be counted anyway.
    let declared = cx.attributes.int("num_outputs")?;
    let count = i64::try_from(cx.outputs_used.len()).unwrap_or(i64::MAX);
    if declared.is_some_and(|n| n != count) {
        return invalid(format!("`num_outputs` is {}, but there are {count} outputs", declared.unwrap_or(0)));
    }
    let sizes: Vec<Dim> = match cx.attributes.ints("split")? {
        Some(sizes) => sizes.iter().map(|n| Dim::from(*n)).collect(),
        None if cx.optional(1).is_some() => cx.dims(1, "split")?,
        None => {
            let part = size.ceil_div(count.max(1));
            let last = size.clone() - &part * &(count - 1).into();
            (1..count).map(|_| part.clone()).chain([last]).collect()
        }
    };
    Ok(slicing::split(&mut cx.formula(), x, axis, &sizes)?)
}

pub(crate) fn slice(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (starts, ends, axes, steps) = if cx.opset < 10 {
        let dims = |list: Option<&[i64]>| list.map(|l| l.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>());
        let starts = dims(cx.attributes.ints("starts")?).unwrap_or_default();
        let ends = dims(cx.attributes.ints("ends")?).unwrap_or_default();
        (starts, ends, cx.attributes.ints("axes")?.map(<[i64]>::to_vec), None)
    } else {
        let optional = |i, what| if cx.optional(i).is_some() { cx.ints(i, what).map(Some) } else { Ok(None) };
        (cx.dims(1, "starts")?, cx.dims(2, "ends")?, optional(3, "axes")?, optional(4, "steps")?)
    };
    let rank = cx.rank(x);
    let count = starts.len();
    let axes = match axes {
        Some(axes) => axes.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..count).collect(),
    };
    let steps = steps.unwrap_or_else(|| vec![1; count]);
    if ends.len() != count || axes.len() != count || steps.len() != count {
        return invalid("`starts`, `ends`, `axes` and `steps` differ in length");
    }
    let bounds = starts.into_iter().zip(ends).zip(axes).zip(steps);
    let cuts: Vec<Cut> = bounds.map(|(((start, end), axis), step)| Cut { axis, start, end, step }).collect();
    Ok(vec![slicing::slice(&mut cx.formula(), x, &cuts)?])
}

pub(crate) fn gather(cx: &mut Cx<'_>) -> Outputs {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = cx.axis_of(0, x)?;
    cx.check_places(1, &[cx.dim(x, axis)?])?;
    Ok(vec![cx.op(Op::Gather(Gather { axis }), &[x, indices])?])
}

pub(crate) fn gather_elements(cx: &mut Cx<'_>) -> Outputs {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = cx.axis_of(0, x)?;
    cx.check_places(1, &[cx.dim(x, axis)?])?;
    Ok(vec![cx.op(Op::GatherElements(GatherElements { axis }), &[x, indices])?])
}

/// The amounts are an attribute up to version 10, an input since 11.
pub(crate) fn pad(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let rank = cx.rank(x);
    let (amounts, value) = if cx.opset < 11 {
        let name = if cx.opset < 2 { "paddings" } else { "pads" };
        let amounts = cx.attributes.ints(name)?.unwrap_or_default();
        (amounts.iter().map(|n| Dim::from(*n)).collect(), f64::from(cx.attributes.float_or("value", 0.0)?))
    } else {
        let value = match cx.optional(2) {
            Some(_) => cx.floats(2, "constant_value")?.first().copied().unwrap_or(0.0),
            None => 0.0,
        };
        (cx.dims(1, "pads")?, value)
    };
    let axes = match cx.optional(3) {
        Some(_) => {
            let axes = cx.ints(3, "axes")?;
            axes.iter().map(|axis| cx.axis(*axis, rank)).collect::<Result<Vec<_>>>()?
        }
        None => (0..rank).collect(),
    };
    if amounts.len() != 2 * axes.len() {
        return invalid(format!(
            "`pads` has {} numbers; {} axes need {}",
            amounts.len(),
            axes.len(),
            2 * axes.len()
        ));
    }
    let mut amounts_of = vec![[Dim::from(0), Dim::from(0)]; rank];
    for (i, axis) in axes.iter().enumerate() {
        amounts_of[*axis] = [amounts[i].clone(), amounts[i + axes.len()].clone()];
    }
    let fixed = |[before, after]: &[Dim; 2]| Some([before.as_const()?, after.as_const()?]);
    let Some(pads) = amounts_of.iter().map(fixed).collect::<Option<Vec<_>>>() else {
        return pad_by_sizes(cx, x, &amounts_of, value);
    };
    let mode = match cx.attributes.string_or("mode", "constant")? {
        "constant" if !fits(value, cx.dtype(x)) => return Ok(vec![pad_exactly(cx, x, pads)?]),
        #[allow(clippy::as_conversions, reason = "padding is a 32-bit number in the graph")]
        "constant" => PadMode::Constant(value as f32),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        other => return unsupported(format!("`mode` = \"{other}\" is not supported")),
    };
    if pads.iter().all(|p| *p == [0, 0]) {
        return Ok(vec![x]);
    }
    Ok(vec![cx.op(Op::Pad(Pad { pads, mode }), &[x])?])
}

/// Padding by amounts that depend on sizes.
fn pad_by_sizes(cx: &mut Cx<'_>, x: ValueId, amounts: &[[Dim; 2]], value: f64) -> Outputs {
    let mode = cx.attributes.string_or("mode", "constant")?;
    if mode != "constant" || !fits(value, cx.dtype(x)) {
        let open = amounts.iter().flatten().filter(|dim| dim.as_const().is_none());
        return unsupported(format!(
            "padding by amounts that depend on sizes is supported for small constants, not for `mode` = \"{mode}\"; {}",
            deciding(open)
        ));
    }
    Ok(vec![padding::pad(&mut cx.formula(), x, amounts, value)?])
}

/// Whether padding, which is a 32-bit floating point number in the graph, can be this number.
fn fits(value: f64, dtype: DType) -> bool {
    match dtype {
        DType::F32 | DType::F16 => true,
        #[allow(clippy::as_conversions, reason = "whether it survives that is the question")]
        DType::F64 => value.is_nan() || f64::from(value as f32) == value,
        _ => value.abs() <= 16_777_216.0,
    }
}

/// With zeros, which then give way to the third input.
fn pad_exactly(cx: &mut Cx<'_>, x: ValueId, pads: Vec<[i64; 2]>) -> Result<ValueId> {
    let value = cx.input(2)?;
    let value = cx.reshape(value, [])?;
    let op = Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) });
    let shape = cx.shape(x);
    let one = cx.constant_value(Tensor::scalar(1.0));
    let ones = cx.expand(one, shape)?;
    let inside = cx.op(op.clone(), &[ones])?;
    let inside = cx.cast(inside, DType::Bool)?;
    let padded = cx.op(op, &[x])?;
    Ok(cx.formula().select(inside, padded, value)?)
}

/// The image that is the input, and the side of a block.
fn blocks(cx: &Cx<'_>) -> Result<(ValueId, usize)> {
    let x = cx.input(0)?;
    if cx.rank(x) != 4 {
        return invalid(format!("its input is {}, but should be [N, C, H, W]", cx.ty(x)));
    }
    let block = cx.attributes.int_or("blocksize", 0)?;
    match usize::try_from(block) {
        Ok(size) if size > 0 => Ok((x, size)),
        Ok(_) | Err(_) => invalid(format!("`blocksize` is {block}, but should be positive")),
    }
}

fn order(cx: &Cx<'_>) -> Result<BlockOrder> {
    match cx.attributes.string_or("mode", "DCR")? {
        "DCR" => Ok(BlockOrder::PlaceFirst),
        "CRD" => Ok(BlockOrder::ChannelFirst),
        other => invalid(format!("`mode` is \"{other}\", but should be \"DCR\" or \"CRD\"")),
    }
}

pub(crate) fn depth_to_space(cx: &mut Cx<'_>) -> Outputs {
    let (x, block) = blocks(cx)?;
    let order = order(cx)?;
    Ok(vec![movement::depth_to_space(&mut cx.formula(), x, block, order)?])
}

pub(crate) fn space_to_depth(cx: &mut Cx<'_>) -> Outputs {
    let (x, block) = blocks(cx)?;
    let order = order(cx)?;
    Ok(vec![movement::space_to_depth(&mut cx.formula(), x, block, order)?])
}
