//! Archives of arrays, as `numpy.savez` and `numpy.savez_compressed` write them: zip files with a `.npy` for each name.

use std::io::{BufReader, Read, Seek};
use std::path::Path;

use kiln_files::{ALWAYS_ALLOWED, Opened, allowance, size_in_words};
use kiln_pickle::shown;
use zip::{CompressionMethod, ZipArchive};

use super::{Array, read};
use crate::error::DataError;

/// An open archive.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    /// Bytes that all arrays together may still take.
    left: u64,
}

impl Archive<BufReader<Opened>> {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = kiln_files::open(path).map_err(|e| DataError::read(path, e))?;
        let size = file.size();
        Self::new(BufReader::new(file), size).map_err(|message| DataError::file(path, message))
    }
}

impl<R: Read + Seek> Archive<R> {
    /// An archive of `size` bytes.
    pub fn new(reader: R, size: u64) -> Result<Self, String> {
        let zip = ZipArchive::new(reader).map_err(|error| format!("is not an .npz archive: {error}"))?;
        Ok(Self { zip, left: allowance(size) })
    }

    /// The array of a name, if there is one.
    pub fn get(&mut self, name: &str) -> Result<Option<Array>, String> {
        let wrong = |message: String| format!("`{}`: {message}", shown(name));
        let Some(index) = self.zip.index_for_name(&format!("{name}.npy")) else { return Ok(None) };
        let damaged = |error: &dyn std::fmt::Display| wrong(format!("is damaged: {error}"));
        let raw = self.zip.by_index_raw(index).map_err(|error| damaged(&error))?;
        if raw.encrypted() {
            return Err(wrong("is encrypted".into()));
        }
        let compressed = raw.compression() != CompressionMethod::Stored;
        if compressed && raw.compression() != CompressionMethod::Deflated {
            return Err(wrong(format!(
                "is compressed by {}; `numpy.savez` and `numpy.savez_compressed` write what can be read",
                raw.compression()
            )));
        }
        let promised = raw.size();
        drop(raw);
        if promised > self.left {
            return Err(wrong(format!(
                "would unpack to {}, more than the {} that a file of this size may become; saved by `numpy.savez`, \
                 without compression, it can be read",
                size_in_words(promised),
                size_in_words(self.left)
            )));
        }
        self.left = self.left.saturating_sub(promised);
        let mut member = self.zip.by_index(index).map_err(|error| damaged(&error))?;
        let array = read(&mut member, promised).map_err(wrong)?;
        // The checksum is looked at when the end is reached.
        let rest = std::io::copy(&mut member.take(ALWAYS_ALLOWED), &mut std::io::sink());
        rest.map_err(|error| wrong(format!("is damaged: {error}")))?;
        Ok(Some(array))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::Archive;
    use crate::npy::Elements;

    fn archive(method: CompressionMethod, count: usize, given: usize) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file("x.npy", options).expect("a member");
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},)}}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").expect("bytes");
        zip.write_all(&u16::try_from(header.len()).expect("a short header").to_le_bytes()).expect("bytes");
        zip.write_all(header.as_bytes()).expect("bytes");
        zip.write_all(&vec![7; given]).expect("bytes");
        zip.finish().expect("an archive").into_inner()
    }

    fn get(bytes: &[u8], name: &str) -> Result<Option<Elements>, String> {
        let mut archive = Archive::new(Cursor::new(bytes), kiln_files::wide(bytes.len()))?;
        archive.get(name).map(|found| found.map(|array| array.elements))
    }

    #[test]
    fn arrays_come_out_by_name() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = archive(method, 5, 5);
            assert_eq!(get(&bytes, "x"), Ok(Some(Elements::U8(vec![7; 5]))));
            assert_eq!(get(&bytes, "y"), Ok(None));
            let error = get(&archive(method, 50, 5), "x").expect_err("too few");
            assert!(error.contains("`x`: ends before the 50 elements"), "{error}");
            for cut in [0, 10, bytes.len() / 2, bytes.len() - 1] {
                assert!(get(&bytes[..cut], "x").is_err(), "{cut}");
            }
        }
        // A bit of the data, which the checksum notices.
        let mut bytes = archive(CompressionMethod::Stored, 5, 5);
        let at = bytes.windows(5).position(|five| five == [7; 5]).expect("the elements");
        bytes[at] ^= 1;
        let error = get(&bytes, "x").expect_err("damaged");
        assert!(error.contains("`x`: is damaged"), "{error}");
    }

    #[test]
    fn what_would_unpack_to_too_much_is_refused() {
        let mut bytes = archive(CompressionMethod::Deflated, 5, 5);
        // The size in the list at the end of the archive.
        let list = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("a list");
        bytes[list + 24..list + 28].copy_from_slice(&(300u32 << 20).to_le_bytes());
        let error = get(&bytes, "x").expect_err("a bomb");
        assert!(error.contains("would unpack to 300.0 MiB") && error.contains("`numpy.savez`"), "{error}");
    }
}
