//! Regular files, and how much may be read from them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::memory::{room_for, size_in_words, wide};

/// Bytes that may be produced from any file, however small it is.
pub const ALWAYS_ALLOWED: u64 = 256 << 20;
/// For a larger one, bytes per stored byte. Deflate reaches a thousand, but not for real training data.
pub const MOST_PER_BYTE: u64 = 64;

/// How many bytes may be produced from `stored` bytes of a file.
pub fn allowance(stored: u64) -> u64 {
    stored.saturating_mul(MOST_PER_BYTE).max(ALWAYS_ALLOWED)
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct Opened {
    file: File,
    size: u64,
    stored: u64,
}

/// Opens a file if it is a regular one: neither a folder nor a FIFO, a socket or a device, which may never end.
///
/// A sparse file, most of which was never written, is refused as well.
pub fn open(path: &Path) -> io::Result<Opened> {
    // Opening a FIFO waits for a writer, so the file type is checked first.
    regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    let (size, stored) = (metadata.len(), stored(&metadata));
    if size > allowance(stored) {
        return Err(io::Error::other(format!(
            "it is sparse: {} of its {} are stored; a copy by `cp --sparse=never` can be read",
            size_in_words(stored),
            size_in_words(size)
        )));
    }
    Ok(Opened { file, size, stored })
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    if metadata.is_dir() {
        return Err(io::Error::other("it is a folder, not a file"));
    }
    let what = kind(metadata);
    Err(io::Error::other(format!("it is {what}, not a regular file; save its contents to a file first")))
}

#[cfg(unix)]
fn kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a pipe (FIFO)"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}

#[cfg(not(unix))]
fn kind(_: &Metadata) -> &'static str {
    "something else"
}

/// Bytes on the disk.
#[cfg(unix)]
fn stored(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // In units of 512 bytes, whatever the disk's are. What is small may be kept beside the file's name.
    metadata.blocks().saturating_mul(512).min(metadata.len())
}

#[cfg(not(unix))]
fn stored(metadata: &Metadata) -> u64 {
    metadata.len()
}

impl Opened {
    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes may be produced from it.
    pub fn allowance(&self) -> u64 {
        allowance(self.stored)
    }

    /// All that it contains.
    pub fn bytes(mut self) -> io::Result<Vec<u8>> {
        room_for(self.size).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(self.size).unwrap_or(usize::MAX))?;
        // Files of the system have a size of 0, and others may grow while they are read.
        let most = self.allowance();
        (&mut self.file).take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if wide(bytes.len()) > most {
            return Err(io::Error::other(format!("it is longer than {}", size_in_words(most))));
        }
        Ok(bytes)
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// All that a regular file contains.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    open(path)?.bytes()
}

/// The text of a regular file of at most `most` bytes.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let opened = open(path)?;
    let mut bytes = Vec::new();
    opened.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if wide(bytes.len()) > most {
        return Err(io::Error::other(format!(
            "it has more than {}, which a file of this kind never needs",
            size_in_words(most)
        )));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use super::{ALWAYS_ALLOWED, allowance, open, read, read_text};

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("kiln-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join(name)
    }

    #[test]
    fn regular_files_are_read() {
        let path = place("text");
        std::fs::write(&path, "three").expect("a file");
        assert_eq!(read(&path).expect("bytes"), b"three");
        assert_eq!(read_text(&path, 5).expect("a text"), "three");
        let error = read_text(&path, 4).expect_err("more than that").to_string();
        assert!(error.contains("more than 4 bytes"), "{error}");
        std::fs::write(&path, [0xff, 0xfe]).expect("a file");
        assert!(read_text(&path, 5).is_err_and(|error| error.to_string().contains("not UTF-8")));
        assert_eq!((allowance(10), allowance(1 << 30)), (ALWAYS_ALLOWED, 64 << 30));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_waits_or_goes_on_for_ever() {
        let pipe = place("pipe");
        let _ = std::fs::remove_file(&pipe);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let sparse = place("sparse");
        File::create(&sparse).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
        let cases: [(&Path, &str); 4] = [
            (&pipe, "it is a pipe (FIFO), not a regular file"),
            (Path::new("/dev/zero"), "it is a device"),
            (Path::new("/"), "it is a folder"),
            (&sparse, "it is sparse: 0 bytes of its 1.0 TiB are stored"),
        ];
        for (path, words) in cases {
            let error = open(path).expect_err(words).to_string();
            assert!(error.contains(words), "{}: {error}", path.display());
        }
        // A file of the system, which says that it is empty.
        assert!(!read(Path::new("/proc/self/status")).expect("a text").is_empty());
    }
}
