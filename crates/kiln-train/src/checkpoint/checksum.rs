//! Checksums of checkpoints: CRC-32 of each tensor and of all there is, in the metadata of the file.
//!
//! They detect damage (flipped bits, lost pages, torn copies), not intentional changes of a file.

use std::collections::BTreeMap;

use crc32fast::Hasher;
use safetensors::tensor::TensorView;

/// The metadata that has the checksum of each tensor, as JSON.
const OF_TENSORS: &str = "kiln.checksums";
/// The metadata that has the checksum of all tensors and all other metadata.
const OF_ALL: &str = "kiln.checksum";

/// Of a tensor: its name, type, shape and elements.
fn of_tensor(name: &str, view: &TensorView<'_>) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(format!("{name}\0{:?}{:?}\0", view.dtype(), view.shape()).as_bytes());
    hasher.update(view.data());
    hasher.finalize()
}

/// Of metadata, among which are the checksums of all tensors.
fn of_all(metadata: &BTreeMap<String, String>) -> u32 {
    let mut hasher = Hasher::new();
    for (key, value) in metadata.iter().filter(|(key, _)| *key != OF_ALL) {
        hasher.update(format!("{}:{key}{}:{value}", key.len(), value.len()).as_bytes());
    }
    hasher.finalize()
}

fn of_tensors<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> BTreeMap<String, String> {
    let text = |(name, view)| (String::from(name), format!("{:08x}", of_tensor(name, view)));
    tensors.into_iter().map(text).collect()
}

/// Writes the checksums of tensors into metadata, behind which nothing may be changed any more.
pub(super) fn add<'a>(
    metadata: &mut BTreeMap<String, String>,
    tensors: impl IntoIterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> serde_json::Result<()> {
    metadata.insert(OF_TENSORS.to_owned(), serde_json::to_string(&of_tensors(tensors))?);
    metadata.insert(OF_ALL.to_owned(), format!("{:08x}", of_all(metadata)));
    Ok(())
}

/// Describes the damage, if there is any.
pub(super) fn verify<'a>(
    metadata: &BTreeMap<String, String>,
    tensors: impl IntoIterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> Result<(), String> {
    let (Some(all), Some(stored)) = (metadata.get(OF_ALL), metadata.get(OF_TENSORS)) else {
        return Err("it has no checksums, as checkpoints of this version of Kiln do".into());
    };
    let stored: BTreeMap<String, String> =
        serde_json::from_str(stored).map_err(|_| "its checksums cannot be read".to_owned())?;
    let found = of_tensors(tensors);
    let differ: Vec<String> = found
        .iter()
        .filter(|(name, sum)| stored.get(*name).is_some_and(|stored| stored != *sum))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    match &differ[..] {
        [] if !found.keys().eq(stored.keys()) => Err("its tensors are not those that were written".into()),
        [] if *all != format!("{:08x}", of_all(metadata)) => {
            Err("its header does not have the checksum that was written".into())
        }
        [] => Ok(()),
        [one] => Err(format!("the elements of {one} do not have the checksum that was written")),
        [first, rest @ ..] => Err(format!(
            "the elements of {first} and {} more tensors do not have the checksums that were written",
            rest.len()
        )),
    }
}
