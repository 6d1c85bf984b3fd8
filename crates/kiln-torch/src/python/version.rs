//! Version numbers: `torch.__version__`, `packaging.version.parse`, and how they compare.

use std::cmp::Ordering;
use std::rc::Rc;

use super::Interpreter;
use super::fault::Result;
use super::methods::natives;
use super::native::{Bound, Native};
use super::value::{Object, Value};

/// The PyTorch whose behaviour is the measure here, and what goes with it.
pub(crate) const TORCH: &str = "2.15.0";
const TORCHVISION: &str = "0.29.2";
/// The Python.
pub(super) const PYTHON: [i64; 3] = [3, 11, 7];

pub(super) static FUNCTIONS: &[Native] = natives! {
    "packaging.version.parse" "version, /" => parsed,
    "packaging.version.Version" "version, /" => parsed,
    "distutils.version.LooseVersion" "version, /" => parsed,
    "distutils.version.StrictVersion" "version, /" => parsed,
    "pkg_resources.parse_version" "version, /" => parsed,
};

/// The version of a package that is known.
pub(super) fn of_package(name: &str) -> Option<&'static str> {
    match name {
        "torch" => Some(TORCH),
        "torchvision" => Some(TORCHVISION),
        _ => None,
    }
}

/// Packages that train and measure a network but are no part of it. Files ask for their versions to know how the methods
/// are called that these packages call; any answer does.
const OF_TRAINING: &[(&str, &str)] =
    &[("pytorch_lightning", "2.5"), ("lightning", "2.5"), ("torchmetrics", "1.8"), ("ignite", "0.5")];

fn parsed(i: &mut Interpreter, b: &Bound) -> Result<Value> {
    let version = b.get("version");
    let of_training = match &version {
        Value::Opaque(opaque) if opaque.name.ends_with("__version__") => {
            let top = opaque.origin.split('.').next();
            OF_TRAINING.iter().find(|(package, _)| Some(*package) == top).map(|(_, version)| *version)
        }
        _ => None,
    };
    match version.as_str().or(of_training) {
        Some(text) => i.version(text),
        None => Err(b.wrong("version", "a string")),
    }
}

/// The numbers of a version without zeros at the end, and whether it is final: `2.0.0rc1` comes before `2.0`.
fn numbers(text: &str) -> (Vec<u64>, bool) {
    let public = text.trim().trim_start_matches('v').split('+').next().unwrap_or_default();
    let mut release = vec![];
    let mut is_final = true;
    for part in public.split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = digits.parse() {
            release.push(number);
        }
        if digits.len() < part.len() {
            is_final = part.starts_with("post");
            break;
        }
    }
    while release.last() == Some(&0) {
        release.pop();
    }
    (release, is_final)
}

/// Whether a value is a version.
fn is_version(value: &Value) -> bool {
    matches!(value, Value::Object(object) if object.class.is_named("Version"))
}

impl Interpreter {
    /// A version as an object: a string that compares by its numbers.
    pub(crate) fn version(&mut self, text: &str) -> Result<Value> {
        self.cells(text.len())?;
        let class = self.class("packaging.version.Version")?;
        let object: Rc<Object> = self.object(class);
        let (release, _) = numbers(text);
        let part = |place: usize| {
            let number = release.get(place).copied().unwrap_or(0);
            Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
        };
        let all = Value::tuple((0..release.len().max(3)).map(part));
        let base = text.split('+').next().unwrap_or_default();
        for (name, value) in [
            ("major", part(0)),
            ("minor", part(1)),
            ("micro", part(2)),
            ("release", all.clone()),
            ("version", Value::list(self.items(&all)?)),
            ("base_version", Value::str(base)),
            ("public", Value::str(base)),
        ] {
            object.set(name, value);
        }
        let _ = object.contents.set(Value::str(text));
        Ok(Value::Object(object))
    }

    /// How two values compare if one of them is a version.
    pub(super) fn versions(&mut self, left: &Value, right: &Value) -> Result<Option<Ordering>> {
        if !is_version(left) && !is_version(right) {
            return Ok(None);
        }
        let mut numbers_of = |value: &Value| -> Result<Option<(Vec<u64>, bool)>> {
            if let Some(text) = value.as_str() {
                self.cells(text.len())?;
                return Ok(Some(numbers(text)));
            }
            let Value::Tuple(parts) = value.plain() else { return Ok(None) };
            self.cells(parts.len())?;
            let mut release: Vec<u64> =
                parts.iter().filter_map(|part| u64::try_from(part.as_int()?).ok()).collect();
            while release.last() == Some(&0) {
                release.pop();
            }
            Ok(Some((release, true)))
        };
        Ok(match (numbers_of(left)?, numbers_of(right)?) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (small, large) in [
            ("1.9.1", "1.10"),
            ("1.8", "2.0.0"),
            ("2.0.0rc1", "2.0.0"),
            ("2.0.0", "2.0.1"),
            ("2.0.0.dev20230101", "2.0"),
            ("1.13.1+cu117", "2"),
        ] {
            assert!(numbers(small) < numbers(large), "{small} {large}");
        }
        assert_eq!(numbers("2.1.0+cu121"), numbers("2.1"));
    }
}
