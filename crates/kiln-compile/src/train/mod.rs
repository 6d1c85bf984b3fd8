//! From a model to a training step: forward pass, loss, backward pass and updates as one graph.
//!
//! [`programs`] makes three graphs that share their states: `inference`, `evaluate` and `train`. The step's inputs are
//! the model's, the target, the learning rate, the momentum and, with accumulation, whether the optimizer steps; its
//! outputs the loss and what can be said beside it.
//! All else, parameters, running statistics, what the optimizer keeps, the state of the random numbers, is state with
//! an explicit update.

mod init;
mod loss;
mod mode;
mod normalizing;
mod optimizer;
mod pattern;
mod scale;

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{DType, Data, Formula, Graph, GraphError, Tensor, TensorType, ValueId};

pub use init::initialize;
pub use loss::Loss;
pub use mode::statistics;
pub use normalizing::normalizing;
pub use optimizer::Optimizer;
pub use pattern::matches;
pub use scale::{TARGET_MEAN, TARGET_STD, TargetScale, fold};

use crate::differentiate::{gradients, influences};
use optimizer::{Shared, Updates};
use scale::Scaled;

/// The input that outputs are compared with.
pub const TARGET: &str = "target";
/// The input that is the learning rate, a number.
pub const LEARNING_RATE: &str = "lr";
/// The input that is the momentum (Adam's beta1), a number; there only if the optimizer has one.
pub const MOMENTUM: &str = "momentum";
/// The input that says whether the optimizer steps, 1, or gradients are only gathered, 0; there only with accumulation.
pub const UPDATE: &str = "update";
/// The output that is the loss, a number.
pub const LOSS: &str = "loss";
/// The output that is what the loss was divided by, where that is not the number of targets: the sum of the class
/// weights of the targets that count. The loss of several batches together is their mean with these weights.
pub const LOSS_WEIGHT: &str = "loss_weight";
/// The output that is the class with the highest score for each target, where outputs are scores of classes.
pub const PREDICTED: &str = "predicted_classes";
/// The output that is the number of right answers, for losses over classes.
pub const CORRECT: &str = "correct";
/// The output that is the norm of all gradients before they are clipped, if they are.
pub const GRADIENT_NORM: &str = "gradient_norm";
/// The state that counts the steps of the optimizer.
pub const STEPS: &str = "train.steps";

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The model as it computes in training, where that differs from what is evaluated; its states are the same.
    pub model: Option<Graph>,
    /// What the output is compared with.
    pub loss: Loss,
    /// The model's output that is compared; the first if none is named.
    pub output: Option<String>,
    /// The update rule.
    pub optimizer: Optimizer,
    /// Added to the loss: the sum of the magnitudes of the parameters that get a gradient, times this.
    pub l1: f32,
    /// Added to the loss: the sum of the squares of the parameters that get a gradient, times this.
    pub l2: f32,
    /// Patterns of names of parameters that stay as they are; `*` stands for anything.
    pub frozen: Vec<String>,
    /// Batches whose gradients the optimizer sees as one. Each counts with a share of 1 in so many, also where fewer
    /// are left at the end of an epoch.
    pub accumulate: u32,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f32>,
    /// What targets are scaled by, so that the model learns numbers near 1.
    pub target_scale: Option<TargetScale>,
    /// Where random numbers begin.
    pub seed: u64,
    /// Whether the step has the gradients as outputs, `NAME.grad`.
    pub show_gradients: bool,
}

