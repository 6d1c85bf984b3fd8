//! Which of the folders of an image folder are parts of the data, which are classes, and which files are images.
//!
//! Classes are read as torchvision's `ImageFolder` reads them: each folder is one, with all images in it and below.
//! A folder called `train` may be a part or a class (trains are vehicles, too); what is in it tells.

use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Endings of images, those of torchvision's `ImageFolder`.
const PICTURES: [&str; 9] = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];
/// Folders that programs leave behind.
const STRAY: [&str; 3] = ["__MACOSX", "$RECYCLE.BIN", "System Volume Information"];
/// Deeper nesting means a link that leads back.
const DEEPEST: usize = 32;

/// Names of the parts.
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];

/// The folders of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Whose folders are the classes.
    pub train: PathBuf,
    /// The same for validation.
    pub validation: Option<PathBuf>,
    /// The same for testing.
    pub test: Option<PathBuf>,
}

/// What is in a folder and is neither hidden nor left behind by a program: folders and files, each in order.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let read = std::fs::read_dir(folder).map_err(|e| DataError::read(folder, e))?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| DataError::read(folder, e))?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && !STRAY.contains(&name.as_ref())
    });
    paths.sort();
    Ok(paths.into_iter().partition(|path| path.is_dir()))
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    PICTURES.contains(&ending.as_str())
}

/// All images in a folder and below, in the order of `ImageFolder`: folder after folder by their whole path, the names
/// in each in order.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut found, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        if depth > DEEPEST {
            return Err(DataError::file(
                &folder,
                "is nested too deeply; does a link lead back to a folder above it?",
            ));
        }
        let (inner, files) = entries(&folder)?;
        folders.extend(inner.into_iter().map(|inner| (inner, depth + 1)));
        let files: Vec<PathBuf> = files.into_iter().filter(|path| is_picture(path)).collect();
        found.push((folder.to_string_lossy().into_owned(), files));
    }
    found.sort();
    Ok(found.into_iter().flat_map(|(_, files)| files).collect())
}

fn has_pictures(folder: &Path) -> Result<bool, DataError> {
    Ok(!pictures(folder)?.is_empty())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The classes of a part: its folders. A class is called by its folder's name, so that has to be text.
pub(super) fn classes(root: &Path) -> Result<Vec<String>, DataError> {
    let class = |path: &PathBuf| match path.file_name().unwrap_or_default().to_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(DataError::file(
            path,
            "has a name that is not UTF-8 text; it would be that of a class, so another name is needed",
        )),
    };
    entries(root)?.0.iter().map(class).collect()
}

impl Layout {
    /// Finds out what the folders of `folder` are.
    ///
    /// `train` is a part where its folders hold images and it has none of its own, and either another part has
    /// classes of the same names, or there is no other folder with images. Then it is a class among others.
    pub(super) fn of(folder: &Path) -> Result<Self, DataError> {
        let (folders, _) = entries(folder)?;
        let named = |names: &[&str]| {
            names.iter().find_map(|wanted| folders.iter().find(|path| name(path) == *wanted)).cloned()
        };
        let whole = Layout { train: folder.to_owned(), validation: None, test: None };
        let Some(train) = named(&TRAIN) else { return Ok(whole) };
        let (own, files) = entries(&train)?;
        if files.iter().any(|path| is_picture(path)) {
            return Ok(whole);
        }
        let own: Vec<String> = own.iter().map(|path| name(path)).collect();
        let (validation, test) = (named(&VALIDATION), named(&TEST));
        let others: Vec<&PathBuf> = [&validation, &test].into_iter().flatten().collect();
        let mut agrees = false;
        for other in &others {
            agrees |= classes(other)?.iter().any(|class| own.contains(class));
        }
        let mut alone = true;
        for other in folders.iter().filter(|path| **path != train && !others.contains(path)) {
            alone &= !has_pictures(other)?;
        }
        if !agrees && !alone {
            return Ok(whole);
        }
        Ok(Layout { train, validation, test })
    }
}
