//! Operators on quantized numbers: ONNX's own, and those of the domain `com.microsoft` that ONNX Runtime's tools write.
//!
//! Sums are in 32-bit integers, as everywhere; what is left to a float is how they are scaled.

mod elementwise;
mod linear;
mod pooling;
mod products;
mod recurrent;

pub(crate) use elementwise::{add, concat, leaky_relu, mul, select, sigmoid, softmax};
pub(crate) use linear::{dequantize_linear, dynamic_quantize_linear, quantize_linear};
pub(crate) use pooling::{average_pool, global_average_pool};
pub(crate) use products::{
    conv_integer, dynamic_quantize_mat_mul, mat_mul_integer, mat_mul_integer_to_float, q_gemm, q_linear_conv,
    q_linear_mat_mul,
};
pub(crate) use recurrent::dynamic_quantize_lstm;

use kiln_graph::functions::quantization::{self, Steps};
use kiln_graph::{DType, ValueId};

use super::super::cx::{Cx, Result, invalid};

/// A quantized operand of which all elements have the same steps.
#[derive(Clone, Copy)]
struct Operand {
    q: ValueId,
    steps: Steps,
}

impl Operand {
    /// From three inputs in a row: elements, scale, and perhaps a zero point.
    fn at(cx: &mut Cx<'_>, first: usize) -> Result<Self> {
        let q = cx.input(first)?;
        Ok(Self { q, steps: steps(cx, first + 1)? })
    }

    /// The numbers that it stands for, in 32 bits.
    fn dequantized(self, cx: &mut Cx<'_>) -> Result<ValueId> {
        Ok(quantization::dequantize(&mut cx.formula(), self.q, self.steps, DType::F32)?)
    }

    /// `q - zero`
    fn centered(self, cx: &mut Cx<'_>) -> Result<ValueId> {
        Ok(quantization::centered(&mut cx.formula(), self.q, self.steps.zero)?)
    }

    fn dtype(self, cx: &Cx<'_>) -> DType {
        cx.dtype(self.q)
    }
}

/// A scale and perhaps a zero point, one of each.
fn steps(cx: &mut Cx<'_>, first: usize) -> Result<Steps> {
    let scale = cx.input(first)?;
    let scale = one(cx, scale, first)?;
    let zero = cx.optional(first + 1).map(|zero| one(cx, zero, first + 1)).transpose()?;
    Ok(Steps { scale, zero })
}

/// An input of one number, without dimensions.
fn one(cx: &mut Cx<'_>, number: ValueId, input: usize) -> Result<ValueId> {
    if cx.shape(number).iter().any(|dim| !dim.is(1)) {
        return invalid(format!("input {input} is {}, but should be one number", cx.ty(number)));
    }
    cx.reshape(number, [])
}
