//! The programs of a training plan; those that only answer and compare are made here.

use kiln_graph::{Graph, GraphError, MOST_UNROLLED, ValueId, unrolled};

use super::average::with_averages;
use super::loss::Loss;
use super::names::{LOSS, TARGET};
use super::scale::Scaled;
use super::settings::Training;
use super::split::split;
use super::step::step;
use crate::passes::decompose;
use crate::passes::halves::{self, Precision};

/// The programs of a training plan, by name: `inference`, `evaluate`, `train`; where the step is split, `gradients` and `apply`
/// instead of `train`.
pub fn programs(model: &Graph, training: &Training) -> Result<Vec<(&'static str, Graph)>, GraphError> {
    // Loops have no gradients, and what is compared is what is trained.
    let model = &unrolled(model, MOST_UNROLLED)?;
    let mut programs =
        vec![("inference", answering(model, training)?.0), ("evaluate", evaluation(model, training)?)];
    if training.split {
        let (gradients, apply) = split(model, training)?;
        programs.extend([("gradients", gradients), ("apply", apply)]);
    } else {
        programs.push(("train", step(model, training)?));
    }
    Ok(programs)
}

/// The model as it answers, and its output that is compared: in the units of the targets.
fn answering(model: &Graph, training: &Training) -> Result<(Graph, ValueId), GraphError> {
    let model = with_averages(model, training)?;
    let mut graph = match training.precision {
        Precision::F32 => model,
        // Batch normalization becomes part of the kernel in front of it, so that nothing is rounded in between.
        Precision::F16 => halves::run(&decompose::run(&model)?)?,
    };
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
