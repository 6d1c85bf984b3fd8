//! Data that lies in files beside the model.
//!
//! The model names the file, so the name is hostile until checked: it stays inside the model's directory, and a
//! length is compared with the file before memory is asked for.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::proto::StringStringEntryProto;

/// What can be wrong with external data.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The model came as bytes, so there is no directory to look in.
    #[error("its data lies in the file `{0}`, but the model was not read from a directory")]
    NoDirectory(String),
    /// The message names no file.
    #[error("its data is said to lie outside of the model, but no file is named")]
    NoLocation,
    /// The path leads out of the model's directory.
    #[error("its data is said to lie in `{0}`, which is outside of the model's directory")]
    Escapes(String),
    /// The file cannot be read.
    #[error("its data lies in `{}`, which cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A number in the message is no number.
    #[error("{key} of its external data is `{value}`, which is no number of bytes")]
    Number {
        /// `offset` or `length`.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// The stated length is not that of the tensor.
    #[error("its shape needs {expected} bytes, but {found} are stated for its external data")]
    Length {
        /// Bytes of the tensor.
        expected: usize,
        /// Bytes stated.
        found: u64,
    },
    /// The file is too short.
    #[error("its data lies at bytes {offset} to {end} of `{}`, which has only {size}", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// One behind the last byte.
        end: u64,
        /// Bytes of the file.
        size: u64,
    },
}

/// Reads parts of the files beside a model; each is opened once.
pub(crate) struct External {
    directory: Option<PathBuf>,
    files: HashMap<String, (PathBuf, File, u64)>,
}

impl External {
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        Self { directory: directory.map(Path::to_path_buf), files: HashMap::new() }
    }

    /// For tensors that have to hold their data themselves.
    pub(crate) fn nowhere() -> Self {
        Self::new(None)
    }

    /// The `bytes` bytes that `entries` point to.
    pub(crate) fn read(
        &mut self,
        entries: &[StringStringEntryProto],
        bytes: usize,
    ) -> Result<Vec<u8>, ExternalError> {
        let get = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &'static str| {
            let parse = |value: &str| {
                value.parse::<u64>().map_err(|_| ExternalError::Number { key, value: value.into() })
            };
            get(key).filter(|v| !v.is_empty()).map(parse).transpose()
        };
        let location = get("location").filter(|l| !l.is_empty()).ok_or(ExternalError::NoLocation)?;
        let offset = number("offset")?.unwrap_or(0);
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Some(found) = number("length")?.filter(|found| *found != wanted) {
            return Err(ExternalError::Length { expected: bytes, found });
        }
        let (path, file, size) = self.open(location)?;
        let end = offset.saturating_add(wanted);
        if end > *size {
            return Err(ExternalError::TooShort { path: path.clone(), offset, end, size: *size });
        }
        let mut buffer = vec![0; bytes];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut buffer))
            .map_err(|source| ExternalError::Read { path: path.clone(), source })?;
        Ok(buffer)
    }

    fn open(&mut self, location: &str) -> Result<&mut (PathBuf, File, u64), ExternalError> {
        if !self.files.contains_key(location) {
            let opened = self.open_new(location)?;
            self.files.insert(location.into(), opened);
        }
        self.files.get_mut(location).ok_or(ExternalError::NoLocation)
    }

    fn open_new(&self, location: &str) -> Result<(PathBuf, File, u64), ExternalError> {
        let directory = self.directory.as_ref().ok_or_else(|| ExternalError::NoDirectory(location.into()))?;
        let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if !Path::new(location).components().all(inside) {
            return Err(ExternalError::Escapes(location.into()));
        }
        let path = directory.join(location);
        let failed = |source| ExternalError::Read { path: path.clone(), source };
        // A symbolic link may lead out where the name does not.
        if !path.canonicalize().map_err(failed)?.starts_with(directory.canonicalize().map_err(failed)?) {
            return Err(ExternalError::Escapes(location.into()));
        }
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok((path, file, size))
    }
}
