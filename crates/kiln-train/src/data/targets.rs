//! Targets of samples: classes, numbers, or whole numbers whose meaning the loss decides.

use kiln_pickle::shown;
use kiln_plan::METADATA_LIMITS;

use super::classes::Numbered;
use crate::error::DataError;

/// The label of what does not count: PyTorch's own `ignore_index`, which is not a class number.
pub const IGNORED: i32 = -100;

/// The targets of samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One of some classes for each sample, or for each of its places.
    Classes {
        /// The shape for one sample: nothing for one class, `[H, W]` for one for each pixel.
        shape: Vec<usize>,
        /// The classes, one sample behind the other; [`IGNORED`] where nothing is to be learned.
        labels: Vec<i32>,
        /// What the classes are called.
        names: Vec<String>,
    },
    /// Numbers.
    Values {
        /// The shape for one sample.
        shape: Vec<usize>,
        /// The numbers, one sample behind the other.
        values: Vec<f32>,
    },
    /// Whole numbers of a file that does not say whether they are classes or values: that follows from the loss
    /// ([`Meaning`]).
    Whole {
        /// The shape for one sample.
        shape: Vec<usize>,
        /// The numbers, one sample behind the other.
        numbers: Vec<i64>,
        /// Whether classes may have any numbers, as in a table, and not only those from 0 on.
        any_numbers: bool,
    },
}

/// How whole numbers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Classes.
    Classes {
        /// How many classes the model knows, if it is known.
        outputs: Option<usize>,
        /// The number that does not count.
        ignored: Option<i64>,
    },
    /// Values.
    Values,
}

impl Targets {
    /// The shape for one sample.
    pub fn shape(&self) -> &[usize] {
        match self {
            Targets::Classes { shape, .. } | Targets::Values { shape, .. } | Targets::Whole { shape, .. } => {
                shape
            }
        }
    }

    /// How many targets there are, those that do not count included.
    pub fn count(&self) -> usize {
        match self {
            Targets::Classes { labels, .. } => labels.len(),
            Targets::Values { values, .. } => values.len(),
            Targets::Whole { numbers, .. } => numbers.len(),
        }
    }

    /// The targets of the samples with the given numbers, in their order.
    pub(super) fn subset(&self, indices: &[usize]) -> Self {
        fn take<T: Copy>(all: &[T], each: usize, indices: &[usize]) -> Vec<T> {
            indices.iter().flat_map(|i| all[i * each..(i + 1) * each].iter().copied()).collect()
        }
        let each = self.shape().iter().product();
        let shape = self.shape().to_vec();
        match self {
            Targets::Classes { labels, names, .. } => {
                Targets::Classes { shape, labels: take(labels, each, indices), names: names.clone() }
            }
            Targets::Values { values, .. } => Targets::Values { shape, values: take(values, each, indices) },
            Targets::Whole { numbers, any_numbers, .. } => {
                Targets::Whole { shape, numbers: take(numbers, each, indices), any_numbers: *any_numbers }
            }
        }
    }

    /// What was undecided as `meaning` has it; where that is classes, those of `classes`. Of classes that were decided,
    /// the one with the ignored number no longer counts.
    pub(super) fn decided(self, meaning: Meaning, classes: &Numbered) -> Self {
        match (self, meaning) {
            (Targets::Whole { shape, numbers, .. }, Meaning::Values) => {
                #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
                let values = numbers.into_iter().map(|number| number as f32).collect();
                Targets::Values { shape, values }
            }
            (Targets::Whole { shape, numbers, .. }, Meaning::Classes { ignored, .. }) => {
                let label = |number: i64| {
                    let place = classes.place(number).filter(|_| Some(number) != ignored);
                    place.unwrap_or(IGNORED)
                };
                Targets::Classes {
                    // A column of its own is one class for each sample.
                    shape: if shape == [1] { vec![] } else { shape },
                    labels: numbers.into_iter().map(label).collect(),
                    names: classes.names().to_vec(),
                }
            }
            (
                Targets::Classes { shape, mut labels, names },
                Meaning::Classes { ignored: Some(ignored), .. },
            ) => {
                for label in labels.iter_mut().filter(|label| i64::from(**label) == ignored) {
                    *label = IGNORED;
                }
                Targets::Classes { shape, labels, names }
            }
            (decided, Meaning::Classes { .. } | Meaning::Values) => decided,
        }
    }

    /// The same for targets that have nothing to agree with; nothing where that cannot be decided.
    pub(crate) fn decided_alone(&self, meaning: Meaning) -> Option<Self> {
        let Targets::Whole { .. } = self else { return None };
        let classes = match meaning {
            Meaning::Classes { outputs, ignored } => {
                class_numbers([self].into_iter(), outputs, ignored).ok()?
            }
            Meaning::Values => vec![],
        };
        Some(self.clone().decided(meaning, &Numbered::of(&classes)))
    }

    /// The first whole number that is no class of these.
    pub(super) fn unknown(&self, classes: &Numbered, ignored: Option<i64>) -> Option<i64> {
        let Targets::Whole { numbers, .. } = self else { return None };
        numbers.iter().copied().find(|number| Some(*number) != ignored && classes.place(*number).is_none())
    }

