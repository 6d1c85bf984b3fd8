//! Points at which a test makes a file operation fail.
//!
//! Without the feature `failpoints`, which only tests turn on, [`reach`] is empty. With it, the environment variable
//! `KILN_FAILPOINT` counts the operations of the process: `fail:7` makes the seventh fail, `full:7` the seventh and all
//! that write after it, as on a full disk, and `kill:7` ends the process there, with half of the data written if it is
//! a write. `count:FILE` writes to a file how many there were so far.

use std::io;

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A file is created or opened for writing.
    Create,
    /// Data is brought to the disk.
    Sync,
    /// A file takes its place.
    Rename,
    /// The names in a folder are brought to the disk.
    SyncFolder,
    /// A file is removed.
    Remove,
}

/// What a write is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As it should.
    Whole,
    /// Half of the data; [`after_half`] follows.
    #[cfg_attr(not(feature = "failpoints"), expect(dead_code, reason = "only tests ask for it"))]
    Half,
}

/// Passes an operation that is not a write.
pub(crate) fn reach(operation: Operation) -> io::Result<()> {
    #[cfg(feature = "failpoints")]
    return active::reach(operation);
    #[cfg(not(feature = "failpoints"))]
    {
        let _ = operation;
        Ok(())
    }
}

/// Passes a write.
pub(crate) fn reach_write() -> Extent {
    #[cfg(feature = "failpoints")]
    return active::reach_write();
    #[cfg(not(feature = "failpoints"))]
    Extent::Whole
}

/// What follows half a write.
pub(crate) fn after_half() -> io::Result<()> {
    #[cfg(feature = "failpoints")]
    return active::after_half();
    #[cfg(not(feature = "failpoints"))]
    Ok(())
}

#[cfg(feature = "failpoints")]
mod active {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Extent, Operation};

    enum Plan {
        Nothing,
        Count(std::path::PathBuf),
        Fail(u64),
        Full(u64),
        Kill(u64),
    }

    static DONE: AtomicU64 = AtomicU64::new(0);

    fn plan() -> &'static Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        PLAN.get_or_init(|| {
            let Ok(text) = std::env::var("KILN_FAILPOINT") else { return Plan::Nothing };
            let (kind, rest) = text.split_once(':').unwrap_or((&text, ""));
            match (kind, rest.parse()) {
                ("count", _) => Plan::Count(rest.into()),
                ("fail", Ok(n)) => Plan::Fail(n),
                ("full", Ok(n)) => Plan::Full(n),
                ("kill", Ok(n)) => Plan::Kill(n),
                _ => panic!("KILN_FAILPOINT is `{text}`"),
            }
        })
    }

    /// Whether this operation is to fail.
    fn is_hit() -> bool {
        let n = DONE.fetch_add(1, Ordering::SeqCst) + 1;
        match plan() {
            Plan::Nothing => false,
            Plan::Count(file) => {
                std::fs::write(file, n.to_string()).expect("a file for the count");
                false
            }
            Plan::Fail(at) | Plan::Kill(at) => n == *at,
            Plan::Full(at) => n >= *at,
        }
    }

    pub(super) fn reach(operation: Operation) -> io::Result<()> {
        if !is_hit() {
            return Ok(());
        }
        match plan() {
            Plan::Kill(_) => std::process::abort(),
            // A full disk still lets files be removed and renamed.
            Plan::Full(_) if matches!(operation, Operation::Remove | Operation::Rename) => Ok(()),
            _ => Err(io::Error::other(format!("{operation:?} fails for a test"))),
        }
    }

    pub(super) fn reach_write() -> Extent {
        if is_hit() { Extent::Half } else { Extent::Whole }
    }

    pub(super) fn after_half() -> io::Result<()> {
        match plan() {
            Plan::Kill(_) => std::process::abort(),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}
