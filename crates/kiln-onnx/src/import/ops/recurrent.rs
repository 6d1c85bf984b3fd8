//! Recurrent layers: one or two directions of a network that is unrolled step by step.

use kiln_graph::functions::recurrent::{self, Activation, Cell, Product, Recurrence, States, Weights};
use kiln_graph::ops::SliceAxis;
use kiln_graph::{Dim, ValueId};

use super::super::attributes::Attributes;
use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};

/// An activation and what it takes from the lists of numbers, with what these are if they are left out.
fn activation(
    name: &str,
    mut alpha: impl FnMut(Option<f64>) -> Result<f64>,
    mut beta: impl FnMut(Option<f64>) -> Result<f64>,
) -> Result<Activation> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "affine" => Activation::Affine { alpha: alpha(None)?, beta: beta(None)? },
        "leakyrelu" => Activation::LeakyRelu { alpha: alpha(Some(0.01))? },
        "thresholdedrelu" => Activation::ThresholdedRelu { alpha: alpha(Some(1.0))? },
        "scaledtanh" => Activation::ScaledTanh { alpha: alpha(None)?, beta: beta(None)? },
        "hardsigmoid" => Activation::HardSigmoid { alpha: alpha(Some(0.2))?, beta: beta(Some(0.5))? },
        "elu" => Activation::Elu { alpha: alpha(Some(1.0))? },
        _ => return unsupported(format!("`activations` has \"{name}\", which is not supported")),
    })
}

/// The activations of all directions, which take what they need from `activation_alpha` and `activation_beta` in turn.
fn activations(attributes: &Attributes<'_>, defaults: &[&str], directions: usize) -> Result<Vec<Activation>> {
    let names = attributes.strings("activations")?.unwrap_or_else(|| defaults.repeat(directions));
    let wanted = defaults.len() * directions;
    if names.len() != wanted {
        return invalid(format!("`activations` has {} names, but should have {wanted}", names.len()));
    }
    let mut alphas = attributes.floats("activation_alpha")?.unwrap_or_default().iter();
    let mut betas = attributes.floats("activation_beta")?.unwrap_or_default().iter();
    names
        .into_iter()
        .map(|name| {
            let missing = |what: &str| OpError::Invalid(format!("`{what}` has too few numbers for {name}"));
            let alpha = |default: Option<f64>| {
                alphas.next().map(|x| f64::from(*x)).or(default).ok_or_else(|| missing("activation_alpha"))
            };
            let beta = |default: Option<f64>| {
                betas.next().map(|x| f64::from(*x)).or(default).ok_or_else(|| missing("activation_beta"))
            };
            activation(name, alpha, beta)
        })
        .collect()
}

/// Part `n` of `count` equal ones along the first dimension, which is left out where it is one.
pub(super) fn direction(cx: &mut Cx<'_>, x: ValueId, n: usize) -> Result<ValueId> {
    let shape = cx.shape(x);
    let cut = SliceAxis { axis: 0, start: n.into(), length: 1.into(), step: 1 };
    let part = if shape.first().is_some_and(|d| d.is(1)) { x } else { cx.formula().slice(x, vec![cut])? };
    cx.reshape(part, shape.get(1..).unwrap_or_default())
}

/// Numbers `start..start + count` of a vector.
fn stretch(cx: &mut Cx<'_>, x: ValueId, start: usize, count: usize) -> Result<ValueId> {
    let cut = SliceAxis { axis: 0, start: start.into(), length: count.into(), step: 1 };
    Ok(cx.formula().slice(x, vec![cut])?)
}

