//! Tables of training data: CSV files with a line of names, numbers, and the target in the last column.

use std::collections::HashMap;
use std::path::Path;

use kiln_pickle::shown;
use kiln_plan::{METADATA_LIMITS, MetadataLimits};

use super::columns::{line, listed, number, open, places};
use super::source::{Known, SourceOptions};
use super::{Dataset, Samples, Skipped, Splits, Targets};
use crate::error::DataError;

/// Reads a table. The target is the last column: words are classes, numbers are values, and whole numbers what the loss
/// makes of them. A model that knows its columns finds them by name, and one that knows its classes their words.
pub(super) fn load(path: &Path, options: &SourceOptions) -> Result<Splits, DataError> {
    let wrong = |message: String| DataError::file(path, message);
    let (mut reader, names) = open(path)?;
    if names.len() < 2 {
        return Err(wrong("has fewer than two columns; the last one is the target".into()));
    }
    check_names(&names).map_err(wrong)?;
    let Columns { features, target } = Columns::of(&names, &options.known).map_err(wrong)?;
    let (mut samples, mut targets) = (Vec::new(), Cells::default());
    let mut skipped = Skipped::default();
    let mut record = csv::StringRecord::new();
    loop {
        let before = samples.len();
        let row = match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => row(&record, &features, target, &mut samples),
            // An error of the file system does not go away with the next line.
            Err(error) if error.is_io_error() => return Err(wrong(error.to_string())),
            Err(error) => Err(error.to_string()),
        };
        match row {
            Ok(text) => targets.add(text, line(&record)),
            Err(message) => {
                samples.truncate(before);
                if !options.skip_bad {
                    return Err(wrong(message));
                }
                skipped.add(|| format!("{}: {message}", path.display()));
            }
        }
    }
    if let Some((line, text)) = targets.stray() {
        let message = format!(
            "line {line}: the target `{}` is not a number, which others in the column `{}` are",
            shown(text),
            shown(&names[target])
        );
        if !options.skip_bad {
            return Err(wrong(message));
        }
        let kept = targets.keep_numbers();
        skipped.add_many(kept.iter().filter(|kept| !**kept).count(), || {
            format!("{}: {message}", path.display())
        });
        let rows = samples.chunks(features.len()).zip(&kept).filter(|(_, kept)| **kept);
        samples = rows.flat_map(|(row, _)| row.iter().copied()).collect();
    }
    let targets = targets.meaning(&options.known.classes).map_err(wrong)?;
    let data = Dataset { shape: vec![features.len()], samples: Samples::Floats(samples), targets };
    data.check(&path.display().to_string())?;
    Ok(Splits { train: data, validation: None, test: None, skipped })
}

/// A model keeps the names of its columns.
fn check_names(names: &[String]) -> Result<(), String> {
    let MetadataLimits { names: most, name_bytes, .. } = METADATA_LIMITS;
    if names.len() > most {
        return Err(format!("has {} columns; at most {most} are supported", names.len()));
    }
    match names.iter().find(|name| name.len() > name_bytes) {
        Some(name) => Err(format!(
            "has a column `{}` with a name of {} bytes; {name_bytes} can be kept",
            shown(name),
            name.len()
        )),
        None => Ok(()),
    }
}

/// Which columns are what.
struct Columns {
    features: Vec<usize>,
    target: usize,
}

impl Columns {
    fn of(names: &[String], known: &Known) -> Result<Self, String> {
        let last = names.len() - 1;
        if known.columns.is_empty() {
            return Ok(Self { features: (0..last).collect(), target: last });
        }
        let features = places(names, &known.columns)?;
        // The target keeps its name, or is the last column that is no feature.
        let by_name = known.target.as_ref().and_then(|target| names.iter().position(|name| name == target));
        let target = by_name.or_else(|| (0..names.len()).rev().find(|place| !features.contains(place)));
        let target = target.filter(|target| !features.contains(target)).ok_or_else(|| {
            format!(
                "has no column besides those that the model needs, so there is no target; they are {}",
                listed(names)
            )
        })?;
        Ok(Self { features, target })
    }
}

