//! Data sets by name: `mnist:DIR`, `folder:DIR`, `digits`, `moons:COUNT`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use kiln_plan::Pictures;

use super::drawn::{Drawing, Drawn};
use super::{Splits, array, cifar, folder, idx, table};
use crate::error::DataError;

/// Where data comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// MNIST's four files.
    Mnist(PathBuf),
    /// Fashion-MNIST's.
    FashionMnist(PathBuf),
    /// Kuzushiji-MNIST's.
    Kmnist(PathBuf),
    /// CIFAR-10, binary or pickles.
    Cifar10(PathBuf),
    /// CIFAR-100, binary or pickles, fine labels.
    Cifar100(PathBuf),
    /// A folder for each class.
    Folder(PathBuf),
    /// NumPy's arrays.
    Npz(PathBuf),
    /// A table.
    Csv(PathBuf),
    /// What Kiln draws itself.
    Drawn(Drawing),
}

/// What a model that is looked at knows of the data it was trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Its classes, in order.
    pub classes: Vec<String>,
    /// The columns of a table that it takes, in order.
    pub columns: Vec<String>,
    /// The column of a table that it gives.
    pub target: Option<String>,
}

/// How data is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceOptions {
    /// Leave out what cannot be read, and count it.
    pub skip_bad: bool,
    /// How images of folders are read.
    pub pictures: Pictures,
    /// What a model knows, where classes and columns should be its own.
    pub known: Known,
    /// Where the random numbers of drawn data begin.
    pub seed: u64,
}

const KINDS: &str = "mnist:DIR, fashion-mnist:DIR, kmnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR, npz:FILE, csv:FILE, and digits, moons or waves \
    with or without :COUNT";

impl FromStr for Source {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let wrong = |message: String| Err(DataError::Source(message));
        let (kind, place) = text.split_once(':').unwrap_or((text, ""));
        if let Some(drawn) = Drawn::called(kind) {
            return Drawing::read(drawn, place).map(Source::Drawn).map_err(DataError::Source);
        }
        let make: fn(PathBuf) -> Source = match kind {
            "mnist" => Source::Mnist,
            "fashion-mnist" => Source::FashionMnist,
            "kmnist" => Source::Kmnist,
            "cifar10" => Source::Cifar10,
            "cifar100" => Source::Cifar100,
            "folder" => Source::Folder,
            "npz" | "npy" => Source::Npz,
            "csv" => Source::Csv,
            _ => return wrong(format!("`{text}` is not a data set; use {KINDS}")),
        };
        if place.is_empty() {
            return wrong(format!("`{kind}` should be followed by its path: {kind}:PATH"));
        }
        Ok(make(PathBuf::from(place)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path): (&str, &Path) = match self {
            Source::Mnist(path) => ("mnist", path),
            Source::FashionMnist(path) => ("fashion-mnist", path),
            Source::Kmnist(path) => ("kmnist", path),
            Source::Cifar10(path) => ("cifar10", path),
            Source::Cifar100(path) => ("cifar100", path),
            Source::Folder(path) => ("folder", path),
            Source::Npz(path) => ("npz", path),
            Source::Csv(path) => ("csv", path),
            Source::Drawn(drawing) => return write!(f, "{drawing}"),
        };
        write!(f, "{kind}:{}", path.display())
    }
}

impl Source {
    /// Whether classes have numbers of their own here. Those of folders and tables are numbered by their names, so that
    /// the numbers depend on which of them occur.
    pub fn numbers_classes(&self) -> bool {
        match self {
            Source::Folder(_) | Source::Csv(_) => false,
            Source::Mnist(_)
            | Source::FashionMnist(_)
            | Source::Kmnist(_)
            | Source::Cifar10(_)
            | Source::Cifar100(_)
            | Source::Npz(_)
            | Source::Drawn(_) => true,
        }
    }

    /// Reads all of it.
    pub fn load(&self, options: &SourceOptions) -> Result<Splits, DataError> {
        let splits = match self {
            Source::Mnist(folder) => idx::MNIST.load(folder),
            Source::FashionMnist(folder) => idx::FASHION.load(folder),
            Source::Kmnist(folder) => idx::KUZUSHIJI.load(folder),
            Source::Cifar10(folder) => cifar::load_10(folder),
            Source::Cifar100(folder) => cifar::load_100(folder),
            Source::Folder(folder) => folder::load(folder, options),
            Source::Npz(path) => array::load(path),
            Source::Csv(path) => table::load(path, options),
            Source::Drawn(drawing) => Ok(drawing.draw(options.seed)),
        }?;
        splits.train.check(&self.to_string())?;
        Ok(splits)
    }
}
