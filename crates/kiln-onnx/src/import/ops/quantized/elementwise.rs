//! Arithmetic, activations and concatenation of quantized numbers: engines look these up in tables of what the floats would
//! give.

use kiln_graph::functions::{activation, quantization};
use kiln_graph::ops::{Softmax, UnaryOp};
use kiln_graph::{DType, Op, ValueId, product};

use super::super::super::cx::{Cx, OpError, Outputs, Result, invalid};
use super::{Operand, steps};

/// Both operands and the result have steps of their own: `(A - a) * (a_scale / y_scale) + (B - b) * (b_scale / y_scale)`.
pub(crate) fn add(cx: &mut Cx<'_>) -> Outputs {
    let (a, b, y) = (Operand::at(cx, 0)?, Operand::at(cx, 3)?, steps(cx, 6)?);
    let to = a.dtype(cx);
    let mut part = |operand: Operand| {
        let whole = operand.centered(cx)?;
        let whole = cx.cast(whole, DType::F32)?;
        let ratio = cx.div(operand.steps.scale, y.scale)?;
        cx.mul(whole, ratio)
    };
    let (a, b) = (part(a)?, part(b)?);
    let sum = cx.add(a, b)?;
    let one = cx.formula().number(1.0);
    let unscaled = quantization::Steps { scale: one, zero: y.zero };
    Ok(vec![quantization::quantize(&mut cx.formula(), sum, unscaled, to)?])
}

pub(crate) fn mul(cx: &mut Cx<'_>) -> Outputs {
    let (a, b, y) = (Operand::at(cx, 0)?, Operand::at(cx, 3)?, steps(cx, 6)?);
    let to = a.dtype(cx);
    let (left, right) = (a.centered(cx)?, b.centered(cx)?);
    let products = cx.mul(left, right)?;
    let scale = cx.mul(a.steps.scale, b.steps.scale)?;
    let factor = cx.div(scale, y.scale)?;
    Ok(vec![quantization::requantize(&mut cx.formula(), products, factor, y.zero, to)?])
}

/// A function of the numbers that `X`, inputs 0 to 2, stands for, in the steps of inputs 3 and 4.
fn through_floats(cx: &mut Cx<'_>, of: impl FnOnce(&mut Cx<'_>, ValueId) -> Result<ValueId>) -> Outputs {
    let (x, y) = (Operand::at(cx, 0)?, steps(cx, 3)?);
    let to = x.dtype(cx);
    let numbers = x.dequantized(cx)?;
    let results = of(cx, numbers)?;
    Ok(vec![quantization::quantize(&mut cx.formula(), results, y, to)?])
}

pub(crate) fn leaky_relu(cx: &mut Cx<'_>) -> Outputs {
    let alpha = cx.attributes.float_or("alpha", 0.01)?;
    through_floats(cx, |cx, x| Ok(activation::leaky_relu(&mut cx.formula(), x, alpha.into())?))
}

pub(crate) fn sigmoid(cx: &mut Cx<'_>) -> Outputs {
    through_floats(cx, |cx, x| cx.unary(UnaryOp::Sigmoid, x))
}

/// Of all dimensions from `axis` on, up to version 12 of the softmax that it stands for.
pub(crate) fn softmax(cx: &mut Cx<'_>) -> Outputs {
    let opset = cx.attributes.int("opset")?;
    let opset = opset.ok_or_else(|| OpError::Invalid("attribute `opset` is missing".into()))?;
    let default = if opset < 13 { 1 } else { -1 };
    let x = cx.input(0)?;
    let axis = cx.axis_of(default, x)?;
    through_floats(cx, |cx, x| {
        let shape = cx.shape(x);
        if opset >= 13 || axis + 1 == shape.len() {
            return cx.op(Op::Softmax(Softmax { axis, log: false }), &[x]);
        }
        let (outer, inner) = shape.split_at(axis);
        let rows = cx.reshape(x, [product(outer), product(inner)])?;
        let y = cx.op(Op::Softmax(Softmax { axis: 1, log: false }), &[rows])?;
        cx.reshape(y, shape)
    })
}

/// `condition ? X : Y`, in the steps of inputs 7 and 8.
pub(crate) fn select(cx: &mut Cx<'_>) -> Outputs {
    let condition = cx.input(0)?;
    let (x, y, z) = (Operand::at(cx, 1)?, Operand::at(cx, 4)?, steps(cx, 7)?);
    let to = x.dtype(cx);
    let (x, y) = (x.dequantized(cx)?, y.dequantized(cx)?);
    let chosen = cx.op(Op::Select, &[condition, x, y])?;
    Ok(vec![quantization::quantize(&mut cx.formula(), chosen, z, to)?])
}

/// Inputs 0 and 1 are the steps of the result; three inputs for each part follow.
pub(crate) fn concat(cx: &mut Cx<'_>) -> Outputs {
    let y = steps(cx, 0)?;
    let count = cx.inputs.len();
    if count < 5 || count % 3 != 2 {
        return invalid(format!("it has {count} inputs; there should be two, and three for each part"));
    }
    let parts = (2..count).step_by(3).map(|first| Operand::at(cx, first)).collect::<Result<Vec<_>>>()?;
    let Some(first) = parts.first() else { return invalid("it has no parts") };
    let axis = cx.axis_of(0, first.q)?;
    let to = first.dtype(cx);
    let parts = parts
        .into_iter()
        .map(|part| {
            let numbers = part.dequantized(cx)?;
            Ok(quantization::quantize(&mut cx.formula(), numbers, y, to)?)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(vec![cx.concat(&parts, axis)?])
}
