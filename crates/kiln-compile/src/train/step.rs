//! One training step as a graph: what the backward pass finds, what becomes of it, and the updates of all states.

use kiln_graph::ops::BinaryOp;
use kiln_graph::{Data, Formula, Graph, GraphError, Tensor, TensorType, ValueId};

use super::average::average;
use super::backward::Backward;
use super::gradients::{accumulate, clip};
use super::loss_scale::{Judged, LossScale, is_finite};
use super::mode::TrainingMode;
use super::names::{FAILED, GRADIENT_NORM, LEARNING_RATE, MOMENTUM, STEPS};
use super::settings::Training;
use super::update::{Shared, Updates, update};

/// One training step.
pub fn step(model: &Graph, training: &Training) -> Result<Graph, GraphError> {
    let Backward { mode, parameters, loss, gradients: mut found, mut results, scale } =
        Backward::new(model, training)?;
    let TrainingMode { mut graph, statistics, random } = mode;
    let number = || TensorType::f32([]);
    let lr = graph.input(LEARNING_RATE, number())?;
    let momentum =
        if training.optimizer.has_momentum() { Some(graph.input(MOMENTUM, number())?) } else { None };
    let steps = graph.state(STEPS, Tensor::scalar(0f32))?;
    // In a step whose loss is not finite all states stay as they are, so that nothing is lost and the step can be looked
    // into.
    let is_finite = is_finite(&mut graph, loss)?;
    let failed = graph.state(FAILED, Tensor::scalar(0f32))?;
    let (goes, fails) = latched(&mut graph, is_finite, failed)?;
    let mut judged = scale.map(|scale: LossScale| scale.judge(&mut graph, &found, goes)).transpose()?;
    let condition = judged.as_ref().map_or(goes, Judged::batch);
    let mut updates = Updates { all: vec![(failed, fails)], condition };
    for (name, value) in statistics {
        if let Some(state) = graph.states().iter().copied().find(|id| graph.value(*id).name == name) {
            updates.push(&mut Formula::new(&mut graph, "statistics"), state, value)?;
        }
    }
    accumulate(&mut graph, training.accumulate, &parameters, &mut found, &mut updates, judged.as_mut())?;
    if let Some(most) = training.clip_norm {
        let norm = clip(&mut graph, most, &mut found)?;
        results.push((GRADIENT_NORM.to_owned(), norm));
    }
    let shared = Shared::new(&mut graph, &training.optimizer, lr, momentum, steps, &mut updates)?;
    for (parameter, gradient) in parameters.iter().zip(&found) {
        let new = update(&mut graph, &training.optimizer, &shared, *parameter, *gradient, &mut updates)?;
        if let Some(decay) = training.ema {
            average(&mut graph, decay, steps, (*parameter, new), &mut updates)?;
        }
    }
    let mut f = Formula::new(&mut graph, "step");
    let next = f.shift(steps, 1.0)?;
    updates.push(&mut f, steps, next)?;
    if let Some(state) = random {
        let next = counted(&mut graph, state)?;
        updates.all.push((state, next));
    }
    if let Some(judged) = judged {
        judged.update(&mut graph, &mut updates, &mut results)?;
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

/// Whether a step changes states, and what the state becomes that keeps others from it.
fn latched(graph: &mut Graph, is_finite: ValueId, failed: ValueId) -> Result<(ValueId, ValueId), GraphError> {
    let mut f = Formula::new(graph, "guard");
    let (zero, one) = (f.number(0.0), f.number(1.0));
    let none_before = f.binary(BinaryOp::Equal, failed, zero)?;
    let goes = f.binary(BinaryOp::And, is_finite, none_before)?;
    Ok((goes, f.select(is_finite, failed, one)?))
}

/// The state of the random numbers after a step.
pub(super) fn counted(graph: &mut Graph, state: ValueId) -> Result<ValueId, GraphError> {
    let one = Tensor::new([3], Data::I32(vec![0, 0, 1]))?;
    let one = graph.constant("one", one);
    Formula::new(graph, "random").add(state, one)
}
