//! Loops written out, for what works on a graph without loops: differentiation, other formats.

use crate::dim::Dim;
use crate::error::GraphError;
use crate::formula::Formula;
use crate::graph::{Def, Graph, ValueId};
use crate::ops::{Concat, Loop, Op, SliceAxis};
use crate::rewrite::Rewriter;

/// Most steps of a loop that are written out.
pub const MOST_UNROLLED: usize = 1024;

/// Loops of more nodes in all their steps stay: a few lines can describe loops in loops.
const MOST_NODES: usize = 1 << 16;

/// The graph with its loops written out that have a fixed number of steps, from one to `most`, and some ten thousand
/// nodes in all of them at most; also those in the bodies of others, which stay.
///
/// ```text
/// before: h', all = loop(x, h) steps=2 carried=1 ..
/// after:  h1 = body(x[0], h)   h2 = body(x[1], h1)   all = concat(h1, h2)
/// ```
pub fn unrolled(graph: &Graph, most: usize) -> Result<Graph, GraphError> {
    if !graph.nodes().iter().any(|node| matches!(node.op, Op::Loop(_))) {
        return Ok(graph.clone());
    }
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let Op::Loop(op) = &node.op else {
            rewriter.copy(id)?;
            continue;
        };
        let inputs = rewriter.inputs(id)?;
        let body = unrolled(&op.body, most)?;
        let outputs = match written(op, most).0 {
            Some(steps) => {
                let mut f = Formula::new(&mut rewriter.graph, node.name.clone());
                write_out(&mut f, op, &body, steps, &inputs)?
            }
            None => {
                let op = Loop { body: body.into(), ..op.clone() };
                rewriter.graph.apply(node.name.clone(), Op::Loop(op), &inputs)?
            }
        };
        for (old, new) in node.outputs.iter().zip(outputs) {
            rewriter.map(*old, new);
        }
    }
    rewriter.finish()
}

/// How many steps of a loop are to be written out, if it is, and how many nodes it is then.
fn written(op: &Loop, most: usize) -> (Option<usize>, usize) {
    let nodes = op.body.nodes().iter().map(|node| match &node.op {
        Op::Loop(op) => written(op, most).1,
        _ => 1,
    });
    let size = nodes.fold(1, usize::saturating_add);
    let steps = op.steps.as_usize().filter(|steps| (1..=most).contains(steps));
    let steps = steps.filter(|steps| steps.saturating_mul(size) <= MOST_NODES);
    (steps, steps.unwrap_or(1).saturating_mul(size))
}

/// The results of a loop whose steps are all written out.
fn write_out(
    f: &mut Formula<'_>,
    op: &Loop,
    body: &Graph,
    steps: usize,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>, GraphError> {
    let constants = constants(f.graph, body);
    let mut carried: Vec<ValueId> = inputs.iter().take(op.carried).copied().collect();
    let mut parts: Vec<Vec<ValueId>> = vec![Vec::with_capacity(steps); op.stacked.len()];
    let length = Dim::from(steps);
    for step in 0..steps {
        let mut given = carried;
        for (n, input) in inputs.iter().enumerate().skip(op.carried) {
            given.push(match op.scanned.get(n - op.carried) {
                Some(along) => {
                    let start = along.place(step.into(), &length);
                    let cut = SliceAxis { axis: along.axis, start, length: 1.into(), step: 1 };
                    let part = f.slice(*input, vec![cut])?;
                    let mut shape = f.shape(part);
                    shape.remove(along.axis);
                    f.reshape(part, shape)?
                }
                None => *input,
            });
        }
        let mut results = copied(f.graph, body, &constants, &given)?.into_iter();
        carried = results.by_ref().take(op.carried).collect();
        parts.iter_mut().zip(results).for_each(|(parts, part)| parts.push(part));
    }
    let mut outputs = carried;
    for (mut parts, along) in parts.into_iter().zip(&op.stacked) {
        for part in &mut parts {
            let mut shape = f.shape(*part);
            shape.insert(along.axis, 1.into());
            *part = f.reshape(*part, shape)?;
        }
        if along.reverse {
            parts.reverse();
        }
        outputs.push(match &parts[..] {
            [one] => *one,
            many => f.apply(Op::Concat(Concat { axis: along.axis }), many)?,
        });
    }
    Ok(outputs)
}

/// The constants of a graph in another one, by value.
fn constants(graph: &mut Graph, body: &Graph) -> Vec<Option<ValueId>> {
    let constant = |value: &crate::graph::Value| match &value.def {
        Def::Constant(tensor) => Some(graph.constant(value.name.clone(), tensor.clone())),
        Def::Input | Def::State(_) | Def::Node { .. } => None,
    };
    body.values().iter().map(constant).collect()
}

/// The outputs of `body` for these inputs, its nodes added to a graph that has its constants.
fn copied(
    graph: &mut Graph,
    body: &Graph,
    constants: &[Option<ValueId>],
    inputs: &[ValueId],
) -> Result<Vec<ValueId>, GraphError> {
    let mut mapped = constants.to_vec();
    for (id, input) in body.inputs().iter().zip(inputs) {
        mapped[id.index()] = Some(*input);
    }
    let find = |mapped: &[Option<ValueId>], id: ValueId| {
        mapped[id.index()].ok_or_else(|| {
            GraphError::Invalid(format!("`{}` is used before it is defined", body.value(id).name))
        })
    };
    for node in body.nodes() {
        let inputs = node.inputs.iter().map(|id| find(&mapped, *id)).collect::<Result<Vec<_>, _>>()?;
        let outputs = graph.apply(node.name.clone(), node.op.clone(), &inputs)?;
        for (old, new) in node.outputs.iter().zip(outputs) {
            mapped[old.index()] = Some(new);
        }
    }
    body.outputs().iter().map(|output| find(&mapped, output.value)).collect()
}