impl Training {
    /// A loss and an optimizer, and nothing else.
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            model: None,
            loss,
            output: None,
            optimizer,
            l1: 0.0,
            l2: 0.0,
            frozen: vec![],
            accumulate: 1,
            clip_norm: None,
            target_scale: None,
            seed: 0,
            show_gradients: false,
        }
    }

    fn is_frozen(&self, name: &str) -> bool {
        self.frozen.iter().any(|pattern| pattern::matches(pattern, name))
    }

    /// The names of the parameters that change, if the loss depends on them.
    pub fn parameters(&self, model: &Graph) -> Vec<String> {
        let statistics = mode::statistics(model);
        let states = model.states().iter().filter(|id| model.ty(**id).dtype == DType::F32);
        let names = states.map(|id| model.value(*id).name.clone());
        names.filter(|name| !statistics.contains(name) && !self.is_frozen(name)).collect()
    }

    /// Of the parameters, those that get no gradient, since what is compared does not depend on them, or only where
    /// gradients stop. They stay as they are, whatever decays the others.
    pub fn without_gradient(&self, model: &Graph) -> Result<Vec<String>, GraphError> {
        let model = self.model.as_ref().unwrap_or(model);
        let influences = influences(model, self.output(model)?);
        let mut names = self.parameters(model);
        let is_left = |id: &&ValueId| !influences[id.index()];
        let left: Vec<&str> =
            model.states().iter().filter(is_left).map(|id| model.value(*id).name.as_str()).collect();
        names.retain(|name| left.contains(&name.as_str()));
        Ok(names)
    }

    /// The model's output that is compared.
    pub fn output(&self, model: &Graph) -> Result<ValueId, GraphError> {
        let all = model.outputs();
        let chosen = match &self.output {
            Some(name) => all.iter().find(|output| output.name == *name),
            None => all.first(),
        };
        chosen.map(|output| output.value).ok_or_else(|| {
            let known: Vec<String> = all.iter().map(|output| format!("`{}`", output.name)).collect();
            let wanted = self.output.as_deref().unwrap_or("");
            GraphError::Unsuitable(format!("the model has no output `{wanted}`; it has {}", known.join(", ")))
        })
    }
}

/// The programs of a training plan, by name: `inference`, `evaluate`, `train`.
pub fn programs(model: &Graph, training: &Training) -> Result<Vec<(&'static str, Graph)>, GraphError> {
    Ok(vec![
        ("inference", answering(model, training)?.0),
        ("evaluate", evaluation(model, training)?),
        ("train", step(model, training)?),
    ])
}

/// A model in training with its loss and gradients.
struct Backward {
    mode: mode::TrainingMode,
    parameters: Vec<ValueId>,
    loss: ValueId,
    gradients: Vec<ValueId>,
    /// What the caller gets: the loss and what can be said beside it.
    results: Vec<(String, ValueId)>,
}

