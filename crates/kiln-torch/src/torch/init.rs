//! Initial values of parameters: PyTorch's defaults for each layer, and `torch.nn.init`.
//!
//! Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).

use std::rc::Rc;

use kiln_graph::ops::{erf, uniform};
use kiln_graph::{Data, Tensor};

use super::Parameter;
use crate::python::methods::natives;
use crate::python::native::Native;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

/// The initial value of a parameter.
#[derive(Clone, Debug)]
pub(crate) enum Init {
    /// The same everywhere.
    Constant(f32),
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Normal with a mean and a deviation.
    Normal(f64, f64),
    /// Normal, drawn again outside of two limits.
    Truncated { mean: f64, std: f64, low: f64, high: f64 },
    /// Orthonormal rows or columns times a factor.
    Orthogonal(f64),
    /// The identity for matrices, identity kernels for convolutions.
    Identity,
    /// A row of zeros, the others as said: embeddings with a padding index.
    WithoutRow(Box<Init>, usize),
    /// Values.
    Given(Tensor),
}

impl Init {
    /// What `reset_parameters` of linear layers and convolutions draws: uniform within `1 / sqrt(fan_in)`.
    pub(crate) fn layer(fan_in: usize) -> Self {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        Init::Uniform(-bound, bound)
    }

    /// The values of a tensor of `shape`; random ones depend on the seed and the parameter's number.
    pub(crate) fn values(&self, shape: &[usize], seed: u64, number: u32) -> Vec<f32> {
        let count = size(shape);
        match self {
            Init::Constant(value) => vec![*value; count],
            Init::Uniform(low, high) => {
                draw(seed, number, count).map(|x| (low + f64::from(x) * (high - low)) as f32).collect()
            }
            Init::Normal(mean, std) => normal(seed, number, count).map(|x| (mean + std * x) as f32).collect(),
            Init::Truncated { mean, std, low, high } => {
                // As in PyTorch: what is uniform between the limits' shares becomes normal.
                let [from, to] =
                    [low, high].map(|limit| erf((limit - mean) / (std * std::f64::consts::SQRT_2)));
                let at =
                    |x: f32| std * std::f64::consts::SQRT_2 * erf_inverse(from + f64::from(x) * (to - from));
                draw(seed, number, count).map(|x| (mean + at(x)).max(*low).min(*high) as f32).collect()
            }
            Init::Orthogonal(gain) => orthogonal(shape, *gain, seed, number),
            Init::Identity => identity(shape),
            Init::WithoutRow(init, row) => {
                let mut values = init.values(shape, seed, number);
                let width = size(shape.get(1..).unwrap_or_default());
                values.iter_mut().skip(row * width).take(width).for_each(|x| *x = 0.0);
                values
            }
            Init::Given(tensor) => tensor.to_f64().into_iter().map(|x| x as f32).collect(),
        }
    }
}

/// The elements of a shape.
fn size(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, size| n.saturating_mul(*size))
}

/// Uniform numbers in `[0, 1)`. The last words of the counter keep these apart from other uses of the same seed.
fn draw(seed: u64, number: u32, count: usize) -> impl Iterator<Item = f32> {
    #[allow(clippy::as_conversions, reason = "the two halves of a seed")]
    let key = [seed as u32, (seed >> 32) as u32];
    uniform(key, [number, 0, 1], count)
}

/// Normal numbers (Box and Muller 1958).
fn normal(seed: u64, number: u32, count: usize) -> impl Iterator<Item = f64> {
    let mut uniform = draw(seed, number, count + 1);
    let pairs = std::iter::from_fn(move || Some((f64::from(uniform.next()?), f64::from(uniform.next()?))));
    let both = pairs.flat_map(|(first, second)| {
        let radius = (-2.0 * (1.0 - first).ln()).sqrt();
        let angle = std::f64::consts::TAU * second;
        [radius * angle.cos(), radius * angle.sin()]
    });
    both.take(count)
}

