//! The plan file: a fixed prefix, a header in protobuf, then the bytes of the segments.
//!
//! ```text
//! offset  size
//!      0     8  "KILNPLAN"
//!      8     4  version of the format
//!     12     4  CRC-32 of the header
//!     16     8  length of the header
//!     24     8  length of the weights section
//!     32     4  CRC-32 of bytes 0..32
//!     36        header (protobuf), then zeros up to a multiple of 256
//!               weights: each segment at a multiple of 256 in the order of the header, zeros between
//! ```
//!
//! Numbers are little-endian. The position of a segment follows from the sizes of those before it, so there are no
//! offsets that could disagree. The header has a checksum for each segment, so that whoever receives a file piece by piece can
//! use each segment as soon as it is there. Every segment starts at a multiple of 256 of the file: a mapped file can be uploaded
//! unchanged. Lengths are compared with the bytes that follow before anything is allocated for them.

use std::io::{Read, Write};
use std::path::Path;

use kiln_files::wide;
use prost::Message;

use crate::wire::Header;
use crate::{LIMITS, Limits, Plan, PlanError, Problem, Segment, check, check_within};

const MAGIC: &[u8; 8] = b"KILNPLAN";
/// Since 5, states and the roles of inputs are named and each segment has a checksum. Earlier files are refused: compiling
/// again takes seconds.
const VERSION: u32 = 5;
const PREFIX: usize = 36;
const ALIGN: u64 = 256;
const ZEROS: [u8; 256] = [0; 256];

impl Plan {
    /// Writes the plan in its file format. A plan that could not be read back is refused.
    pub fn write(&self, to: &mut impl Write) -> Result<(), PlanError> {
        check(self)?;
        self.write_unchecked(to)
    }

    pub(crate) fn write_unchecked(&self, to: &mut impl Write) -> Result<(), PlanError> {
        let header = Header::of(self).encode_to_vec();
        if header.len() > LIMITS.header {
            let problem =
                Problem::TooMany { what: "bytes of header", count: header.len(), limit: LIMITS.header };
            return Err(PlanError::Invalid { at: "the plan".to_string(), problem });
        }
        let stored = |segment: &Segment| segment.place.size + wide(padding(segment.place.size).len());
        let weights_length: u64 = self.data.iter().map(stored).sum();
        let mut prefix = Vec::with_capacity(PREFIX);
        prefix.extend(MAGIC);
        prefix.extend(VERSION.to_le_bytes());
        prefix.extend(crc32fast::hash(&header).to_le_bytes());
        prefix.extend(wide(header.len()).to_le_bytes());
        prefix.extend(weights_length.to_le_bytes());
        prefix.extend(crc32fast::hash(&prefix).to_le_bytes());
        to.write_all(&prefix)?;
        to.write_all(&header)?;
        to.write_all(padding(wide(PREFIX + header.len())))?;
        for segment in &self.data {
            to.write_all(&segment.bytes)?;
            to.write_all(padding(segment.place.size))?;
        }
        Ok(())
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PlanError> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads and checks a plan.
    pub fn read(bytes: &[u8]) -> Result<Self, PlanError> {
        Self::read_within(bytes, &LIMITS)
    }

    /// The same with other limits than [`LIMITS`] on what is checked once the header is decoded.
    pub fn read_within(bytes: &[u8], limits: &Limits) -> Result<Self, PlanError> {
        read(bytes, wide(bytes.len()), limits)
    }

    /// Reads and checks a plan file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PlanError> {
        Self::load_within(path, &LIMITS)
    }

    /// The same with other limits than [`LIMITS`] on what is checked once the header is decoded.
    pub fn load_within(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, PlanError> {
        let path = path.as_ref();
        let named = |source| PlanError::File { path: path.to_path_buf(), source };
        let file = kiln_files::open(path).map_err(named)?;
        let length = file.size();
        match read(file, length, limits) {
            Err(PlanError::Stream(source)) => Err(named(source)),
            other => other,
        }
    }

    /// Writes a plan file, whole or not at all: see [`kiln_files::write_with`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlanError> {
        let path = path.as_ref();
        kiln_files::write_with(path, |mut file| self.write(&mut file)).map_err(|error| match error {
            PlanError::Stream(source) => PlanError::Write { path: path.to_path_buf(), source },
            other => other,
        })
    }
}