impl Backward {
    fn new(model: &Graph, training: &Training) -> Result<Self, GraphError> {
        let model = training.model.as_ref().unwrap_or(model);
        let parameters = training.parameters(model);
        if parameters.is_empty() {
            return Err(GraphError::Unsuitable(no_parameters(model, training)));
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
        let mut mode = mode::training(model, training.seed, &|name| training.is_frozen(name))?;
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

/// One training step.
pub fn step(model: &Graph, training: &Training) -> Result<Graph, GraphError> {
    let Backward { mode, parameters, loss, gradients: mut found, mut results } =
        Backward::new(model, training)?;
    let mode::TrainingMode { mut graph, statistics, random } = mode;
    let number = || TensorType::f32([]);
    let lr = graph.input(LEARNING_RATE, number())?;
    let momentum =
        if training.optimizer.has_momentum() { Some(graph.input(MOMENTUM, number())?) } else { None };
    let steps = graph.state(STEPS, Tensor::scalar(0f32))?;
    let mut updates = Updates { all: vec![], condition: is_finite(&mut graph, loss)? };
    for (name, value) in statistics {
        if let Some(state) = graph.states().iter().copied().find(|id| graph.value(*id).name == name) {
            updates.push(&mut Formula::new(&mut graph, "statistics"), state, value)?;
        }
    }
    accumulate(&mut graph, training.accumulate, &parameters, &mut found, &mut updates)?;
    if let Some(most) = training.clip_norm {
        let norm = clip(&mut graph, most, &mut found)?;
        results.push((GRADIENT_NORM.to_owned(), norm));
    }
    let shared = Shared::new(&mut graph, &training.optimizer, lr, momentum, steps, &mut updates)?;
    for (parameter, gradient) in parameters.iter().zip(&found) {
        optimizer::update(&mut graph, &training.optimizer, &shared, *parameter, *gradient, &mut updates)?;
    }
    let mut f = Formula::new(&mut graph, "step");
    let next = f.shift(steps, 1.0)?;
    updates.push(&mut f, steps, next)?;
    if let Some(state) = random {
        let next = counted(&mut graph, state)?;
        updates.all.push((state, next));
    }
    graph.clear_outputs();
    for (name, value) in results {
        graph.output(name, value)?;
    }
    for (state, value) in updates.all {
        graph.update(state, value)?;
    }
    Ok(graph)
}

/// The model as it answers, and its output that is compared: in the units of the targets.
fn answering(model: &Graph, training: &Training) -> Result<(Graph, ValueId), GraphError> {
    let mut graph = model.clone();
    let output = training.output(&graph)?;
    let Some(scale) = &training.target_scale else { return Ok((graph, output)) };
    if training.loss.has_classes() || training.loss == Loss::BceWithLogits {
        return Err(GraphError::Unsuitable(
            "targets are scaled where outputs are compared with numbers".into(),
        ));
    }
    let answer = Scaled::new(&mut graph, scale, output)?.answer(&mut graph, output)?;
    let outputs = graph.outputs().to_vec();
    graph.clear_outputs();
    for other in outputs {
        graph.output(other.name, if other.value == output { answer } else { other.value })?;
    }
    Ok((graph, answer))
}

/// The model with its loss, without any change.
pub fn evaluation(model: &Graph, training: &Training) -> Result<Graph, GraphError> {
    let (mut graph, output) = answering(model, training)?;
    let target_type = training.loss.target(graph.ty(output))?;
    let target = graph.input(TARGET, target_type)?;
    let loss = training.loss.build(&mut graph, output, target)?;
    graph.output(LOSS, loss)?;
    for (name, value) in training.loss.beside(&mut graph, output, target)? {
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

/// Adds up gradients, each divided by `count`, until [`UPDATE`] says that the optimizer steps; only then does what follows
/// change, and the sums begin anew. This is PyTorch's loop
///
/// ```python
/// (loss / count).backward()
/// if (i + 1) % count == 0 or i + 1 == len(loader):
///     optimizer.step()
///     optimizer.zero_grad()
/// ```
fn accumulate(
    graph: &mut Graph,
    count: u32,
    parameters: &[ValueId],
    gradients: &mut [ValueId],
    updates: &mut Updates,
) -> Result<(), GraphError> {
    if count <= 1 {
        return Ok(());
    }
    let update = graph.input(UPDATE, TensorType::f32([]))?;
    let mut f = Formula::new(graph, "accumulate");
    let zero = f.number(0.0);
    let due = f.binary(BinaryOp::Greater, update, zero)?;
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        let name = format!("{}.accumulated", graph.value(*parameter).name);
        let shape = graph.ty(*parameter).static_shape().unwrap_or_default();
        let zeros = vec![0f32; shape.iter().product()];
        let zeros = Tensor::f32(shape, zeros)?;
        let kept = graph.state(name, zeros)?;
        let mut f = Formula::new(graph, "accumulate");
        let part = f.scale(*gradient, 1.0 / f64::from(count))?;
        let sum = f.add(kept, part)?;
        let left = f.select(due, zero, sum)?;
        updates.push(&mut f, kept, left)?;
        *gradient = sum;
    }
    updates.condition = Formula::new(graph, "accumulate").binary(BinaryOp::And, updates.condition, due)?;
    Ok(())
}

/// Scales gradients such that their norm is at most `most` (`torch.nn.utils.clip_grad_norm_`); gives the norm before.
fn clip(graph: &mut Graph, most: f32, gradients: &mut [ValueId]) -> Result<ValueId, GraphError> {
    let mut f = Formula::new(graph, "clip");
    let mut sums = Vec::new();
    for gradient in gradients.iter() {
        let squares = f.mul(*gradient, *gradient)?;
        sums.push(f.total(squares)?);
    }
    let sum = f.sum_of(&sums)?;
    let norm = f.unary(UnaryOp::Sqrt, sum)?;
    let above = f.shift(norm, 1e-6)?;
    let most = f.number(f64::from(most));
    let one = f.number(1.0);
    let factor = f.div(most, above)?;
    let factor = f.binary(BinaryOp::Min, factor, one)?;
    for gradient in gradients.iter_mut() {
        *gradient = f.mul(*gradient, factor)?;
    }
    Ok(norm)
}

/// Whether states change: in a step whose loss is not finite all stay as they are, so that nothing is lost and the step
/// can be looked into.
fn is_finite(graph: &mut Graph, loss: ValueId) -> Result<ValueId, GraphError> {
    let mut f = Formula::new(graph, "guard");
    // Looked at by its bits: drivers may assume that comparisons never meet NaN.
    let (nan, infinite) = (f.unary(UnaryOp::IsNan, loss)?, f.unary(UnaryOp::IsInf, loss)?);
    let wrong = f.binary(BinaryOp::Or, nan, infinite)?;
    f.unary(UnaryOp::Not, wrong)
}

/// The state of the random numbers after a step.
fn counted(graph: &mut Graph, state: ValueId) -> Result<ValueId, GraphError> {
    let one = Tensor::new([3], Data::I32(vec![0, 0, 1]))?;
    let one = graph.constant("one", one);
    Formula::new(graph, "random").add(state, one)
}