/// The inverse of the error function to seven digits (Giles 2010).
fn erf_inverse(x: f64) -> f64 {
    let x = x.clamp(-0.999_999_999_999, 0.999_999_999_999);
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let (w, coefficients) = if w < 5.0 {
        (
            w - 2.5,
            [
                2.81022636e-8,
                3.43273939e-7,
                -3.5233877e-6,
                -4.39150654e-6,
                0.00021858087,
                -0.00125372503,
                -0.00417768164,
                0.246640727,
                1.50140941,
            ],
        )
    } else {
        (
            w.sqrt() - 3.0,
            [
                -0.000200214257,
                0.000100950558,
                0.00134934322,
                -0.00367342844,
                0.00573950773,
                -0.0076224613,
                0.00943887047,
                1.00167406,
                2.83297682,
            ],
        )
    };
    x * coefficients.into_iter().fold(0.0, |sum, c| sum * w + c)
}

/// Gram and Schmidt's process on normal rows, the shorter side being the rows.
fn orthogonal(shape: &[usize], gain: f64, seed: u64, number: u32) -> Vec<f32> {
    let rows = shape.first().copied().unwrap_or(1);
    let columns = size(shape.get(1..).unwrap_or_default());
    let (short, long) = (rows.min(columns), rows.max(columns));
    let flat: Vec<f64> = normal(seed, number, size(shape)).collect();
    let mut basis: Vec<Vec<f64>> = vec![];
    for row in flat.chunks(long.max(1)).take(short) {
        let mut row = row.to_vec();
        for other in &basis {
            let along = dot(&row, other);
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = row.iter().map(|a| a * a).sum::<f64>().sqrt().max(1e-12);
        row.iter_mut().for_each(|a| *a /= norm);
        basis.push(row);
    }
    let at = |r: usize, c: usize| if rows <= columns { basis[r][c] } else { basis[c][r] };
    (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))).map(|(r, c)| (gain * at(r, c)) as f32).collect()
}

/// The sum of products, in eight parts: one after the other they would wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (whole, rest) = (a.chunks_exact(8).zip(b.chunks_exact(8)), a.len() / 8 * 8);
    whole.for_each(|(a, b)| (0..8).for_each(|k| sums[k] += a[k] * b[k]));
    let rest: f64 = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

fn identity(shape: &[usize]) -> Vec<f32> {
    let columns = shape.get(1).copied().unwrap_or(1);
    let taps = size(shape.get(2..).unwrap_or_default());
    // The middle tap, of each spatial dimension.
    let centre = shape.iter().skip(2).fold(0, |at, size| at * size + size / 2);
    (0..size(shape))
        .map(|at| {
            let (tap, pair) = (at % taps.max(1), at / taps.max(1));
            f32::from(u8::from(tap == centre && pair / columns.max(1) == pair % columns.max(1)))
        })
        .collect()
}

