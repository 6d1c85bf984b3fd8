//! Locks that keep a second process out of a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The file in the folder that is locked. It stays when the lock is given back: to remove it would let two processes
/// hold a lock on files of the same name.
const NAME: &str = ".lock";

/// A folder locked by this process as long as this value lives. The system releases the lock when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a folder cannot be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; its number, if it could be read.
    Held(Option<u32>),
    /// The file to be locked cannot be made.
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Locks a folder, which is made if it is not there.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        let unwritable = |source| LockError::Unwritable { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&mut file).take(32).read_to_string(&mut text);
                return Err(LockError::Held(read.ok().and_then(|_| text.trim().parse().ok())));
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let folder = std::env::temp_dir().join(format!("kiln-lock-{}", std::process::id()));
        let lock = Lock::take(&folder).expect("a new folder");
        match Lock::take(&folder) {
            Err(LockError::Held(holder)) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        drop(Lock::take(&folder).expect("given back"));
        fs::write(folder.join("file"), "").expect("a file");
        assert!(matches!(Lock::take(&folder.join("file")), Err(LockError::Unwritable { .. })));
        fs::remove_dir_all(folder).expect("removed");
    }
}
