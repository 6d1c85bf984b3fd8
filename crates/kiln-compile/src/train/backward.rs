//! From a model to its loss and the gradients of its parameters.

use kiln_graph::ops::UnaryOp;
use kiln_graph::{DType, Formula, Graph, GraphError, MOST_UNROLLED, ValueId, unrolled};

use super::mode::{TrainingMode, training as training_mode};
use super::names::{LOSS, TARGET};
use super::scale::Scaled;
use super::settings::Training;
use crate::differentiate::{gradients, influences};

/// A model in training with its loss and gradients.
pub(super) struct Backward {
    /// The model in training, with everything below added.
    pub mode: TrainingMode,
    /// The parameters that get a gradient.
    pub parameters: Vec<ValueId>,
    /// What the gradients are of: with penalties, and of scaled targets.
    pub loss: ValueId,
    /// Those of `parameters`, in their order.
    pub gradients: Vec<ValueId>,
    /// What the caller gets: the loss and what can be said beside it.
    pub results: Vec<(String, ValueId)>,
}

impl Backward {
    pub(super) fn new(model: &Graph, training: &Training) -> Result<Self, GraphError> {
        let model = &unrolled(training.model.as_ref().unwrap_or(model), MOST_UNROLLED)?;
        let parameters = training.parameters(model);
        if parameters.is_empty() {
            return Err(GraphError::Unsuitable(no_parameters(model, training)));
        }
        if let Some(node) = model.nodes().iter().find(|node| node.op.count().is_some()) {
            return Err(GraphError::Unsuitable(format!(
                "a model cannot be trained in which the data decide sizes, as `{}` ({}) does",
                node.name,
                node.op.name()
            )));
        }
        let mut floats = model.states().iter().filter(|id| model.ty(**id).dtype.is_float());
        if let Some(other) = floats
            .find(|id| model.ty(**id).dtype != DType::F32 && !training.is_frozen(&model.value(**id).name))
        {
            let (name, dtype) = (&model.value(*other).name, model.ty(*other).dtype);
            return Err(GraphError::Unsuitable(format!(
                "`{name}` is {dtype}; only f32 parameters can be trained, others can be frozen"
            )));
        }
        let mut mode = training_mode(model, training.seed, &|name| training.is_frozen(name))?;
        let graph = &mut mode.graph;
        let output = training.output(graph)?;
        let target_type = training.loss.target(graph.ty(output))?;
        let target = graph.input(TARGET, target_type)?;
        let is_parameter = |id: &ValueId| parameters.contains(&graph.value(*id).name);
        let parameters: Vec<ValueId> = graph.states().iter().copied().filter(is_parameter).collect();
        let (mut learned, mut answer, mut shown) = (target, output, None);
        if let Some(scale) = &training.target_scale {
            let scaled = Scaled::new(graph, scale, output)?;
            learned = scaled.target(graph, target)?;
            answer = scaled.answer(graph, output)?;
            shown = Some(training.loss.build(graph, answer, target)?);
        }
        let loss = training.loss.build(graph, output, learned)?;
        // PyTorch's optimizers pass over parameters without a gradient: nothing decays them, either.
        let influences = influences(graph, loss);
        let (parameters, unused): (Vec<ValueId>, Vec<ValueId>) =
            parameters.into_iter().partition(|id| influences[id.index()]);
        if parameters.is_empty() {
            return Err(GraphError::Unsuitable(no_gradients(graph, &unused)));
        }
        let loss = penalized(graph, loss, training, &parameters)?;
        let beside = training.loss.beside(graph, answer, target)?;
        let gradients = gradients(graph, loss, &parameters)?;
        let mut results = vec![(LOSS.to_owned(), shown.unwrap_or(loss))];
        results.extend(beside.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if training.show_gradients {
            let names = parameters.iter().map(|id| format!("{}.grad", graph.value(*id).name));
            results.extend(names.zip(gradients.iter().copied()));
        }
        Ok(Self { mode, parameters, loss, gradients, results })
    }
}

/// The loss of a model in training and all gradients, `NAME.grad`, without anything that changes states.
pub fn backward(model: &Graph, training: &Training) -> Result<Graph, GraphError> {
    let training = Training { show_gradients: true, ..training.clone() };
    let Backward { mode, results, .. } = Backward::new(model, &training)?;
    let mut graph = mode.graph;
    graph.clear_outputs();
    for (name, value) in results {
        graph.output(name, value)?;
    }
    Ok(graph)
}

fn no_parameters(model: &Graph, training: &Training) -> String {
    if training.frozen.is_empty() {
        return "the model has no parameters, so there is nothing to train".into();
    }
    let all = Training { frozen: vec![], ..training.clone() }.parameters(model);
    format!("all parameters are frozen by {}; there are {}", training.frozen.join(", "), all.join(", "))
}

fn no_gradients(graph: &Graph, unused: &[ValueId]) -> String {
    let names: Vec<&str> = unused.iter().map(|id| graph.value(*id).name.as_str()).collect();
    format!(
        "no parameter would get a gradient, so there is nothing to train: the loss does not depend on {}, or only where \
         gradients stop (`detach()`, `torch.no_grad()`)",
        names.join(", ")
    )
}

/// The loss with the penalties on what it depends on.
fn penalized(
    graph: &mut Graph,
    loss: ValueId,
    training: &Training,
    parameters: &[ValueId],
) -> Result<ValueId, GraphError> {
    let mut loss = loss;
    for (factor, squares) in [(training.l1, false), (training.l2, true)] {
        if factor == 0.0 {
            continue;
        }
        let mut f = Formula::new(graph, "penalty");
        let mut sums = Vec::new();
        for parameter in parameters {
            let each =
                if squares { f.mul(*parameter, *parameter)? } else { f.unary(UnaryOp::Abs, *parameter)? };
            sums.push(f.total(each)?);
        }
        let sum = f.sum_of(&sums)?;
        let penalty = f.scale(sum, f64::from(factor))?;
        loss = f.add(loss, penalty)?;
    }
    Ok(loss)
}
