//! The bodies of loops, as tidy as the graph around them.
//!
//! ```text
//! before: y = loop(h, x, w) { m = matmul(x', w)   a = mul(m, 1) .. }        w is a constant
//! after:  y = loop(h, x)    { m = matmul(x', w) .. }                        w is one of the body
//! ```
//!
//! Constants that a body is given become its own, so that they can be folded and packed. What it is given and does not
//! read goes, and so do stacked results that nothing reads. Loops in loops are written out, as far as that is possible.

use kiln_graph::ops::Loop;
use kiln_graph::{Graph, GraphError, MOST_UNROLLED, Op, Rewriter, Tensor, ValueId, unrolled};

use super::sequence::{Pass, PassError, run as run_all};
use super::uses::uses;

/// Runs `passes` over the body of each loop.
pub fn run(graph: &Graph, passes: &[(&'static str, Pass)]) -> Result<Graph, GraphError> {
    if !graph.nodes().iter().any(|node| matches!(node.op, Op::Loop(_))) {
        return Ok(graph.clone());
    }
    let uses = uses(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let Op::Loop(op) = &node.op else {
            rewriter.copy(id)?;
            continue;
        };
        let inputs = rewriter.inputs(id)?;
        let kept: Vec<bool> =
            (0..node.outputs.len()).map(|n| n < op.carried || uses[node.outputs[n].index()] > 0).collect();
        let (op, inputs) = own_constants(&rewriter.graph, op, &inputs, &kept)?;
        let body = run_all(passes, &unrolled(&op.body, MOST_UNROLLED)?)
            .map_err(|PassError { source, .. }| source)?;
        let (op, inputs) = without_unread(&Loop { body: body.into(), ..op }, &inputs)?;
        let outputs = rewriter.graph.apply(node.name.clone(), Op::Loop(op), &inputs)?;
        let old = node.outputs.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(id, _)| id);
        for (old, new) in old.zip(outputs) {
            rewriter.map(*old, new);
        }
    }
    rewriter.finish()
}

/// What becomes of an input of a body.
enum Given {
    Input,
    Constant(Tensor),
    Nothing,
}

/// The loop with constants of its own, and with the outputs that are kept.
fn own_constants(
    graph: &Graph,
    op: &Loop,
    inputs: &[ValueId],
    kept: &[bool],
) -> Result<(Loop, Vec<ValueId>), GraphError> {
    let same = op.carried + op.scanned.len();
    let given = inputs.iter().enumerate().map(|(n, id)| match graph.as_constant(*id) {
        Some(tensor) if n >= same => Given::Constant(tensor.clone()),
        _ => Given::Input,
    });
    rebuilt(op, inputs, &given.collect::<Vec<_>>(), kept)
}

/// The loop without what its body is given and does not read.
fn without_unread(op: &Loop, inputs: &[ValueId]) -> Result<(Loop, Vec<ValueId>), GraphError> {
    let uses = uses(&op.body);
    let given =
        op.body.inputs().iter().enumerate().map(|(n, id)| {
            if n < op.carried || uses[id.index()] > 0 { Given::Input } else { Given::Nothing }
        });
    rebuilt(op, inputs, &given.collect::<Vec<_>>(), &vec![true; op.body.outputs().len()])
}

fn rebuilt(
    op: &Loop,
    inputs: &[ValueId],
    given: &[Given],
    kept: &[bool],
) -> Result<(Loop, Vec<ValueId>), GraphError> {
    let old = &*op.body;
    let mut rewriter = Rewriter::without_interface(old);
    let (mut left, mut scanned) = (Vec::new(), Vec::new());
    for (n, (id, given)) in old.inputs().iter().zip(given).enumerate() {
        match given {
            Given::Input => {
                left.extend(inputs.get(n));
                scanned.extend(n.checked_sub(op.carried).and_then(|n| op.scanned.get(n)));
                rewriter.input(*id)?;
            }
            Given::Constant(tensor) => {
                let constant = rewriter.graph.constant(old.value(*id).name.clone(), tensor.clone());
                rewriter.map(*id, constant);
            }
            Given::Nothing => {}
        }
    }
    for id in old.node_ids() {
        rewriter.copy(id)?;
    }
    let mut stacked = Vec::new();
    for (n, (output, _)) in old.outputs().iter().zip(kept).enumerate().filter(|(_, (_, kept))| **kept) {
        stacked.extend(n.checked_sub(op.carried).and_then(|n| op.stacked.get(n)));
        let value = rewriter.get(output.value)?;
        rewriter.graph.output(output.name.clone(), value)?;
    }
    let (body, steps) = (rewriter.graph.into(), op.steps.clone());
    Ok((Loop { body, steps, carried: op.carried, scanned, stacked }, left))
}
