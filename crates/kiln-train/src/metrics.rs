//! Metrics of predictions.

use serde::{Deserialize, Serialize};

/// The confusion matrix: how often samples of each class were predicted as each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// By the actual class, then by the predicted one.
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing seen yet.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Adds a prediction; classes that do not exist (labels to be ignored) do not count.
    pub fn add(&mut self, right: i32, predicted: usize) {
        if let Some(right) = usize::try_from(right).ok().filter(|right| *right < self.classes)
            && predicted < self.classes
        {
            self.counts[right * self.classes + predicted] += 1;
        }
    }

    /// How often the class `right` was predicted as `predicted`.
    pub fn count(&self, right: usize, predicted: usize) -> u64 {
        self.counts[right * self.classes + predicted]
    }

    /// The number of correct predictions.
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// All predictions.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The fraction of correct predictions.
    pub fn accuracy(&self) -> f64 {
        self.tally().accuracy()
    }

    /// See [`Tally::f1`].
    pub fn f1(&self) -> f64 {
        self.tally().f1()
    }

    fn tally(&self) -> Tally {
        let all = || 0..self.classes;
        Tally {
            hits: all().map(|class| self.count(class, class)).collect(),
            there: all().map(|class| all().map(|other| self.count(class, other)).sum()).collect(),
            said: all().map(|class| all().map(|other| self.count(other, class)).sum()).collect(),
        }
    }
}

/// The part of a confusion matrix that accuracy and F1 need: three numbers for each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How often the class was there and predicted.
    hits: Vec<u64>,
    /// How often it was there.
    there: Vec<u64>,
    /// How often it was predicted.
    said: Vec<u64>,
}

impl Tally {
    /// Nothing seen yet.
    pub fn new(classes: usize) -> Self {
        Self { hits: vec![0; classes], there: vec![0; classes], said: vec![0; classes] }
    }

    /// Adds a prediction; classes that do not exist (labels to be ignored) do not count.
    pub fn add(&mut self, right: i32, predicted: i32) {
        let class = |number: i32| usize::try_from(number).ok().filter(|class| *class < self.there.len());
        if let (Some(right), Some(predicted)) = (class(right), class(predicted)) {
            self.there[right] += 1;
            self.said[predicted] += 1;
            self.hits[right] += u64::from(right == predicted);
        }
    }

    /// The fraction of correct predictions.
    pub fn accuracy(&self) -> f64 {
        let (hits, all) = (self.hits.iter().sum::<u64>(), self.there.iter().sum::<u64>());
        hits as f64 / all.max(1) as f64
    }

    /// The mean over the classes of 2 * precision * recall / (precision + recall); 0 for a class that neither occurs
    /// nor is predicted, as scikit-learn's `f1_score(average="macro")` counts those that occur. With two classes, that
    /// of the second.
    pub fn f1(&self) -> f64 {
        let of = |class: usize| {
            let all = self.there[class] + self.said[class];
            (all > 0).then(|| 2.0 * self.hits[class] as f64 / all as f64)
        };
        if self.hits.len() == 2 {
            return of(1).unwrap_or(0.0);
        }
        let all: Vec<f64> = (0..self.hits.len()).filter_map(of).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }
}

/// Probabilities of classes: the softmax of their scores; of one score, which is that of the second of two classes, its sigmoid.
pub fn chances(scores: &[f64]) -> Vec<f64> {
    if let [score] = scores {
        let second = 1.0 / (1.0 + (-score).exp());
        return vec![1.0 - second, second];
    }
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let parts: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = parts.iter().sum();
    parts.into_iter().map(|part| part / sum).collect()
}

/// The area under the receiver operating characteristic: how often a sample of the second class scores above one of
/// the first, ties counted half (Mann and Whitney's U). `None` if one class is missing.
pub fn auc(scores: &[(f64, bool)]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, positive)| *positive).count();
    let negatives = sorted.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // The sum of the ranks of the positives; equals share the mean of theirs.
    let mut ranks = 0.0;
    let mut first = 0;
    while first < sorted.len() {
        // NaN equals nothing, not even itself.
        let equals = sorted[first..].iter().take_while(|(score, _)| *score == sorted[first].0).count().max(1);
        let end = first + equals;
        let rank = (first + 1 + end) as f64 / 2.0;
        ranks += rank * sorted[first..end].iter().filter(|(_, positive)| *positive).count() as f64;
        first = end;
    }
    let least = (positives * (positives + 1)) as f64 / 2.0;
    Some((ranks - least) / (positives * negatives) as f64)
}

#[cfg(test)]
mod tests {
    use super::{Confusion, auc, chances};

    /// The AUC is the example of scikit-learn's `roc_auc_score`; F1 is (0.5 + 0.8 + 0.8) / 3.
    #[test]
    fn chances_are_those_of_scores() {
        let near = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len());
            for (a, b) in found.iter().zip(wanted) {
                assert!((a - b).abs() < 1e-12, "{found:?} {wanted:?}");
            }
        };
        near(chances(&[0.0]), &[0.5, 0.5]);
        near(chances(&[3f64.ln()]), &[0.25, 0.75]);
        near(chances(&[1000.0, 1000.0 + 4f64.ln()]), &[0.2, 0.8]);
        // Logarithms of probabilities are their scores.
        near(chances(&[0.1f64.ln(), 0.3f64.ln(), 0.6f64.ln()]), &[0.1, 0.3, 0.6]);
    }

    #[test]
    fn counts_become_measures() {
        let mut confusion = Confusion::new(3);
        for (right, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1), (2, 0), (2, 2), (2, 2)] {
            confusion.add(right, predicted);
        }
        assert!((confusion.accuracy() - 5.0 / 7.0).abs() < 1e-12);
        assert!((confusion.f1() - 0.7).abs() < 1e-12, "{}", confusion.f1());
        let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(auc(&scores), Some(0.75));
        assert_eq!(auc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.5, true)]), None);
        assert!(auc(&[(f64::NAN, true), (f64::NAN, false), (1.0, true)]).is_some());
    }
}