static FUNCTIONS: &[Native] = natives! {
    "torch.nn.init.constant_" "tensor, val" => |i, b| set(i, b, Init::Constant(b.float("val")? as f32)),
    "torch.nn.init.zeros_" "tensor" => |i, b| set(i, b, Init::Constant(0.0)),
    "torch.nn.init.ones_" "tensor" => |i, b| set(i, b, Init::Constant(1.0)),
    "torch.nn.init.uniform_" "tensor, a=0.0, b=1.0, generator=None" => |i, b| {
        set(i, b, Init::Uniform(b.float("a")?, b.float("b")?))
    },
    "torch.nn.init.normal_" "tensor, mean=0.0, std=1.0, generator=None" => |i, b| {
        set(i, b, Init::Normal(b.float("mean")?, b.float("std")?))
    },
    "torch.nn.init.trunc_normal_" "tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None" => |i, b| {
        let (low, high) = (b.float("a")?, b.float("b")?);
        if low >= high {
            return Err(b.wrong("a", "less than `b`"));
        }
        set(i, b, Init::Truncated { mean: b.float("mean")?, std: b.float("std")?, low, high })
    },
    "torch.nn.init.xavier_uniform_" "tensor, gain=1.0, generator=None" => |i, b| {
        let (inputs, outputs) = fans(i, b)?;
        let bound = b.float("gain")? * (6.0 / (inputs + outputs)).sqrt();
        set(i, b, Init::Uniform(-bound, bound))
    },
    "torch.nn.init.xavier_normal_" "tensor, gain=1.0, generator=None" => |i, b| {
        let (inputs, outputs) = fans(i, b)?;
        set(i, b, Init::Normal(0.0, b.float("gain")? * (2.0 / (inputs + outputs)).sqrt()))
    },
    "torch.nn.init.kaiming_uniform_" "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None" => |i, b| {
        let bound = 3f64.sqrt() * kaiming(i, b)?;
        set(i, b, Init::Uniform(-bound, bound))
    },
    "torch.nn.init.kaiming_normal_" "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None" => |i, b| {
        let std = kaiming(i, b)?;
        set(i, b, Init::Normal(0.0, std))
    },
    "torch.nn.init.orthogonal_" "tensor, gain=1, generator=None" => |i, b| {
        let shape = shape(i, b)?;
        let shorter = shape.first().copied().unwrap_or(1);
        let others = size(shape.get(1..).unwrap_or_default());
        // In 64 bits, also where sizes have 32.
        let [short, long] = [shorter.min(others), shorter.max(others)].map(kiln_files::wide);
        if short.saturating_mul(short).saturating_mul(long) > 1 << 32 {
            return Err(Fault::limit(format!(
                "an orthogonal matrix of {shorter} x {others} takes too long to make"
            )));
        }
        set(i, b, Init::Orthogonal(b.float("gain")?))
    },
    "torch.nn.init.eye_" "tensor" => |i, b| set(i, b, Init::Identity),
    "torch.nn.init.dirac_" "tensor, groups=1" => |i, b| set(i, b, Init::Identity),
    // Not public, but books and programs that draw biases use it.
    "torch.nn.init._calculate_fan_in_and_fan_out" "tensor" => |i, b| {
        let (inputs, outputs) = fans(i, b)?;
        Ok(Value::tuple([inputs, outputs].map(whole)))
    },
    "torch.nn.init._calculate_correct_fan" "tensor, mode" => |i, b| fan(i, b).map(whole),
    "torch.nn.init.calculate_gain" "nonlinearity, param=None" => |_, b| {
        let param = if b.is_none("param") { 0.01 } else { b.float("param")? };
        gain(&b.string("nonlinearity")?, param).map(Value::Float)
    },
};

/// A function of `torch.nn.init`.
pub(super) fn function(name: &str) -> Option<&'static Native> {
    FUNCTIONS.iter().find(|native| native.name.rsplit('.').next() == Some(name))
}

/// All names in `torch.nn.init`.
pub(super) fn names() -> Vec<&'static str> {
    FUNCTIONS.iter().filter_map(|native| native.name.rsplit('.').next()).collect()
}

fn set(i: &mut Interpreter, b: &Bound, init: Init) -> Result<Value> {
    let value = b.get("tensor");
    match &value {
        Value::Parameter(_) | Value::Tensor(_) => {
            i.begin(&value, init)?;
            Ok(value)
        }
        _ => Err(b.wrong("tensor", "a parameter of a layer")),
    }
}

/// The sizes of what is initialized.
fn shape(i: &mut Interpreter, b: &Bound) -> Result<Vec<usize>> {
    let value = b.get("tensor");
    if let Some(parameter) = i.whole(&value) {
        return Ok(parameter.shape.clone());
    }
    let id = i.tensor(b, "tensor")?;
    i.graph.ty(id).static_shape().ok_or_else(|| b.wrong("tensor", "a parameter of a layer"))
}

