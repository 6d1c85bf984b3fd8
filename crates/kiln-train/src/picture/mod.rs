//! Images from files, decoded as Pillow does, value for value. What is done to them then is in `kiln-runtime`, for programs that
//! have images already.

#![deny(clippy::as_conversions)]

mod decode;
#[cfg(test)]
#[allow(clippy::as_conversions, reason = "tests know their numbers")]
mod tests;

use std::path::Path;

use kiln_plan::Channels;
pub use kiln_runtime::picture::{MOST_PIXELS, Picture};

use crate::error::DataError;

/// Reads a PNG or JPEG file: grey for [`Channels::Grey`], else in colours. What is grey in its file is kept with one value a
/// pixel, in whatever colours it is wanted.
pub fn read(path: &Path, channels: Channels) -> Result<Picture, DataError> {
    let bytes = kiln_files::read(path).map_err(|error| DataError::read(path, error))?;
    from_bytes(&bytes, channels)
        .map_err(|message| DataError::file(path, format!("cannot be read as an image: {message}")))
}

/// Decodes the contents of a file; the error describes what is wrong with it.
pub fn from_bytes(bytes: &[u8], channels: Channels) -> Result<Picture, String> {
    decode::decode(bytes, channels == Channels::Grey)
}
