//! Padding becomes that of the convolution or pooling behind it.
//!
//! ```text
//! before: p = pad(x) {pads=[[0, 0], [0, 0], [1, 1], [1, 1]]}   y = conv(p, w)
//! after:                                                        y = conv(x, w) {pads=[[1, 1], [1, 1]]}
//! ```
//!
//! Zeros fit a convolution, and an average that counts them; what is lower than everything fits a maximum.

use kiln_graph::ops::{Conv, Pad, PadMode, Pool, PoolKind};
use kiln_graph::{Graph, GraphError, Op, Rewriter, ValueId};

/// Moves padding into convolutions and pooling. A padding that has other readers stays for them.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for id in graph.node_ids() {
        let node = graph.node(id);
        let inputs = rewriter.inputs(id)?;
        match padded(&rewriter.graph, &node.op, &inputs) {
            Some((op, x)) => {
                let inputs = [&[x], &inputs[1..]].concat();
                let output = rewriter.graph.apply1(node.name.clone(), op, &inputs)?;
                rewriter.map(node.outputs[0], output);
            }
            None => rewriter.copy(id)?,
        }
    }
    super::dead_code::run(&rewriter.finish()?)
}

/// The operator with the padding of its input, and the input without.
fn padded(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<(Op, ValueId)> {
    let before = graph.node(graph.producer(*inputs.first()?)?);
    let Op::Pad(Pad { pads, mode: PadMode::Constant(value) }) = &before.op else { return None };
    let [[0, 0], [0, 0], spatial @ ..] = pads.as_slice() else { return None };
    let op = if let Op::Conv(op) = op {
        Op::Conv(conv(op, spatial, *value)?)
    } else if let Op::Pool(op) = op {
        Op::Pool(pool(op, spatial, *value)?)
    } else {
        return None;
    };
    Some((op, before.inputs[0]))
}

fn conv(op: &Conv, pads: &[[i64; 2]], value: f32) -> Option<Conv> {
    // Padding counts elements, and a convolution's own counts them with zeros in between.
    if value != 0.0 || op.input_dilations.iter().any(|d| *d > 1) {
        return None;
    }
    // What was cropped does not come back: zeros are put in its place.
    let crops = |(own, before): (&i64, &i64)| *before < 0 && *own > 0;
    if op.pads.iter().flatten().zip(pads.iter().flatten()).any(crops) {
        return None;
    }
    let sum = op.pads.iter().zip(pads).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect();
    Some(Conv { pads: sum, ..op.clone() })
}

fn pool(op: &Pool, pads: &[[i64; 2]], value: f32) -> Option<Pool> {
    // With padding of its own an average may count some and not the other; with sizes rounded up, windows that lie in
    // padding alone are left out. No window may be without any element.
    let plain = !op.ceil_mode && op.pads.iter().flatten().all(|n| *n == 0);
    let is_inside = |(pads, kernel): (&[i64; 2], &usize)| {
        pads.iter().all(|n| usize::try_from(*n).is_ok_and(|n| n < *kernel))
    };
    if !plain || op.dilations.iter().any(|d| *d > 1) || !pads.iter().zip(&op.kernel).all(is_inside) {
        return None;
    }
    let kind = match op.kind {
        PoolKind::Max if value == f32::NEG_INFINITY => PoolKind::Max,
        PoolKind::Average { .. } if value == 0.0 => PoolKind::Average { count_include_pad: true },
        PoolKind::Max | PoolKind::Average { .. } => return None,
    };
    Some(Pool { kind, pads: pads.to_vec(), ..op.clone() })
}
