//! Recurrent networks: short ones of a fixed length step by step, others as loops.
//!
//! What the input contributes is one matrix product for all steps; each step then has a product with the state and
//! elementwise arithmetic. The gradient follows, as of anything else in the graph, if the length is fixed.

mod looped;

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Concat, Loop, MatMul, Op, SliceAxis, UnaryOp};
use crate::tensor::DType;

use super::activation;

const NAME: &str = "recurrent";

/// The activation of a gate or a state.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the functions of the same name")]
pub enum Activation {
    Relu,
    Tanh,
    Sigmoid,
    Softsign,
    Softplus,
    /// `alpha x + beta`
    Affine {
        alpha: f64,
        beta: f64,
    },
    LeakyRelu {
        alpha: f64,
    },
    /// `x >= alpha ? x : 0`
    ThresholdedRelu {
        alpha: f64,
    },
    /// `alpha tanh(beta x)`
    ScaledTanh {
        alpha: f64,
        beta: f64,
    },
    HardSigmoid {
        alpha: f64,
        beta: f64,
    },
    Elu {
        alpha: f64,
    },
}

impl Activation {
    fn apply(self, f: &mut Formula<'_>, x: ValueId) -> Made {
        match self {
            Activation::Relu => f.unary(UnaryOp::Relu, x),
            Activation::Tanh => f.unary(UnaryOp::Tanh, x),
            Activation::Sigmoid => f.unary(UnaryOp::Sigmoid, x),
            Activation::Softsign => activation::softsign(f, x),
            Activation::Softplus => f.unary(UnaryOp::Softplus, x),
            Activation::Affine { alpha, beta } => {
                let scaled = f.with(BinaryOp::Mul, x, alpha)?;
                f.with(BinaryOp::Add, scaled, beta)
            }
            Activation::LeakyRelu { alpha } => activation::leaky_relu(f, x, alpha),
            Activation::ThresholdedRelu { alpha } => {
                let kept = f.with(BinaryOp::GreaterOrEqual, x, alpha)?;
                let zero = f.number_like(0.0, x);
                f.select(kept, x, zero)
            }
            Activation::ScaledTanh { alpha, beta } => {
                let scaled = f.with(BinaryOp::Mul, x, beta)?;
                let tanh = f.unary(UnaryOp::Tanh, scaled)?;
                f.with(BinaryOp::Mul, tanh, alpha)
            }
            Activation::HardSigmoid { alpha, beta } => activation::hard_sigmoid(f, x, alpha, beta),
            Activation::Elu { alpha } => activation::elu(f, x, alpha),
        }
    }
}

/// What a step computes. Of the gates of `W`, `R` and the biases, the order is ONNX's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// `H = f(X W + H R + b)`
    Simple {
        /// `f`
        activation: Activation,
    },
    /// Gates z, r, h (Cho et al. 2014): `H = (1 - z) h + z H`
    Gru {
        /// Of z and r.
        gate: Activation,
        /// Of h.
        hidden: Activation,
        /// Whether the reset gate works on `H R + b` and not on `H`.
        linear_before_reset: bool,
    },
    /// Gates i, o, f, c (Hochreiter and Schmidhuber 1997, Gers et al. 2000): `C = f C + i c`, `H = o h(C)`
    Lstm {
        /// Of i, o and f.
        gate: Activation,
        /// Of c.
        cell: Activation,
        /// Of C.
        hidden: Activation,
        /// Whether the forget gate is `1 - i`.
        input_forget: bool,
    },
}

impl Cell {
    /// How many gates there are.
    pub fn gates(self) -> usize {
        match self {
            Cell::Simple { .. } => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm { .. } => 4,
        }
    }
}

/// The weights of one direction, with `G` gates of `H` numbers each.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// `[G H, I]`
    pub input: ValueId,
    /// `[G H, H]`
    pub state: ValueId,
    /// Biases of the input's and of the state's products, `[G H]` each.
    pub biases: Option<(ValueId, ValueId)>,
    /// Of an LSTM: what its gates i, o, f see of C, `[H]` each.
    pub peepholes: Option<[ValueId; 3]>,
}

