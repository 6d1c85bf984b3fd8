//! Files that are replaced completely or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failpoints::{self, Extent, Operation};

/// What the name of a temporary begins and ends with. It does not hold the target's name, which may be as long as names
/// can be.
const TEMPORARY: (&str, &str) = (".kiln-", ".tmp");

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

/// Writes a file whole or not at all; see [`write_with`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes what `fill` gives to a file, whole or not at all.
///
/// The data goes to a temporary in the same folder, which is brought to the disk and then takes the file's place; so
/// long as anything fails, the old file stays. Missing folders are made. Symbolic links are followed, to a target that
/// may not exist yet. An existing target that is not a regular file (a pipe, a terminal, `/dev/null`) is written to
/// directly, since it cannot be replaced.
pub fn write_with<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    match resolve(path)? {
        Target::Direct(path) => {
            failpoints::reach(Operation::Create)?;
            let mut file = Guarded(BufWriter::new(OpenOptions::new().write(true).truncate(true).open(path)?));
            fill(&mut file)?;
            Ok(file.flush()?)
        }
        Target::Replaced(path) => replace(&path, fill),
    }
}

/// How a file is written.
enum Target {
    /// By a temporary that takes its place.
    Replaced(PathBuf),
    /// By opening it.
    Direct(PathBuf),
}

/// The target of a path, symbolic links followed.
fn resolve(path: &Path) -> io::Result<Target> {
    let mut path = path.to_path_buf();
    if path.file_name().is_none() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    for _ in 0..MAX_LINKS {
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            // Names in `/proc` are those of open files.
            Ok(found) if !found.is_file() || is_open_file(&path) => return Ok(Target::Direct(path)),
            Ok(_) | Err(_) => {}
        }
        match fs::symlink_metadata(&path) {
            Ok(link) if link.is_symlink() => {
                let to = fs::read_link(&path)?;
                path = folder_of(&path).join(to);
            }
            Ok(_) | Err(_) => return Ok(Target::Replaced(path)),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn is_open_file(path: &Path) -> bool {
    fs::canonicalize(folder_of(path)).is_ok_and(|folder| folder.starts_with("/proc"))
}

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    let (start, end) = TEMPORARY;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("{start}{}-{number}{end}", std::process::id()));
    let outcome = fill_temporary(&temporary, path, fill).and_then(|()| {
        failpoints::reach(Operation::Rename)?;
        Ok(fs::rename(&temporary, path)?)
    });
    if outcome.is_err() {
        // The first error is the one to report; a leftover file is harmless.
        let _ = failpoints::reach(Operation::Remove).and_then(|()| fs::remove_file(&temporary));
    }
    outcome?;
    Ok(sync_folder(folder)?)
}

fn fill_temporary<E: From<io::Error>>(
    temporary: &Path,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    failpoints::reach(Operation::Create)?;
    let file = create(temporary)?;
    // The new file keeps the permissions of the old one.
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    let mut file = BufWriter::with_capacity(1 << 20, Guarded(file));
    fill(&mut file)?;
    file.flush()?;
    failpoints::reach(Operation::Sync)?;
    Ok(file.get_ref().0.sync_all()?)
}

/// A new file. One of that name was left by a process of the same number that was killed.
fn create(path: &Path) -> io::Result<File> {
    match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            File::create_new(path)
        }
        other => other,
    }
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    failpoints::reach(Operation::SyncFolder)?;
    // Not every system lets folders be opened or synced.
    let Ok(folder) = File::open(folder) else { return Ok(()) };
    match folder.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the temporaries that killed processes have left in a folder. Only for folders that a [`Lock`](crate::Lock)
/// keeps others out of.
pub fn remove_temporaries(folder: &Path) {
    let (start, end) = TEMPORARY;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(start) && name.ends_with(end)) {
            // What cannot be removed only takes space.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Passes every write by a failpoint.
pub(crate) struct Guarded<W>(pub(crate) W);

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match failpoints::reach_write() {
            Extent::Whole => self.0.write(bytes),
            Extent::Half => {
                self.0.write_all(&bytes[..bytes.len() / 2])?;
                self.0.flush()?;
                failpoints::after_half()?;
                Ok(bytes.len() / 2)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("kiln-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = fresh("failed");
        let path = folder.join("out");
        write(&path, b"old").expect("written");
        let failed = write_with(&path, |file| {
            file.write_all(&vec![7; 3 << 20])?;
            Err(io::Error::other("the source ran dry"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).expect("a file"), b"old");
        assert_eq!(names(&folder), ["out"]);
        write(&path, b"new").expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"new");
        assert_eq!(names(&folder), ["out"]);
        let longest = folder.join("n".repeat(255));
        write(&longest, b"long").expect("as long as names can be");
        write(&folder.join("a/b/c"), b"deep").expect("folders are made");
        for no_file in [folder.clone(), folder.join(".."), PathBuf::new()] {
            assert!(write(&no_file, b"").is_err(), "{}", no_file.display());
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_devices_are_written_to() {
        use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
        let folder = fresh("links");
        fs::create_dir(folder.join("far")).expect("a folder");
        fs::write(folder.join("far/target"), "old").expect("a file");
        fs::set_permissions(folder.join("far/target"), fs::Permissions::from_mode(0o640)).expect("a mode");
        symlink("far/target", folder.join("link")).expect("a link");
        symlink("link", folder.join("second")).expect("a link");
        symlink("far/new", folder.join("dangling")).expect("a link");
        symlink("loop", folder.join("loop")).expect("a link");
        for (name, target) in [("second", "far/target"), ("dangling", "far/new")] {
            write(&folder.join(name), name.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(folder.join(target)).expect("a file"), name);
            assert!(fs::symlink_metadata(folder.join(name)).expect("a link").is_symlink());
        }
        assert_eq!(fs::metadata(folder.join("far/target")).expect("a file").mode() & 0o777, 0o640);
        assert!(write(&folder.join("loop"), b"").is_err());
        write(Path::new("/dev/null"), b"nothing").expect("written");
        assert!(fs::metadata("/dev/null").expect("a device").file_type().is_char_device());
        // An open file: what its name in /proc shows is written, not replaced.
        let open = File::create(folder.join("open")).expect("a file");
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        if Path::new(&name).exists() {
            write(Path::new(&name), b"through").expect("written");
            assert_eq!(open.metadata().expect("the same file").len(), 7);
        }
        fs::remove_dir_all(folder).expect("removed");
    }
}