    /// Checks that labels are those of classes.
    pub(super) fn check(&self) -> Result<(), String> {
        let Targets::Classes { shape, labels, names } = self else { return Ok(()) };
        if names.len() > METADATA_LIMITS.names {
            return Err(format!(
                "there are {} classes; at most {} are supported",
                names.len(),
                METADATA_LIMITS.names
            ));
        }
        if let Some(name) = names.iter().find(|name| name.len() > METADATA_LIMITS.name_bytes) {
            return Err(format!(
                "the class `{}` has a name of {} bytes; {} can be kept",
                shown(name),
                name.len(),
                METADATA_LIMITS.name_bytes
            ));
        }
        let is_class = |label: i32| usize::try_from(label).is_ok_and(|label| label < names.len());
        let Some(at) = labels.iter().position(|label| *label != IGNORED && !is_class(*label)) else {
            return Ok(());
        };
        Err(format!(
            "sample {} has label {}, but there are {} classes (0 to {})",
            at / shape.iter().product::<usize>().max(1),
            labels[at],
            names.len(),
            names.len().saturating_sub(1)
        ))
    }
}

/// The numbers of `parts` that are classes, in order. Those of an array are all from 0 to the largest. Those of a table
/// are, too, where the model has an output for each; else they are the numbers that occur: a table may count from 1.
pub(super) fn class_numbers<'a>(
    parts: impl Iterator<Item = &'a Targets>,
    outputs: Option<usize>,
    ignored: Option<i64>,
) -> Result<Vec<i64>, DataError> {
    let (mut classes, mut as_they_are) = (Vec::new(), false);
    for part in parts {
        if let Targets::Whole { numbers, any_numbers, .. } = part {
            classes.extend(numbers.iter().copied().filter(|number| Some(*number) != ignored));
            as_they_are = !any_numbers;
        }
    }
    classes.sort_unstable();
    classes.dedup();
    let (Some(least), Some(most)) = (classes.first().copied(), classes.last().copied()) else {
        return Ok(vec![]);
    };
    let fit = |outputs: usize| least >= 0 && i64::try_from(outputs).is_ok_and(|outputs| most < outputs);
    if !as_they_are && !outputs.is_some_and(fit) {
        return Ok(classes);
    }
    if least < 0 {
        return Err(DataError::Mismatch(format!(
            "a target is {least}, which is not a class number; `--ignore-index {least}` would leave such targets out"
        )));
    }
    if !usize::try_from(most).is_ok_and(|most| most < METADATA_LIMITS.names) {
        let ignored = match i32::try_from(most) {
            Ok(most) => format!("`--ignore-index {most}` leaves such targets out, "),
            Err(_) => String::new(),
        };
        return Err(DataError::Mismatch(format!(
            "a target is {most}, which is too large for the number of a class: there can be {}, numbered from 0 \
             ({ignored}`--loss mse` takes targets as values)",
            METADATA_LIMITS.names
        )));
    }
    Ok((0..=most).collect())
}

#[cfg(test)]
mod tests {
    use super::super::classes::Numbered;
    use super::{IGNORED, Meaning, Targets, class_numbers};

    /// What numbers become for a model with so many outputs: labels and the names of classes, or an error.
    fn classes(
        numbers: &[i64],
        any_numbers: bool,
        outputs: usize,
        ignored: Option<i64>,
    ) -> Result<(Vec<i32>, String), String> {
        let targets = Targets::Whole { shape: vec![], numbers: numbers.to_vec(), any_numbers };
        let found =
            class_numbers([&targets].into_iter(), Some(outputs), ignored).map_err(|e| e.to_string())?;
        let decided =
            targets.decided(Meaning::Classes { outputs: Some(outputs), ignored }, &Numbered::of(&found));
        decided.check()?;
        let Targets::Classes { labels, names, .. } = decided else { return Err("no classes".into()) };
        Ok((labels, names.join(" ")))
    }

    #[test]
    fn numbers_become_classes() {
        const NO: i32 = IGNORED;
        // Numbers, whether they come from a table, outputs, what does not count, labels, classes.
        type Case<'a> = (&'a [i64], bool, usize, Option<i64>, &'a [i32], &'a str);
        let cases: &[Case<'_>] = &[
            (&[0, 2, 1], false, 3, None, &[0, 2, 1], "0 1 2"),
            (&[0, 2], false, 3, None, &[0, 2], "0 1 2"),
            (&[255, 2, 0], false, 3, Some(255), &[NO, 2, 0], "0 1 2"),
            (&[-100, 2, 0], false, 3, Some(-100), &[NO, 2, 0], "0 1 2"),
            (&[-1, 2, 0], false, 3, Some(-1), &[NO, 2, 0], "0 1 2"),
            (&[1, 2, 0], false, 3, Some(1), &[NO, 2, 0], "0 1 2"),
            (&[1 << 40, 1], false, 3, Some(1 << 40), &[NO, 1], "0 1"),
            (&[255, 255], false, 3, Some(255), &[NO, NO], ""),
            (&[1, 2, 3], true, 3, None, &[0, 1, 2], "1 2 3"),
            (&[1, 2, 3], true, 4, None, &[1, 2, 3], "0 1 2 3"),
            (&[3, 1, 2], true, 2, Some(1), &[1, NO, 0], "2 3"),
            (&[-1, 1], true, 2, None, &[0, 1], "-1 1"),
            (&[-1, 0, 1], true, 2, Some(-1), &[NO, 0, 1], "0 1"),
        ];
        for (numbers, table, outputs, ignored, labels, names) in cases {
            let found = classes(numbers, *table, *outputs, *ignored);
            assert_eq!(found, Ok((labels.to_vec(), (*names).to_owned())), "{numbers:?}, {ignored:?}");
        }
        for (number, words) in [(-1, "--ignore-index -1"), (1 << 33, "too large")] {
            let error = classes(&[0, number], false, 3, None).expect_err("no class");
            assert!(error.contains(words), "{error}");
        }
    }
}
