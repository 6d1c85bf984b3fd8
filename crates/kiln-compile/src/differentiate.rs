//! Reverse-mode differentiation, from graph to graph.
//!
//! The nodes are walked from the loss to the parameters; each adds, by the rule beside its operator
//! ([`kiln_graph::Op::gradient`]), the nodes that carry the gradient from its outputs to its inputs. What arrives at
//! one value from several readers is added up, so weights that are shared need no care. The result is an ordinary
//! graph, which passes, the planner and the ONNX export treat like any other.

use kiln_graph::ops::{Adjoint, BinaryOp};
use kiln_graph::{Def, Formula, Graph, GraphError, Made, Node, Op, Tensor, ValueId};

/// `graph` with one more output for each parameter, called `NAME.grad` after it: the gradient of the sum of `loss`
/// (of any shape, usually without dimensions) with respect to that parameter. Parameters are states or inputs, by
/// name; of one that the loss does not depend on, the gradient is zeros.
pub fn differentiate(graph: &Graph, loss: &str, parameters: &[&str]) -> Result<Graph, GraphError> {
    let unknown = |what: &str, name: &str, known: Vec<&str>| {
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        GraphError::Unsuitable(format!("there is no {what} `{name}`; there are {known}"))
    };
    let mut new = graph.clone();
    let outputs = graph.outputs();
    let loss =
        outputs.iter().find(|output| output.name == loss).map(|output| output.value).ok_or_else(|| {
            unknown("output", loss, outputs.iter().map(|output| output.name.as_str()).collect())
        })?;
    let sources = || graph.states().iter().chain(graph.inputs()).copied();
    let wanted = parameters.iter().map(|name| {
        sources().find(|id| graph.value(*id).name == **name).ok_or_else(|| {
            unknown("parameter", name, sources().map(|id| graph.value(id).name.as_str()).collect())
        })
    });
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let found = gradients(&mut new, loss, &wanted)?;
    for (name, gradient) in parameters.iter().zip(found) {
        new.output(format!("{name}.grad"), gradient)?;
    }
    Ok(new)
}

/// Adds to `graph` what computes the gradient of (the sum of) `loss` with respect to each of `wanted`.
pub fn gradients(graph: &mut Graph, loss: ValueId, wanted: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
    gradients_behind(graph, loss, wanted, 0).map(|(gradients, _)| gradients)
}

/// The same; and how many nodes the graph has when what follows its first `first` nodes has been walked back: what is added
/// from there on belongs to these.
pub(crate) fn gradients_behind(
    graph: &mut Graph,
    loss: ValueId,
    wanted: &[ValueId],
    first: usize,
) -> Result<(Vec<ValueId>, usize), GraphError> {
    if !graph.ty(loss).dtype.is_float() {
        let (name, dtype) = (&graph.value(loss).name, graph.ty(loss).dtype);
        return Err(GraphError::Unsuitable(format!(
            "the loss `{name}` should be floating point, but is {dtype}"
        )));
    }
    let needs = depends_on(graph, wanted);
    let mut arrived: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    let nodes: Vec<_> = graph.node_ids().collect();
    let one = filled(graph, "loss.grad", 1.0, loss)?;
    arrived[loss.index()] = Some(one);
    let mut reached = None;
    for id in nodes.into_iter().rev() {
        if id.index() < first {
            reached.get_or_insert(graph.nodes().len());
        }
        let node = graph.node(id);
        let (op, inputs) = (node.op.clone(), node.inputs.clone());
        let dy: Vec<Option<ValueId>> = node.outputs.iter().map(|id| arrived[id.index()]).collect();
        let wants = inputs.iter().enumerate();
        let wants: Vec<bool> = wants.map(|(place, id)| needs[id.index()] && passes(node, place)).collect();
        if dy.iter().all(Option::is_none) || !wants.contains(&true) {
            continue;
        }
        let name = format!("{}.grad", node.name);
        let found = op.gradient(&mut Adjoint::new(graph, id, &dy, &wants))?;
        for ((input, wants), gradient) in inputs.into_iter().zip(wants).zip(found) {
            let (true, Some(gradient)) = (wants, gradient) else { continue };
            let slot = &mut arrived[input.index()];
            *slot = Some(match *slot {
                Some(other) => graph.apply1(name.clone(), Op::Binary(BinaryOp::Add), &[other, gradient])?,
                None => gradient,
            });
        }
    }
    let reached = reached.unwrap_or(graph.nodes().len());
    let found = wanted.iter().map(|id| match arrived[id.index()] {
        Some(gradient) => Ok(gradient),
        None => filled(graph, "zero.grad", 0.0, *id),
    });
    Ok((found.collect::<Result<_, _>>()?, reached))
}

/// For each value, whether one of `sources` has an influence on it that could be differentiated.
fn depends_on(graph: &Graph, sources: &[ValueId]) -> Vec<bool> {
    let mut depends = vec![false; graph.values().len()];
    for id in sources {
        depends[id.index()] = true;
    }
    for id in graph.value_ids() {
        if let Def::Node { node, .. } = &graph.value(id).def {
            let node = graph.node(*node);
            let mut inputs = node.inputs.iter().enumerate();
            let through = inputs.any(|(place, input)| depends[input.index()] && passes(node, place));
            depends[id.index()] |= through && graph.ty(id).dtype.is_float();
        }
    }
    depends
}

/// For each value, whether it has an influence on `loss` that could be differentiated. Where it has none, PyTorch's
/// `grad` is `None`, which is something else than a gradient of zeros.
pub fn influences(graph: &Graph, loss: ValueId) -> Vec<bool> {
    let mut influences = vec![false; graph.values().len()];
    influences[loss.index()] = true;
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|output| influences[output.index()]) {
            for (place, input) in node.inputs.iter().enumerate() {
                influences[input.index()] |= graph.ty(*input).dtype.is_float() && passes(node, place);
            }
        }
    }
    influences
}

/// Whether gradients may go to an input of a node.
fn passes(node: &Node, place: usize) -> bool {
    let is_stopped = node.op == Op::StopGradient && place == 0;
    let is_statistic = place >= 3 && matches!(&node.op, Op::BatchNorm(op) if op.training || op.frozen);
    !is_stopped && !is_statistic
}

/// A constant of the type of `like`.
fn filled(graph: &mut Graph, name: &str, value: f32, like: ValueId) -> Made {
    let ty = graph.ty(like).clone();
    let number = graph.constant(name, Tensor::scalar(value));
    let mut f = Formula::new(graph, name);
    let number = f.cast(number, ty.dtype)?;
    f.expand(number, ty.shape)
}
