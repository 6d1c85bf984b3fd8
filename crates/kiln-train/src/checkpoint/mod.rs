//! Checkpoints: everything that training needs to resume as if it had not stopped.
//!
//! A checkpoint is one safetensors file with every state of the plan under its own name, so that other tools can read
//! the weights, and the progress as JSON in the file's metadata, with checksums (`checksum`). It is written
//! completely or not at all. Data that grows with every step is stored next to it ([`crate::history::HistoryLog`]).
//! Which of a folder's files are checkpoints is defined in `folder`.

#![deny(clippy::as_conversions)]

mod checksum;
pub(crate) mod folder;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use kiln_runtime::{HostTensor, Session};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::TrainError;
use crate::progress::Progress;

/// Where the progress is in the metadata.
const PROGRESS: &str = "kiln.progress";

/// A tensor of a checkpoint: name, shape, type, bytes.
type Stored = (String, Vec<usize>, Dtype, Vec<u8>);

/// Writes all states of a session and `progress`; into the file's metadata also the `known` metadata of the model.
pub fn save(
    session: &mut Session,
    path: &Path,
    progress: &Progress,
    known: &BTreeMap<String, String>,
) -> Result<(), TrainError> {
    let states: Vec<(usize, String)> =
        session.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
    let mut tensors = Vec::new();
    for (index, name) in states {
        let tensor = session.read_tensor(index)?;
        tensors.push(stored(name, &tensor, path)?);
    }
    let failed = |error: &dyn std::fmt::Display| wrong(path, error.to_string());
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| {
            Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| failed(&error))?;
    let mut metadata = known.clone();
    metadata.insert(PROGRESS.to_owned(), serde_json::to_string(progress).map_err(|error| failed(&error))?);
    checksum::add(&mut metadata, views.iter().map(|(name, view)| (*name, view)))
        .map_err(|error| failed(&error))?;
    let bytes = kiln_safetensors::serialize(views, &metadata).map_err(|error| failed(&error))?;
    kiln_files::write(path, &bytes).map_err(|source| TrainError::write(path, source))
}

/// Why a file is not a checkpoint to resume from.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read.
    Unread(std::io::Error),
    /// It is damaged. The message continues after the file's name.
    Damaged(String),
}

impl Unusable {
    /// The same as an error about `path`.
    pub fn of(self, path: &Path) -> TrainError {
        match self {
            Unusable::Unread(source) => wrong(path, format!("cannot be read: {source}")),
            Unusable::Damaged(message) => wrong(path, format!("cannot be used: {message}")),
        }
    }
}

/// A checkpoint that was read and is intact.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The progress of the training.
    pub progress: Progress,
}

impl Checkpoint {
    /// Reads a file and checks it.
    pub fn read(path: &Path) -> Result<Self, Unusable> {
        // What is there and no regular file was not written as a checkpoint; an error of the system may pass.
        let file = kiln_files::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::Other => Unusable::Damaged(error.to_string()),
            _ => Unusable::Unread(error),
        })?;
        let bytes = file.bytes().map_err(Unusable::Unread)?;
        let progress = Self::check(&bytes).map_err(Unusable::Damaged)?;
        Ok(Self { path: path.to_owned(), bytes, progress })
    }

    /// Finds the progress in the bytes of a checkpoint, and checks all of them.
    pub fn check(bytes: &[u8]) -> Result<Progress, String> {
        if kiln_safetensors::has_huge_number(bytes) {
            return Err(
                "it is not a whole safetensors file (a number in its header is larger than any file)".into(),
            );
        }
        let (_, header) = SafeTensors::read_metadata(bytes)
            .map_err(|error| format!("it is not a whole safetensors file ({error})"))?;
        let metadata: BTreeMap<String, String> =
            header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        let Some(progress) = metadata.get(PROGRESS) else {
            return Err("it has weights but no progress to resume from; `--weights` starts from it".into());
        };
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("it is not a whole safetensors file ({error})"))?;
        let tensors = file.tensors();
        checksum::verify(&metadata, tensors.iter().map(|(name, view)| (name.as_str(), view)))?;
        serde_json::from_str(progress).map_err(|error| format!("its progress cannot be understood ({error})"))
    }

    /// Writes the tensors into the states of a session, which have to be the same in name, type and shape; what differs
    /// is listed. Nothing is changed before all of it is known to fit.
    pub fn restore(&self, session: &mut Session) -> Result<(), TrainError> {
        let file = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| wrong(&self.path, format!("is not a checkpoint: {error}")))?;
        let mut found: HashMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        let mut complaints = Vec::new();
        let mut tensors = Vec::new();
        for (index, tensor) in session.plan().states() {
            let shape: Option<Vec<usize>> = tensor.shape_at(&[]);
            let wanted = format!("{}{:?}", tensor.dtype.name(), shape.clone().unwrap_or_default());
            match found.remove(&tensor.name) {
                None => complaints.push(format!("`{}` ({wanted}) is missing", tensor.name)),
                Some(view) => match host(&view) {
                    Some(host) if host.dtype() == tensor.dtype && shape.as_deref() == Some(host.shape()) => {
                        tensors.push((index, host));
                    }
                    Some(_) | None => complaints.push(format!(
                        "`{}` is {:?}{:?}, but the model has {wanted}",
                        tensor.name,
                        view.dtype(),
                        view.shape()
                    )),
                },
            }
        }
        let mut unknown: Vec<String> = found.into_keys().collect();
        unknown.sort();
        complaints.extend(unknown.into_iter().map(|name| format!("`{name}` is not in the model")));
        if tensors.is_empty() || !complaints.is_empty() {
            let message = format!("belongs to another model:\n  {}", complaints.join("\n  "));
            return Err(wrong(&self.path, message));
        }
        for (index, tensor) in tensors {
            session.write_tensor(index, &tensor)?;
        }
        Ok(())
    }
}

