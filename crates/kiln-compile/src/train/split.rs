//! A training step in two programs, between which a host does what it likes with the gradients: averages them over processes,
//! as data-parallel training does.
//!
//! `gradients` ends with all gradients in one row of numbers, `apply` begins with one. So one call of a host averages
//! everything, and a plan need not know how many processes there are.

use kiln_graph::ops::{Concat, SliceAxis};
use kiln_graph::{DType, Dim, Formula, Graph, GraphError, Tensor, TensorType, ValueId};

use super::backward::Backward;
use super::gradients::clip;
use super::loss_scale::{is_finite, squared_norm};
use super::mode::TrainingMode;
use super::names::{FINITE, GRADIENT_NORM, GRADIENTS, LEARNING_RATE, LOSS_WEIGHT, MOMENTUM, STEPS, TARGET};
use super::settings::Training;
use super::step::counted;
use super::update::{Shared, Updates, update};
use crate::passes::halves::Precision;

/// A parameter as `apply` needs it: its name, its first value, its number of elements.
struct Parameter {
    name: String,
    first: Tensor,
    count: usize,
}

/// The programs `gradients` and `apply`.
///
/// `gradients` changes running statistics and random numbers, which are each process's own, if its loss is finite, but no
/// parameter. [`GRADIENTS`] ends with two more numbers: the loss, and what it was divided by, so that processes with batches of
/// different sizes can weigh theirs. `apply` changes nothing where a gradient or the loss is not finite: all processes have
/// the same numbers, so they decide alike.
pub(super) fn split(model: &Graph, training: &Training) -> Result<(Graph, Graph), GraphError> {
    if training.accumulate > 1 {
        return Err(GraphError::Unsuitable(
            "a step that is split at its gradients accumulates nothing: whoever has the gradients can add them up".into(),
        ));
    }
    if training.ema.is_some() {
        return Err(GraphError::Unsuitable(
            "a step that is split at its gradients averages no parameters (`ema`): whoever applies them can"
                .into(),
        ));
    }
    if training.precision == Precision::F16 {
        return Err(GraphError::Unsuitable(
            "a step that is split at its gradients has 32 bits: the loss scale of 16 bits belongs to one process".into(),
        ));
    }
    let Backward { mode, parameters, loss, gradients, mut results, .. } = Backward::new(model, training)?;
    let TrainingMode { mut graph, statistics, random } = mode;
    let parameters = parameters.iter().map(|id| described(&graph, *id)).collect::<Result<Vec<_>, _>>()?;
    let flat = flattened(&mut graph, &gradients, loss, &results)?;
    results.push((GRADIENTS.to_owned(), flat));
    let condition = is_finite(&mut graph, loss)?;
    let mut updates = Updates { all: vec![], condition };
    for (name, value) in statistics {
        if let Some(state) = graph.states().iter().copied().find(|id| graph.value(*id).name == name) {
            updates.push(&mut Formula::new(&mut graph, "statistics"), state, value)?;
        }
    }
    if let Some(state) = random {
        let next = counted(&mut graph, state)?;
        updates.all.push((state, next));
    }
    finish(&mut graph, results, updates)?;
    Ok((graph, apply(&model.name, &parameters, training)?))
}

fn described(graph: &Graph, id: ValueId) -> Result<Parameter, GraphError> {
    let value = graph.value(id);
    let kiln_graph::Def::State(first) = &value.def else {
        return Err(GraphError::Invalid(format!("the parameter `{}` is no state", value.name)));
    };
    let count = first.shape().iter().product();
    Ok(Parameter { name: value.name.clone(), first: first.clone(), count })
}

/// Numbers behind the gradients.
const REST: usize = 2;

/// All gradients in a row, with the loss and its weight at the end.
fn flattened(
    graph: &mut Graph,
    gradients: &[ValueId],
    loss: ValueId,
    results: &[(String, ValueId)],
) -> Result<ValueId, GraphError> {
    let weight = results.iter().find(|(name, _)| name == LOSS_WEIGHT).map(|(_, value)| *value);
    let target = graph.inputs().iter().copied().find(|id| graph.value(*id).name == TARGET);
    let batch = target.and_then(|id| graph.ty(id).shape.first().cloned()).unwrap_or_else(|| Dim::from(1));
    let mut f = Formula::new(graph, GRADIENTS);
    let weight = match weight {
        Some(weight) => weight,
        None => f.size(batch)?,
    };
    let mut row = Vec::with_capacity(gradients.len() + REST);
    for value in gradients.iter().chain([&loss, &weight]) {
        let count: usize = f.ty(*value).static_shape().unwrap_or_default().iter().product();
        row.push(f.reshape(*value, vec![Dim::from(count)])?);
    }
    f.apply(kiln_graph::Op::Concat(Concat { axis: 0 }), &row)
}

/// The optimizer's step by gradients that come from outside.
fn apply(name: &str, parameters: &[Parameter], training: &Training) -> Result<Graph, GraphError> {
    let mut graph = Graph::new(name);
    let number = || TensorType::f32([]);
    let total: usize = parameters.iter().map(|parameter| parameter.count).sum();
    let row = graph.input(GRADIENTS, TensorType::f32([Dim::from(total + REST)]))?;
    let lr = graph.input(LEARNING_RATE, number())?;
    let momentum =
        if training.optimizer.has_momentum() { Some(graph.input(MOMENTUM, number())?) } else { None };
    let mut found = Vec::with_capacity(parameters.len());
    let mut states = Vec::with_capacity(parameters.len());
    let mut start = 0;
    for Parameter { name, first, count } in parameters {
        states.push(graph.state(name.clone(), first.clone())?);
        let mut f = Formula::new(&mut graph, format!("{name}.grad"));
        let part = SliceAxis { axis: 0, start: Dim::from(start), length: Dim::from(*count), step: 1 };
        let part = f.slice(row, vec![part])?;
        found.push(f.reshape(part, first.shape().iter().map(|size| Dim::from(*size)).collect())?);
        start += count;
    }
    let loss = SliceAxis { axis: 0, start: Dim::from(start), length: Dim::from(1), step: 1 };
    let loss = Formula::new(&mut graph, "guard").slice(row, vec![loss])?;
    let norm = squared_norm(&mut graph, &[&found[..], &[loss]].concat())?;
    let condition = is_finite(&mut graph, norm)?;
    let mut results =
        vec![(FINITE.to_owned(), Formula::new(&mut graph, FINITE).cast(condition, DType::F32)?)];
    let mut updates = Updates { all: vec![], condition };
    if let Some(most) = training.clip_norm {
        let norm = clip(&mut graph, most, &mut found)?;
        results.push((GRADIENT_NORM.to_owned(), norm));
    }
    let steps = graph.state(STEPS, Tensor::scalar(0f32))?;
    let shared = Shared::new(&mut graph, &training.optimizer, lr, momentum, steps, &mut updates)?;
    for (parameter, gradient) in states.iter().zip(&found) {
        update(&mut graph, &training.optimizer, &shared, *parameter, *gradient, &mut updates)?;
    }
    let mut f = Formula::new(&mut graph, "step");
    let next = f.shift(steps, 1.0)?;
    updates.push(&mut f, steps, next)?;
    finish(&mut graph, results, updates)?;
    Ok(graph)
}

fn finish(graph: &mut Graph, results: Vec<(String, ValueId)>, updates: Updates) -> Result<(), GraphError> {
    graph.clear_outputs();
    for (name, value) in results {
        graph.output(name, value)?;
    }
    for (state, value) in updates.all {
        graph.update(state, value)?;
    }
    Ok(())
}
