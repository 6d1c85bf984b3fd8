//! NumPy's arrays: `.npz` with `x` and `y`, or a folder with `x.npy` and `y.npy`.

use std::io::BufReader;
use std::path::Path;

use kiln_files::Opened;

use super::{Dataset, Samples, Skipped, Splits, Targets};
use crate::error::DataError;
use crate::npy::{self, Archive, Array, Elements};

/// Names that samples and targets go by, for each part.
const TRAIN: [(&str, &str); 3] = [("x_train", "y_train"), ("x", "y"), ("train_images", "train_labels")];
const TEST: [(&str, &str); 2] = [("x_test", "y_test"), ("test_images", "test_labels")];

/// Where arrays come from.
enum Place<'a> {
    Folder(&'a Path),
    File(&'a Path, Archive<BufReader<Opened>>),
}

impl Place<'_> {
    fn get(&mut self, name: &str) -> Result<Option<Array>, DataError> {
        match self {
            Place::Folder(folder) => {
                let file = folder.join(format!("{name}.npy"));
                if file.exists() { npy::read_file(&file).map(Some) } else { Ok(None) }
            }
            Place::File(path, archive) => archive.get(name).map_err(|message| DataError::file(path, message)),
        }
    }

    /// The first pair of names that both are there.
    fn find(&mut self, names: &[(&str, &str)]) -> Result<Option<(Array, Array)>, DataError> {
        for (x, y) in names {
            if let Some(samples) = self.get(x)?
                && let Some(targets) = self.get(y)?
            {
                return Ok(Some((samples, targets)));
            }
        }
        Ok(None)
    }
}

/// Reads an `.npz` file, or a folder with `.npy` files of the same names.
pub(super) fn load(path: &Path) -> Result<Splits, DataError> {
    let mut place = if path.is_dir() { Place::Folder(path) } else { Place::File(path, Archive::open(path)?) };
    let Some((x, y)) = place.find(&TRAIN)? else {
        return Err(DataError::file(path, "has no arrays `x` and `y` (nor `x_train` and `y_train`)"));
    };
    let train = dataset(x, y, path)?;
    let test = match place.find(&TEST)? {
        Some((x, y)) => Some(dataset(x, y, path)?),
        None => None,
    };
    Ok(Splits { train, validation: None, test, skipped: Skipped::default() })
}

/// Numbers as samples have them.
#[allow(clippy::as_conversions, reason = "rounding is what is meant")]
fn samples(elements: Elements) -> Samples {
    Samples::Floats(match elements {
        Elements::U8(bytes) => return Samples::Bytes(bytes),
        Elements::F32(values) => values,
        Elements::Bool(values) => values.into_iter().map(|x| f32::from(u8::from(x))).collect(),
        Elements::I8(values) => values.into_iter().map(f32::from).collect(),
        Elements::U16(values) => values.into_iter().map(f32::from).collect(),
        Elements::I16(values) => values.into_iter().map(f32::from).collect(),
        Elements::U32(values) => values.into_iter().map(|x| x as f32).collect(),
        Elements::I32(values) => values.into_iter().map(|x| x as f32).collect(),
        Elements::U64(values) => values.into_iter().map(|x| x as f32).collect(),
        Elements::I64(values) => values.into_iter().map(|x| x as f32).collect(),
        Elements::F16(values) => values.into_iter().map(f32::from).collect(),
        Elements::F64(values) => values.into_iter().map(|x| x as f32).collect(),
    })
}

/// Numbers as targets have them, of this shape for each sample.
fn targets(elements: Elements, shape: Vec<usize>) -> Result<Targets, String> {
    fn whole<T: Into<i64>>(values: Vec<T>) -> Vec<i64> {
        values.into_iter().map(Into::into).collect()
    }
    let numbers = match elements {
        Elements::F32(values) => return Ok(Targets::Values { shape, values }),
        Elements::F16(values) => {
            return Ok(Targets::Values { shape, values: values.into_iter().map(f32::from).collect() });
        }
        #[allow(clippy::as_conversions, reason = "rounding is what is meant")]
        Elements::F64(values) => {
            return Ok(Targets::Values { shape, values: values.into_iter().map(|x| x as f32).collect() });
        }
        Elements::Bool(values) => whole(values),
        Elements::U8(values) => whole(values),
        Elements::I8(values) => whole(values),
        Elements::U16(values) => whole(values),
        Elements::I16(values) => whole(values),
        Elements::U32(values) => whole(values),
        Elements::I32(values) => whole(values),
        Elements::I64(values) => values,
        Elements::U64(values) => {
            let number =
                |x: u64| i64::try_from(x).map_err(|_| format!("a target is {x}, which is too large"));
            values.into_iter().map(number).collect::<Result<_, _>>()?
        }
    };
    Ok(Targets::Whole { shape, numbers, any_numbers: false })
}

fn dataset(x: Array, y: Array, path: &Path) -> Result<Dataset, DataError> {
    let Some((_, sample)) = x.shape.split_first() else {
        return Err(DataError::file(path, "the samples have no dimensions"));
    };
    // Images without channels have one.
    let shape = if sample.len() == 2 { [&[1], sample].concat() } else { sample.to_vec() };
    let each = y.shape.get(1..).unwrap_or_default().to_vec();
    let targets = targets(y.elements, each).map_err(|message| DataError::file(path, message))?;
    let data = Dataset { shape, samples: samples(x.elements), targets };
    data.check(&path.display().to_string())?;
    Ok(data)
}
