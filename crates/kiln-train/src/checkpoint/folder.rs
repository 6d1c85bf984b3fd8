//! The folder of checkpoints: `step-NUMBER.safetensors`, of which the last ones are kept, and `best.safetensors`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Checkpoint, Unusable};
use crate::error::TrainError;

/// What is added to the name of a checkpoint that cannot be used.
const DAMAGED: &str = "damaged";

/// The checkpoint of a step.
pub(crate) fn numbered(folder: &Path, step: u64) -> PathBuf {
    folder.join(name(step))
}

/// The checkpoint of the best epoch.
pub(crate) fn best(folder: &Path) -> PathBuf {
    folder.join("best.safetensors")
}

fn name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

/// The steps of which a folder has checkpoints, smallest first. Names that are only like those of checkpoints, as
/// copies have, are not of them.
fn steps(folder: &Path) -> Result<Vec<u64>, TrainError> {
    let unread = |error| Unusable::Unread(error).of(folder);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let found = entry.map_err(unread)?.file_name();
        let number = found.to_str().and_then(|name| name.strip_prefix("step-")?.strip_suffix(".safetensors"));
        if let Some(step) =
            number.and_then(|number| number.parse().ok()).filter(|step| *found == *name(*step))
        {
            all.push(step);
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// A damaged checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file, before it was set aside.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// The newest intact checkpoint of a folder, and the newer damaged ones.
pub(crate) fn newest(folder: &Path) -> Result<(Option<Checkpoint>, Vec<Damaged>), TrainError> {
    let mut damaged = Vec::new();
    for step in steps(folder)?.into_iter().rev() {
        let path = numbered(folder, step);
        let message = match Checkpoint::read(&path) {
            Ok(found) if found.progress.step == step => return Ok((Some(found), damaged)),
            Ok(found) => format!("it is of step {}, as a renamed copy would be", found.progress.step),
            Err(Unusable::Damaged(message)) => message,
            // That a file cannot be read now does not mean that it is lost.
            Err(unread @ Unusable::Unread(_)) => return Err(unread.of(&path)),
        };
        damaged.push(Damaged { path, message });
    }
    Ok((None, damaged))
}

/// Sets damaged checkpoints aside, so that new ones are not taken for older than they are. They are kept under
/// another name.
pub(crate) fn set_aside(damaged: &[Damaged]) -> Result<(), TrainError> {
    for Damaged { path, .. } in damaged {
        let mut name = path.clone().into_os_string();
        name.push(".");
        name.push(DAMAGED);
        fs::rename(path, name).map_err(|source| TrainError::write(path, source))?;
    }
    Ok(())
}

/// Removes all but the last `keep` checkpoints up to that of `step`.
pub(crate) fn prune(folder: &Path, step: u64, keep: usize) -> Result<(), TrainError> {
    let mut old = steps(folder)?;
    old.retain(|other| *other <= step);
    for step in old.iter().rev().skip(keep.max(1)) {
        // A file that cannot be removed only takes space.
        let _ = fs::remove_file(numbered(folder, *step));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_counts() {
        let folder = std::env::temp_dir().join(format!("kiln-steps-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str| fs::write(folder.join(name), "").expect("a file");
        for name in [
            "step-00000008 (copy).safetensors",
            "step-8.safetensors",
            "step-zzz.safetensors",
            "step-00000009.safetensors.damaged",
            "step-+0000007.safetensors",
            "best.safetensors",
        ] {
            write(name);
        }
        assert!(steps(&folder).expect("readable").is_empty());
        for step in [5, 99_999_999, 100_000_000, 20] {
            write(&name(step));
        }
        assert_eq!(steps(&folder).expect("readable"), [5, 20, 99_999_999, 100_000_000]);
        prune(&folder, 99_999_999, 2).expect("readable");
        assert_eq!(steps(&folder).expect("readable"), [20, 99_999_999, 100_000_000]);
        let (found, damaged) = newest(&folder).expect("readable");
        assert!(found.is_none());
        assert_eq!(damaged.len(), 3);
        set_aside(&damaged).expect("renamed");
        assert!(steps(&folder).expect("readable").is_empty());
        assert!(folder.join("step-00000020.safetensors.damaged").exists());
        fs::remove_dir_all(folder).expect("removed");
    }
}