/// One direction of a recurrent network.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence {
    /// What a step computes.
    pub cell: Cell,
    /// Inputs of activations are limited to so much on either side.
    pub clip: Option<f64>,
    /// From the last step to the first.
    pub reverse: bool,
    /// `[N, H]`; zero if there is none.
    pub first_hidden: Option<ValueId>,
    /// `[N, H]`, of an LSTM; zero if there is none.
    pub first_cell: Option<ValueId>,
    /// How many steps each sequence of the batch has, `[N]`; the results behind are zero.
    pub lengths: Option<ValueId>,
}

/// What comes out.
#[derive(Clone, Debug)]
pub struct States {
    /// `[T, N, H]`
    pub all: ValueId,
    /// `[N, H]`, after the last step of each sequence.
    pub hidden: ValueId,
    /// `[N, H]`, of an LSTM.
    pub cell: Option<ValueId>,
}

/// What multiplies rows by a weight: `x W^T` of `x [N, I]` and `W [rows, I]`, which come before values of its own.
pub type Multiply = dyn Fn(&mut Formula<'_>, ValueId, ValueId, &[ValueId]) -> Made;

/// A kind of matrix product.
pub struct Product<'a> {
    /// What multiplies.
    pub multiply: &'a Multiply,
    /// What it takes besides the weight of the input.
    pub input: Vec<ValueId>,
    /// What it takes besides the weight of the state.
    pub state: Vec<ValueId>,
}

/// Runs `x [T, N, I]` through one direction of a recurrent network.
pub fn recurrent(
    f: &mut Formula<'_>,
    x: ValueId,
    weights: &Weights,
    how: &Recurrence,
) -> Result<States, GraphError> {
    recurrent_with(f, x, weights, how, &Product { multiply: &plain, input: vec![], state: vec![] })
}

/// The product of floats.
pub fn plain(f: &mut Formula<'_>, x: ValueId, weight: ValueId, _: &[ValueId]) -> Made {
    f.matmul(MatMul { transpose_a: false, transpose_b: true }, x, weight)
}

/// As [`recurrent`], with another kind of matrix product.
pub fn recurrent_with(
    f: &mut Formula<'_>,
    x: ValueId,
    weights: &Weights,
    how: &Recurrence,
    product: &Product<'_>,
) -> Result<States, GraphError> {
    let gates = how.cell.gates();
    let (shape, rows) = (f.shape(x), f.shape(weights.state));
    let ([steps, batch, inputs], [_, hidden]) = (&shape[..], &rows[..]) else {
        let message = format!("{} and {} should be [T, N, I] and [G H, H]", f.ty(x), f.ty(weights.state));
        return f.mismatch(NAME, message);
    };
    let Some(hidden) = hidden.as_usize().filter(|hidden| rows[0].is(wide(hidden.saturating_mul(gates))))
    else {
        let message =
            format!("the state's weight {} should have {gates} gates of its size", f.ty(weights.state));
        return f.mismatch(NAME, message);
    };
    if steps.is(0) {
        return Err(GraphError::Unsuitable("sequences of 0 steps are not supported".into()));
    }
    let flat = f.reshape(x, vec![steps * batch, inputs.clone()])?;
    let mut projected = (product.multiply)(f, flat, weights.input, &product.input)?;
    if let Some((input, state)) = weights.biases {
        projected = f.add(projected, input)?;
        if !matches!(how.cell, Cell::Gru { .. }) {
            projected = f.add(projected, state)?;
        }
    }
    let projected = f.reshape(projected, vec![steps.clone(), batch.clone(), (gates * hidden).into()])?;
    let lengths = how.lengths.map(|lengths| column(f, lengths, batch)).transpose()?;
    let count = match steps.as_usize() {
        Some(count) if !Loop::is_long(steps) => count,
        _ => return looped::looped(f, projected, (weights, how, product), hidden, lengths),
    };
    let step = Step { weights, how, product, hidden, batch: batch.clone() };
    let (mut h, mut c) = (how.first_hidden, how.first_cell);
    let mut made: Vec<Option<ValueId>> = vec![None; count];
    for n in 0..count {
        let t = if how.reverse { count - 1 - n } else { n };
        let at =
            f.slice(projected, vec![SliceAxis { axis: 0, start: t.into(), length: 1.into(), step: 1 }])?;
        let at = f.reshape(at, vec![batch.clone(), (gates * hidden).into()])?;
        let (mut next, mut next_cell) = step.run(f, at, h, c)?;
        let mut output = next;
        if let Some(lengths) = lengths {
            // Behind its end a sequence's state stays.
            #[allow(clippy::as_conversions, reason = "steps are few")]
            let inside = f.with(BinaryOp::Greater, lengths, t as f64)?;
            let zero = f.number_like(0.0, next);
            output = f.select(inside, next, zero)?;
            next = f.select(inside, next, h.unwrap_or(zero))?;
            next_cell = next_cell.map(|new| f.select(inside, new, c.unwrap_or(zero))).transpose()?;
        }
        made[t] = Some(f.reshape(output, vec![1.into(), batch.clone(), hidden.into()])?);
        (h, c) = (Some(next), next_cell);
    }
    let made: Vec<ValueId> = made.into_iter().flatten().collect();
    let all = match &made[..] {
        [one] => *one,
        many => f.apply(Op::Concat(Concat { axis: 0 }), many)?,
    };
    let Some(last) = h else { return f.mismatch(NAME, "there are no steps") };
    Ok(States { all, hidden: last, cell: c })
}

