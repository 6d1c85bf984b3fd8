//! Random numbers. A plan computes the same in each run, so they have to say a `seed`, and are the numbers of that seed
//! every time; those of no other engine.

use kiln_graph::ops::{BinaryOp, Random, UnaryOp};
use kiln_graph::{DType, Data, Dim, Op, Tensor, ValueId};

use super::super::cx::{Cx, OpError, Outputs, Result, invalid, unsupported};
use crate::tensor::dtype_of;

/// Uniform in `[0, 1)`; one seed has several streams of them.
fn unit(cx: &mut Cx<'_>, shape: &[Dim], stream: u32) -> Result<ValueId> {
    let Some(seed) = cx.attributes.float("seed")? else {
        return unsupported(
            "random numbers without a `seed` are not supported: a plan computes the same in each run",
        );
    };
    let words = vec![seed.to_bits().cast_signed(), 0, 0];
    let state = Tensor::new([3], Data::I32(words)).map_err(|e| OpError::Invalid(e.to_string()))?;
    let state = cx.constant_value(state);
    cx.op(Op::Random(Random { stream, shape: shape.to_vec() }), &[state])
}

fn uniform(cx: &mut Cx<'_>, shape: &[Dim], dtype: DType) -> Outputs {
    let low = f64::from(cx.attributes.float_or("low", 0.0)?);
    let high = f64::from(cx.attributes.float_or("high", 1.0)?);
    let y = unit(cx, shape, 0)?;
    let y = cx.with(BinaryOp::Mul, y, high - low)?;
    let y = cx.with(BinaryOp::Add, y, low)?;
    Ok(vec![cx.cast(y, dtype)?])
}

/// `sqrt(-2 log(1 - u)) cos(2 pi v)` of two uniform numbers (Box and Muller 1958).
fn normal(cx: &mut Cx<'_>, shape: &[Dim], dtype: DType) -> Outputs {
    let mean = f64::from(cx.attributes.float_or("mean", 0.0)?);
    let scale = f64::from(cx.attributes.float_or("scale", 1.0)?);
    let (u, v) = (unit(cx, shape, 0)?, unit(cx, shape, 1)?);
    let rest = cx.formula().one_minus(u)?;
    let log = cx.unary(UnaryOp::Log, rest)?;
    let square = cx.with(BinaryOp::Mul, log, -2.0)?;
    let radius = cx.unary(UnaryOp::Sqrt, square)?;
    let angle = cx.with(BinaryOp::Mul, v, std::f64::consts::TAU)?;
    let along = cx.unary(UnaryOp::Cos, angle)?;
    let y = cx.mul(radius, along)?;
    let y = cx.with(BinaryOp::Mul, y, scale)?;
    let y = cx.with(BinaryOp::Add, y, mean)?;
    Ok(vec![cx.cast(y, dtype)?])
}

/// The attribute `dtype`, else what is given.
fn dtype(cx: &Cx<'_>, default: DType) -> Result<DType> {
    let Some(given) = cx.attributes.int("dtype")? else { return Ok(default) };
    match i32::try_from(given).map_err(|_| given.to_string()).and_then(dtype_of) {
        Ok(dtype) => Ok(dtype),
        Err(found) => unsupported(format!("random numbers of type {found} are not supported")),
    }
}

fn floating(dtype: DType) -> Result<DType> {
    if dtype.is_float() {
        Ok(dtype)
    } else {
        invalid(format!("random numbers of type {dtype} are not defined"))
    }
}

fn shape(cx: &Cx<'_>) -> Result<Vec<Dim>> {
    match cx.attributes.ints("shape")? {
        Some(shape) => Ok(shape.iter().map(|n| Dim::from(*n)).collect()),
        None => invalid("attribute `shape` is missing"),
    }
}

pub(crate) fn random_uniform(cx: &mut Cx<'_>) -> Outputs {
    let dtype = floating(dtype(cx, DType::F32)?)?;
    uniform(cx, &shape(cx)?, dtype)
}

pub(crate) fn random_uniform_like(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let dtype = floating(dtype(cx, cx.dtype(x))?)?;
    uniform(cx, &cx.shape(x), dtype)
}

pub(crate) fn random_normal(cx: &mut Cx<'_>) -> Outputs {
    let dtype = floating(dtype(cx, DType::F32)?)?;
    normal(cx, &shape(cx)?, dtype)
}

pub(crate) fn random_normal_like(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let dtype = floating(dtype(cx, cx.dtype(x))?)?;
    normal(cx, &cx.shape(x), dtype)
}

/// One with the probability that the input says, else zero.
pub(crate) fn bernoulli(cx: &mut Cx<'_>) -> Outputs {
    let x = cx.input(0)?;
    let dtype = dtype(cx, cx.dtype(x))?;
    let drawn = unit(cx, &cx.shape(x), 0)?;
    let drawn = cx.cast(drawn, cx.dtype(x))?;
    let y = cx.binary(BinaryOp::Less, drawn, x)?;
    Ok(vec![cx.cast(y, dtype)?])
}
