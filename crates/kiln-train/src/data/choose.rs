//! Some of the classes of a data set, numbered anew.

use std::collections::{BTreeSet, HashMap, HashSet};

use kiln_pickle::shown;

use super::columns::listed;
use super::{Dataset, Splits, Targets};
use crate::error::DataError;

/// Names that differ in more letters are not taken for typing errors.
const SLIP: usize = 2;

impl Splits {
    /// Keeps the samples of the classes called `wanted`, which become numbers 0, 1, ... in that order. A class without
    /// a name goes by its number, and one with a name may. Where `may_miss` says so, there need not be samples of all.
    pub fn chosen(mut self, wanted: &[String], may_miss: bool) -> Result<Self, DataError> {
        let numbers = Numbers::of(&self, wanted, may_miss)?;
        self.train = numbers.keep(&self.train);
        self.validation = self.validation.map(|data| numbers.keep(&data));
        self.test = self.test.map(|data| numbers.keep(&data)).filter(|data| !data.is_empty());
        match self.train.is_empty() {
            true => Err(DataError::Mismatch(format!("there are no samples of {}", listed(wanted)))),
            false => Ok(self),
        }
    }
}

/// The classes that are kept.
struct Numbers<'a> {
    /// Their places among the new ones, by their numbers in the data.
    places: HashMap<i64, usize>,
    names: &'a [String],
}

impl<'a> Numbers<'a> {
    fn of(splits: &Splits, names: &'a [String], may_miss: bool) -> Result<Self, DataError> {
        let mut known: Vec<(i64, String)> = Vec::new();
        for data in splits.parts() {
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
                Targets::Classes { names, .. } => known.extend((0..).zip(names.iter().cloned())),
                Targets::Whole { numbers, .. } => {
                    let different: BTreeSet<i64> = numbers.iter().copied().collect();
                    known.extend(different.into_iter().map(|number| (number, number.to_string())));
                }
            }
        }
        known.sort_unstable();
        known.dedup();
        let by_name: HashMap<&str, i64> =
            known.iter().rev().map(|(number, name)| (name.as_str(), *number)).collect();
        let numbers: HashSet<i64> = known.iter().map(|(number, _)| *number).collect();
        let mut places = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            let by_number = || name.parse().ok().filter(|number| numbers.contains(number));
            match by_name.get(name.as_str()).copied().or_else(by_number) {
                Some(number) => {
                    if places.insert(number, place).is_some() {
                        return Err(DataError::Mismatch(format!(
                            "the class `{}` is chosen twice",
                            shown(name)
                        )));
                    }
                }
                None if may_miss => {}
                None => return Err(unknown(name, &known)),
            }
        }
        Ok(Self { places, names })
    }

    fn keep(&self, data: &Dataset) -> Dataset {
        let place = |number: i64| self.places.get(&number).copied();
        let places: Vec<Option<usize>> = match &data.targets {
            Targets::Classes { labels, .. } => labels.iter().map(|label| place(i64::from(*label))).collect(),
            Targets::Whole { numbers, .. } => numbers.iter().map(|number| place(*number)).collect(),
            Targets::Values { .. } => vec![],
        };
        let kept: Vec<usize> = (0..places.len()).filter(|sample| places[*sample].is_some()).collect();
        let labels = places.iter().flatten().map(|place| i32::try_from(*place).unwrap_or(i32::MAX)).collect();
        let mut names = self.names.to_vec();
        // Numbers that were given for names are replaced by these.
        if let Targets::Classes { names: own, .. } = &data.targets {
            for (number, place) in &self.places {
                if let Some(name) = usize::try_from(*number).ok().and_then(|number| own.get(number)) {
                    names[*place].clone_from(name);
                }
            }
        }
        Dataset { targets: Targets::Classes { shape: vec![], labels, names }, ..data.subset(&kept) }
    }
}

/// The error for an unknown class: the known ones, and the most similar one.
fn unknown(name: &str, known: &[(i64, String)]) -> DataError {
    let distance = |other: &str| strsim::levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let near = known.iter().map(|(_, other)| (distance(other), other)).min();
    let meant = match near {
        Some((distance, other)) if distance <= SLIP && distance < name.chars().count() => {
            format!("; is `{other}` meant?")
        }
        _ => String::new(),
    };
    let names: Vec<String> = known.iter().map(|(_, name)| name.clone()).collect();
    DataError::Mismatch(format!("there is no class `{}` among {}{meant}", shown(name), listed(&names)))
}
