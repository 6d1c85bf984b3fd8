//! Rows of a table that are not learned from: numbers by the names of their columns.

use std::path::Path;

use crate::error::DataError;

/// The names of the columns of a CSV file, without the target, which is the last, and the target's.
pub fn column_names(path: &Path) -> Option<(Vec<String>, String)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).ok()?;
    let mut names: Vec<String> = reader.headers().ok()?.iter().map(String::from).collect();
    let target = names.pop()?;
    Some((names, target))
}

/// Reads a CSV file with a line of names: of each row the columns that are named, in that order, or all. Gives the
/// number of columns, and the numbers row by row.
pub fn read_columns(path: &Path, names: &[String]) -> Result<(usize, Vec<f32>), DataError> {
    let wrong = |message: String| DataError::file(path, message);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let place = |name: &String| {
        let found: Vec<usize> = (0..header.len()).filter(|n| header.get(*n) == Some(name)).collect();
        match found[..] {
            [place] => Ok(place),
            [] => Err(wrong(format!(
                "has no column `{name}`, which the model wants; its columns are {}",
                header.iter().collect::<Vec<_>>().join(", ")
            ))),
            _ => Err(wrong(format!("has several columns `{name}`"))),
        }
    };
    let places: Vec<usize> = if names.is_empty() {
        (0..header.len()).collect()
    } else {
        names.iter().map(place).collect::<Result<_, _>>()?
    };
    let mut values = Vec::new();
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        for place in &places {
            let text = record.get(*place).unwrap_or_default();
            let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
            values.push(number.ok_or_else(|| {
                wrong(format!("line {}, column {}: `{text}` is no number", n + 2, place + 1))
            })?);
        }
    }
    if values.is_empty() {
        return Err(wrong("has no rows".into()));
    }
    Ok((places.len(), values))
}
