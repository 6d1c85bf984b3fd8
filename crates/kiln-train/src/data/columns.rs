//! Tables: CSV files with a line of names. Shared functions, and rows without targets.

use std::path::Path;

use kiln_files::Opened;
use kiln_pickle::shown;

use crate::error::DataError;

/// Opens a table; gives the names of its columns, too.
pub(super) fn open(path: &Path) -> Result<(csv::Reader<Opened>, Vec<String>), DataError> {
    let file = kiln_files::open(path).map_err(|error| DataError::read(path, error))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let names = reader.headers().map_err(|error| DataError::file(path, error.to_string()))?;
    let names = names.iter().map(String::from).collect();
    Ok((reader, names))
}

/// Where the columns called `wanted` are among those of a table.
pub(super) fn places(names: &[String], wanted: &[String]) -> Result<Vec<usize>, String> {
    let place = |name: &String| {
        let mut found = (0..names.len()).filter(|n| names[*n] == *name);
        match (found.next(), found.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(format!(
                "has no column `{}`, which the model needs; its columns are {}",
                shown(name),
                listed(names)
            )),
            (Some(_), Some(_)) => Err(format!("has several columns `{}`", shown(name))),
        }
    };
    wanted.iter().map(place).collect()
}

/// The first names of a list, for an error.
pub(super) fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let first: Vec<String> = names.iter().take(MOST).map(|name| shown(name)).collect();
    first.join(", ") + if names.len() > MOST { ", ..." } else { "" }
}

/// The number of a cell that is to be learned from.
pub(super) fn number(record: &csv::StringRecord, place: usize) -> Result<f32, String> {
    let text = record.get(place).unwrap_or_default();
    let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| {
        format!("line {}, column {}: `{}` is not a number", line(record), place + 1, shown(text))
    })
}

/// The line of a file that a record begins in.
pub(super) fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// The names of the columns of a CSV file, without the target, which is the last, and the target's.
pub fn column_names(path: &Path) -> Option<(Vec<String>, String)> {
    let (_, mut names) = open(path).ok()?;
    let target = names.pop()?;
    Some((names, target))
}

/// Reads a CSV file with a line of names: of each row the columns that are named, in that order, or all. Gives the
/// number of columns, and the numbers row by row.
pub fn read_columns(path: &Path, names: &[String]) -> Result<(usize, Vec<f32>), DataError> {
    let wrong = |message: String| DataError::file(path, message);
    let (mut reader, header) = open(path)?;
    let places = match names {
        [] => (0..header.len()).collect(),
        names => places(&header, names).map_err(wrong)?,
    };
    let mut values = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| wrong(error.to_string()))? {
        for place in &places {
            values.push(number(&record, *place).map_err(wrong)?);
        }
    }
    if values.is_empty() {
        return Err(wrong("has no rows".into()));
    }
    Ok((places.len(), values))
}