/// The matrix product of a direction, from its number.
pub(super) type Products<'p> = &'p dyn Fn(&mut Cx<'_>, usize) -> Result<Product<'static>>;

/// A layer of floats.
fn plain(cx: &mut Cx<'_>, gates: usize, defaults: &[&str], cell: impl Fn(&[Activation]) -> Cell) -> Outputs {
    let weights = [cx.input(1)?, cx.input(2)?];
    layer(cx, weights, gates, defaults, cell, &|_, _| {
        Ok(Product { multiply: &recurrent::plain, input: vec![], state: vec![] })
    })
}

/// A layer with the weights `W` and `R`.
pub(super) fn layer(
    cx: &mut Cx<'_>,
    [w, r]: [ValueId; 2],
    gates: usize,
    defaults: &[&str],
    cell: impl Fn(&[Activation]) -> Cell,
    products: Products<'_>,
) -> Outputs {
    // Of versions before 7: which outputs there are is there to be seen.
    cx.attributes.ignore("output_sequence");
    let x = cx.input(0)?;
    let reversed: &[bool] = match cx.attributes.string_or("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return invalid(format!("`direction` is \"{other}\"")),
    };
    let batch_first = match cx.attributes.int_or("layout", 0)? {
        0 => false,
        1 => true,
        other => return invalid(format!("`layout` is {other}, but should be 0 or 1")),
    };
    let clip = cx.attributes.float("clip")?.map(f64::from);
    let given = cx.attributes.int("hidden_size")?;
    let directions = reversed.len();
    let activations = activations(&cx.attributes, defaults, directions)?;
    let (Some([count, rows, hidden]), [.., _, _]) =
        (cx.ty(r).static_shape().as_deref().and_then(three), &cx.shape(x)[..])
    else {
        return unsupported(format!("R is {}, but should be [directions, gates * hidden, hidden]", cx.ty(r)));
    };
    if count != directions || rows != gates * hidden || cx.rank(w) != 3 || cx.rank(x) != 3 {
        return invalid(format!(
            "X is {}, W {} and R {}, for {directions} directions of {gates} gates",
            cx.ty(x),
            cx.ty(w),
            cx.ty(r)
        ));
    }
    if given.is_some_and(|given| i64::try_from(hidden) != Ok(given)) {
        return invalid(format!("`hidden_size` is {}, but R is {}", given.unwrap_or(0), cx.ty(r)));
    }
    let x = if batch_first { cx.transpose(x, [1, 0, 2])? } else { x };
    let first_state = |cx: &mut Cx<'_>, i: usize, n: usize| match cx.optional(i) {
        Some(state) if cx.rank(state) != 3 => {
            invalid(format!("input {i} is {}, but should have 3 dimensions", cx.ty(state)))
        }
        Some(state) => {
            let state = if batch_first { cx.transpose(state, [1, 0, 2])? } else { state };
            direction(cx, state, n).map(Some)
        }
        None => Ok(None),
    };
    let mut made = Vec::with_capacity(directions);
    let each = defaults.len();
    for (n, reverse) in reversed.iter().enumerate() {
        let biases = match cx.optional(3) {
            Some(b) => {
                let b = direction(cx, b, n)?;
                let half = gates * hidden;
                Some((stretch(cx, b, 0, half)?, stretch(cx, b, half, half)?))
            }
            None => None,
        };
        let peepholes = match cx.optional(7) {
            Some(p) => {
                let p = direction(cx, p, n)?;
                let mut part = |n: usize| stretch(cx, p, n * hidden, hidden);
                Some([part(0)?, part(1)?, part(2)?])
            }
            None => None,
        };
        let weights = Weights { input: direction(cx, w, n)?, state: direction(cx, r, n)?, biases, peepholes };
        let how = Recurrence {
            cell: cell(&activations[n * each..(n + 1) * each]),
            clip,
            reverse: *reverse,
            first_hidden: first_state(cx, 5, n)?,
            first_cell: first_state(cx, 6, n)?,
            lengths: cx.optional(4),
        };
        let product = products(cx, n)?;
        made.push(recurrent::recurrent_with(&mut cx.formula(), x, &weights, &how, &product)?);
    }
    outputs(cx, &made, batch_first)
}

fn three(shape: &[usize]) -> Option<[usize; 3]> {
    shape.try_into().ok()
}

/// `Y [T, directions, N, H]`, `Y_h [directions, N, H]` and, where there is one, `Y_c`; with the batch first if requested.
fn outputs(cx: &mut Cx<'_>, made: &[States], batch_first: bool) -> Outputs {
    let mut joined = |values: Vec<ValueId>, axis: usize| -> Result<ValueId> {
        let parts: Vec<ValueId> = values
            .into_iter()
            .map(|value| {
                let mut shape = cx.shape(value);
                shape.insert(axis, Dim::from(1));
                cx.reshape(value, shape)
            })
            .collect::<Result<_>>()?;
        let all = cx.concat(&parts, axis)?;
        match (batch_first, axis) {
            (false, _) => Ok(all),
            (true, 0) => cx.transpose(all, [1, 0, 2]),
            (true, _) => cx.transpose(all, [2, 0, 1, 3]),
        }
    };
    let all = joined(made.iter().map(|states| states.all).collect(), 1)?;
    let hidden = joined(made.iter().map(|states| states.hidden).collect(), 0)?;
    let mut outputs = vec![all, hidden];
    let cells: Vec<ValueId> = made.iter().filter_map(|states| states.cell).collect();
    if !cells.is_empty() {
        outputs.push(joined(cells, 0)?);
    }
    Ok(outputs)
}

pub(crate) fn rnn(cx: &mut Cx<'_>) -> Outputs {
    plain(cx, 1, &["Tanh"], |a| Cell::Simple { activation: a[0] })
}

pub(crate) fn gru(cx: &mut Cx<'_>) -> Outputs {
    let linear_before_reset = cx.attributes.flag("linear_before_reset", false)?;
    plain(cx, 3, &["Sigmoid", "Tanh"], |a| Cell::Gru { gate: a[0], hidden: a[1], linear_before_reset })
}

/// The activations of an LSTM unless it says others.
pub(super) const LSTM_ACTIVATIONS: [&str; 3] = ["Sigmoid", "Tanh", "Tanh"];

/// The cell of an LSTM, by its activations.
pub(super) fn lstm_cell(cx: &Cx<'_>) -> Result<impl Fn(&[Activation]) -> Cell + use<>> {
    let input_forget = cx.attributes.flag("input_forget", false)?;
    Ok(move |a: &[Activation]| Cell::Lstm { gate: a[0], cell: a[1], hidden: a[2], input_forget })
}

pub(crate) fn lstm(cx: &mut Cx<'_>) -> Outputs {
    let cell = lstm_cell(cx)?;
    plain(cx, 4, &LSTM_ACTIVATIONS, cell)
}
