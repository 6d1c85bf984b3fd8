//! Activations, with the defaults of the ONNX operator documentation.

use kiln_graph::functions::activation::{self, SELU_ALPHA, SELU_GAMMA};
use kiln_graph::ops::{BinaryOp, UnaryOp};

use super::super::cx::{Cx, Outputs, Result, invalid, unsupported};
use super::legacy;

pub(crate) fn relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![cx.unary(UnaryOp::Relu, x)?])
}

fn attribute(cx: &Cx<'_>, name: &str, default: f64) -> Result<f64> {
    Ok(cx.attributes.float(name)?.map_or(default, f64::from))
}

/// The limits are attributes up to version 10, inputs since 11.
pub(crate) fn clip(cx: &mut Cx<'_>) -> Outputs {
    let mut x = cx.input(0)?;
    if cx.opset < 11 {
        let (low, high) = (cx.attributes.float("min")?, cx.attributes.float("max")?);
        return Ok(vec![activation::clamp(&mut cx.formula(), x, low.map(f64::from), high.map(f64::from))?]);
    }
    for (i, op) in [(1, BinaryOp::ClampMin), (2, BinaryOp::ClampMax)] {
        if let Some(limit) = cx.optional(i) {
            x = cx.binary(op, x, limit)?;
        }
    }
    Ok(vec![x])
}

pub(crate) fn leaky_relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 0.01)?;
    Ok(vec![activation::leaky_relu(&mut cx.formula(), x, alpha)?])
}

/// The slope broadcasts in one direction: from its last dimension.
pub(crate) fn p_relu(cx: &mut Cx<'_>) -> Outputs {
    let (x, slope) = (cx.input(0)?, cx.input(1)?);
    let slope = legacy::slope(cx, x, slope)?;
    Ok(vec![activation::prelu(&mut cx.formula(), x, slope)?])
}

pub(crate) fn elu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    Ok(vec![activation::elu(&mut cx.formula(), x, alpha)?])
}

pub(crate) fn selu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    // Version 6 made them exact.
    let usual = if cx.opset < 6 { (1.6732, 1.0507) } else { (SELU_ALPHA, SELU_GAMMA) };
    let alpha = attribute(cx, "alpha", usual.0)?;
    let gamma = attribute(cx, "gamma", usual.1)?;
    Ok(vec![activation::selu(&mut cx.formula(), x, alpha, gamma)?])
}

pub(crate) fn celu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    Ok(vec![activation::celu(&mut cx.formula(), x, alpha)?])
}

pub(crate) fn thresholded_relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    Ok(vec![activation::thresholded_relu(&mut cx.formula(), x, alpha)?])
}

pub(crate) fn shrink(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let bias = attribute(cx, "bias", 0.0)?;
    let lambd = attribute(cx, "lambd", 0.5)?;
    Ok(vec![activation::shrink(&mut cx.formula(), x, lambd, bias)?])
}

pub(crate) fn hard_sigmoid(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 0.2)?;
    let beta = attribute(cx, "beta", 0.5)?;
    Ok(vec![activation::hard_sigmoid(&mut cx.formula(), x, alpha, beta)?])
}

pub(crate) fn hard_swish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![activation::hard_swish(&mut cx.formula(), x)?])
}

pub(crate) fn swish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    Ok(vec![activation::swish(&mut cx.formula(), x, alpha)?])
}

pub(crate) fn mish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![activation::mish(&mut cx.formula(), x)?])
}

pub(crate) fn softsign(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![activation::softsign(&mut cx.formula(), x)?])
}

pub(crate) fn gelu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let approximate_tanh = match cx.attributes.string_or("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return unsupported(format!("`approximate` = \"{other}\" is not supported")),
    };
    Ok(vec![activation::gelu(&mut cx.formula(), x, approximate_tanh)?])
}

/// A gate that passes another input: `swish(a) * b`.
pub(crate) fn swi_glu(cx: &mut Cx<'_>) -> Outputs {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.ty(a) != cx.ty(b) {
        return invalid(format!("its inputs are {} and {}, but should be alike", cx.ty(a), cx.ty(b)));
    }
    let alpha = attribute(cx, "alpha", 1.0)?;
    let gate = activation::swish(&mut cx.formula(), a, alpha)?;
    Ok(vec![cx.mul(gate, b)?])
}
