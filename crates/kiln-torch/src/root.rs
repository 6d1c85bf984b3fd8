//! The folder that a program may import from, the only part of the machine that it can access.

use std::path::{Path, PathBuf};

use crate::python::{Fault, Result};

/// A folder, with its links resolved.
#[derive(Debug)]
pub(crate) struct Root {
    /// `None` where there is no such folder: nothing can be imported then.
    folder: Option<PathBuf>,
}

impl Root {
    /// The folder that was named, or else that of the model's file.
    pub(crate) fn new(named: Option<&Path>, file: &Path) -> Self {
        let folder = named.or_else(|| file.parent()).unwrap_or(Path::new(""));
        Self { folder: resolved(folder).ok() }
    }

    /// Nothing.
    pub(crate) fn nowhere() -> Self {
        Self { folder: None }
    }

    /// Whether a folder is in it.
    pub(crate) fn has_folder(&self, folder: &Path) -> bool {
        let inside = |root: &PathBuf| resolved(folder).is_ok_and(|folder| folder.starts_with(root));
        self.folder.as_ref().is_some_and(inside)
    }

    /// Whether there is a file at a path, an error if it may not be read. Links are followed before it is looked at.
    pub(crate) fn has_file(&self, path: &Path) -> Result<bool> {
        let Some(root) = &self.folder else { return Ok(false) };
        if path.symlink_metadata().is_err() {
            return Ok(false);
        }
        let unread = |e: std::io::Error| {
            Fault::python("ImportError", format!("cannot read `{}`: {e}", path.display()))
        };
        let target = path.canonicalize().map_err(unread)?;
        if !target.starts_with(root) {
            return Err(self.outside(&format!("`{}`", path.display())));
        }
        let kind = target.metadata().map_err(unread)?;
        if kind.is_file() || kind.is_dir() {
            return Ok(kind.is_file());
        }
        Err(Fault::python("ImportError", format!("`{}` is not a regular file", path.display())))
    }

    /// The error for what is imported from elsewhere.
    pub(crate) fn outside(&self, what: &str) -> Fault {
        let root = self.folder.as_deref().unwrap_or(Path::new("")).display();
        let message = format!("{what} is outside of `{root}`, the only folder that the model is read from");
        Fault::python("ImportError", message)
            .help("`--root FOLDER` names a folder around all files of the model")
    }
}

fn resolved(folder: &Path) -> std::io::Result<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize()
}
