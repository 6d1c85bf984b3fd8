//! The bytes of a pickle, taken from the front.

use crate::error::Problem;

/// Bytes and how far they have been read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The place of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..n).ok_or_else(|| {
            Problem::Damaged(format!("it ends in the middle of its description (byte {})", self.bytes.len()))
        })?;
        self.at += n;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Problem> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// A length of `N` bytes, lowest first, and as many bytes as it says.
    pub(super) fn counted<const N: usize>(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.array::<N>()?.iter().rev().fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
        // A length beyond the address space is one beyond the file.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The text up to the next line feed, which is taken, too.
    pub(super) fn line(&mut self) -> Result<&'a str, Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        text(line)
    }
}

/// Bytes as UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::Damaged("a name in it is not valid text".into()))
}
