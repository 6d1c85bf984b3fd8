//! Evaluation of a network on samples with known targets.

use kiln_compile::train::TARGET;
use kiln_runtime::{Outputs, Session, Started};

use crate::data::IGNORED;
use crate::error::TrainError;
use crate::history::Scores;
use crate::interface::Interface;
use crate::loader::{Batch, Loader};
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
    let mut seen = Seen { confusion: classes.map(Confusion::new), ..Seen::default() };
    let mut batches = loader.epoch(0, 0);
    // While the device computes a batch, the next one is prepared.
    let mut in_flight: Option<(Batch, Started)> = None;
    loop {
        let next = match batches.next().transpose()? {
            Some(batch) => {
                let inputs = [(interface.input.as_str(), &batch.samples), (TARGET, &batch.targets)];
                let run = session.start("evaluate", &inputs)?;
                Some((batch, run))
            }
            None => None,
        };
        if let Some((batch, run)) = std::mem::replace(&mut in_flight, next) {
            seen.add(&batch, &session.finish(run)?, &interface.output)?;
        }
        if in_flight.is_none() {
            break;
        }
    }
    let Seen { mean, confusion, predicted, binary } = seen;
    let scores = Scores {
        loss: mean.value(),
        accuracy: confusion.as_ref().map(Confusion::accuracy),
        f1: confusion.as_ref().map(Confusion::f1),
        auc: auc(&binary),
    };
    Ok(Evaluation { scores, confusion, predicted })
}

/// What has been seen of the samples so far.
#[derive(Default)]
struct Seen {
    mean: Mean,
    confusion: Option<Confusion>,
    predicted: Vec<usize>,
    /// The score of the second class above that of the first, and whether it is right, where there are two.
    binary: Vec<(f64, bool)>,
}

impl Seen {
    fn add(&mut self, batch: &Batch, outputs: &Outputs, scores: &str) -> Result<(), TrainError> {
        let outcome = Outcome::of(batch, |name| outputs.get(name).ok());
        self.mean.add(outcome.loss, outcome.weight);
        let Some(confusion) = &mut self.confusion else { return Ok(()) };
        for (right, said) in batch.labels.iter().zip(&outcome.predicted) {
            let said = usize::try_from(*said).unwrap_or_default();
            confusion.add(*right, said);
            self.predicted.push(said);
        }
        let scores = outputs.get(scores)?;
        let each = scores.shape().iter().skip(1).product::<usize>();
        for (scores, label) in scores.to_f64().chunks(each.max(1)).zip(&batch.labels) {
            match scores {
                _ if *label == IGNORED => {}
                // One number is the score of the second class.
                [single] => self.binary.push((*single, *label == 1)),
                [first, second] => self.binary.push((second - first, *label == 1)),
                _ => {}
            }
        }
        Ok(())
    }
}
