//! Between numbers and their quantized form.

use kiln_graph::functions::quantization::{self, Along, Steps};
use kiln_graph::{DType, Formula, ValueId};

use super::super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use crate::tensor::dtype_of;

/// Scale and zero point, inputs 1 and 2, such that they broadcast against `x`.
fn steps_of(cx: &mut Cx<'_>, x: ValueId) -> Result<Steps> {
    let shape = cx.shape(x);
    let given = cx.attributes.int_or("axis", 1)?;
    let block = cx.attributes.int_or("block_size", 0)?;
    let (scale, zero) = (cx.input(1)?, cx.optional(2));
    if let Some(zero) = zero
        && cx.shape(zero) != cx.shape(scale)
        && cx.shape(zero).iter().chain(&cx.shape(scale)).any(|dim| !dim.is(1))
    {
        return invalid(format!("the zero point is {} and the scale {}", cx.ty(zero), cx.ty(scale)));
    }
    // Of a whole tensor there is no axis.
    let along = if cx.shape(scale).iter().all(|dim| dim.is(1)) {
        Along::Axis(0)
    } else {
        let axis = cx.axis(given, shape.len())?;
        match usize::try_from(block) {
            Ok(0) => Along::Axis(axis),
            Ok(size) => Along::Blocks { axis, size },
            Err(_) => return invalid(format!("`block_size` is {block}, but should be positive")),
        }
    };
    let mut f = cx.formula();
    let scale = quantization::spread(&mut f, scale, &shape, along)?;
    let zero = zero.map(|zero| quantization::spread(&mut f, zero, &shape, along)).transpose()?;
    Ok(Steps { scale, zero })
}

/// The type in the attribute `output_dtype`, if it is said.
fn output_type(cx: &Cx<'_>) -> Result<Option<DType>> {
    let given = cx.attributes.int_or("output_dtype", 0)?;
    let number =
        i32::try_from(given).map_err(|_| OpError::Invalid(format!("{given} is not an element type")))?;
    if number == 0 {
        return Ok(None);
    }
    dtype_of(number)
        .map(Some)
        .map_err(|found| OpError::Unsupported(format!("`output_dtype` = {found} is not supported")))
}

/// `saturate(round(x / scale) + zero)`. Of 16-bit floats, too, the quotient has 32 bits, as in ONNX Runtime.
pub(crate) fn quantize_linear(cx: &mut Cx<'_>) -> Outputs {
    // Of 8-bit floats.
    cx.attributes.ignore("saturate");
    let x = cx.input(0)?;
    let said = output_type(cx)?;
    let of_zero = cx.optional(2).map(|zero| cx.dtype(zero));
    let to = match (said, of_zero) {
        (Some(said), Some(zero)) if said != zero => {
            return invalid(format!("`output_dtype` is {said}, but the zero point is {zero}"));
        }
        (said, zero) => said.or(zero).unwrap_or(DType::U8),
    };
    if to.is_float() || matches!(to, DType::Bool | DType::I64) {
        return unsupported(format!("quantization to {to} is not supported; integers of 8 and 16 bits are"));
    }
    match cx.attributes.int_or("precision", 0)? {
        0 | 1 => {}
        other => {
            return unsupported(format!("`precision` = {other} is not supported; quotients have 32 bits"));
        }
    }
    let steps = steps_of(cx, x)?;
    Ok(vec![quantization::quantize(&mut cx.formula(), x, steps, to)?])
}

/// `(x - zero) * scale`; 8-bit floats, which have been widened, have no zero point.
pub(crate) fn dequantize_linear(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let to = output_type(cx)?.unwrap_or(cx.dtype(cx.input(1)?));
    if !to.is_float() {
        return invalid(format!("its result would be {to}, but should be floating point"));
    }
    let steps = steps_of(cx, x)?;
    if cx.dtype(x).is_float() {
        let scale = cx.cast(steps.scale, DType::F32)?;
        let y = cx.mul(x, scale)?;
        return Ok(vec![cx.cast(y, to)?]);
    }
    // A weight stays what it is in the file, so that the compiler sees that it has 8 bits.
    let is_weight = cx.rank(x) > 1 && cx.graph.as_constant(x).is_some();
    let mut f = if is_weight { Formula::new(cx.graph, cx.name) } else { cx.formula() };
    Ok(vec![quantization::dequantize(&mut f, x, steps, to)?])
}

/// With a scale and a zero point for which all of `x` and 0 fit into 8 bits.
pub(crate) fn dynamic_quantize_linear(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let (q, Steps { scale, zero }) = quantization::quantize_dynamically(&mut cx.formula(), x)?;
    Ok([q, scale].into_iter().chain(zero).collect())
}
