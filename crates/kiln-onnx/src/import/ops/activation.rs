//! Activations, by the formulas of the ONNX operator documentation.

use kiln_graph::ValueId;
use kiln_graph::ops::{BinaryOp, UnaryOp};

use super::super::cx::{Cx, Outputs, Result, unsupported};

pub(crate) fn relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    Ok(vec![cx.unary(UnaryOp::Relu, x)?])
}

fn attribute(cx: &Cx<'_>, name: &str, default: f32) -> Result<f64> {
    Ok(cx.attributes.float_or(name, default)?.into())
}

/// `positive` where `x > threshold`, else `negative`.
fn above(
    cx: &mut Cx<'_>,
    x: ValueId,
    threshold: f64,
    positive: ValueId,
    negative: ValueId,
) -> Result<ValueId> {
    let condition = cx.with(BinaryOp::Greater, x, threshold)?;
    cx.select(condition, positive, negative)
}

/// `exp(x) - 1`
fn exp_minus_one(cx: &mut Cx<'_>, x: ValueId) -> Result<ValueId> {
    let exp = cx.unary(UnaryOp::Exp, x)?;
    cx.with(BinaryOp::Sub, exp, 1.0)
}

pub(super) fn clamp(cx: &mut Cx<'_>, x: ValueId, low: f64, high: f64) -> Result<ValueId> {
    let x = cx.with(BinaryOp::Max, x, low)?;
    cx.with(BinaryOp::Min, x, high)
}

/// The limits are attributes up to version 10, inputs since 11.
pub(crate) fn clip(cx: &mut Cx<'_>) -> Outputs {
    let mut x = cx.input(0)?;
    for (i, name, op) in [(1, "min", BinaryOp::Max), (2, "max", BinaryOp::Min)] {
        let attribute = if cx.opset < 11 { cx.attributes.float(name)? } else { None };
        if let Some(limit) = attribute {
            x = cx.with(op, x, limit.into())?;
        } else if let Some(limit) = cx.optional(i) {
            x = cx.binary(op, x, limit)?;
        }
    }
    Ok(vec![x])
}

pub(crate) fn leaky_relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 0.01)?;
    let scaled = cx.with(BinaryOp::Mul, x, alpha)?;
    Ok(vec![above(cx, x, 0.0, x, scaled)?])
}

/// The slope broadcasts in one direction: from its last dimension.
pub(crate) fn p_relu(cx: &mut Cx<'_>) -> Outputs {
    let (x, slope) = (cx.input(0)?, cx.input(1)?);
    let scaled = cx.mul(x, slope)?;
    Ok(vec![above(cx, x, 0.0, x, scaled)?])
}

/// `x > 0 ? x : alpha * (exp(x) - 1)`
pub(crate) fn elu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    let curve = exp_minus_one(cx, x)?;
    let curve = cx.with(BinaryOp::Mul, curve, alpha)?;
    Ok(vec![above(cx, x, 0.0, x, curve)?])
}

/// `gamma * (x > 0 ? x : alpha * (exp(x) - 1))`; the constants are those of Klambauer et al. 2017.
pub(crate) fn selu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.673_263_2)?;
    let gamma = attribute(cx, "gamma", 1.050_701)?;
    let curve = exp_minus_one(cx, x)?;
    let curve = cx.with(BinaryOp::Mul, curve, alpha)?;
    let y = above(cx, x, 0.0, x, curve)?;
    Ok(vec![cx.with(BinaryOp::Mul, y, gamma)?])
}

/// `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`
pub(crate) fn celu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    let scaled = cx.with(BinaryOp::Div, x, alpha)?;
    let curve = exp_minus_one(cx, scaled)?;
    let curve = cx.with(BinaryOp::Mul, curve, alpha)?;
    Ok(vec![above(cx, x, 0.0, x, curve)?])
}

pub(crate) fn thresholded_relu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    let zero = cx.number(0.0, x);
    Ok(vec![above(cx, x, alpha, x, zero)?])
}

/// `x < -lambd ? x + bias : x > lambd ? x - bias : 0`
pub(crate) fn shrink(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let bias = attribute(cx, "bias", 0.0)?;
    let lambd = attribute(cx, "lambd", 0.5)?;
    let (less, more) = (cx.with(BinaryOp::Sub, x, bias)?, cx.with(BinaryOp::Add, x, bias)?);
    let zero = cx.number(0.0, x);
    let upper = above(cx, x, lambd, less, zero)?;
    let below = cx.with(BinaryOp::Less, x, -lambd)?;
    Ok(vec![cx.select(below, more, upper)?])
}

/// `clamp(alpha * x + beta, 0, 1)`
pub(crate) fn hard_sigmoid(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 0.2)?;
    let beta = attribute(cx, "beta", 0.5)?;
    let line = cx.with(BinaryOp::Mul, x, alpha)?;
    let line = cx.with(BinaryOp::Add, line, beta)?;
    Ok(vec![clamp(cx, line, 0.0, 1.0)?])
}

/// `x * clamp(x / 6 + 1 / 2, 0, 1)`
pub(crate) fn hard_swish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let line = cx.with(BinaryOp::Mul, x, 1.0 / 6.0)?;
    let line = cx.with(BinaryOp::Add, line, 0.5)?;
    let gate = clamp(cx, line, 0.0, 1.0)?;
    Ok(vec![cx.mul(x, gate)?])
}

/// `x * sigmoid(alpha * x)`
pub(crate) fn swish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let alpha = attribute(cx, "alpha", 1.0)?;
    let scaled = if alpha == 1.0 { x } else { cx.with(BinaryOp::Mul, x, alpha)? };
    let gate = cx.unary(UnaryOp::Sigmoid, scaled)?;
    Ok(vec![cx.mul(x, gate)?])
}

/// `x * tanh(softplus(x))`
pub(crate) fn mish(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let soft = cx.unary(UnaryOp::Softplus, x)?;
    let gate = cx.unary(UnaryOp::Tanh, soft)?;
    Ok(vec![cx.mul(x, gate)?])
}

/// `x / (1 + |x|)`
pub(crate) fn softsign(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let size = cx.unary(UnaryOp::Abs, x)?;
    let size = cx.with(BinaryOp::Add, size, 1.0)?;
    Ok(vec![cx.div(x, size)?])
}

/// `x / 2 * (1 + erf(x / sqrt(2)))`, or with `approximate = "tanh"`
/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
pub(crate) fn gelu(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let inner = match cx.attributes.string_or("approximate", "none")? {
        "none" => {
            let scaled = cx.with(BinaryOp::Mul, x, std::f64::consts::FRAC_1_SQRT_2)?;
            cx.unary(UnaryOp::Erf, scaled)?
        }
        "tanh" => {
            let square = cx.mul(x, x)?;
            let cube = cx.mul(square, x)?;
            let cube = cx.with(BinaryOp::Mul, cube, 0.044_715)?;
            let sum = cx.add(x, cube)?;
            let scaled = cx.with(BinaryOp::Mul, sum, (2.0 / std::f64::consts::PI).sqrt())?;
            cx.unary(UnaryOp::Tanh, scaled)?
        }
        other => return unsupported(format!("`approximate` = \"{other}\" is not supported")),
    };
    let gate = cx.with(BinaryOp::Add, inner, 1.0)?;
    let half = cx.with(BinaryOp::Mul, x, 0.5)?;
    Ok(vec![cx.mul(half, gate)?])
}
