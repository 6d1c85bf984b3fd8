//! CIFAR-10 and CIFAR-100 in their binary form (Krizhevsky 2009): for each image its label bytes, then 3 x 32 x 32
//! bytes.

use std::path::{Path, PathBuf};

use super::{Dataset, Samples, Splits, Targets, numbered};
use crate::error::DataError;

const PIXELS: usize = 3 * 32 * 32;

/// Reads CIFAR-10: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
pub fn load_10(folder: &Path) -> Result<Splits, DataError> {
    let names = names(folder, "batches.meta.txt", 10);
    let batches: Vec<PathBuf> = (1..=5).map(|n| folder.join(format!("data_batch_{n}.bin"))).collect();
    let train = part(&batches, 1, &names)?;
    let test = part(&[folder.join("test_batch.bin")], 1, &names)?;
    Ok(Splits { train, validation: None, test: Some(test), skipped: vec![] })
}

/// Reads CIFAR-100 with its fine labels: `train.bin` and `test.bin`.
pub fn load_100(folder: &Path) -> Result<Splits, DataError> {
    let names = names(folder, "fine_label_names.txt", 100);
    let train = part(&[folder.join("train.bin")], 2, &names)?;
    let test = part(&[folder.join("test.bin")], 2, &names)?;
    Ok(Splits { train, validation: None, test: Some(test), skipped: vec![] })
}

/// The class names beside the data, or numbers.
fn names(folder: &Path, file: &str, count: usize) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.len() == count { names } else { numbered(count) }
}

fn part(files: &[PathBuf], label_bytes: usize, names: &[String]) -> Result<Dataset, DataError> {
    let (mut samples, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let bytes = std::fs::read(path).map_err(|e| DataError::read(path, e))?;
        let each = PIXELS + label_bytes;
        if bytes.is_empty() || !bytes.len().is_multiple_of(each) {
            return Err(DataError::file(
                path,
                format!("has {} bytes, which is no multiple of the {each} that an image takes", bytes.len()),
            ));
        }
        for image in bytes.chunks_exact(each) {
            let label = image[label_bytes - 1];
            if usize::from(label) >= names.len() {
                return Err(DataError::file(
                    path,
                    format!("has label {label}; there are {} classes", names.len()),
                ));
            }
            labels.push(i32::from(label));
            samples.extend(&image[label_bytes..]);
        }
    }
    Ok(Dataset {
        shape: vec![3, 32, 32],
        samples: Samples::Bytes(samples),
        targets: Targets::Classes { labels, names: names.to_vec() },
    })
}
