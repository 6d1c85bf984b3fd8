//! State dicts: the weights of a network under their names, as PyTorch and safetensors keep them in files.
//!
//! Weights come in all formats that `torch.save` has written over the years, with the wrappers that were around the
//! network when it was trained, or as a part of a checkpoint. All of that is read here, by content, and without
//! running code: a `.pt` file is a pickle, which in Python can do anything. What is written, PyTorch loads with
//! `weights_only=True`.
//!
//! Element types that Kiln does not have are widened: bfloat16 to `f32`, 8 and 16 bit integers to `i32`.

#![deny(clippy::as_conversions)]

mod archive;
mod choose;
mod element;
mod error;
mod legacy;
mod pt;
mod safetensors;
mod tensors;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use kiln_graph::Tensor;

pub use self::error::{Problem, StateDictError};

/// Tensors under names, in an order. A name occurs once. Two are equal if their tensors are.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    entries: Vec<(String, Tensor)>,
    places: HashMap<String, usize>,
    /// The metadata of a safetensors file in free form; `.pt` files have none.
    pub metadata: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl StateDict {
    /// A state dict without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor at the end, or puts it in the place of the one that has the name; gives that one.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        let name = name.into();
        if let Some(place) = self.places.get(&name) {
            return Some(std::mem::replace(&mut self.entries[*place].1, tensor));
        }
        self.places.insert(name.clone(), self.entries.len());
        self.entries.push((name, tensor));
        None
    }

    /// Notes on the file that it came from.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.places.get(name).map(|place| &self.entries[*place].1)
    }

    /// Names and tensors in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no tensors, as for a network without parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads a file: a `.pt` or `.pth` of any version of `torch.save`, or safetensors, by its content.
    ///
    /// In a checkpoint the state dict may be under `state_dict`, `model` and other usual names, or be the only dict of
    /// tensors; the rest of it is ignored. What `nn.DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put
    /// before every name is dropped.
    pub fn read(path: &Path) -> Result<Self, StateDictError> {
        let failed = |source| StateDictError::Read { path: path.into(), source };
        let bytes = kiln_files::read(path).map_err(failed)?;
        Self::from_bytes(&bytes).map_err(|error| error.at(path))
    }

    /// The metadata of a safetensors file in free form; none for other files.
    pub fn metadata_of(path: &Path) -> Result<BTreeMap<String, String>, StateDictError> {
        safetensors::metadata(path).map_err(|source| StateDictError::Read { path: path.into(), source })
    }

    /// Reads what a file contains; see [`StateDict::read`]. Time and memory are bounded by the number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateDictError> {
        let read = match Kind::of(bytes)? {
            Kind::Zip => archive::read,
            Kind::Legacy => legacy::read,
            Kind::Safetensors => safetensors::read,
        };
        Ok(read(bytes)?)
    }

    /// Writes a file, by its ending as PyTorch (`.pt`, `.pth`) or as safetensors (`.safetensors`). It appears whole or
    /// not at all.
    pub fn write(&self, path: &Path) -> Result<(), StateDictError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        let bytes = match ending.as_deref() {
            Some("pt" | "pth") => self.to_pt()?,
            Some("safetensors") => self.to_safetensors()?,
            _ => return Err(StateDictError::Extension { path: path.into() }),
        };
        kiln_files::write(path, &bytes).map_err(|source| StateDictError::Write { path: path.into(), source })
    }

    /// The bytes of a `.pt` file that `torch.load(..., weights_only=True)` reads as an `OrderedDict`. Tensors that
    /// share their elements here share them there.
    pub fn to_pt(&self) -> Result<Vec<u8>, StateDictError> {
        pt::write(self)
    }

    /// The bytes of a safetensors file. The format has an order of its own: larger element types first, then names.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, StateDictError> {
        safetensors::write(self)
    }
}

impl<N: Into<String>> FromIterator<(N, Tensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(pairs: I) -> Self {
        let mut state_dict = Self::new();
        state_dict.extend(pairs);
        state_dict
    }
}

impl<N: Into<String>> Extend<(N, Tensor)> for StateDict {
    fn extend<I: IntoIterator<Item = (N, Tensor)>>(&mut self, pairs: I) {
        for (name, tensor) in pairs {
            self.insert(name, tensor);
        }
    }
}

impl IntoIterator for StateDict {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl PartialEq for StateDict {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

/// Makes the tensors of a file that has been understood, and drops what wrappers put before the names.
fn named<T>(
    described: Vec<(&str, T)>,
    mut make: impl FnMut(&str, T) -> Result<Tensor, Problem>,
) -> Result<StateDict, Problem> {
    let names = choose::without_wrappers(described.iter().map(|(name, _)| *name).collect());
    let pairs = described.into_iter().zip(names);
    pairs.map(|((full, described), name)| Ok((name, make(full, described)?))).collect()
}

/// The formats, distinguished by how files begin.
enum Kind {
    Zip,
    Legacy,
    Safetensors,
}

impl Kind {
    fn of(bytes: &[u8]) -> Result<Self, Problem> {
        let begins = |with: &[u8]| bytes.starts_with(with);
        // The first pickle of old files is their magic number; protocols 0 and 1 write it in digits.
        if safetensors::is_one(bytes) {
            Ok(Self::Safetensors)
        } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
            Ok(Self::Zip)
        } else if matches!(bytes, [0x80, 2..=5, ..]) || begins(b"L119547037146038801333356L\n") {
            Ok(Self::Legacy)
        } else if bytes.is_empty() {
            Err(Problem::Empty)
        } else if begins(b"version https://git-lfs") {
            Err(Problem::GitLfs)
        } else if is_page(bytes) {
            Err(Problem::WebPage)
        } else if bytes.get(257..).is_some_and(|rest| rest.starts_with(b"ustar")) {
            Err(Problem::Tar)
        } else {
            Err(Problem::Unknown)
        }
    }
}

fn is_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins(b"<!doctype") || begins(b"<html") || begins(b"<?xml")
}
