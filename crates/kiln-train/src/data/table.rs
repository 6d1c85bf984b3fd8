//! Tables: CSV files with a line of names, numbers, and the target in the last column.

use std::path::Path;

use super::source::SourceOptions;
use super::{Dataset, Samples, Splits, Targets};
use crate::error::DataError;

/// Reads a table. The target is the last column: words are classes, numbers are values, and whole numbers what the loss
/// makes of them.
pub fn load(path: &Path, options: &SourceOptions) -> Result<Splits, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| DataError::file(path, e.to_string()))?;
    let columns = reader.headers().map_err(|e| DataError::file(path, e.to_string()))?.len();
    if columns < 2 {
        return Err(DataError::file(path, "has fewer than two columns; the last one is the target"));
    }
    let (mut samples, mut targets, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for (n, record) in reader.records().enumerate() {
        match row(n + 2, record, columns) {
            Ok((features, target)) => {
                samples.extend(features);
                targets.push(target);
            }
            Err(message) if options.skip_bad => skipped.push(format!("{}: {message}", path.display())),
            Err(message) => return Err(DataError::file(path, message)),
        }
    }
    let data =
        Dataset { shape: vec![columns - 1], samples: Samples::Floats(samples), targets: meaning(&targets) };
    data.check(&path.display().to_string())?;
    Ok(Splits { train: data, validation: None, test: None, skipped })
}

fn row(
    line: usize,
    record: csv::Result<csv::StringRecord>,
    columns: usize,
) -> Result<(Vec<f32>, String), String> {
    let record = record.map_err(|e| e.to_string())?;
    let features = record.iter().take(columns - 1).enumerate().map(|(column, text)| {
        let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("line {line}, column {}: `{text}` is no number", column + 1))
    });
    let features = features.collect::<Result<Vec<f32>, String>>()?;
    let target = record.get(columns - 1).filter(|text| !text.is_empty());
    Ok((features, target.ok_or_else(|| format!("line {line} has no target"))?.to_owned()))
}

fn meaning(targets: &[String]) -> Targets {
    let numbers: Option<Vec<f64>> =
        targets.iter().map(|text| text.parse().ok().filter(|number: &f64| number.is_finite())).collect();
    if let Some(numbers) = numbers {
        // A whole number may be written 3.0, too.
        let is_whole = |number: &f64| number.fract() == 0.0 && number.abs() < 2f64.powi(53);
        let shape = vec![1];
        return if numbers.iter().all(is_whole) {
            let numbers = numbers.into_iter().map(|number| number as i64).collect();
            Targets::Whole { shape, numbers, any_numbers: true }
        } else {
            Targets::Values { shape, values: numbers.into_iter().map(|number| number as f32).collect() }
        };
    }
    let mut names: Vec<String> = targets.to_vec();
    names.sort();
    names.dedup();
    let label = |text: &String| names.iter().position(|name| name == text).map_or(-1, |n| n as i32);
    Targets::Classes { shape: vec![], labels: targets.iter().map(label).collect(), names }
}
