//! NumPy's arrays: `.npz` with `x` and `y`, or a folder with `x.npy` and `y.npy`.

use std::io::{BufReader, Read, Seek};
use std::path::Path;

use super::{Dataset, Samples, Splits, Targets};
use crate::error::DataError;

/// Names that samples and targets go by, for each part.
const TRAIN: [(&str, &str); 3] = [("x_train", "y_train"), ("x", "y"), ("train_images", "train_labels")];
const TEST: [(&str, &str); 2] = [("x_test", "y_test"), ("test_images", "test_labels")];

/// An array as its file has it.
enum Array {
    Bytes(Vec<usize>, Vec<u8>),
    Floats(Vec<usize>, Vec<f32>),
    Ints(Vec<usize>, Vec<i64>),
}

/// Reads an `.npz` file, or a folder with `.npy` files of the same names.
pub fn load(path: &Path) -> Result<Splits, DataError> {
    let get = |name: &str| -> Result<Option<Array>, DataError> {
        if path.is_dir() {
            let file = path.join(format!("{name}.npy"));
            if !file.is_file() {
                return Ok(None);
            }
            let reader = BufReader::new(std::fs::File::open(&file).map_err(|e| DataError::read(&file, e))?);
            return array(reader, &file).map(Some);
        }
        let file = std::fs::File::open(path).map_err(|e| DataError::read(path, e))?;
        member(BufReader::new(file), name, path)
    };
    let find = |names: &[(&str, &str)]| -> Result<Option<(Array, Array)>, DataError> {
        for (x, y) in names {
            if let (Some(x), Some(y)) = (get(x)?, get(y)?) {
                return Ok(Some((x, y)));
            }
        }
        Ok(None)
    };
    let Some((x, y)) = find(&TRAIN)? else {
        return Err(DataError::file(path, "has no arrays `x` and `y` (nor `x_train` and `y_train`)"));
    };
    let train = dataset(x, y, path)?;
    let test = match find(&TEST)? {
        Some((x, y)) => Some(dataset(x, y, path)?),
        None => None,
    };
    Ok(Splits { train, validation: None, test, skipped: vec![] })
}

fn member(reader: impl Read + Seek, name: &str, path: &Path) -> Result<Option<Array>, DataError> {
    let mut archive = npyz::npz::NpzArchive::new(reader)
        .map_err(|e| DataError::file(path, format!("is no .npz archive: {e}")))?;
    let found = archive.by_name(name).map_err(|e| DataError::file(path, format!("`{name}`: {e}")))?;
    match found {
        Some(file) => parse(file, name, path).map(Some),
        None => Ok(None),
    }
}

fn array(reader: impl Read, path: &Path) -> Result<Array, DataError> {
    let file =
        npyz::NpyFile::new(reader).map_err(|e| DataError::file(path, format!("is no .npy array: {e}")))?;
    parse(file, "array", path)
}

fn parse<R: Read>(file: npyz::NpyFile<R>, name: &str, path: &Path) -> Result<Array, DataError> {
    let wrong = |message: String| DataError::file(path, format!("`{name}`: {message}"));
    if file.order() != npyz::Order::C {
        return Err(wrong("is in Fortran order; numpy.ascontiguousarray helps".into()));
    }
    let shape: Vec<usize> = file.shape().iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect();
    let kind = file.dtype().descr();
    let kind = kind.trim_matches(['\'', '"']).trim_start_matches(['<', '|', '=']).to_owned();
    let io = |e: std::io::Error| wrong(e.to_string());
    Ok(match kind.as_str() {
        "u1" => Array::Bytes(shape, file.into_vec::<u8>().map_err(io)?),
        "f4" => Array::Floats(shape, file.into_vec::<f32>().map_err(io)?),
        "f8" => {
            let values = file.into_vec::<f64>().map_err(io)?;
            Array::Floats(shape, values.into_iter().map(|x| x as f32).collect())
        }
        "i8" => Array::Ints(shape, file.into_vec::<i64>().map_err(io)?),
        "i4" => Array::Ints(shape, file.into_vec::<i32>().map_err(io)?.into_iter().map(i64::from).collect()),
        "i2" => Array::Ints(shape, file.into_vec::<i16>().map_err(io)?.into_iter().map(i64::from).collect()),
        "i1" => Array::Ints(shape, file.into_vec::<i8>().map_err(io)?.into_iter().map(i64::from).collect()),
        "u2" => Array::Ints(shape, file.into_vec::<u16>().map_err(io)?.into_iter().map(i64::from).collect()),
        "u4" => Array::Ints(shape, file.into_vec::<u32>().map_err(io)?.into_iter().map(i64::from).collect()),
        "b1" => Array::Ints(shape, file.into_vec::<bool>().map_err(io)?.into_iter().map(i64::from).collect()),
        other => {
            return Err(wrong(format!(
                "has elements of type {other}; u1, u2, u4, i1, i2, i4, i8, f4, f8 and b1 can be read"
            )));
        }
    })
}

fn dataset(x: Array, y: Array, path: &Path) -> Result<Dataset, DataError> {
    let (shape, samples) = match x {
        Array::Bytes(shape, values) => (shape, Samples::Bytes(values)),
        Array::Floats(shape, values) => (shape, Samples::Floats(values)),
        Array::Ints(shape, values) => {
            (shape, Samples::Floats(values.into_iter().map(|x| x as f32).collect()))
        }
    };
    let Some((_, sample)) = shape.split_first() else {
        return Err(DataError::file(path, "the samples have no dimensions"));
    };
    // Images without channels have one.
    let shape = if sample.len() == 2 { [&[1], sample].concat() } else { sample.to_vec() };
    let each = |shape: Vec<usize>| shape.get(1..).unwrap_or_default().to_vec();
    let whole = |shape, numbers| Targets::Whole { shape: each(shape), numbers, any_numbers: false };
    let targets = match y {
        Array::Bytes(shape, values) => whole(shape, values.into_iter().map(i64::from).collect()),
        Array::Ints(shape, values) => whole(shape, values),
        Array::Floats(shape, values) => Targets::Values { shape: each(shape), values },
    };
    let data = Dataset { shape, samples, targets };
    data.check(&path.display().to_string())?;
    Ok(data)
}
