//! Activations, element by element.

use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, UnaryOp};

/// The `alpha` of [`selu`] (Klambauer et al. 2017, "Self-Normalizing Neural Networks").
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// The `gamma` of [`selu`], there called lambda; PyTorch calls it scale.
pub const SELU_GAMMA: f64 = 1.050_700_987_355_480_5;

/// `positive` where `x > threshold`, else `negative`.
fn above(f: &mut Formula<'_>, x: ValueId, threshold: f64, positive: ValueId, negative: ValueId) -> Made {
    let condition = f.with(BinaryOp::Greater, x, threshold)?;
    f.select(condition, positive, negative)
}

/// `alpha * (exp(x) - 1)`
fn exp_minus_one(f: &mut Formula<'_>, x: ValueId, alpha: f64) -> Made {
    let exp = f.unary(UnaryOp::Exp, x)?;
    let curve = f.with(BinaryOp::Sub, exp, 1.0)?;
    f.with(BinaryOp::Mul, curve, alpha)
}

/// `min(max(x, low), high)`, with the limits there are. On a limit the gradient is zero, as beyond it.
pub fn clamp(f: &mut Formula<'_>, x: ValueId, low: Option<f64>, high: Option<f64>) -> Made {
    let x = low.map_or(Ok(x), |low| f.with(BinaryOp::ClampMin, x, low))?;
    high.map_or(Ok(x), |high| f.with(BinaryOp::ClampMax, x, high))
}

/// `min(max(x, low), high)` with limits that are tensors, which may be learned. An element equal to a limit shares the
/// gradient with it, but where both limits equal `x`, `x` has all of it (PyTorch).
pub fn clamp_between(f: &mut Formula<'_>, x: ValueId, low: ValueId, high: ValueId) -> Made {
    let raised = f.binary(BinaryOp::Max, x, low)?;
    let apart = f.binary(BinaryOp::Min, raised, high)?;
    let (above, below) = (f.binary(BinaryOp::Greater, x, high)?, f.binary(BinaryOp::Less, x, low)?);
    let lowered = f.select(above, high, x)?;
    let together = f.select(below, low, lowered)?;
    let meet = f.binary(BinaryOp::Equal, low, high)?;
    f.select(meet, together, apart)
}

/// `x > 0 ? x : slope * x` (Maas et al. 2013).
pub fn leaky_relu(f: &mut Formula<'_>, x: ValueId, slope: f64) -> Made {
    let scaled = f.with(BinaryOp::Mul, x, slope)?;
    above(f, x, 0.0, x, scaled)
}

/// `x > 0 ? x : slope * x` with slopes that are learned (He et al. 2015). `slope` broadcasts from its last dimension;
/// for one slope per channel see [`per_channel`](super::normalization::per_channel).
pub fn prelu(f: &mut Formula<'_>, x: ValueId, slope: ValueId) -> Made {
    let positive = f.with(BinaryOp::Greater, x, 0.0)?;
    // The gradient of the slope is a sum over what is not positive, of which infinities are no part.
    let zero = f.number_like(0.0, x);
    let rest = f.select(positive, zero, x)?;
    let scaled = f.mul(rest, slope)?;
    f.select(positive, x, scaled)
}

/// `x > 0 ? x : alpha * (exp(x / divisor) - 1)`
fn exponential_below_zero(f: &mut Formula<'_>, x: ValueId, alpha: f64, divisor: f64) -> Made {
    let below = f.with(BinaryOp::LessOrEqual, x, 0.0)?;
    // Of what is large the exponential is infinite, and the gradient of what is not chosen would be zero times that.
    let zero = f.number_like(0.0, x);
    let rest = f.select(below, x, zero)?;
    let scaled = if divisor == 1.0 { rest } else { f.with(BinaryOp::Div, rest, divisor)? };
    let curve = exp_minus_one(f, scaled, alpha)?;
    f.select(below, curve, x)
}

/// `x > 0 ? x : alpha * (exp(x) - 1)` (Clevert et al. 2015).
pub fn elu(f: &mut Formula<'_>, x: ValueId, alpha: f64) -> Made {
    exponential_below_zero(f, x, alpha, 1.0)
}

/// `gamma * (x > 0 ? x : alpha * (exp(x) - 1))` (Klambauer et al. 2017).
pub fn selu(f: &mut Formula<'_>, x: ValueId, alpha: f64, gamma: f64) -> Made {
    let y = elu(f, x, alpha)?;
    f.with(BinaryOp::Mul, y, gamma)
}

/// `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))` (Barron 2017).
pub fn celu(f: &mut Formula<'_>, x: ValueId, alpha: f64) -> Made {
    exponential_below_zero(f, x, alpha, alpha)
}

/// `x > alpha ? x : 0` (ONNX's `ThresholdedRelu`). It differs from [`threshold`] in NaN, which becomes 0.
pub fn thresholded_relu(f: &mut Formula<'_>, x: ValueId, alpha: f64) -> Made {
    let zero = f.number_like(0.0, x);
    above(f, x, alpha, x, zero)
}

