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
use kiln_graph::{Def, Graph, GraphError, MOST_UNROLLED, Op, Rewriter, Tensor, ValueId, unrolled};

use super::sequence::{Pass, PassError, run as run_all};
use super::uses::uses;

/// The passes of the body of a loop, in their order.
pub const BODY: &[(&str, Pass)] = &[
    ("decompose", super::decompose::run),
    ("windows", super::windows::run),
    ("elementary", super::elementary::run),
    ("fold", super::fold::run),
    ("identity", super::identity::run),
    ("common", super::common::run),
    ("affine", super::affine::run),
    ("pad", super::pad::run),
    ("bodies", run),
    ("dead_code", super::dead_code::run),
];

/// Runs the passes of [`BODY`] over the body of each loop.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
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
        let body =
            run_all(BODY, &unrolled(&op.body, MOST_UNROLLED)?).map_err(|PassError { source, .. }| source)?;
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
    let mut body = Graph::new(old.name.clone());
    let mut mapped: Vec<Option<ValueId>> = vec![None; old.values().len()];
    let (mut left, mut scanned) = (Vec::new(), Vec::new());
    for (n, (id, given)) in old.inputs().iter().zip(given).enumerate() {
        let value = old.value(*id);
        mapped[id.index()] = match given {
            Given::Input => {
                left.extend(inputs.get(n));
                scanned.extend(n.checked_sub(op.carried).and_then(|n| op.scanned.get(n)));
                Some(body.input(value.name.clone(), value.ty.clone())?)
            }
            Given::Constant(tensor) => Some(body.constant(value.name.clone(), tensor.clone())),
            Given::Nothing => None,
        };
    }
    for (id, value) in old.value_ids().zip(old.values()) {
        if let Def::Constant(tensor) = &value.def {
            mapped[id.index()] = Some(body.constant(value.name.clone(), tensor.clone()));
        }
    }
    let find = |mapped: &[Option<ValueId>], id: ValueId| {
        mapped[id.index()]
            .ok_or_else(|| GraphError::Invalid(format!("`{}` is used before it is made", old.value(id).name)))
    };
    for node in old.nodes() {
        let inputs = node.inputs.iter().map(|id| find(&mapped, *id)).collect::<Result<Vec<_>, _>>()?;
        let outputs = body.apply(node.name.clone(), node.op.clone(), &inputs)?;
        for (old, new) in node.outputs.iter().zip(outputs) {
            mapped[old.index()] = Some(new);
        }
    }
    let mut stacked = Vec::new();
    for (n, (output, _)) in old.outputs().iter().zip(kept).enumerate().filter(|(_, (_, kept))| **kept) {
        stacked.extend(n.checked_sub(op.carried).and_then(|n| op.stacked.get(n)));
        body.output(output.name.clone(), find(&mapped, output.value)?)?;
    }
    let op = Loop { body: body.into(), steps: op.steps.clone(), carried: op.carried, scanned, stacked };
    Ok((op, left))
}
