//! Evaluation of a plan without a loss on samples with known targets: its outputs are compared on the host.

use kiln_plan::Metadata;
use kiln_runtime::{HostTensor, Session};

use crate::data::{Dataset, Targets};
use crate::error::{DataError, TrainError};
use crate::evaluate::Evaluation;
use crate::history::Scores;
use crate::metrics::{Confusion, auc};
use crate::normalize::Normalize;

/// The loss, as named by `kiln train --loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    CrossEntropy,
    Nll,
    Bce,
    Mse,
    L1,
    SmoothL1,
}

impl Loss {
    fn called(name: &str) -> Option<Self> {
        Some(match name {
            "cross-entropy" => Loss::CrossEntropy,
            "nll" => Loss::Nll,
            "bce" => Loss::Bce,
            "mse" => Loss::Mse,
            "l1" => Loss::L1,
            "smooth-l1" => Loss::SmoothL1,
            _ => return None,
        })
    }

    /// Class scores against the number of the actual class.
    fn of_class(self, scores: &[f64], label: usize) -> f64 {
        match (self, scores) {
            (Loss::CrossEntropy, _) => {
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                largest + sum.ln() - scores[label]
            }
            (Loss::Nll, _) => -scores[label],
            (Loss::Bce | Loss::Mse | Loss::L1 | Loss::SmoothL1, [score]) => {
                self.of_number(*score, label as f64)
            }
            (Loss::Bce | Loss::Mse | Loss::L1 | Loss::SmoothL1, _) => {
                let wanted = |class| f64::from(u8::from(class == label));
                let parts =
                    scores.iter().enumerate().map(|(class, score)| self.of_number(*score, wanted(class)));
                parts.sum::<f64>() / scores.len() as f64
            }
        }
    }

    /// A number against its target.
    fn of_number(self, found: f64, wanted: f64) -> f64 {
        let apart = (found - wanted).abs();
        match self {
            Loss::Bce => found.max(0.0) - found * wanted + (-found.abs()).exp().ln_1p(),
            Loss::L1 => apart,
            Loss::SmoothL1 if apart < 1.0 => apart * apart / 2.0,
            Loss::SmoothL1 => apart - 0.5,
            Loss::Mse | Loss::CrossEntropy | Loss::Nll => apart * apart,
        }
    }
}

/// Sums over samples.
#[derive(Default)]
struct Sums {
    loss: f64,
    count: usize,
    confusion: Option<Confusion>,
    predicted: Vec<usize>,
    binary: Vec<(f64, bool)>,
}

/// Runs a program of a plan that gives scores or numbers on all samples, and compares its first output. The loss is the
/// one of that name, or the one that the model was trained with, or a suitable one.
pub fn evaluate_outputs(
    session: &mut Session,
    program: &str,
    data: &Dataset,
    normalize: &Normalize,
    loss: Option<&str>,
) -> Result<Evaluation, TrainError> {
    let metadata = session.metadata().clone();
    let (input, output, batch) = interface(session, program, data)?;
    normalize.check(&data.shape)?;
    let trained = metadata.provenance.as_ref().map(|provenance| provenance.loss.as_str());
    let loss = loss.or(trained).and_then(Loss::called);
    let mut sums = Sums::default();
    let mut first = 0;
    while first < data.len() {
        let count = batch.min(data.len() - first);
        let mut samples = Vec::with_capacity(count * data.sample_len());
        for index in first..first + count {
            let mut sample = data.sample(index);
            normalize.apply(&mut sample, &data.shape);
            samples.extend(sample);
        }
        let samples = HostTensor::new([&[count], &input.1[..]].concat(), samples)?;
        let outputs = session.run_program(program, &[(input.0.as_str(), &samples)])?;
        let found = outputs.get(&output)?;
        if found.shape().first() != Some(&count) {
            return Err(TrainError::Plan(format!("the output `{output}` has no batch to compare")));
        }
        let each = found.shape().iter().skip(1).product::<usize>().max(1);
        let classes = found.shape().get(1).copied().unwrap_or(1).max(1);
        let found = found.to_f64();
        for (n, row) in found.chunks(each).enumerate() {
            compare(&mut sums, row, classes, data, first + n, loss, &metadata)?;
        }
        first += count;
    }
    let Sums { loss, count, confusion, predicted, binary } = sums;
    let scores = Scores {
        loss: loss / count.max(1) as f64,
        accuracy: confusion.as_ref().map(Confusion::accuracy),
        f1: confusion.as_ref().map(Confusion::f1),
        auc: auc(&binary),
    };
    Ok(Evaluation { scores, confusion, predicted, chances: vec![], answers: vec![] })
}

/// The input of a program with its shape for a sample, its output, and its maximum batch.
type Fed = ((String, Vec<usize>), String, usize);

