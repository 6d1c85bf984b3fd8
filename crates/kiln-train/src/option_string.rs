//! Option strings: a kind with settings, `affine:degrees=10,translate=0.1`.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use crate::error::TrainError;

/// Parses a kind with settings; lists are in brackets: `one-cycle:moms=[0.95,0.85,0.95]`. `what` it is to be, for the
/// error.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, TrainError> {
    let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
    let mut lines = format!("kind = {kind:?}\n");
    let mut depth = 0;
    for letter in settings.chars() {
        match letter {
            ',' if depth == 0 => lines.push('\n'),
            _ => {
                depth += i32::from(letter == '[') - i32::from(letter == ']');
                lines.push(letter);
            }
        }
    }
    toml::from_str(&lines)
        .map_err(|error| TrainError::Setting(format!("`{text}` is not a valid {what}: {}", error.message())))
}

/// Checks that a setting is a number of its range.
pub(crate) fn check(name: &str, value: f64, range: RangeInclusive<f64>) -> Result<(), TrainError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    let should = match high {
        f64::MAX => format!("of at least {low}"),
        high if high < 1.0 && high > 0.999 => format!("of at least {low} and below 1"),
        high => format!("from {low} to {high}"),
    };
    Err(TrainError::Setting(format!("`{name}` is {value}; it should be a number {should}")))
}