/// Inputs and outputs of a unit.
fn fans(i: &mut Interpreter, b: &Bound) -> Result<(f64, f64)> {
    let shape = shape(i, b)?;
    let [outputs, inputs, taps @ ..] = &shape[..] else {
        return Err(Fault::value(format!(
            "{}: a tensor of shape {shape:?} has no fan-in and fan-out; it needs two dimensions or more",
            b.callee
        ))
        .help("biases are set with `nn.init.zeros_` or `constant_`"));
    };
    let taps = size(taps);
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    Ok((*inputs as f64 * taps as f64, *outputs as f64 * taps as f64))
}

/// A count as Python's integer.
fn whole(count: f64) -> Value {
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    Value::Int(count as i64)
}

/// The fan that `mode` says.
fn fan(i: &mut Interpreter, b: &Bound) -> Result<f64> {
    let (inputs, outputs) = fans(i, b)?;
    match &*b.string("mode")?.to_lowercase() {
        "fan_in" => Ok(inputs),
        "fan_out" => Ok(outputs),
        _ => Err(b.wrong("mode", "'fan_in' or 'fan_out'")),
    }
}

/// `gain / sqrt(fan)`
fn kaiming(i: &mut Interpreter, b: &Bound) -> Result<f64> {
    Ok(gain(&b.string("nonlinearity")?, b.float("a")?)? / fan(i, b)?.max(1.0).sqrt())
}

/// `nn.init.calculate_gain`
fn gain(nonlinearity: &str, param: f64) -> Result<f64> {
    Ok(match nonlinearity {
        "linear" | "sigmoid" | "conv1d" | "conv2d" | "conv3d" | "conv_transpose1d" | "conv_transpose2d"
        | "conv_transpose3d" => 1.0,
        "tanh" => 5.0 / 3.0,
        "relu" => 2f64.sqrt(),
        "leaky_relu" => (2.0 / (1.0 + param * param)).sqrt(),
        "selu" => 0.75,
        other => return Err(Fault::value(format!("`{other}` is not a nonlinearity with a gain"))),
    })
}

/// The cost of drawing random numbers, in steps of a program.
fn work(init: &Init, shape: &[usize]) -> u64 {
    let count = size(shape);
    let each = match init {
        // Every row takes its part out of all behind it.
        Init::Orthogonal(_) => {
            let rows = shape.first().copied().unwrap_or(1);
            1 + rows.min(count / rows.max(1)) / 4
        }
        Init::WithoutRow(init, _) => return work(init, shape),
        Init::Constant(_)
        | Init::Uniform(..)
        | Init::Normal(..)
        | Init::Truncated { .. }
        | Init::Identity
        | Init::Given(_) => 1,
    };
    count.saturating_mul(each) as u64 / 512
}

impl Interpreter {
    /// The values that a parameter begins with.
    pub(crate) fn first_values(&mut self, parameter: &Rc<Parameter>) -> Result<Tensor> {
        if let Init::Given(tensor) = &*parameter.init.borrow() {
            return Ok(tensor.clone());
        }
        self.step(work(&parameter.init.borrow(), &parameter.shape))?;
        let number = parameter.number.get().unwrap_or_else(|| self.next_draw());
        let values = parameter.init.borrow().values(&parameter.shape, self.seed, number);
        self.tensor_of(&parameter.shape, Data::F32(values))
    }

    /// The number of the next random tensor.
    pub(crate) fn next_draw(&mut self) -> u32 {
        self.draws += 1;
        self.draws - 1
    }

    /// A tensor whose data has the right length.
    pub(crate) fn tensor_of(&mut self, shape: &[usize], data: Data) -> Result<Tensor> {
        // An empty tensor has other axes, too.
        let spread = shape
            .iter()
            .fold(1i64, |n, size| n.saturating_mul(i64::try_from(*size).unwrap_or(i64::MAX).max(1)));
        if spread > kiln_graph::MAX_ELEMENTS {
            return Err(Fault::limit(format!("a tensor of shape {shape:?} is too large")));
        }
        Tensor::new(shape, data).map_err(|error| Fault::value(error.to_string()))
    }
}
