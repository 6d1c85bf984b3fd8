//! A recurrent layer whose weights alone are quantized ahead of time.

use kiln_graph::functions::quantization::{Steps, dynamic_product};
use kiln_graph::functions::recurrent::{self, Product};
use kiln_graph::{Formula, Made, ValueId};

use super::super::super::cx::{Cx, Outputs, Result, unsupported};
use super::super::recurrent::{LSTM_ACTIVATIONS, direction, layer, lstm_cell};

/// Inputs of the node: steps of the input's weight and of the state's.
const STEPS: [usize; 2] = [8, 10];

/// As `LSTM`, but its weights are `[directions, in, 4 hidden]` and integers, and what they multiply, all steps of the
/// input and the state of each step, is quantized as it is found.
pub(crate) fn dynamic_quantize_lstm(cx: &mut Cx<'_>) -> Outputs {
    if cx.optional(4).is_some() {
        return unsupported(
            "`sequence_lens` is not supported here: which steps are quantized together depends on it",
        );
    }
    let cell = lstm_cell(cx)?;
    let mut weights = [cx.input(1)?, cx.input(2)?];
    for weight in &mut weights {
        if cx.rank(*weight) != 3 {
            return unsupported(format!("a weight is {}, but should have 3 dimensions", cx.ty(*weight)));
        }
        *weight = cx.transpose(*weight, [0, 2, 1])?;
    }
    layer(cx, weights, 4, &LSTM_ACTIVATIONS, cell, &|cx, n| {
        let [input, state] = STEPS.map(|first| steps_of(cx, first, n));
        let list = |steps: Steps| [Some(steps.scale), steps.zero].into_iter().flatten().collect();
        Ok(Product { multiply: &multiply, input: list(input?), state: list(state?) })
    })
}

/// The product with a quantized weight, whose steps follow it.
fn multiply(f: &mut Formula<'_>, x: ValueId, weight: ValueId, own: &[ValueId]) -> Made {
    let (Some(scale), zero) = (own.first(), own.get(1)) else { return recurrent::plain(f, x, weight, own) };
    dynamic_product(f, x, weight, Steps { scale: *scale, zero: zero.copied() })
}

/// The steps of direction `n`: one scale, or one for each row.
fn steps_of(cx: &mut Cx<'_>, first: usize, n: usize) -> Result<Steps> {
    let part = |cx: &mut Cx<'_>, numbers: ValueId| match cx.rank(numbers) {
        1 | 2 => direction(cx, numbers, n),
        _ => unsupported(format!(
            "steps are {}; [directions] or [directions, rows] are supported",
            cx.ty(numbers)
        )),
    };
    let scale = cx.input(first)?;
    let scale = part(cx, scale)?;
    let zero = cx.optional(first + 1).map(|zero| part(cx, zero)).transpose()?;
    Ok(Steps { scale, zero })
}