/// How a program is fed from a data set.
fn interface(session: &Session, program: &str, data: &Dataset) -> Result<Fed, TrainError> {
    let plan = session.plan();
    let wrong = |message: String| TrainError::Plan(message);
    let found = plan.program(program).ok_or_else(|| wrong(format!("the plan has no program `{program}`")))?;
    let [input] = found.inputs[..] else {
        return Err(wrong(format!(
            "a model with {} inputs cannot be fed from a data set",
            found.inputs.len()
        )));
    };
    let output = found.outputs.first().ok_or_else(|| wrong("the plan has no output".into()))?;
    let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    let tensor = &plan.tensors[input];
    let shape = tensor.shape_at(&largest).unwrap_or_default();
    let [batch, sample @ ..] = &shape[..] else {
        return Err(wrong(format!("the input `{}` has no batch", tensor.name)));
    };
    // Sizes that vary are those of the data.
    let varies = tensor.shape.iter().skip(1).any(|dim| dim.as_const().is_none());
    let sample = if varies { data.shape.clone() } else { sample.to_vec() };
    if sample.iter().product::<usize>() != data.sample_len() {
        return Err(TrainError::Setting(format!(
            "the model expects samples of shape {sample:?}, but those of the data set are {:?}",
            data.shape
        )));
    }
    let fixed = tensor.shape.first().is_some_and(|dim| dim.as_const().is_some());
    if fixed && *batch > 1 && !data.len().is_multiple_of(*batch) {
        return Err(TrainError::Setting(format!(
            "the plan is for batches of {batch} alone, and {} samples are not a multiple of it",
            data.len()
        )));
    }
    Ok(((tensor.name.clone(), sample), output.name.clone(), *batch))
}

fn compare(
    sums: &mut Sums,
    row: &[f64],
    classes: usize,
    data: &Dataset,
    index: usize,
    loss: Option<Loss>,
    metadata: &Metadata,
) -> Result<(), TrainError> {
    let mismatch = |message: String| TrainError::Data(DataError::Mismatch(message));
    match &data.targets {
        Targets::Classes { labels, names, .. } => {
            // One for the sample, or one for each of its places.
            let places = labels.len() / data.len().max(1);
            if row.len() != classes * places {
                return Err(mismatch(format!("{} scores for {places} labels", row.len())));
            }
            let known = if classes == 1 { 2 } else { classes };
            for place in 0..places {
                let Ok(label) = usize::try_from(labels[index * places + place]) else { continue };
                if label >= known {
                    return Err(mismatch(format!(
                        "the model has {known} classes, but the data has {} ({})",
                        names.len(),
                        names.iter().take(12).cloned().collect::<Vec<_>>().join(", ")
                    )));
                }
                let scores: Vec<f64> = row.iter().skip(place).step_by(places).copied().collect();
                let usual = if classes == 1 { Loss::Bce } else { Loss::CrossEntropy };
                sums.loss += loss.unwrap_or(usual).of_class(&scores, label);
                sums.count += 1;
                let best = match &scores[..] {
                    [single] => usize::from(*single > 0.0),
                    all => (1..all.len())
                        .fold(0, |best, class| if all[class] > all[best] { class } else { best }),
                };
                sums.confusion.get_or_insert_with(|| Confusion::new(known)).add(label as i32, best);
                sums.predicted.push(best);
                match &scores[..] {
                    [single] => sums.binary.push((*single, label == 1)),
                    [one, two] => sums.binary.push((two - one, label == 1)),
                    _ => {}
                }
            }
        }
        Targets::Whole { .. } => {
            return Err(mismatch("whether whole numbers are classes or values is not decided".into()));
        }
        Targets::Values { values, .. } => {
            let each = values.len() / data.len().max(1);
            if row.len() != each {
                return Err(mismatch(format!(
                    "the model gives {} numbers for a sample, but the targets have {each}",
                    row.len()
                )));
            }
            let targets = metadata.targets.clone().unwrap_or_default();
            for (n, (found, wanted)) in row.iter().zip(&values[index * each..]).enumerate() {
                let found = f64::from(targets.restore(n, *found as f32));
                sums.loss += loss.unwrap_or(Loss::Mse).of_number(found, f64::from(*wanted));
                sums.count += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Loss;

    /// Against PyTorch's `F.cross_entropy`, `F.nll_loss`, `F.binary_cross_entropy_with_logits`, `F.mse_loss`, `F.l1_loss`
    /// and `F.smooth_l1_loss` in double precision.
    #[test]
    fn losses_are_those_of_pytorch() {
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        let scores = [1.5, -0.25, 3.0];
        near(Loss::CrossEntropy.of_class(&scores, 1), WANTED[0]);
        near(Loss::Nll.of_class(&scores, 2), WANTED[1]);
        near(Loss::Bce.of_class(&[-1.25], 1), WANTED[2]);
        near(Loss::Bce.of_class(&scores, 0), WANTED[3]);
        near(Loss::Mse.of_class(&scores, 2), WANTED[4]);
        near(Loss::L1.of_number(2.5, -1.0), WANTED[5]);
        near(Loss::SmoothL1.of_number(2.5, 2.25), WANTED[6]);
        near(Loss::SmoothL1.of_number(2.5, -1.0), WANTED[7]);
        assert_eq!(Loss::called("huber"), None);
    }

    const WANTED: [f64; 8] = [
        3.4826219831020326,
        -3.0,
        1.501929081345373,
        1.2753133498117795,
        2.1041666666666665,
        3.5,
        0.03125,
        3.0,
    ];
}
