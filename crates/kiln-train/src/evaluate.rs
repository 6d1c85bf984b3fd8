//! What a network makes of samples with known answers.

use kiln_compile::train::{LOSS, TARGET};
use kiln_runtime::Session;

use crate::error::TrainError;
use crate::history::Scores;
use crate::loader::Loader;
use crate::metrics::{Confusion, auc};
use crate::trainer::Interface;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The measures.
    pub scores: Scores,
    /// How often each class was taken for each, where there are classes.
    pub confusion: Option<Confusion>,
    /// The class that scores best for each sample, where there are classes.
    pub predicted: Vec<usize>,
}

/// Runs the plan's program `evaluate` on all samples.
pub fn evaluate(
    session: &mut Session,
    interface: &Interface,
    loader: &Loader,
) -> Result<Evaluation, TrainError> {
    loader.check()?;
    let names = loader.data.class_names().map(<[String]>::len);
    let (mut sum, mut count) = (0.0, 0usize);
    let mut confusion: Option<Confusion> = None;
    let mut predicted = Vec::new();
    let mut binary = Vec::new();
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        let inputs = [(interface.input.as_str(), &batch.samples), (TARGET, &batch.targets)];
        let outputs = session.run_program("evaluate", &inputs)?;
        let loss = outputs.get(LOSS)?.to_f64().first().copied().unwrap_or(f64::NAN);
        sum += loss * batch.len() as f64;
        count += batch.len();
        let Some(classes) = names else { continue };
        let Some(scores) = outputs.iter().map(|(_, tensor)| tensor).find(|tensor| tensor.shape().len() == 2)
        else {
            continue;
        };
        let each = scores.shape()[1];
        let confusion = confusion.get_or_insert_with(|| Confusion::new(each.max(classes).max(2)));
        for (scores, label) in scores.to_f64().chunks(each.max(1)).zip(&batch.labels) {
            // One number is the score of the second class.
            let best = match scores {
                [single] => usize::from(*single > 0.0),
                all => first_largest(all),
            };
            confusion.add(*label, best);
            predicted.push(best);
            match scores {
                [single] => binary.push((*single, *label == 1)),
                [first, second] => binary.push((second - first, *label == 1)),
                _ => {}
            }
        }
    }
    let scores = Scores {
        loss: sum / count.max(1) as f64,
        accuracy: confusion.as_ref().map(Confusion::accuracy),
        f1: confusion.as_ref().map(Confusion::f1),
        auc: auc(&binary),
    };
    Ok(Evaluation { scores, confusion, predicted })
}

fn first_largest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}
