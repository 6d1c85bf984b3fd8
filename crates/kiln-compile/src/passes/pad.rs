//! Padding with zeros becomes the padding of the convolution behind it.
//!
//! ```text
//! before: p = pad(x) {pads=[[0, 0], [0, 0], [1, 1], [1, 1]]}   y = conv(p, w)
//! after:                                                        y = conv(x, w) {pads=[[1, 1], [1, 1]]}
//! ```

use kiln_graph::ops::{Conv, Pad, PadMode};
use kiln_graph::{Graph, GraphError, Op, Rewriter, ValueId};

/// Moves padding into convolutions. A padding that has other readers stays for them.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids() {
        let node = graph.node(id);
        let inputs = rewriter.inputs(id)?;
        match &node.op {
            Op::Conv(conv) => match padded(&rewriter.graph, conv, &inputs) {
                Some((conv, x)) => {
                    let inputs = [&[x], &inputs[1..]].concat();
                    let output = rewriter.graph.apply1(node.name.clone(), Op::Conv(conv), &inputs)?;
                    rewriter.map(node.outputs[0], output);
                }
                None => rewriter.copy(id)?,
            },
            _ => rewriter.copy(id)?,
        }
    }
    super::dead_code::run(&rewriter.finish()?)
}

/// The convolution with the padding of its input, and the input without.
fn padded(graph: &Graph, conv: &Conv, inputs: &[ValueId]) -> Option<(Conv, ValueId)> {
    let before = graph.node(graph.producer(*inputs.first()?)?);
    let Op::Pad(Pad { pads, mode: PadMode::Constant(value) }) = &before.op else { return None };
    let [batch, channels, spatial @ ..] = pads.as_slice() else { return None };
    let plain = *value == 0.0 && *batch == [0, 0] && *channels == [0, 0];
    // Padding counts elements, and a convolution's own counts them with zeros in between.
    if !plain || conv.input_dilations.iter().any(|d| *d > 1) {
        return None;
    }
    let sum = conv.pads.iter().zip(spatial).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect();
    Some((Conv { pads: sum, ..conv.clone() }, before.inputs[0]))
}
