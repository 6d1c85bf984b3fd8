//! Evaluation of a network on samples with known targets.

use kiln_compile::train::TARGET;
use kiln_runtime::Session;

use crate::data::IGNORED;
use crate::error::TrainError;
use crate::history::Scores;
use crate::interface::Interface;
use crate::loader::Loader;
use crate::metrics::{Confusion, auc};
use crate::progress::Mean;
use crate::step::Outcome;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The measures.
    pub scores: Scores,
    /// How often each class was taken for each, where there are classes.
    pub confusion: Option<Confusion>,
    /// The class that scores best for each sample, or for each of its places, where there are classes.
    pub predicted: Vec<usize>,
}

/// Runs the plan's program `evaluate` on all samples. Nothing depends on how they are divided into batches: the loss is
/// the mean over all targets that count, each with the weight of its class.
pub fn evaluate(
    session: &mut Session,
    interface: &Interface,
    loader: &Loader,
) -> Result<Evaluation, TrainError> {
    loader.check()?;
    let classes = interface.classes.filter(|_| loader.data.class_names().is_some());
    let mut mean = Mean::default();
    let mut confusion = classes.map(Confusion::new);
    let mut predicted = Vec::new();
    let mut binary = Vec::new();
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        let inputs = [(interface.input.as_str(), &batch.samples), (TARGET, &batch.targets)];
        let outputs = session.run_program("evaluate", &inputs)?;
        let outcome = Outcome::of(&batch, |name| outputs.get(name).ok());
        mean.add(outcome.loss, outcome.weight);
        let Some(confusion) = &mut confusion else { continue };
        for (right, said) in batch.labels.iter().zip(&outcome.predicted) {
            let said = usize::try_from(*said).unwrap_or_default();
            confusion.add(*right, said);
            predicted.push(said);
        }
        let scores = outputs.get(&interface.output)?;
        let each = scores.shape().iter().skip(1).product::<usize>();
        for (scores, label) in scores.to_f64().chunks(each.max(1)).zip(&batch.labels) {
            match scores {
                _ if *label == IGNORED => {}
                // One number is the score of the second class.
                [single] => binary.push((*single, *label == 1)),
                [first, second] => binary.push((second - first, *label == 1)),
                _ => {}
            }
        }
    }
    let scores = Scores {
        loss: mean.value(),
        accuracy: confusion.as_ref().map(Confusion::accuracy),
        f1: confusion.as_ref().map(Confusion::f1),
        auc: auc(&binary),
    };
    Ok(Evaluation { scores, confusion, predicted })
}
