//! Evaluation of a network on samples with known targets.

use kiln_compile::train::TARGET;
use kiln_runtime::{Outputs, Session, Started};

use crate::data::{IGNORED, Targets};
use crate::error::TrainError;
use crate::history::Scores;
use crate::interface::Interface;
use crate::loader::{Batch, Loader};
use crate::metrics::{Confusion, auc, chances};
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
    /// The probability ([`chances`]) of the actual class and of the predicted one, for each sample, where it has one class. NaN
    /// where the class does not count.
    pub chances: Vec<[f32; 2]>,
    /// The model's numbers for each sample, where targets are numbers, as many as they have.
    pub answers: Vec<f32>,
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
    let values = match &loader.data.targets {
        Targets::Values { shape, .. } => Some(shape.iter().product()),
        Targets::Classes { .. } | Targets::Whole { .. } => None,
    };
    let mut seen = Seen { values, confusion: classes.map(Confusion::new), ..Seen::default() };
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
    let Seen { mean, confusion, predicted, binary, chances, answers, .. } = seen;
    let scores = Scores {
        loss: mean.value(),
        accuracy: confusion.as_ref().map(Confusion::accuracy),
        f1: confusion.as_ref().map(Confusion::f1),
        auc: auc(&binary),
    };
    Ok(Evaluation { scores, confusion, predicted, chances, answers })
}

/// What has been seen of the samples so far.
#[derive(Default)]
struct Seen {
    mean: Mean,
    confusion: Option<Confusion>,
    predicted: Vec<usize>,
    /// The score of the second class above that of the first, and whether it is right, where there are two.
    binary: Vec<(f64, bool)>,
    /// How many numbers a sample's target is, where it is numbers.
    values: Option<usize>,
    chances: Vec<[f32; 2]>,
    answers: Vec<f32>,
}

impl Seen {
    fn add(&mut self, batch: &Batch, outputs: &Outputs, scores: &str) -> Result<(), TrainError> {
        let outcome = Outcome::of(batch, |name| outputs.get(name).ok());
        self.mean.add(outcome.loss, outcome.weight);
        if let Some(each) = self.values {
            let found = outputs.get(scores)?.to_f64();
            if found.len() == each * batch.len() {
                self.answers.extend(found.into_iter().map(|x| x as f32));
            }
        }
        let Some(confusion) = &mut self.confusion else { return Ok(()) };
        for (right, said) in batch.labels.iter().zip(&outcome.predicted) {
            let said = usize::try_from(*said).unwrap_or_default();
            confusion.add(*right, said);
            self.predicted.push(said);
        }
        let scores = outputs.get(scores)?;
        let each = scores.shape().iter().skip(1).product::<usize>();
        let has_one = batch.labels.len() == batch.len() && outcome.predicted.len() == batch.len();
        for (n, (scores, label)) in scores.to_f64().chunks(each.max(1)).zip(&batch.labels).enumerate() {
            if has_one {
                let chances = chances(scores);
                let of = |class: i32| usize::try_from(class).ok().and_then(|class| chances.get(class));
                let of = |class: i32| of(class).map_or(f32::NAN, |chance| *chance as f32);
                self.chances.push([of(*label), of(outcome.predicted[n])]);
            }
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
