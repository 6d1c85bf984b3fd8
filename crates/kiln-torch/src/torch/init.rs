//! First values of parameters: PyTorch's defaults for each layer, and `torch.nn.init`.
//!
//! Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).

use std::rc::Rc;

use kiln_graph::ops::uniform;
use kiln_graph::{Data, Tensor};

use super::Parameter;
use crate::python::methods::natives;
use crate::python::native::Native;
use crate::python::{Bound, Fault, Interpreter, Result, Value};

/// What a parameter begins with.
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
    pub fn layer(fan_in: usize) -> Self {
        #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        Init::Uniform(-bound, bound)
    }

    /// The values of a tensor of `shape`; random ones depend on the seed and the parameter's number.
    pub fn values(&self, shape: &[usize], seed: u64, number: u32) -> Vec<f32> {
        let count: usize = shape.iter().product();
        match self {
            Init::Constant(value) => vec![*value; count],
            Init::Uniform(low, high) => {
                draw(seed, number, count).map(|x| (low + f64::from(x) * (high - low)) as f32).collect()
            }
            Init::Normal(mean, std) => normal(seed, number, count, |x| Some(mean + std * x)),
            Init::Truncated { mean, std, low, high } => normal(seed, number, count, |x| {
                let x = mean + std * x;
                (*low..=*high).contains(&x).then_some(x)
            }),
            Init::Orthogonal(gain) => orthogonal(shape, *gain, seed, number),
            Init::Identity => identity(shape),
            Init::WithoutRow(init, row) => {
                let mut values = init.values(shape, seed, number);
                let width: usize = shape.iter().skip(1).product();
                values.iter_mut().skip(row * width).take(width).for_each(|x| *x = 0.0);
                values
            }
            Init::Given(tensor) => tensor.to_f64().into_iter().map(|x| x as f32).collect(),
        }
    }
}

/// Uniform numbers in `[0, 1)`. The last words of the counter keep these apart from other uses of the same seed.
fn draw(seed: u64, number: u32, count: usize) -> impl Iterator<Item = f32> {
    #[allow(clippy::as_conversions, reason = "the two halves of a seed")]
    let key = [seed as u32, (seed >> 32) as u32];
    uniform(key, [number, 0, 1], count)
}

/// Normal numbers (Box and Muller 1958) that `accept` lets through, changed by it.
fn normal(seed: u64, number: u32, count: usize, accept: impl Fn(f64) -> Option<f64>) -> Vec<f32> {
    let mut out = Vec::with_capacity(count);
    let mut round = 0u32;
    while out.len() < count {
        // A share is rejected; limits that reject nearly all give up after some rounds with the nearest allowed number.
        let wanted = (count - out.len()).max(16) * 2;
        let numbers: Vec<f32> = draw(seed ^ (u64::from(round) << 40), number, wanted).collect();
        for pair in numbers.chunks_exact(2) {
            let radius = (-2.0 * (1.0 - f64::from(pair[0])).ln()).sqrt();
            let angle = std::f64::consts::TAU * f64::from(pair[1]);
            let both = [radius * angle.cos(), radius * angle.sin()];
            out.extend(both.into_iter().filter_map(&accept).map(|x| x as f32));
        }
        round += 1;
        if round > 64 {
            let least = accept(0.0).unwrap_or(0.0) as f32;
            out.resize(count.max(out.len()), least);
        }
    }
    out.truncate(count);
    out
}

/// Gram and Schmidt's process on normal rows, the shorter side being the rows.
fn orthogonal(shape: &[usize], gain: f64, seed: u64, number: u32) -> Vec<f32> {
    let rows = shape.first().copied().unwrap_or(1);
    let columns: usize = shape.iter().skip(1).product();
    let (short, long) = (rows.min(columns), rows.max(columns));
    let flat: Vec<f64> = normal(seed, number, rows * columns, Some).into_iter().map(f64::from).collect();
    let mut basis: Vec<Vec<f64>> = vec![];
    for row in flat.chunks(long.max(1)).take(short) {
        let mut row = row.to_vec();
        for other in &basis {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = row.iter().map(|a| a * a).sum::<f64>().sqrt().max(1e-12);
        row.iter_mut().for_each(|a| *a /= norm);
        basis.push(row);
    }
    let at = |r: usize, c: usize| if rows <= columns { basis[r][c] } else { basis[c][r] };
    (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))).map(|(r, c)| (gain * at(r, c)) as f32).collect()
}

fn identity(shape: &[usize]) -> Vec<f32> {
    let columns = shape.get(1).copied().unwrap_or(1);
    let taps: usize = shape.iter().skip(2).product();
    // The middle tap, of each spatial dimension.
    let centre = shape.iter().skip(2).fold(0, |at, size| at * size + size / 2);
    let count = shape.iter().product::<usize>();
    (0..count)
        .map(|at| {
            let (tap, pair) = (at % taps.max(1), at / taps.max(1));
            f32::from(u8::from(tap == centre && pair / columns.max(1) == pair % columns.max(1)))
        })
        .collect()
}

