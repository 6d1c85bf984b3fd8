//! Static quantization: a network of 32-bit floats becomes one whose layers multiply integers of 8 bits.
//!
//! ```text
//! before: y = relu(add(conv(x, w), b))                   z = conv(y, v)
//! after:  y = relu(add(conv(dq(q(x)), dq(w8)), dq(b32)))  z = conv(dq(q(y)), dq(v8))
//! ```
//!
//! `q` and `dq` are QuantizeLinear and DequantizeLinear, written as in `kiln_graph::functions::quantization`, so that this is
//! the QDQ form of ONNX. Weights are integers from -127 to 127 with a scale for each output channel, biases are integers of
//! 32 bits in units of both scales, and activations are integers from 0 to 255 with a scale and a zero point for the whole
//! tensor, which follow from the range that was observed. What layers without a successor give stays in floats.

mod layers;
mod network;
mod numbers;
mod observe;
mod write;

use kiln_graph::{DType, Graph, Op};

use crate::passes;
use crate::train::matches;

pub use network::{Kept, Layer, Network, Observed, Point, QuantizeError, Quantized};
pub use numbers::Range;
pub use observe::{Histogram, Method, Noise};

use layers::{Found, find};

/// What a network is before layers are looked for: batch normalization is part of the weights.
const PREPARATION: &[(&str, passes::Pass)] = &[
    ("freeze", passes::freeze::run),
    ("decompose", passes::decompose::run),
    ("fold", passes::fold::run),
    ("identity", passes::identity::run),
    ("common", passes::common::run),
    ("affine", passes::affine::run),
    ("dead_code", passes::dead_code::run),
];

impl Network {
    /// Looks for layers. Those that one of the patterns `keep` names stay as they are.
    pub fn new(graph: &Graph, keep: &[String]) -> Result<Self, QuantizeError> {
        let graph = graph.clone().settled()?;
        let graph = passes::run(PREPARATION, &graph)?;
        let quantizes = |op: &Op| matches!(op, Op::Cast(cast) if matches!(cast.to, DType::I8 | DType::U8));
        let already = graph
            .nodes()
            .iter()
            .find(|node| quantizes(&node.op) && node.inputs.iter().all(|id| graph.ty(*id).dtype.is_float()));
        if let Some(node) = already {
            return Err(QuantizeError::Quantized { node: node.name.clone() });
        }
        let Found { layers, kept, points } = find(&graph, keep);
        let names = || layers.iter().map(|layer| &layer.name).chain(kept.iter().map(|layer| &layer.name));
        if let Some(name) = keep.iter().find(|pattern| !names().any(|name| matches(pattern, name))) {
            let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            return Err(QuantizeError::Unknown { name: name.clone(), known: shortened(&known) });
        }
        if layers.is_empty() {
            let reasons: Vec<String> =
                kept.iter().map(|layer| format!("`{}` ({})", layer.name, layer.reason)).collect();
            let reasons = match &reasons[..] {
                [] => "it has no convolutions and matrix products".to_owned(),
                reasons => shortened(reasons),
            };
            return Err(QuantizeError::Nothing { reasons });
        }
        Ok(Self { graph, layers, kept, points })
    }
}

/// The first of a list, and how many there are beside them.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