fn wrong(path: &Path, message: String) -> TrainError {
    TrainError::Checkpoint { path: path.into(), message }
}

fn stored(name: String, tensor: &HostTensor, path: &Path) -> Result<Stored, TrainError> {
    let (dtype, bytes) = if let Ok(values) = tensor.as_f32() {
        (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    } else if let Ok(values) = tensor.as_i32() {
        (Dtype::I32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    } else {
        return Err(wrong(
            path,
            format!("`{name}` is {}, which checkpoints do not keep", tensor.dtype().name()),
        ));
    };
    Ok((name, tensor.shape().to_vec(), dtype, bytes))
}

fn host(view: &TensorView<'_>) -> Option<HostTensor> {
    let words = || view.data().chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
    match view.dtype() {
        Dtype::F32 => {
            HostTensor::new(view.shape(), words().map(f32::from_le_bytes).collect::<Vec<f32>>()).ok()
        }
        Dtype::I32 => {
            HostTensor::new(view.shape(), words().map(i32::from_le_bytes).collect::<Vec<i32>>()).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(progress: &Progress) -> Vec<u8> {
        let elements: Vec<u8> = (0..64u8).flat_map(|n| f32::from(n).sqrt().to_le_bytes()).collect();
        let views = vec![
            ("fc.bias", TensorView::new(Dtype::F32, vec![4], &elements[..16]).expect("a view")),
            ("fc.weight", TensorView::new(Dtype::F32, vec![4, 12], &elements[16..208]).expect("a view")),
        ];
        let mut metadata = BTreeMap::from([("kiln.task".to_owned(), "classification".to_owned())]);
        metadata.insert(PROGRESS.to_owned(), serde_json::to_string(progress).expect("JSON"));
        checksum::add(&mut metadata, views.iter().map(|(name, view)| (*name, view))).expect("JSON");
        kiln_safetensors::serialize(views, &metadata).expect("a file")
    }

    /// Spaces that pad the header are not part of what is said.
    #[test]
    fn every_flipped_bit_is_found() {
        let progress = Progress {
            step: 70,
            epoch: 3,
            best: Some((-0.123_456_789_012_345_67, 2)),
            ..Progress::default()
        };
        let good = file(&progress);
        assert_eq!(Checkpoint::check(&good), Ok(progress.clone()));
        let length =
            usize::try_from(u64::from_le_bytes(good[..8].try_into().expect("eight"))).expect("short");
        let padding = good[8..8 + length].iter().rev().take_while(|byte| **byte == b' ').count();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let is_padding = (8 + length - padding..8 + length).contains(&(bit / 8));
            let outcome = Checkpoint::check(&bad);
            assert!(outcome.is_err() || (is_padding && outcome == Ok(progress.clone())), "bit {bit}");
        }
        for end in 0..good.len() {
            assert!(Checkpoint::check(&good[..end]).is_err(), "the first {end} bytes");
        }
        let start = good.len() - 208;
        let zeros = [&good[..start], &[0; 208]].concat();
        let error = Checkpoint::check(&zeros).expect_err("zeros");
        assert!(error.contains("`fc.bias` and 1 more"), "{error}");
    }

    /// Sizes whose sum is more than a number can be.
    #[test]
    fn sizes_that_overflow_are_found() {
        let each = (1u64 << 61) - 1;
        let entry = |n: u64| {
            let (start, end) = (n * each, (n + 1) * each);
            format!("\"t{n}\":{{\"dtype\":\"U8\",\"shape\":[{each}],\"data_offsets\":[{start},{end}]}}")
        };
        let entries: Vec<String> = (0..8).map(entry).collect();
        let header = format!("{{{}}}", entries.join(","));
        let bytes = [&kiln_files::wide(header.len()).to_le_bytes(), header.as_bytes()].concat();
        let error = Checkpoint::check(&bytes).expect_err("no such file");
        assert!(error.contains("larger than any file"), "{error}");
    }
}
