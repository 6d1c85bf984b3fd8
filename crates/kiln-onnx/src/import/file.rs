//! From bytes to the file's messages, and what to say when there are none.

use std::path::{Path, PathBuf};

use prost::Message;

use crate::error::ImportError;
use crate::proto::ModelProto;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    kiln_files::read(path).map_err(|source| ImportError::Read { path: path.into(), source })
}

/// The directory a file is in.
pub(crate) fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.into(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Decodes a model. The format has no magic number; other files are recognized by their structure.
pub(crate) fn read_model(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::NotOnnx("the file is empty".into()));
    }
    let model = match ModelProto::decode(bytes) {
        Ok(model) => model,
        Err(error) => {
            return Err(match truncated(bytes) {
                Some(need) => {
                    ImportError::Truncated { have: bytes.len().try_into().unwrap_or(u64::MAX), need }
                }
                None => ImportError::NotOnnx(error.to_string()),
            });
        }
    };
    if model.graph.is_none() {
        return Err(ImportError::NotOnnx("there is no graph in it".into()));
    }
    Ok(model)
}

/// The fields of a model message that hold bytes, and those that hold a number.
const SIZED: [u64; 11] = [2, 3, 4, 6, 7, 8, 14, 20, 25, 26, 27];
const NUMBERS: [u64; 2] = [1, 5];

/// Bytes the file should have, if its outermost fields are those of a model and the last one is cut off.
fn truncated(bytes: &[u8]) -> Option<u64> {
    let total = u64::try_from(bytes.len()).ok()?;
    let mut at = 0u64;
    let mut fields = 0;
    while at < total {
        let Some((key, next)) = varint(bytes, at) else { return (fields > 0).then_some(total + 1) };
        let (field, wire) = (key >> 3, key & 7);
        let value = varint(bytes, next);
        match wire {
            0 if NUMBERS.contains(&field) => match value {
                Some((_, end)) => at = end,
                None => return (fields > 0).then_some(total + 1),
            },
            2 if SIZED.contains(&field) => match value {
                Some((length, start)) => at = start.saturating_add(length),
                None => return (fields > 0).then_some(total + 1),
            },
            _ => return None,
        }
        fields += 1;
    }
    // A single field is no evidence: any text may start like one.
    (at > total && fields > 1).then_some(at)
}

/// A number of the wire format at `at`, and where it ends.
fn varint(bytes: &[u8], mut at: u64) -> Option<(u64, u64)> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(usize::try_from(at).ok()?)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}
