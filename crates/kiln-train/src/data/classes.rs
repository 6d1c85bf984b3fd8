//! Classes in the order of a model, which may be another than that of the data.

use std::collections::HashMap;

use super::columns::listed;
use super::{Dataset, Splits, Targets};
use crate::error::DataError;

/// Which class a whole number is.
pub(super) struct Numbered {
    names: Vec<String>,
    /// Whether each is its own place.
    counted: bool,
    places: HashMap<i64, i32>,
}

impl Numbered {
    /// These numbers, in this order.
    pub(super) fn of(numbers: &[i64]) -> Self {
        Self::called(numbers.iter().map(ToString::to_string).collect(), numbers.to_vec())
    }

    /// The classes of a model: by their names where those are numbers, else by their places.
    pub(super) fn as_known(names: &[String]) -> Self {
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        Self::called(names.to_vec(), numbers.unwrap_or_else(|| (0..).take(names.len()).collect()))
    }

    fn called(names: Vec<String>, numbers: Vec<i64>) -> Self {
        let counted = numbers.iter().zip(0..).all(|(number, place)| *number == place);
        Self { names, counted, places: numbers.into_iter().zip(0..).collect() }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of the class with this number.
    pub(super) fn place(&self, number: i64) -> Option<i32> {
        if self.counted {
            let is_place = usize::try_from(number).is_ok_and(|place| place < self.names.len());
            return i32::try_from(number).ok().filter(|_| is_place);
        }
        self.places.get(&number).copied()
    }

    /// There is no such class.
    pub(super) fn unknown(&self, number: i64) -> DataError {
        DataError::Mismatch(format!(
            "the data has the class {number}, which the model does not know; it knows {} ({}); `--ignore-index {number}` \
             leaves it out",
            self.names.len(),
            listed(&self.names)
        ))
    }
}

impl Splits {
    /// Does something with each part.
    pub fn for_each(&mut self, change: &mut dyn FnMut(&mut Dataset)) {
        change(&mut self.train);
        self.validation.iter_mut().chain(self.test.iter_mut()).for_each(change);
    }
}

impl Dataset {
    /// Gives class `n` the number `places[n]`, in a list of classes with these names.
    pub fn renumber(&mut self, places: &[usize], all: &[String]) {
        if let Targets::Classes { labels, names, .. } = &mut self.targets {
            for label in labels {
                let place = usize::try_from(*label).ok().and_then(|label| places.get(label));
                // What is no class of the data does not count, and stays what it is.
                if let Some(place) = place.and_then(|place| i32::try_from(*place).ok()) {
                    *label = place;
                }
            }
            *names = all.to_vec();
        }
    }

    /// Calls the classes otherwise, without changing their numbers.
    pub fn rename(&mut self, all: &[String]) {
        if let Targets::Classes { names, .. } = &mut self.targets {
            *names = all.to_vec();
        }
    }
}
