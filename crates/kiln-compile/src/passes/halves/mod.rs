//! Weights and activations in 16 bits.
//!
//! ```text
//! before: y = conv(x, w)                  z = relu(y)                                                    a = conv(z, v)
//! after:  y = conv(x, w)  w in 16 bits    z = relu(y)  h = cast(z) to=f16  f = cast(h) to=f32  a = conv(f, v)
//! ```
//!
//! What lies in memory between kernels is rounded, and weights are; every operator computes with 32 bits as before. The
//! graph says where numbers are rounded, so the evaluator rounds them there, too, and so does a device whose memory has no
//! 16-bit floats. Fusion makes the first cast part of the kernel in front of it, and the second one is no kernel: whoever
//! reads `f` loads `h`. `kept.rs` decides which values these are.

mod kept;
mod rewrite;

use half::f16;
use kiln_graph::{Data, Graph, GraphError, NodeId, Op, Tensor, ValueId};

pub(crate) use kept::{Parts, Side, rounded};
pub(crate) use rewrite::round;

/// What weights and activations are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// What the model says.
    #[default]
    F32,
    /// 16 bits where the model has 32. Sums, statistics, places, inputs and outputs stay as they are.
    F16,
}

impl Precision {
    /// `f32` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

/// The whole graph, an inference plan's.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let all = |_: NodeId| Some(Side::Forward);
    let rounds = rounded(graph, &Parts { of: &all, protected: &[] });
    let mut rounding = round(graph, &rounds)?;
    for id in weights(graph) {
        if let Some(tensor) = graph.as_constant(id).and_then(in_16_bits) {
            rounding.replace(id, tensor);
        }
    }
    rounding.run()?.finish()
}

/// Constants that convolutions and matrix products multiply with, and tables.
pub(crate) fn weights(graph: &Graph) -> Vec<ValueId> {
    let operands = graph.nodes().iter().flat_map(|node| {
        let places = if let Op::Conv(_) = node.op {
            1..2
        } else if let Op::MatMul(_) = node.op {
            0..2
        } else if let Op::Gather(_) = node.op {
            0..1
        } else {
            0..0
        };
        node.inputs.get(places).unwrap_or_default()
    });
    let mut found: Vec<ValueId> = operands.copied().filter(|id| graph.as_constant(*id).is_some()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A tensor of floats rounded to 16 bits; `None` where that would lose too much: what is too large, or all of it too small for
/// the digits that 16 bits have.
fn in_16_bits(tensor: &Tensor) -> Option<Tensor> {
    let Data::F32(numbers) = tensor.data() else { return None };
    let largest = numbers.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let fits = numbers.iter().all(|x| x.is_finite() && f16::from_f32(*x).is_finite());
    if !fits || largest < f16::MIN_POSITIVE.to_f32() {
        return None;
    }
    let rounded = numbers.iter().map(|x| f16::from_f32(*x).to_f32()).collect();
    Tensor::new(tensor.shape().to_vec(), Data::F32(rounded)).ok()
}