/// Lengths as a column of 32-bit numbers.
fn column(f: &mut Formula<'_>, lengths: ValueId, batch: &Dim) -> Made {
    let lengths = f.cast(lengths, DType::I32)?;
    f.reshape(lengths, vec![batch.clone(), 1.into()])
}

fn wide(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Everything that is the same in each step.
struct Step<'a> {
    weights: &'a Weights,
    how: &'a Recurrence,
    product: &'a Product<'a>,
    hidden: usize,
    batch: Dim,
}

impl Step<'_> {
    /// The new state of `projected [N, G H]` and the old one, where there is one.
    fn run(
        &self,
        f: &mut Formula<'_>,
        projected: ValueId,
        h: Option<ValueId>,
        c: Option<ValueId>,
    ) -> Result<(ValueId, Option<ValueId>), GraphError> {
        match self.how.cell {
            Cell::Simple { activation } => {
                let sum = self.with_state(f, projected, h, 0, 1)?;
                Ok((self.activate(f, activation, sum)?, None))
            }
            Cell::Gru { gate, hidden, linear_before_reset } => {
                Ok((self.gru(f, projected, h, gate, hidden, linear_before_reset)?, None))
            }
            Cell::Lstm { gate, cell, hidden, input_forget } => {
                let sums = self.with_state(f, projected, h, 0, 4)?;
                let (h, c) = self.lstm(f, sums, c, [gate, cell, hidden], input_forget)?;
                Ok((h, Some(c)))
            }
        }
    }

    /// Some gates of something that has all of them, or as many as are asked for.
    fn gates(&self, f: &mut Formula<'_>, x: ValueId, first: usize, count: usize) -> Made {
        let axis = f.ty(x).rank() - 1;
        let (start, length) = (first * self.hidden, count * self.hidden);
        if f.ty(x).shape[axis].is(wide(length)) {
            return Ok(x);
        }
        f.slice(x, vec![SliceAxis { axis, start: start.into(), length: length.into(), step: 1 }])
    }

    /// Rows of the state's weight.
    fn rows(&self, f: &mut Formula<'_>, first: usize, count: usize) -> Made {
        if count == self.how.cell.gates() {
            return Ok(self.weights.state);
        }
        let (start, length) = (first * self.hidden, count * self.hidden);
        let cut = SliceAxis { axis: 0, start: start.into(), length: length.into(), step: 1 };
        f.slice(self.weights.state, vec![cut])
    }

    /// The state's contribution to some gates.
    fn of_state(&self, f: &mut Formula<'_>, h: ValueId, first: usize, count: usize) -> Made {
        let rows = self.rows(f, first, count)?;
        (self.product.multiply)(f, h, rows, &self.product.state)
    }

    fn with_state(
        &self,
        f: &mut Formula<'_>,
        projected: ValueId,
        h: Option<ValueId>,
        first: usize,
        count: usize,
    ) -> Made {
        let projected = self.gates(f, projected, first, count)?;
        let Some(h) = h else { return Ok(projected) };
        let state = self.of_state(f, h, first, count)?;
        f.add(projected, state)
    }

    fn activate(&self, f: &mut Formula<'_>, activation: Activation, x: ValueId) -> Made {
        let x = match self.how.clip {
            Some(clip) => super::activation::clamp(f, x, Some(-clip), Some(clip))?,
            None => x,
        };
        activation.apply(f, x)
    }

    fn gru(
        &self,
        f: &mut Formula<'_>,
        projected: ValueId,
        h: Option<ValueId>,
        gate: Activation,
        hidden: Activation,
        linear_before_reset: bool,
    ) -> Made {
        let bias = |f: &mut Formula<'_>, this: &Self, first: usize, count: usize| match this.weights.biases {
            Some((_, state)) => this.gates(f, state, first, count).map(Some),
            None => Ok(None),
        };
        let plus = |f: &mut Formula<'_>, x: ValueId, term: Option<ValueId>| match term {
            Some(term) => f.add(x, term),
            None => Ok(x),
        };
        let sums = self.with_state(f, projected, h, 0, 2)?;
        let of_gates = bias(f, self, 0, 2)?;
        let sums = plus(f, sums, of_gates)?;
        let (z, r) = (self.gates(f, sums, 0, 1)?, self.gates(f, sums, 1, 1)?);
        let (z, r) = (self.activate(f, gate, z)?, self.activate(f, gate, r)?);
        let new = self.gates(f, projected, 2, 1)?;
        let of_new = bias(f, self, 2, 1)?;
        let recurrent = if linear_before_reset {
            let state = match h {
                Some(h) => {
                    let state = self.of_state(f, h, 2, 1)?;
                    Some(plus(f, state, of_new)?)
                }
                None => of_new,
            };
            state.map(|state| f.mul(r, state)).transpose()?
        } else {
            let state = match h {
                Some(h) => {
                    let kept = f.mul(r, h)?;
                    Some(self.of_state(f, kept, 2, 1)?)
                }
                None => None,
            };
            match (state, of_new) {
                (Some(state), Some(bias)) => Some(f.add(state, bias)?),
                (state, bias) => state.or(bias),
            }
        };
        let new = plus(f, new, recurrent)?;
        let new = self.activate(f, hidden, new)?;
        let rest = f.with(BinaryOp::Mul, z, -1.0)?;
        let rest = f.with(BinaryOp::Add, rest, 1.0)?;
        let fresh = f.mul(rest, new)?;
        let Some(h) = h else { return Ok(fresh) };
        let old = f.mul(z, h)?;
        f.add(fresh, old)
    }

    fn lstm(
        &self,
        f: &mut Formula<'_>,
        sums: ValueId,
        c: Option<ValueId>,
        [gate, cell, hidden]: [Activation; 3],
        input_forget: bool,
    ) -> Result<(ValueId, ValueId), GraphError> {
        let gate_of = |f: &mut Formula<'_>, n: usize, seen: Option<ValueId>| {
            let mut sum = self.gates(f, sums, n, 1)?;
            if let (Some(peepholes), Some(seen)) = (self.weights.peepholes, seen) {
                let term = f.mul(peepholes[n], seen)?;
                sum = f.add(sum, term)?;
            }
            self.activate(f, gate, sum)
        };
        let input = gate_of(f, 0, c)?;
        let new = self.gates(f, sums, 3, 1)?;
        let new = self.activate(f, cell, new)?;
        let mut state = f.mul(input, new)?;
        if let Some(c) = c {
            let forget = if input_forget {
                let rest = f.with(BinaryOp::Mul, input, -1.0)?;
                f.with(BinaryOp::Add, rest, 1.0)?
            } else {
                gate_of(f, 2, Some(c))?
            };
            let kept = f.mul(forget, c)?;
            state = f.add(kept, state)?;
        }
        let output = gate_of(f, 1, Some(state))?;
        let seen = self.activate(f, hidden, state)?;
        let state_shape = vec![self.batch.clone(), self.hidden.into()];
        let h = f.mul(output, seen)?;
        let h = f.reshape(h, state_shape)?;
        Ok((h, state))
    }
}