static FUNCTIONS: &[Native] = natives! {
    "torch.nn.init.constant_" "tensor, val" => |_, b| set(b, Init::Constant(b.float("val")? as f32)),
    "torch.nn.init.zeros_" "tensor" => |_, b| set(b, Init::Constant(0.0)),
    "torch.nn.init.ones_" "tensor" => |_, b| set(b, Init::Constant(1.0)),
    "torch.nn.init.uniform_" "tensor, a=0.0, b=1.0, generator=None" => |_, b| {
        set(b, Init::Uniform(b.float("a")?, b.float("b")?))
    },
    "torch.nn.init.normal_" "tensor, mean=0.0, std=1.0, generator=None" => |_, b| {
        set(b, Init::Normal(b.float("mean")?, b.float("std")?))
    },
    "torch.nn.init.trunc_normal_" "tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None" => |_, b| {
        let (low, high) = (b.float("a")?, b.float("b")?);
        if low >= high {
            return Err(b.wrong("a", "less than `b`"));
        }
        set(b, Init::Truncated { mean: b.float("mean")?, std: b.float("std")?, low, high })
    },
    "torch.nn.init.xavier_uniform_" "tensor, gain=1.0, generator=None" => |_, b| {
        let (inputs, outputs) = fans(b)?;
        let bound = b.float("gain")? * (6.0 / (inputs + outputs)).sqrt();
        set(b, Init::Uniform(-bound, bound))
    },
    "torch.nn.init.xavier_normal_" "tensor, gain=1.0, generator=None" => |_, b| {
        let (inputs, outputs) = fans(b)?;
        set(b, Init::Normal(0.0, b.float("gain")? * (2.0 / (inputs + outputs)).sqrt()))
    },
    "torch.nn.init.kaiming_uniform_" "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None" => |_, b| {
        let bound = 3f64.sqrt() * kaiming(b)?;
        set(b, Init::Uniform(-bound, bound))
    },
    "torch.nn.init.kaiming_normal_" "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=None" => |_, b| {
        set(b, Init::Normal(0.0, kaiming(b)?))
    },
    "torch.nn.init.orthogonal_" "tensor, gain=1, generator=None" => |_, b| {
        let parameter = b.parameter("tensor")?;
        let shorter = parameter.shape.first().copied().unwrap_or(1);
        let others: usize = parameter.shape.iter().skip(1).product();
        if shorter.min(others) > 2048 {
            return Err(Fault::limit("an orthogonal matrix of more than 2,048 rows takes too long to make"));
        }
        set(b, Init::Orthogonal(b.float("gain")?))
    },
    "torch.nn.init.eye_" "tensor" => |_, b| set(b, Init::Identity),
    "torch.nn.init.dirac_" "tensor, groups=1" => |_, b| set(b, Init::Identity),
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

fn set(b: &Bound, init: Init) -> Result<Value> {
    let value = b.get("tensor");
    match &value {
        Value::Parameter(parameter) => {
            *parameter.init.borrow_mut() = init;
            Ok(value)
        }
        _ => Err(b.wrong("tensor", "a parameter of a layer")),
    }
}

/// Inputs and outputs of a unit.
fn fans(b: &Bound) -> Result<(f64, f64)> {
    let parameter = b.parameter("tensor")?;
    let [outputs, inputs, taps @ ..] = &parameter.shape[..] else {
        return Err(Fault::value(format!(
            "{}: a tensor of shape {:?} has no fan-in and fan-out; it needs two dimensions or more",
            b.callee, parameter.shape
        ))
        .help("biases are set with `nn.init.zeros_` or `constant_`"));
    };
    let taps: usize = taps.iter().product();
    #[allow(clippy::as_conversions, reason = "sizes are far below 2^53")]
    Ok(((inputs * taps) as f64, (outputs * taps) as f64))
}

/// `gain / sqrt(fan)`
fn kaiming(b: &Bound) -> Result<f64> {
    let (inputs, outputs) = fans(b)?;
    let fan = match &*b.string("mode")? {
        "fan_in" => inputs,
        "fan_out" => outputs,
        _ => return Err(b.wrong("mode", "'fan_in' or 'fan_out'")),
    };
    Ok(gain(&b.string("nonlinearity")?, b.float("a")?)? / fan.max(1.0).sqrt())
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
        other => return Err(Fault::value(format!("`{other}` is no nonlinearity that has a gain"))),
    })
}

impl Interpreter {
    /// The values that a parameter begins with.
    pub(crate) fn first_values(&mut self, parameter: &Rc<Parameter>) -> Result<Tensor> {
        if let Init::Given(tensor) = &*parameter.init.borrow() {
            return Ok(tensor.clone());
        }
        let number = self.draws;
        self.draws += 1;
        let values = parameter.init.borrow().values(&parameter.shape, self.seed, number);
        self.tensor_of(&parameter.shape, Data::F32(values))
    }

    /// A tensor whose data has the right length.
    pub(crate) fn tensor_of(&mut self, shape: &[usize], data: Data) -> Result<Tensor> {
        Tensor::new(shape, data).map_err(|error| Fault::value(error.to_string()))
    }
}