/// Puts the numbers of a row behind `samples`, and gives its target.
fn row<'a>(
    record: &'a csv::StringRecord,
    features: &[usize],
    target: usize,
    samples: &mut Vec<f32>,
) -> Result<&'a str, String> {
    for place in features {
        samples.push(number(record, *place)?);
    }
    let target = record.get(target).filter(|text| !text.is_empty());
    target.ok_or_else(|| format!("line {} has no target", line(record)))
}

/// The targets of a table while it is read: as numbers, and as words as long as there are few.
#[derive(Default)]
struct Cells {
    /// NaN for what is no number.
    numbers: Vec<f64>,
    /// Which word each is.
    words: Vec<u32>,
    /// The words that occur, each with its number.
    seen: HashMap<String, u32>,
    /// The first that is no number, and its line.
    word: Option<(u64, String)>,
    has_fractions: bool,
}

impl Cells {
    fn add(&mut self, text: &str, line: u64) {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        if number.is_none() && self.word.is_none() {
            self.word = Some((line, text.to_owned()));
        }
        self.has_fractions |= number.is_some_and(|number| number.fract() != 0.0);
        self.numbers.push(number.unwrap_or(f64::NAN));
        if self.too_many() {
            return;
        }
        #[allow(clippy::as_conversions, reason = "there are not too many, as checked just above")]
        let next = self.seen.len() as u32;
        let word = match self.seen.get(text) {
            Some(word) => *word,
            None => *self.seen.entry(text.to_owned()).or_insert(next),
        };
        self.words.push(word);
    }

    /// Whether there are more words than there can be classes; then they are no longer kept.
    fn too_many(&self) -> bool {
        self.seen.len() > METADATA_LIMITS.names
    }

    /// A word in a column of numbers that are no class numbers, with its line.
    fn stray(&self) -> Option<(u64, &str)> {
        let (line, word) = self.word.as_ref()?;
        self.has_fractions.then_some((*line, word.as_str()))
    }

    /// Leaves out what is no number; which rows stay.
    fn keep_numbers(&mut self) -> Vec<bool> {
        let kept = self.numbers.iter().map(|number| !number.is_nan()).collect();
        self.numbers.retain(|number| !number.is_nan());
        self.word = None;
        // Numbers with fractions are values, whatever their words are.
        self.words.clear();
        self.seen.clear();
        kept
    }

    /// What the targets are, for a model with these classes or with none.
    fn meaning(self, classes: &[String]) -> Result<Targets, String> {
        let too_many = self.too_many();
        if !classes.is_empty() && !too_many && !self.seen.is_empty() {
            let places: HashMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
            if self.seen.keys().all(|word| places.contains_key(word.as_str())) {
                return Ok(self.classes(classes.to_vec()));
            }
        }
        if self.word.is_none() {
            return Ok(self.whole_or_values());
        }
        if too_many {
            return Err(format!(
                "has more than {} different targets, and they are words; classes are fewer, and values are numbers",
                METADATA_LIMITS.names
            ));
        }
        let mut names: Vec<String> = self.seen.keys().cloned().collect();
        names.sort_unstable();
        Ok(self.classes(names))
    }

    /// Words as classes of these names, of which each is one.
    fn classes(self, names: Vec<String>) -> Targets {
        let places: HashMap<&str, i32> = names.iter().map(String::as_str).zip(0..).collect();
        let mut of_word = vec![-1; self.seen.len()];
        #[allow(clippy::as_conversions, reason = "words are counted by a usize")]
        let index = |word: &u32| *word as usize;
        for (text, word) in &self.seen {
            of_word[index(word)] = places.get(text.as_str()).copied().unwrap_or(-1);
        }
        let labels = self.words.iter().map(|word| of_word[index(word)]).collect();
        Targets::Classes { shape: vec![], labels, names }
    }

    fn whole_or_values(self) -> Targets {
        // A whole number may be written 3.0, too.
        let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() < 2f64.powi(53);
        let (shape, numbers) = (vec![1], self.numbers);
        if numbers.iter().all(is_whole) {
            #[allow(clippy::as_conversions, reason = "whole and below 2^53, as just checked")]
            let numbers = numbers.into_iter().map(|number| number as i64).collect();
            Targets::Whole { shape, numbers, any_numbers: true }
        } else {
            #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
            let values = numbers.into_iter().map(|number| number as f32).collect();
            Targets::Values { shape, values }
        }
    }
}
