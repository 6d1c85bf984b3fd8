//! Data sets that `kiln train` reads, as arrays.

use kiln::plan::{Channels, Pictures, Resize};
use kiln::training::data::{Dataset, Samples, Source, SourceOptions, Targets};
use kiln::{Data, HostTensor};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arrays::array_of;
use crate::error::{Kind, Raise, detached};

/// How data is read; names are the command's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Reading {
    /// The shorter side, or height and width.
    resize: Vec<u32>,
    crop: Option<[u32; 2]>,
    grey: bool,
    skip_bad: bool,
    seed: u64,
}

impl Reading {
    fn options(self) -> PyResult<SourceOptions> {
        let resize = match self.resize[..] {
            [] => None,
            [side] => Some(Resize::Shorter(side)),
            [height, width] => Some(Resize::Exact { height, width }),
            _ => return Err(Kind::Input.with("`resize` is one length, or height and width")),
        };
        if self.resize.iter().chain(self.crop.iter().flatten()).any(|side| *side == 0) {
            return Err(Kind::Input.with("`resize` and `crop` are lengths of at least one pixel"));
        }
        let channels = if self.grey { Channels::Grey } else { Channels::Rgb };
        let pictures = Pictures { channels, resize, crop: self.crop, ..Pictures::default() };
        Ok(SourceOptions { skip_bad: self.skip_bad, pictures, seed: self.seed, ..SourceOptions::default() })
    }
}

/// Samples and targets of a part of a data set.
type Part<'py> = Bound<'py, PyTuple>;

/// The parts of a data set for training, validation and test, the names of its classes, and which files were skipped.
type Parts<'py> = (Part<'py>, Option<Part<'py>>, Option<Part<'py>>, Option<Vec<String>>, usize);

/// Reads a data set.
#[pyfunction]
pub(crate) fn load_data<'py>(py: Python<'py>, source: &str, reading: Reading) -> PyResult<Parts<'py>> {
    let options = reading.options()?;
    let wrong = |error: kiln::training::DataError| Kind::Input.with(error.to_string());
    let source: Source = source.parse().map_err(wrong)?;
    let splits = detached(py, || source.load(&options))?.map_err(wrong)?;
    let classes = splits.train.class_names().map(<[String]>::to_vec);
    let skipped = splits.skipped.len();
    let other = |part: Option<Dataset>| part.map(|part| arrays(py, part)).transpose();
    let (validation, test) = (other(splits.validation)?, other(splits.test)?);
    Ok((arrays(py, splits.train)?, validation, test, classes, skipped))
}

fn arrays(py: Python<'_>, set: Dataset) -> PyResult<Part<'_>> {
    let count = set.len();
    let batch = |shape: &[usize]| [&[count], shape].concat();
    let shape = batch(&set.shape);
    let samples: Data = match set.samples {
        Samples::Bytes(all) => all.into(),
        Samples::Floats(all) => all.into(),
    };
    let wanted = batch(set.targets.shape());
    let targets: Data = match set.targets {
        Targets::Classes { labels, .. } => labels.into_iter().map(i64::from).collect::<Vec<_>>().into(),
        Targets::Values { values, .. } => values.into(),
        Targets::Whole { numbers, .. } => numbers.into(),
    };
    let array = |shape: Vec<usize>, data: Data| array_of(py, HostTensor::new(shape, data).or_raise()?);
    PyTuple::new(py, [array(shape, samples)?, array(wanted, targets)?])
}