/// Zeros up to the next multiple of the alignment.
fn padding(length: u64) -> &'static [u8] {
    let missing = length.next_multiple_of(ALIGN) - length;
    usize::try_from(missing).ok().and_then(|missing| ZEROS.get(..missing)).unwrap_or(&[])
}

/// What is still to come of the file.
struct Reader<R> {
    from: R,
    left: u64,
}

impl<R: Read> Reader<R> {
    /// The next bytes; memory is taken for them only once they are known to be there.
    fn take(&mut self, part: &'static str, needed: u64) -> Result<Vec<u8>, PlanError> {
        let truncated = |found| PlanError::Truncated { part, needed, found };
        if needed > self.left {
            return Err(truncated(self.left));
        }
        let capacity = usize::try_from(needed).map_err(|_| truncated(self.left))?;
        let mut bytes = Vec::with_capacity(capacity);
        let found = wide((&mut self.from).take(needed).read_to_end(&mut bytes)?);
        self.left -= found;
        if found < needed { Err(truncated(found)) } else { Ok(bytes) }
    }

    fn padding(&mut self, length: u64) -> Result<(), PlanError> {
        let bytes = self.take("padding", wide(padding(length).len()))?;
        if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(PlanError::Padding) }
    }
}

fn read(from: impl Read, length: u64, limits: &Limits) -> Result<Plan, PlanError> {
    let mut reader = Reader { from, left: length };
    let prefix = reader.take("prefix", length.min(wide(PREFIX)))?;
    let magic = &prefix[..prefix.len().min(MAGIC.len())];
    if magic != &MAGIC[..magic.len()] || magic.is_empty() {
        return Err(PlanError::NotAPlan { found: String::from_utf8_lossy(magic).into_owned() });
    }
    let Ok(prefix) = <[u8; PREFIX]>::try_from(prefix.as_slice()) else {
        return Err(PlanError::Truncated { part: "prefix", needed: wide(PREFIX), found: length });
    };
    let version = word(&prefix, 8);
    if version != VERSION {
        return Err(PlanError::Version { found: version, known: VERSION });
    }
    verify("prefix", crc32fast::hash(&prefix[..PREFIX - 4]), word(&prefix, PREFIX - 4))?;
    let header_length = long(&prefix, 16);
    if header_length > wide(LIMITS.header) {
        let count = usize::try_from(header_length).unwrap_or(usize::MAX);
        let problem = Problem::TooMany { what: "bytes of header", count, limit: LIMITS.header };
        return Err(PlanError::Invalid { at: "the plan".to_string(), problem });
    }
    let header = reader.take("header", header_length)?;
    verify("header", crc32fast::hash(&header), word(&prefix, 12))?;
    reader.padding(wide(PREFIX) + header_length)?;

    let weights_length = long(&prefix, 24);
    if weights_length > reader.left {
        return Err(PlanError::Truncated {
            part: "weights section",
            needed: weights_length,
            found: reader.left,
        });
    }
    if weights_length < reader.left {
        return Err(PlanError::Trailing { count: reader.left - weights_length });
    }
    let (mut plan, checksums) = Header::decode_plan(&header)?;
    drop(header);
    for (segment, recorded) in plan.data.iter_mut().zip(checksums) {
        segment.bytes = reader.take("weights section", segment.place.size)?;
        reader.padding(segment.place.size)?;
        verify("weights section", crc32fast::hash(&segment.bytes), recorded)?;
    }
    if reader.left > 0 {
        return Err(PlanError::Trailing { count: reader.left });
    }
    check_within(&plan, limits)?;
    Ok(plan)
}

fn verify(part: &'static str, found: u32, recorded: u32) -> Result<(), PlanError> {
    if found == recorded { Ok(()) } else { Err(PlanError::Checksum { part, found, recorded }) }
}

fn word(prefix: &[u8; PREFIX], at: usize) -> u32 {
    prefix[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn long(prefix: &[u8; PREFIX], at: usize) -> u64 {
    u64::from(word(prefix, at + 4)) << 32 | u64::from(word(prefix, at))
}
