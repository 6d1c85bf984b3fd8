//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009): in their binary form, for each image its label bytes, then 3 x 32 x 32
//! bytes; or as the pickles that torchvision downloads, read by a machine that runs no code.

use std::path::{Path, PathBuf};

use kiln_pickle::{Element, Heap, Object, Problem, Value, Vocabulary, unpickle};

use super::{Dataset, Samples, Skipped, Splits, Targets, numbered};
use crate::error::DataError;

const PIXELS: usize = 3 * 32 * 32;
/// Bytes of a file with class names; a hundred take a thousand.
const MOST_NAMES: u64 = 1 << 16;

/// One of the two data sets: what its files are called.
struct Kind {
    name: &'static str,
    /// Folders that archives unpack to: binary, pickles.
    folders: [&'static str; 2],
    train: &'static [&'static str],
    test: &'static str,
    classes: usize,
    /// Label bytes of an image in the binary form; the last one counts.
    label_bytes: usize,
    /// The text with class names in the binary form.
    names: &'static str,
    /// The pickle with class names, and where in it.
    meta: (&'static str, &'static str),
    /// Where pickles have the labels.
    labels: &'static str,
}

const TEN: Kind = Kind {
    name: "CIFAR-10",
    folders: ["cifar-10-batches-bin", "cifar-10-batches-py"],
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    classes: 10,
    label_bytes: 1,
    names: "batches.meta.txt",
    meta: ("batches.meta", "label_names"),
    labels: "labels",
};

const HUNDRED: Kind = Kind {
    name: "CIFAR-100",
    folders: ["cifar-100-binary", "cifar-100-python"],
    train: &["train"],
    test: "test",
    classes: 100,
    label_bytes: 2,
    names: "fine_label_names.txt",
    meta: ("meta", "fine_label_names"),
    labels: "fine_labels",
};

/// Reads CIFAR-10: `data_batch_1` to `data_batch_5` and `test_batch`, with `.bin` behind their names or without.
pub(super) fn load_10(folder: &Path) -> Result<Splits, DataError> {
    TEN.load(folder)
}

/// Reads CIFAR-100 with its fine labels: `train` and `test`, with `.bin` behind their names or without.
pub(super) fn load_100(folder: &Path) -> Result<Splits, DataError> {
    HUNDRED.load(folder)
}

/// The images of a file and their labels.
type Part = (Vec<u8>, Vec<i64>);

impl Kind {
    fn load(&self, folder: &Path) -> Result<Splits, DataError> {
        let places = [folder.to_owned(), folder.join(self.folders[0]), folder.join(self.folders[1])];
        for place in &places {
            if place.join(format!("{}.bin", self.train[0])).is_file() {
                return self.read(place, ".bin", &self.text_names(place), |path| self.binary(path));
            }
            // CIFAR-100's `train` may be a folder of something else.
            if place.join(self.train[0]).is_file() {
                return self.read(place, "", &self.pickled_names(place)?, |path| self.pickle(path));
            }
        }
        Err(DataError::file(
            folder,
            format!(
                "there is no `{first}.bin` and no `{first}`, which {} has, nor a folder `{}` or `{}`",
                self.name,
                self.folders[0],
                self.folders[1],
                first = self.train[0]
            ),
        ))
    }

    fn read(
        &self,
        folder: &Path,
        ending: &str,
        names: &[String],
        read: impl Fn(&Path) -> Result<Part, DataError>,
    ) -> Result<Splits, DataError> {
        let path = |name: &str| folder.join(format!("{name}{ending}"));
        let part = |files: &[PathBuf]| -> Result<Dataset, DataError> {
            let (mut samples, mut labels) = (Vec::new(), Vec::new());
            for path in files {
                let (images, found) = read(path)?;
                for label in found {
                    let is_class = usize::try_from(label).is_ok_and(|class| class < names.len());
                    let class = i32::try_from(label).ok().filter(|_| is_class);
                    labels.push(class.ok_or_else(|| {
                        DataError::file(path, format!("has label {label}; there are {} classes", names.len()))
                    })?);
                }
                samples.extend(images);
            }
            Ok(Dataset {
                shape: vec![3, 32, 32],
                samples: Samples::Bytes(samples),
                targets: Targets::Classes { shape: vec![], labels, names: names.to_vec() },
            })
        };
        let train: Vec<PathBuf> = self.train.iter().map(|name| path(name)).collect();
        Ok(Splits {
            train: part(&train)?,
            validation: None,
            test: Some(part(&[path(self.test)])?),
            skipped: Skipped::default(),
        })
    }

