//! From a model to its loss and the gradients of its parameters.

use kiln_graph::ops::UnaryOp;
use kiln_graph::{DType, Formula, Graph, GraphError, MOST_UNROLLED, NodeId, ValueId, unrolled};

use super::loss_scale::LossScale;
use super::mode::{TrainingMode, training as training_mode};
use super::names::{LOSS, TARGET};
use super::scale::Scaled;
use super::settings::Training;
use crate::differentiate::{gradients_behind, influences};
use crate::passes::halves::{Parts, Precision, Side, round, rounded};

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
    /// What the loss was scaled by for these gradients, which are not any more.
    pub scale: Option<LossScale>,
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
        let of_model = graph.nodes().len();
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
        let scale = match training.precision {
            Precision::F32 => None,
            Precision::F16 => Some(LossScale::new(graph)?),
        };
        let differentiated = scale.map_or(Ok(loss), |scale| scale.scaled(graph, loss))?;
        let (mut gradients, behind) = gradients_behind(graph, differentiated, &parameters, of_model)?;
        if let Some(scale) = scale {
            scale.undo(graph, &mut gradients)?;
        }
        let mut results = vec![(LOSS.to_owned(), shown.unwrap_or(loss))];
        results.extend(beside.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if training.show_gradients {
            let names = parameters.iter().map(|id| format!("{}.grad", graph.value(*id).name));
            results.extend(names.zip(gradients.iter().copied()));
        }
        let this = Self { mode, parameters, loss, gradients, results, scale };
        if scale.is_some() { this.in_halves(of_model, behind) } else { Ok(this) }
    }

    /// The same with activations and their gradients in 16 bits: those of the first `of_model` nodes, and of those from
    /// `behind` on.
    fn in_halves(mut self, of_model: usize, behind: usize) -> Result<Self, GraphError> {
        let side = |node: NodeId| match node.index() {
            n if n < of_model => Some(Side::Forward),
            n if n >= behind => Some(Side::Backward),
            _ => None,
        };
        let kept = [self.loss].into_iter().chain(self.gradients.iter().copied());
        let kept = kept.chain(self.results.iter().map(|(_, value)| *value));
        let protected: Vec<ValueId> = kept.chain(self.mode.statistics.values().copied()).collect();
        let graph = std::mem::replace(&mut self.mode.graph, Graph::new(""));
        let rounds = rounded(&graph, &Parts { of: &side, protected: &protected });
        let mut rounding = round(&graph, &rounds)?.run()?;
        let all = self.parameters.iter_mut().chain(&mut self.gradients).chain([&mut self.loss]);
        let all = all.chain(self.results.iter_mut().map(|(_, value)| value));
        let all = all.chain(self.mode.statistics.values_mut()).chain(&mut self.mode.random);
        for value in all {
            *value = rounding.get(*value)?;
        }
        self.scale = self.scale.map(|scale| scale.mapped(|id| rounding.get(id))).transpose()?;
        self.mode.graph = rounding.finish()?;
        Ok(self)
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