/// `x <= threshold ? otherwise : x` (PyTorch's `threshold`). NaN stays NaN.
pub fn threshold(f: &mut Formula<'_>, x: ValueId, threshold: f64, otherwise: f64) -> Made {
    let otherwise = f.number_like(otherwise, x);
    let below = f.with(BinaryOp::LessOrEqual, x, threshold)?;
    f.select(below, otherwise, x)
}

/// `x < -lambd ? x + bias : x > lambd ? x - bias : 0`. With `bias = lambd` it is known as soft shrinkage, with
/// `bias = 0` as hard shrinkage.
pub fn shrink(f: &mut Formula<'_>, x: ValueId, lambd: f64, bias: f64) -> Made {
    let (less, more) = (f.with(BinaryOp::Sub, x, bias)?, f.with(BinaryOp::Add, x, bias)?);
    let zero = f.number_like(0.0, x);
    let upper = above(f, x, lambd, less, zero)?;
    let below = f.with(BinaryOp::Less, x, -lambd)?;
    f.select(below, more, upper)
}

/// `|x| <= lambd ? 0 : x < 0 ? x + bias : x - bias`, PyTorch's `softshrink` with `bias = lambd` and `hardshrink` with
/// `bias = 0`: as [`shrink`], but NaN stays NaN.
pub fn shrink_numbers(f: &mut Formula<'_>, x: ValueId, lambd: f64, bias: f64) -> Made {
    let size = f.unary(UnaryOp::Abs, x)?;
    let inside = f.with(BinaryOp::LessOrEqual, size, lambd)?;
    let zero = f.number_like(0.0, x);
    if bias == 0.0 {
        return f.select(inside, zero, x);
    }
    let (less, more) = (f.with(BinaryOp::Sub, x, bias)?, f.with(BinaryOp::Add, x, bias)?);
    let negative = f.with(BinaryOp::Less, x, 0.0)?;
    let outside = f.select(negative, more, less)?;
    f.select(inside, zero, outside)
}

/// `clamp(alpha * x + beta, 0, 1)`. The defaults are 0.2 and 0.5 in ONNX, 1/6 and 1/2 in PyTorch.
pub fn hard_sigmoid(f: &mut Formula<'_>, x: ValueId, alpha: f64, beta: f64) -> Made {
    let line = f.with(BinaryOp::Mul, x, alpha)?;
    let line = f.with(BinaryOp::Add, line, beta)?;
    clamp(f, line, Some(0.0), Some(1.0))
}

/// `x * clamp(x / 6 + 1 / 2, 0, 1)` (Howard et al. 2019, "Searching for MobileNetV3").
pub fn hard_swish(f: &mut Formula<'_>, x: ValueId) -> Made {
    let gate = hard_sigmoid(f, x, 1.0 / 6.0, 0.5)?;
    f.mul(x, gate)
}

/// `x * sigmoid(alpha * x)` (Ramachandran et al. 2017); with `alpha = 1` also known as SiLU.
pub fn swish(f: &mut Formula<'_>, x: ValueId, alpha: f64) -> Made {
    let scaled = if alpha == 1.0 { x } else { f.with(BinaryOp::Mul, x, alpha)? };
    let gate = f.unary(UnaryOp::Sigmoid, scaled)?;
    f.mul(x, gate)
}

/// `x * tanh(softplus(x))` (Misra 2019).
pub fn mish(f: &mut Formula<'_>, x: ValueId) -> Made {
    let soft = f.unary(UnaryOp::Softplus, x)?;
    let gate = f.unary(UnaryOp::Tanh, soft)?;
    f.mul(x, gate)
}

/// `x / (1 + |x|)`
pub fn softsign(f: &mut Formula<'_>, x: ValueId) -> Made {
    let size = f.unary(UnaryOp::Abs, x)?;
    let size = f.with(BinaryOp::Add, size, 1.0)?;
    f.div(x, size)
}

/// `x / 2 * (1 + erf(x / sqrt(2)))` (Hendrycks and Gimpel 2016), or approximately
/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
pub fn gelu(f: &mut Formula<'_>, x: ValueId, approximate_tanh: bool) -> Made {
    let inner = if approximate_tanh {
        let square = f.mul(x, x)?;
        let cube = f.mul(square, x)?;
        let cube = f.with(BinaryOp::Mul, cube, 0.044_715)?;
        let sum = f.add(x, cube)?;
        let scaled = f.with(BinaryOp::Mul, sum, (2.0 / std::f64::consts::PI).sqrt())?;
        f.unary(UnaryOp::Tanh, scaled)?
    } else {
        let scaled = f.with(BinaryOp::Mul, x, std::f64::consts::FRAC_1_SQRT_2)?;
        f.unary(UnaryOp::Erf, scaled)?
    };
    let gate = f.with(BinaryOp::Add, inner, 1.0)?;
    let half = f.with(BinaryOp::Mul, x, 0.5)?;
    f.mul(half, gate)
}
