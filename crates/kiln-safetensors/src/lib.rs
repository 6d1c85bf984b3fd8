//! Metadata of safetensors files, where the crate `safetensors` does not suffice.
//!
//! A file is the length of its header (8 bytes, little endian), the header in JSON, and the elements of all tensors. The
//! crate writes the entries of `__metadata__` in an order that differs from run to run, but the same training is to
//! leave the same bytes ([`serialize`]); and it reads them only with all elements at hand ([`read_metadata`]).

#![deny(clippy::as_conversions)]

use std::collections::BTreeMap;
use std::io::{self, Read};

use safetensors::SafeTensorError;
use safetensors::tensor::TensorView;
use serde::Deserialize;

/// The longest header that the crate `safetensors` reads, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// A file of tensors with entries of metadata, in the order of their keys.
pub fn serialize<'data>(
    tensors: impl IntoIterator<Item = (impl AsRef<str> + Ord + std::fmt::Display, TensorView<'data>)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, SafeTensorError> {
    let file = safetensors::serialize(tensors, None)?;
    if metadata.is_empty() {
        return Ok(file);
    }
    let (header, elements) = split(&file).ok_or(SafeTensorError::HeaderTooSmall)?;
    let entries = serde_json::to_string(metadata)?;
    let mut new = format!("{{\"__metadata__\":{entries}").into_bytes();
    // What follows the opening brace, without the spaces that pad it.
    let rest = header.strip_prefix(b"{").ok_or(SafeTensorError::HeaderTooSmall)?.trim_ascii();
    if rest != b"}" {
        new.push(b',');
    }
    new.extend_from_slice(rest);
    new.resize(new.len().next_multiple_of(8), b' ');
    let length = u64::try_from(new.len()).map_err(|_| SafeTensorError::HeaderTooLarge)?;
    Ok([&length.to_le_bytes(), new.as_slice(), elements].concat())
}

/// The header of a file and what comes behind it.
fn split(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = file.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Whether the header of a file has a number of so many digits that adding to it may overflow. The crate counts on there
/// being none, so this is asked before a file that may be damaged is given to it.
pub fn has_huge_number(file: &[u8]) -> bool {
    let digits = usize::MAX.to_string().len();
    let Some((header, _)) = split(file) else { return false };
    let mut run = 0;
    // What comes before numbers in JSON. Digits in a name have a quote or a letter there.
    let mut counts = false;
    for byte in header {
        if byte.is_ascii_digit() {
            run += 1;
            if counts && run >= digits {
                return true;
            }
        } else {
            run = 0;
            counts = matches!(byte, b'[' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t');
        }
    }
    false
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
}

/// The metadata of a file, of which no more than the header is read. Of what is no safetensors file there is none: that
/// it is damaged is found by who reads its tensors.
pub fn read_metadata(mut file: impl Read) -> io::Result<BTreeMap<String, String>> {
    let mut start = Vec::new();
    (&mut file).take(8).read_to_end(&mut start)?;
    let length = start.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    if length == 0 || length > MAX_HEADER {
        return Ok(BTreeMap::new());
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    Ok(serde_json::from_slice(&header).map_or_else(|_| BTreeMap::new(), |header: Header| header.metadata))
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;
    use safetensors::tensor::Dtype;

    use super::*;

    #[test]
    fn metadata_is_written_in_order_and_read_from_the_header() {
        let entries = ["b", "a", "\"quoted\"\n", "d", "c"].map(|key| (key.to_owned(), format!("of {key}")));
        let metadata = BTreeMap::from(entries);
        let bytes = 1.5f32.to_le_bytes();
        for tensors in [vec![], vec![("w", TensorView::new(Dtype::F32, vec![1], &bytes).expect("a view"))]] {
            let file = serialize(tensors.clone(), &metadata).expect("a file");
            assert_eq!(file, serialize(tensors.clone(), &metadata).expect("a file"));
            let header = String::from_utf8_lossy(split(&file).expect("a header").0).into_owned();
            assert!(header.find("of a") < header.find("of b") && header.len().is_multiple_of(8), "{header}");
            let read = SafeTensors::deserialize(&file).expect("a file that others read");
            assert_eq!(read.len(), tensors.len());
            let (_, description) = SafeTensors::read_metadata(&file).expect("a description");
            let found: BTreeMap<_, _> = description.metadata().clone().into_iter().flatten().collect();
            assert_eq!(found, metadata);
            // The header is enough.
            let end = file.len() - tensors.len() * 4;
            assert_eq!(read_metadata(&file[..end]).expect("readable"), metadata);
        }
        for other in [&b""[..], b"short", b"\xff\xff\xff\xff\xff\xff\xff\xff{", b"\x02\0\0\0\0\0\0\0[]"] {
            assert_eq!(read_metadata(other).expect("readable"), BTreeMap::new());
        }
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
