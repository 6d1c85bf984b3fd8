//! Steps of optimizers, of the domain `ai.onnx.preview.training`: a model that has them is a training step.
//!
//! Inputs are the learning rate, how many steps there have been, and then for all tensors that are optimized their values,
//! their gradients and what the optimizer remembers; outputs are new values and memories in the same order.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, ValueId};

use super::super::cx::{Cx, Outputs, Result, invalid};

/// The inputs behind rate and count, each a list over the tensors.
fn lists<const N: usize>(cx: &Cx<'_>) -> Result<[Vec<ValueId>; N]> {
    let all = cx.all_inputs()?;
    let rest = all.get(2..).unwrap_or_default();
    let count = rest.len() / N;
    if count == 0 || count * N != rest.len() {
        return invalid(format!("it has {} inputs; 2 and then {N} for each tensor are needed", all.len()));
    }
    Ok(std::array::from_fn(|list| rest[list * count..][..count].to_vec()))
}

/// The count of steps as a number to compute with.
fn steps(cx: &mut Cx<'_>) -> Result<ValueId> {
    let count = cx.input(1)?;
    cx.cast(count, DType::F32)
}

/// `gradient + norm * x`: the gradient with that of a square of the weights.
fn regularized(cx: &mut Cx<'_>, x: ValueId, gradient: ValueId) -> Result<ValueId> {
    let norm = cx.attributes.float_or("norm_coefficient", 0.0)?;
    let pull = cx.with(BinaryOp::Mul, x, norm.into())?;
    cx.add(pull, gradient)
}

/// `old * share + new * rest`
fn mixed(cx: &mut Cx<'_>, old: ValueId, share: f64, new: ValueId, rest: f64) -> Result<ValueId> {
    let (old, new) = (cx.with(BinaryOp::Mul, old, share)?, cx.with(BinaryOp::Mul, new, rest)?);
    cx.add(old, new)
}

/// `x - rate * direction / (sqrt(squares) + epsilon)`
fn descended(
    cx: &mut Cx<'_>,
    x: ValueId,
    rate: ValueId,
    direction: ValueId,
    squares: ValueId,
) -> Result<ValueId> {
    let epsilon = cx.attributes.float_or("epsilon", 1e-6)?;
    let size = cx.unary(UnaryOp::Sqrt, squares)?;
    let size = cx.with(BinaryOp::Add, size, epsilon.into())?;
    let step = cx.div(direction, size)?;
    let step = cx.mul(rate, step)?;
    cx.binary(BinaryOp::Sub, x, step)
}

/// Duchi et al. 2011.
pub(crate) fn adagrad(cx: &mut Cx<'_>) -> Outputs {
    let [xs, gradients, squares] = lists(cx)?;
    let decay = cx.attributes.float_or("decay_factor", 0.0)?;
    let (rate, steps) = (cx.input(0)?, steps(cx)?);
    let slower = cx.with(BinaryOp::Mul, steps, decay.into())?;
    let slower = cx.with(BinaryOp::Add, slower, 1.0)?;
    let rate = cx.div(rate, slower)?;
    let (mut values, mut memories) = (vec![], vec![]);
    for ((x, gradient), squares) in xs.into_iter().zip(gradients).zip(squares) {
        let gradient = regularized(cx, x, gradient)?;
        let square = cx.mul(gradient, gradient)?;
        let squares = cx.add(squares, square)?;
        values.push(descended(cx, x, rate, gradient, squares)?);
        memories.push(squares);
    }
    Ok([values, memories].concat())
}

/// Kingma and Ba 2014.
pub(crate) fn adam(cx: &mut Cx<'_>) -> Outputs {
    let [xs, gradients, means, squares] = lists(cx)?;
    let alpha = f64::from(cx.attributes.float_or("alpha", 0.9)?);
    let beta = f64::from(cx.attributes.float_or("beta", 0.999)?);
    let post = f64::from(cx.attributes.float_or("norm_coefficient_post", 0.0)?);
    let (rate, steps) = (cx.input(0)?, steps(cx)?);
    // 1 - share^steps, what the moments of so many steps are short of.
    let share = |cx: &mut Cx<'_>, share: f64| -> Result<ValueId> {
        let base = cx.formula().number(share);
        let power = cx.binary(BinaryOp::Pow, base, steps)?;
        Ok(cx.formula().one_minus(power)?)
    };
    let (first, second) = (share(cx, alpha)?, share(cx, beta)?);
    let second = cx.unary(UnaryOp::Sqrt, second)?;
    let adjusted = cx.mul(rate, second)?;
    let adjusted = cx.div(adjusted, first)?;
    let begun = cx.with(BinaryOp::Greater, steps, 0.0)?;
    let rate = cx.formula().select(begun, adjusted, rate)?;
    let (mut values, mut memories) = (vec![], [vec![], vec![]]);
    for (((x, gradient), mean), squares) in xs.into_iter().zip(gradients).zip(means).zip(squares) {
        let gradient = regularized(cx, x, gradient)?;
        let mean = mixed(cx, mean, alpha, gradient, 1.0 - alpha)?;
        let square = cx.mul(gradient, gradient)?;
        let squares = mixed(cx, squares, beta, square, 1.0 - beta)?;
        let x = descended(cx, x, rate, mean, squares)?;
        values.push(cx.with(BinaryOp::Mul, x, 1.0 - post)?);
        memories[0].push(mean);
        memories[1].push(squares);
    }
    let [means, squares] = memories;
    Ok([values, means, squares].concat())
}

/// Gradient descent with momentum (Polyak 1964), which may look ahead (Nesterov 1983).
pub(crate) fn momentum(cx: &mut Cx<'_>) -> Outputs {
    let [xs, gradients, moments] = lists(cx)?;
    let attribute = |what| match cx.attributes.float(what)? {
        Some(number) => Ok(f64::from(number)),
        None => invalid(format!("attribute `{what}` is missing")),
    };
    let (alpha, beta) = (attribute("alpha")?, attribute("beta")?);
    let ahead = match cx.attributes.string_or("mode", "standard")? {
        "standard" => false,
        "nesterov" => true,
        other => {
            return invalid(format!("`mode` is \"{other}\", but should be \"standard\" or \"nesterov\""));
        }
    };
    let (rate, steps) = (cx.input(0)?, steps(cx)?);
    // The first gradient counts in full.
    let begun = cx.with(BinaryOp::Greater, steps, 0.0)?;
    let f = &mut cx.formula();
    let (beta, one) = (f.number(beta), f.number(1.0));
    let share = f.select(begun, beta, one)?;
    let (mut values, mut memories) = (vec![], vec![]);
    for ((x, gradient), moment) in xs.into_iter().zip(gradients).zip(moments) {
        let gradient = regularized(cx, x, gradient)?;
        let kept = cx.with(BinaryOp::Mul, moment, alpha)?;
        let new = cx.mul(share, gradient)?;
        let moment = cx.add(kept, new)?;
        let direction = if ahead {
            let along = cx.with(BinaryOp::Mul, moment, alpha)?;
            cx.add(gradient, along)?
        } else {
            moment
        };
        let step = cx.mul(rate, direction)?;
        values.push(cx.binary(BinaryOp::Sub, x, step)?);
        memories.push(moment);
    }
    Ok([values, memories].concat())
}
