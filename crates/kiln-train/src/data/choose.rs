//! Some of the classes of a data set, numbered anew.

use super::{Dataset, Splits, Targets};
use crate::error::DataError;

/// Names further from each other than so many letters are no slip.
const SLIP: usize = 2;

impl Splits {
    /// Keeps the samples of the classes called `wanted`, which become numbers 0, 1, ... in that order. A class without
    /// a name goes by its number, and one with a name may.
    pub fn chosen(mut self, wanted: &[String]) -> Result<Self, DataError> {
        let numbers = Numbers::of(&self, wanted)?;
        self.train = numbers.keep(&self.train);
        self.validation = self.validation.map(|data| numbers.keep(&data));
        self.test = self.test.map(|data| numbers.keep(&data)).filter(|data| !data.is_empty());
        match self.train.is_empty() {
            true => Err(DataError::Mismatch(format!("there are no samples of {}", wanted.join(", ")))),
            false => Ok(self),
        }
    }
}

/// The classes that are kept.
struct Numbers<'a> {
    /// Their numbers in the data, in the order of the new ones.
    old: Vec<i64>,
    names: &'a [String],
}

impl<'a> Numbers<'a> {
    fn of(splits: &Splits, names: &'a [String]) -> Result<Self, DataError> {
        let mut known: Vec<(String, i64)> = Vec::new();
        let parts = [Some(&splits.train), splits.validation.as_ref(), splits.test.as_ref()];
        for data in parts.into_iter().flatten() {
            match &data.targets {
                targets if !matches!(targets.shape(), [] | [1]) => {
                    return Err(DataError::Mismatch(format!(
                        "classes can be chosen where each sample has one, but the targets have shape {:?}",
                        targets.shape()
                    )));
                }
                Targets::Values { .. } => {
                    return Err(DataError::Mismatch(
                        "the targets are numbers, so there are no classes to choose".into(),
                    ));
                }
                Targets::Classes { names, .. } => known.extend(names.iter().cloned().zip(0..)),
                Targets::Whole { numbers, .. } => {
                    known.extend(numbers.iter().map(|number| (number.to_string(), *number)));
                }
            }
            known.sort_by_key(|(_, number)| *number);
            known.dedup();
        }
        let mut old = Vec::new();
        for name in names {
            let by_name = known.iter().find(|(other, _)| other == name).map(|(_, number)| *number);
            let by_number = || {
                let number: i64 = name.parse().ok()?;
                known.iter().map(|(_, number)| *number).find(|other| *other == number)
            };
            let number = by_name.or_else(by_number).ok_or_else(|| unknown(name, &known))?;
            if old.contains(&number) {
                return Err(DataError::Mismatch(format!("the class `{name}` is chosen twice")));
            }
            old.push(number);
        }
        Ok(Self { old, names })
    }

    fn keep(&self, data: &Dataset) -> Dataset {
        let place = |number: i64| self.old.iter().position(|other| *other == number);
        let places: Vec<Option<usize>> = match &data.targets {
            Targets::Classes { labels, .. } => labels.iter().map(|label| place(i64::from(*label))).collect(),
            Targets::Whole { numbers, .. } => numbers.iter().map(|number| place(*number)).collect(),
            Targets::Values { .. } => vec![],
        };
        let kept: Vec<usize> = (0..places.len()).filter(|sample| places[*sample].is_some()).collect();
        let labels = places.iter().flatten().map(|place| *place as i32).collect();
        // Numbers that were given for names are replaced by these.
        let name = |(given, old): (&String, &i64)| match &data.targets {
            Targets::Classes { names, .. } => {
                usize::try_from(*old).ok().and_then(|old| names.get(old)).unwrap_or(given).clone()
            }
            Targets::Whole { .. } | Targets::Values { .. } => given.clone(),
        };
        let names = self.names.iter().zip(&self.old).map(name).collect();
        Dataset { targets: Targets::Classes { shape: vec![], labels, names }, ..data.subset(&kept) }
    }
}

/// There is no such class; which there are, and which may be meant.
fn unknown(name: &str, known: &[(String, i64)]) -> DataError {
    const MOST: usize = 20;
    let distance = |other: &str| strsim::levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let near = known.iter().map(|(other, _)| (distance(other), other)).min();
    let meant = match near {
        Some((distance, other)) if distance <= SLIP && distance < name.chars().count() => {
            format!("; is `{other}` meant?")
        }
        _ => String::new(),
    };
    let shown: Vec<&str> = known.iter().take(MOST).map(|(name, _)| name.as_str()).collect();
    let more = if known.len() > MOST { ", ..." } else { "" };
    DataError::Mismatch(format!("there is no class `{name}` among {}{more}{meant}", shown.join(", ")))
}
