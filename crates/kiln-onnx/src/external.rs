//! External data: tensors stored in files next to the model.
//!
//! The model names the file, so the name is hostile until checked: it stays inside the model's directory and is that of a
//! regular file, and a length is compared with the file before memory is asked for. A file can be named as often as one
//! likes, and may have holes that take no space: tensors of the same bytes share them, and all others are counted.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use kiln_graph::{DType, Tensor};

use crate::proto::StringStringEntryProto;

/// Bytes that a model may read from files beside it.
const MAX_BYTES: u64 = 4 << 30;
/// How many times the bytes of a file may be read for different tensors.
const MAX_TIMES: u64 = 4;

/// Errors of external data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The model came as bytes, so there is no directory to look in.
    #[error("its data is stored in the file `{0}`, but the model was not read from a directory")]
    NoDirectory(String),
    /// The message names no file.
    #[error("its data is stored outside of the model, but no file is named")]
    NoLocation,
    /// The path leads out of the model's directory.
    #[error("its data is stored in `{0}`, which is outside of the model's directory")]
    Escapes(String),
    /// A directory, a pipe or a device.
    #[error("its data is stored in `{}`, which is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Tensors that are not the same read the same bytes over and over.
    #[error("with it, tensors read {read} bytes of `{}`, which has {size}; at most {MAX_TIMES} times as \
    many are read", .path.display())]
    Often {
        /// The file.
        path: PathBuf,
        /// Bytes read so far, with this tensor.
        read: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// All external data together is too much.
    #[error("with it, the model reads {0} bytes of external data; at most {MAX_BYTES} are read")]
    TooMuch(u64),
    /// The memory for it is not there.
    #[error("there is no memory for its {0} bytes")]
    Memory(usize),
    /// The file cannot be read.
    #[error("its data is stored in `{}`, which cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A number in the message is no number.
    #[error("{key} of its external data is `{value}`, which is not a number of bytes")]
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
    #[error("its data is at bytes {offset} to {end} of `{}`, which has only {size}", .path.display())]
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

/// The position of a tensor: the file's name in the model, and the first byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    location: String,
    offset: u64,
}

/// A file that was opened.
struct Opened {
    path: PathBuf,
    file: File,
    size: u64,
    /// Bytes read so far.
    read: u64,
}

/// Reads parts of the files beside a model; each is opened once.
pub(crate) struct External {
    directory: Option<PathBuf>,
    files: HashMap<String, Opened>,
    /// Tensors that were read, with all that decides what they are.
    shared: HashMap<(Place, DType, Vec<usize>), Tensor>,
    /// Bytes of them.
    read: u64,
}

impl External {
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        let directory = directory.map(Path::to_path_buf);
        Self { directory, files: HashMap::new(), shared: HashMap::new(), read: 0 }
    }

    /// For tensors that have to hold their data themselves.
    pub(crate) fn nowhere() -> Self {
        Self::new(None)
    }

    /// Where `bytes` bytes lie, by what `entries` say.
    pub(crate) fn place(entries: &[StringStringEntryProto], bytes: usize) -> Result<Place, ExternalError> {
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
        Ok(Place { location: location.into(), offset })
    }

    /// The tensor, if it has been read before.
    pub(crate) fn shared(&self, place: &Place, dtype: DType, shape: &[usize]) -> Option<Tensor> {
        self.shared.get(&(place.clone(), dtype, shape.to_vec())).cloned()
    }

    /// Keeps a tensor for others of the same bytes.
    pub(crate) fn share(&mut self, place: Place, tensor: &Tensor) {
        let key = (place, tensor.dtype(), tensor.shape().to_vec());
        self.shared.insert(key, tensor.clone());
    }

    /// The `bytes` bytes at a place.
    pub(crate) fn read(&mut self, place: &Place, bytes: usize) -> Result<Vec<u8>, ExternalError> {
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        let all = self.read.saturating_add(wanted);
        let file = self.open(&place.location)?;
        let end = place.offset.saturating_add(wanted);
        if end > file.size {
            let (path, offset, size) = (file.path.clone(), place.offset, file.size);
            return Err(ExternalError::TooShort { path, offset, end, size });
        }
        let read = file.read.saturating_add(wanted);
        if read > file.size.saturating_mul(MAX_TIMES) {
            return Err(ExternalError::Often { path: file.path.clone(), read, size: file.size });
        }
        if all > MAX_BYTES {
            return Err(ExternalError::TooMuch(all));
        }
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(bytes).map_err(|_| ExternalError::Memory(bytes))?;
        buffer.resize(bytes, 0);
        file.file
            .seek(SeekFrom::Start(place.offset))
            .and_then(|_| file.file.read_exact(&mut buffer))
            .map_err(|source| ExternalError::Read { path: file.path.clone(), source })?;
        file.read = read;
        self.read = all;
        Ok(buffer)
    }

    fn open(&mut self, location: &str) -> Result<&mut Opened, ExternalError> {
        if !self.files.contains_key(location) {
            let opened = self.open_new(location)?;
            self.files.insert(location.into(), opened);
        }
        self.files.get_mut(location).ok_or(ExternalError::NoLocation)
    }

    fn open_new(&self, location: &str) -> Result<Opened, ExternalError> {
        let directory = self.directory.as_ref().ok_or_else(|| ExternalError::NoDirectory(location.into()))?;
        let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if !Path::new(location).components().all(inside) {
            return Err(ExternalError::Escapes(location.into()));
        }
        let path = directory.join(location);
        let failed = |source| ExternalError::Read { path: path.clone(), source };
        // A symbolic link may lead out where the name does not.
        let target = path.canonicalize().map_err(failed)?;
        if !target.starts_with(directory.canonicalize().map_err(failed)?) {
            return Err(ExternalError::Escapes(location.into()));
        }
        // Before it is opened: opening a pipe waits for a writer.
        if !target.metadata().map_err(failed)?.is_file() {
            return Err(ExternalError::NotAFile(path));
        }
        let file = File::open(&target).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Opened { path, file, size, read: 0 })
    }
}
