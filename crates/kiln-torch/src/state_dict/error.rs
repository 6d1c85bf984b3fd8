//! Errors of weights files, in terms of how they were saved or downloaded.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

pub(super) use kiln_pickle::shown;

/// Why a state dict cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDictError {
    /// The file cannot be opened or read.
    #[error("`{}` cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file was read, but is no state dict that Kiln takes.
    #[error("{} {problem}", subject(.path.as_deref()))]
    File {
        /// The file, where one was read.
        path: Option<PathBuf>,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The ending of a file to write does not say what it should be.
    #[error(
        "`{}` cannot be written: the extension selects the format, and Kiln supports `.pt`, `.pth` and \
         `.safetensors`",
        .path.display()
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The format has no place for what is in the state dict.
    #[error("the state dict cannot be written: {0}")]
    Unwritable(String),
}

impl StateDictError {
    /// The same error, with the file it is about.
    pub(super) fn at(self, file: &Path) -> Self {
        match self {
            Self::File { path: None, problem } => Self::File { path: Some(file.into()), problem },
            Self::Read { .. }
            | Self::File { .. }
            | Self::Write { .. }
            | Self::Extension { .. }
            | Self::Unwritable(_) => self,
        }
    }
}

impl From<Problem> for StateDictError {
    fn from(problem: Problem) -> Self {
        Self::File { path: None, problem }
    }
}

/// The error in the content of a weights file. The messages continue after the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// Git keeps big files elsewhere, and only the note where was copied.
    #[error(
        "is a Git LFS pointer, a note that says where the weights are, not the weights; `git lfs pull` gets them"
    )]
    GitLfs,
    /// A server answered with a page.
    #[error(
        "is a web page, not weights; a server answered the download with a page, so look at it in a browser"
    )]
    WebPage,
    /// The format of PyTorch before 0.1.10.
    #[error(
        "is a tar archive, which PyTorch wrote before its version 0.1.10; load it with `torch.load` and save its \
         state dict again with `torch.save`"
    )]
    Tar,
    /// Nothing known.
    #[error(
        "is not a weights file that Kiln knows: neither from `torch.save` (`.pt`, `.pth`) nor safetensors"
    )]
    Unknown,
    /// A program rather than weights.
    #[error(
        "is a TorchScript archive, a model with its program (`torch.jit.save`); save `model.state_dict()` with \
         `torch.save` instead"
    )]
    TorchScript,
    /// Some other zip archive.
    #[error(
        "is a zip archive, but not one from `torch.save`: it has no `data.pkl`; its members are {members}"
    )]
    ForeignZip {
        /// The first members' names.
        members: String,
    },
    /// `torch.save` neither compresses nor encrypts.
    #[error(
        "is a zip archive whose `{member}` is compressed or encrypted, which `torch.save` never does; save the \
         state dict again with `torch.save`"
    )]
    Compressed {
        /// The member.
        member: String,
    },
    /// Written by `pickle.dump`, which stores tensors in another way.
    #[error(
        "is a pickle, but not from `torch.save`; save the state dict with `torch.save(model.state_dict(), ...)`"
    )]
    PlainPickle,
    /// The file contradicts itself or ends too early.
    #[error("is truncated or damaged: {0}")]
    Damaged(String),
    /// Bytes of numbers in the other order.
    #[error(
        "was saved on a machine with big endian byte order, which Kiln does not read; load it with PyTorch and save \
         it on another machine"
    )]
    BigEndian,
    /// An object, a function or a class.
    #[error(
        "holds `{name}`, but a state dict has only tensors and Kiln runs no code from files; save \
         `model.state_dict()`, as in `torch.save(model.state_dict(), ...)`, not the model or other objects"
    )]
    Refused {
        /// Its name in Python.
        name: String,
    },
    /// Tensors of a kind for which Kiln has nothing.
    #[error("holds {what} (`{name}`), which Kiln does not have; convert them before saving")]
    Unsupported {
        /// Its description.
        what: &'static str,
        /// Its name in Python or in the file.
        name: String,
    },
    /// The file holds something that is no dict.
    #[error("holds {found}, not a dict from names to tensors; save `model.state_dict()`")]
    NotADict {
        /// Its description.
        found: &'static str,
    },
    /// A dict, but without tensors and without a state dict at a usual place.
    #[error(
        "has no state dict: neither names with tensors, nor a dict of them, as under `state_dict`, \
         `model_state_dict` or `model`; its keys are {keys}"
    )]
    NoStateDict {
        /// The keys there are.
        keys: String,
    },
    /// A dict with several state dicts.
    #[error(
        "has several state dicts, {keys}; save the one that is meant, as in `torch.save(checkpoint[...], ...)`"
    )]
    SeveralStateDicts {
        /// Their keys.
        keys: String,
    },
    /// A value of the state dict is no tensor.
    #[error("has {found} under `{key}`, but in a state dict there are only tensors; remove it before saving")]
    NotATensor {
        /// The key.
        key: String,
        /// A description of what is there.
        found: &'static str,
    },
    /// A key of the state dict is no name.
    #[error("has {found} as a key beside tensors, but in a state dict the keys are names")]
    NotAName {
        /// A description of what is there.
        found: &'static str,
    },
    /// A tensor contradicts the file.
    #[error("has an invalid tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Expanded tensors that would fill the memory.
    #[error(
        "has tensors that together take more than four times its size, `{name}` among them; if that is an expanded \
         tensor, save the part that it repeats"
    )]
    TooLarge {
        /// The tensor that was too much.
        name: String,
    },
    /// More instructions than any state dict needs.
    #[error("is more complicated than any state dict: {what}")]
    TooComplicated {
        /// What there is too much of.
        what: &'static str,
    },
}

impl From<kiln_pickle::Problem> for Problem {
    fn from(problem: kiln_pickle::Problem) -> Self {
        match problem {
            kiln_pickle::Problem::PlainPickle => Problem::PlainPickle,
            kiln_pickle::Problem::Damaged(reason) => Problem::Damaged(reason),
            kiln_pickle::Problem::Refused { name } => Problem::Refused { name },
            kiln_pickle::Problem::Unsupported { what, name } => Problem::Unsupported { what, name },
            kiln_pickle::Problem::TooComplicated { what } => Problem::TooComplicated { what },
            other => Problem::Damaged(other.to_string()),
        }
    }
}

impl From<kiln_pickle::Problem> for StateDictError {
    fn from(problem: kiln_pickle::Problem) -> Self {
        Problem::from(problem).into()
    }
}

fn subject(path: Option<&Path>) -> String {
    path.map_or_else(|| "the file".into(), |path| format!("`{}`", path.display()))
}

/// A list of names for use in an error: `a`, `b` and 7 more.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 10;
    let mut text = String::new();
    let mut names = names.into_iter();
    for (i, name) in names.by_ref().take(MOST).enumerate() {
        let _ = write!(text, "{}`{}`", if i > 0 { ", " } else { "" }, shown(name));
    }
    match names.count() {
        0 if text.is_empty() => "none".into(),
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
