//! Metadata from the recipe next to a weights file that has none itself: a training writes
//! both into its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::plan::Metadata;
use serde::Deserialize;

use super::recipe::MOST_BYTES;

/// The file's name in the folder of a training.
const RECIPE: &str = "recipe.toml";

#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// The recipe next to `weights`, if it has metadata, and the metadata.
pub(crate) fn metadata_beside(weights: &Path) -> Option<(PathBuf, Metadata)> {
    let absolute = std::path::absolute(weights).ok()?;
    let folder = absolute.parent()?;
    let above =
        folder.file_name().is_some_and(|name| name == "checkpoints").then(|| folder.parent()).flatten();
    let read = |folder: &Path| {
        let path = folder.join(RECIPE);
        let text = kiln_files::read_text(&path, MOST_BYTES).ok()?;
        let Beside { metadata } = toml::from_str(&text).ok()?;
        let metadata = Metadata::from_properties(&metadata).ok()?;
        (!metadata.is_empty()).then_some((path, metadata))
    };
    [Some(folder), above].into_iter().flatten().find_map(read)
}