    fn binary(&self, path: &Path) -> Result<Part, DataError> {
        let bytes = kiln_files::read(path).map_err(|e| DataError::read(path, e))?;
        let each = PIXELS + self.label_bytes;
        if bytes.is_empty() || !bytes.len().is_multiple_of(each) {
            return Err(DataError::file(
                path,
                format!(
                    "has {} bytes, which is not a multiple of the {each} that an image takes",
                    bytes.len()
                ),
            ));
        }
        let images = bytes.chunks_exact(each);
        let labels = images.clone().map(|image| image[self.label_bytes - 1].into()).collect();
        Ok((images.flat_map(|image| &image[self.label_bytes..]).copied().collect(), labels))
    }

    /// The class names beside the binary form, or numbers.
    fn text_names(&self, folder: &Path) -> Vec<String> {
        let text = kiln_files::read_text(&folder.join(self.names), MOST_NAMES).unwrap_or_default();
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        self.named(names)
    }

    fn named(&self, names: Vec<String>) -> Vec<String> {
        if names.len() == self.classes { names } else { numbered(self.classes) }
    }

    fn pickle(&self, path: &Path) -> Result<Part, DataError> {
        let (heap, dict) = unpickled(path)?;
        let wrong = |message: String| DataError::file(path, message);
        let entry = |key: &str| {
            heap.entry(dict, key)
                .ok_or_else(|| wrong(format!("has no `{key}`, as a batch of {} has", self.name)))
        };
        let images =
            bytes_of(&heap, entry("data")?).map_err(|message| wrong(format!("`data`: {message}")))?;
        let labels = heap.list(entry(self.labels)?).unwrap_or_default();
        let labels: Option<Vec<i64>> = labels
            .iter()
            .map(|label| match label {
                Value::Int(label) => Some(*label),
                _ => None,
            })
            .collect();
        let labels = labels.ok_or_else(|| wrong(format!("`{}` is not a list of numbers", self.labels)))?;
        if labels.is_empty() || images.len() != labels.len() * PIXELS {
            return Err(wrong(format!("has {} bytes of pixels for {} labels", images.len(), labels.len())));
        }
        Ok((images, labels))
    }

    /// The class names beside pickles, or numbers if there is no such file.
    fn pickled_names(&self, folder: &Path) -> Result<Vec<String>, DataError> {
        let (file, key) = self.meta;
        let path = folder.join(file);
        if !path.is_file() {
            return Ok(numbered(self.classes));
        }
        let (heap, dict) = unpickled(&path)?;
        let names = heap.entry(dict, key).and_then(|names| heap.list(names)).unwrap_or_default();
        let name = |name: &Value| heap.bytes(*name).map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(self.named(names.iter().filter_map(name).collect()))
    }
}

fn unpickled(path: &Path) -> Result<(Heap, Value), DataError> {
    let bytes = kiln_files::read(path).map_err(|e| DataError::read(path, e))?;
    let wrong = |problem: &Problem| DataError::file(path, problem.to_string());
    let pickled = unpickle(&bytes, 0, Vocabulary::Arrays).map_err(|problem| wrong(&problem))?;
    match pickled.heap.foreign(pickled.value) {
        Some(problem) => Err(wrong(problem)),
        None => Ok((pickled.heap, pickled.value)),
    }
}

/// The contents of an array of bytes, row after row.
fn bytes_of(heap: &Heap, value: Value) -> Result<Vec<u8>, String> {
    if let Some(problem) = heap.foreign(value) {
        return Err(problem.to_string());
    }
    let array = heap.array(value).ok_or("is not an array")?;
    let letters = match heap.get(array.dtype) {
        Some(Object::Dtype(letters)) => letters.trim_start_matches(['<', '|', '=']),
        _ => "",
    };
    if letters != "u1" {
        return Err(format!("has elements of type `{}`, not bytes (u1)", kiln_pickle::shown(letters)));
    }
    if array.fortran {
        return Err("is in Fortran order".into());
    }
    let sizes = heap.tuple(array.shape).ok_or("has no shape")?;
    let count = sizes.iter().try_fold(Element::U8.size(), |count, size| match size {
        Value::Int(size) => count.checked_mul(usize::try_from(*size).ok()?),
        _ => None,
    });
    let bytes = heap.bytes(array.data).ok_or("has no contents")?;
    if count != Some(bytes.len()) {
        return Err(format!("its shape does not fit its {} bytes", bytes.len()));
    }
    Ok(bytes.to_vec())
}
