//! A model as it is while it trains: batch normalization with the statistics of the batch unless it is frozen, dropout
//! that drops, random numbers that are drawn.

use std::collections::BTreeMap;

use kiln_graph::ops::{BatchNorm, BinaryOp, Dropout, Random};
use kiln_graph::{Def, Dim, Formula, Graph, GraphError, Op, Rewriter, Tensor, ValueId};

/// A model in training.
pub(super) struct TrainingMode {
    /// The graph, without updates.
    pub graph: Graph,
    /// What the running statistics become, by name.
    pub statistics: BTreeMap<String, ValueId>,
    /// The state of the random numbers, if there are any.
    pub random: Option<ValueId>,
}

/// The name of the state that random numbers come from.
pub(super) const RANDOM: &str = "train.random";

/// The names of the states that are no parameters but running statistics.
pub fn statistics(graph: &Graph) -> Vec<String> {
    let of_norms = graph.nodes().iter().filter(|node| matches!(node.op, Op::BatchNorm(_)));
    of_norms.flat_map(|node| &node.inputs[3..]).map(|id| graph.value(*id).name.clone()).collect()
}

/// Rewrites `model`; random numbers depend on `seed`. Batch normalization whose running mean is frozen keeps its
/// statistics, and uses them.
pub(super) fn training(
    model: &Graph,
    seed: u64,
    is_frozen: &dyn Fn(&str) -> bool,
) -> Result<TrainingMode, GraphError> {
    let mut rewriter = Rewriter::new(model)?;
    let mut statistics: BTreeMap<String, ValueId> = BTreeMap::new();
    let mut random = None;
    let mut stream = 0;
    for id in model.node_ids() {
        let node = model.node(id);
        if let Op::BatchNorm(op) = &node.op {
            let mut inputs = rewriter.inputs(id)?;
            // A block that is used twice sees the statistics that its first use has left.
            for (input, old) in inputs.iter_mut().zip(&node.inputs).skip(3) {
                *input = statistics.get(&model.value(*old).name).copied().unwrap_or(*input);
            }
            if op.frozen || is_frozen(&model.value(node.inputs[3]).name) {
                let outputs = rewriter.graph.apply(node.name.clone(), Op::BatchNorm(op.clone()), &inputs)?;
                for (old, new) in node.outputs.iter().zip(&outputs) {
                    rewriter.map(*old, *new);
                }
                continue;
            }
            let op = BatchNorm { training: true, unbiased: true, ..op.clone() };
            let outputs = rewriter.graph.apply(node.name.clone(), Op::BatchNorm(op), &inputs)?;
            for (old, new) in node.outputs.iter().zip(&outputs) {
                rewriter.map(*old, *new);
            }
            for (old, new) in node.inputs[3..].iter().zip(&outputs[1..]) {
                if matches!(model.value(*old).def, Def::State(_)) {
                    statistics.insert(model.value(*old).name.clone(), *new);
                }
            }
        } else if let Op::Dropout(_) | Op::Random(_) = &node.op {
            let inputs = rewriter.inputs(id)?;
            let state = match random {
                Some(state) => state,
                None => *random.insert(rewriter.graph.state(RANDOM, first_state(seed)?)?),
            };
            let y = if let (Op::Dropout(op), [x]) = (&node.op, &inputs[..]) {
                dropout(&mut rewriter.graph, &node.name, op, *x, state, stream)?
            } else if let (Op::Random(op), []) = (&node.op, &inputs[..]) {
                let op = Random { stream, shape: op.shape.clone() };
                rewriter.graph.apply1(node.name.clone(), Op::Random(op), &[state])?
            } else {
                // These have a state of their own.
                rewriter.graph.apply1(node.name.clone(), node.op.clone(), &inputs)?
            };
            stream += 1;
            rewriter.map(node.outputs[0], y);
        } else {
            rewriter.copy(id)?;
        }
    }
    Ok(TrainingMode { graph: rewriter.finish()?, statistics, random })
}

/// Two words of key, and a count.
fn first_state(seed: u64) -> Result<Tensor, GraphError> {
    let words = vec![seed as i32, (seed >> 32) as i32, 0];
    Ok(Tensor::new([3], kiln_graph::Data::I32(words))?)
}

fn dropout(
    graph: &mut Graph,
    name: &str,
    op: &Dropout,
    x: ValueId,
    state: ValueId,
    stream: u32,
) -> Result<ValueId, GraphError> {
    let mut shape = graph.ty(x).shape.clone();
    if let Some(leading) = op.leading {
        shape[leading..].fill(Dim::from(1));
    }
    let mut f = Formula::new(graph, name);
    let drawn = f.apply(Op::Random(Random { stream, shape }), &[state])?;
    let ratio = f.number(f64::from(op.ratio));
    let kept = f.binary(BinaryOp::GreaterOrEqual, drawn, ratio)?;
    let kept_share = 1.0 - f64::from(op.ratio);
    // If all are dropped, nothing is left to scale.
    let factor = f.number(if kept_share > 0.0 { 1.0 / kept_share } else { 0.0 });
    let zero = f.number(0.0);
    let mask = f.select(kept, factor, zero)?;
    f.mul(x, mask)
}
