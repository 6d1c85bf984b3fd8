//! Files that only grow.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use crate::durable::{Guarded, sync_folder};
use crate::failpoints::{self, Operation};
use crate::memory::wide;

/// The valid length of a log: what was written up to some moment, whatever follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mark {
    /// In bytes.
    pub length: u64,
    /// The CRC-32 of these bytes.
    pub checksum: u32,
}

/// A file to which data is appended. What is written may be torn at the end when the process is killed; a [`Mark`] that
/// was kept elsewhere, after [`Log::sync`], says what counts.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    mark: Mark,
}

impl Log {
    /// Opens a log behind a mark, and cuts off what follows it. The file has to be one that [`Log::read`] reads up to
    /// the mark; a new one is made for a mark of nothing.
    pub fn open(path: &Path, mark: Mark) -> io::Result<Self> {
        failpoints::reach(Operation::Create)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(mark.length == 0).truncate(false).open(path)?;
        file.set_len(mark.length)?;
        file.seek(SeekFrom::Start(mark.length))?;
        Ok(Self { file, path: path.to_owned(), mark })
    }

    /// What a log holds up to a mark; nothing if that is not there any more as it was written.
    pub fn read(path: &Path, mark: Mark) -> io::Result<Option<Vec<u8>>> {
        if mark.length == 0 {
            return Ok(Some(vec![]));
        }
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(mark.length).read_to_end(&mut bytes)?;
        let is_whole = wide(bytes.len()) == mark.length && crc32fast::hash(&bytes) == mark.checksum;
        Ok(is_whole.then_some(bytes))
    }

    /// Appends.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        Guarded(&mut self.file).write_all(bytes)?;
        let mut hasher = Hasher::new_with_initial_len(self.mark.checksum, self.mark.length);
        hasher.update(bytes);
        self.mark = Mark { length: self.mark.length + wide(bytes.len()), checksum: hasher.finalize() };
        Ok(())
    }

    /// Brings it to the disk; gives the mark of all there is.
    pub fn sync(&mut self) -> io::Result<Mark> {
        failpoints::reach(Operation::Sync)?;
        self.file.sync_all()?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder)?;
        }
        Ok(self.mark)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_log_goes_on_behind_its_mark() {
        let path = std::env::temp_dir().join(format!("kiln-log-{}", std::process::id()));
        let mut log = Log::open(&path, Mark::default()).expect("a new file");
        log.append(b"one ").expect("written");
        log.append(b"two ").expect("written");
        let mark = log.sync().expect("on the disk");
        assert_eq!(mark, Mark { length: 8, checksum: crc32fast::hash(b"one two ") });
        log.append(b"torn").expect("written");
        drop(log);
        assert_eq!(Log::read(&path, mark).expect("readable").as_deref(), Some(&b"one two "[..]));
        let mut log = Log::open(&path, mark).expect("the file");
        log.append(b"three").expect("written");
        let mark = log.sync().expect("on the disk");
        assert_eq!(fs::read(&path).expect("the file"), b"one two three");
        // Shorter than its mark, or changed.
        for damaged in [&b"one two"[..], b"one two thrEe", b""] {
            fs::write(&path, damaged).expect("written");
            assert_eq!(Log::read(&path, mark).expect("readable"), None);
        }
        fs::remove_file(&path).expect("removed");
        assert_eq!(Log::read(&path, mark).expect("no error"), None);
        assert_eq!(Log::read(&path, Mark::default()).expect("no error"), Some(vec![]));
    }
}
