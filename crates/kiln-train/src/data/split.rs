//! Parts of a data set.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::classes::Numbered;
use super::targets::class_numbers;
use super::{Dataset, Meaning, Skipped, Targets};
use crate::error::DataError;

/// A data set in its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// The training samples.
    pub train: Dataset,
    /// The validation samples, if they are other ones than `test`.
    pub validation: Option<Dataset>,
    /// The test samples.
    pub test: Option<Dataset>,
    /// What was skipped because it cannot be read.
    pub skipped: Skipped,
}

impl Splits {
    /// The samples to evaluate after each epoch.
    pub fn validation(&self) -> Option<&Dataset> {
        self.validation.as_ref().or(self.test.as_ref())
    }

    /// Whether all whole numbers are classes that a model knows.
    pub fn are_known(&self, meaning: Meaning, known: &[String]) -> bool {
        let Meaning::Classes { ignored, .. } = meaning else { return false };
        let classes = Numbered::as_known(known);
        let mut whole =
            self.parts().map(|data| &data.targets).filter(|all| matches!(all, Targets::Whole { .. }));
        !known.is_empty() && whole.all(|targets| targets.unknown(&classes, ignored).is_none())
    }

    /// The parts in turn.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Dataset> {
        [Some(&self.train), self.validation.as_ref(), self.test.as_ref()].into_iter().flatten()
    }

    /// The parts in turn, to be changed.
    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Dataset> {
        [Some(&mut self.train), self.validation.as_mut(), self.test.as_mut()].into_iter().flatten()
    }

    /// The meaning of whole numbers is decided: all parts have the same classes. They are the model's, if it
    /// has any; else they follow from the numbers.
    pub fn decided(mut self, meaning: Meaning, known: &[String]) -> Result<Self, DataError> {
        let parts = || self.parts().map(|data| &data.targets);
        let classes = match meaning {
            Meaning::Values => Numbered::of(&[]),
            Meaning::Classes { ignored, .. } if !known.is_empty() => {
                let classes = Numbered::as_known(known);
                match parts().find_map(|targets| targets.unknown(&classes, ignored)) {
                    None => classes,
                    Some(number) => return Err(classes.unknown(number)),
                }
            }
            Meaning::Classes { outputs, ignored } => Numbered::of(&class_numbers(parts(), outputs, ignored)?),
        };
        for data in self.parts_mut() {
            let nothing = Targets::Values { shape: vec![], values: vec![] };
            data.targets = std::mem::replace(&mut data.targets, nothing).decided(meaning, &classes);
        }
        Ok(self)
    }

    /// Takes a share of the training samples, drawn by `seed`, for validation.
    pub fn hold_out(mut self, share: f64, seed: u64) -> Result<Self, DataError> {
        #[allow(clippy::as_conversions, reason = "what is no share is refused below")]
        let count = (share * self.train.len() as f64).round() as usize;
        if !(share > 0.0 && share < 1.0) || count == 0 || count >= self.train.len() {
            return Err(DataError::Mismatch(format!(
                "a share of {share} of {} samples cannot be held out for validation",
                self.train.len()
            )));
        }
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (held, kept) = order.split_at_mut(count);
        held.sort_unstable();
        kept.sort_unstable();
        self.validation = Some(self.train.subset(held));
        self.train = self.train.subset(kept);
        Ok(self)
    }

    /// At most so many samples of each part, from all over it: folders are in the order of their classes.
    pub fn limited(mut self, most: usize) -> Self {
        self.train = limited(&self.train, most);
        self.validation = self.validation.map(|data| limited(&data, most));
        self.test = self.test.map(|data| limited(&data, most));
        self
    }
}

fn limited(data: &Dataset, most: usize) -> Dataset {
    let count = data.len().min(most);
    let kept: Vec<usize> = (0..count).map(|k| k * data.len() / count).collect();
    data.subset(&kept)
}

#[cfg(test)]
mod tests {
    use super::limited;
    use crate::data::{Dataset, Samples, Targets};

    #[test]
    fn a_limit_takes_of_all_classes() {
        let labels = vec![0, 0, 0, 0, 1, 1, 1, 1];
        let names = vec!["airplane".to_owned(), "bird".to_owned()];
        let data = Dataset {
            shape: vec![1],
            samples: Samples::Bytes((0..8).collect()),
            targets: Targets::Classes { shape: vec![], labels, names },
        };
        let samples = |most| limited(&data, most).samples;
        assert_eq!(samples(4), Samples::Bytes(vec![0, 2, 4, 6]));
        assert_eq!(samples(3), Samples::Bytes(vec![0, 2, 5]));
        assert_eq!(samples(9), data.samples);
    }
}
