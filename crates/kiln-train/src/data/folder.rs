//! Image folders: a folder for each class, as torchvision's `ImageFolder` and fastai read them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use kiln_files::buffer;

use super::columns::listed;
use super::layout::{Layout, classes, pictures};
use super::source::SourceOptions;
use super::{Dataset, Samples, Skipped, Splits, Targets};
use crate::error::DataError;
use crate::picture::{self, MOST_PIXELS, Picture};

/// Reads `folder/train` with `folder/val` (or `valid`, `validation`) and `folder/test`; or `folder` itself, if its
/// folders are the classes.
pub(super) fn load(folder: &Path, options: &SourceOptions) -> Result<Splits, DataError> {
    let layout = Layout::of(folder)?;
    let mut names = classes(&layout.train)?;
    if names.is_empty() {
        return Err(DataError::file(
            &layout.train,
            "has no folders; each class should be a folder with its images",
        ));
    }
    // Of a model that is looked at, the training images may lack a class.
    let known: HashSet<&String> = options.known.classes.iter().collect();
    for root in [&layout.validation, &layout.test].into_iter().flatten() {
        names.extend(classes(root)?.into_iter().filter(|name| known.contains(name)));
    }
    names.sort();
    names.dedup();
    let mut skipped = Skipped::default();
    let train = part(&layout.train, &names, options, None, &mut skipped)?;
    let size = (train.shape[0], train.shape[1], train.shape[2]);
    let mut other = |root: Option<PathBuf>| -> Result<Option<Dataset>, DataError> {
        let Some(root) = root else { return Ok(None) };
        if classes(&root)?.is_empty() {
            skipped.add(|| format!("`{}`: its images are in no folders of classes", root.display()));
            return Ok(None);
        }
        part(&root, &names, options, Some(size), &mut skipped).map(Some)
    };
    let (validation, test) = (other(layout.validation)?, other(layout.test)?);
    Ok(Splits { train, validation, test, skipped })
}

/// The images of a folder that has no folders of classes; none if it has.
pub fn loose_pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let layout = Layout::of(folder)?;
    if layout.train != folder || !classes(folder)?.is_empty() { Ok(vec![]) } else { pictures(folder) }
}

fn part(
    root: &Path,
    names: &[String],
    options: &SourceOptions,
    size: Option<(usize, usize, usize)>,
    skipped: &mut Skipped,
) -> Result<Dataset, DataError> {
    let own = classes(root)?;
    if let Some(class) = own.iter().find(|class| names.binary_search(class).is_err()) {
        return Err(DataError::file(
            &root.join(class),
            format!("is not a class of the training images; those are {}", listed(names)),
        ));
    }
    let mut files = Vec::new();
    for (label, name) in (0..).zip(names) {
        let folder = root.join(name);
        let images = if folder.is_dir() { pictures(&folder)? } else { vec![] };
        if images.is_empty() && size.is_none() && options.known.classes.is_empty() {
            // What has a size comes after the training images, and need not have all classes.
            return Err(DataError::file(&folder, "has no images, so it cannot be learned as a class"));
        }
        files.extend(images.into_iter().map(|path| (path, label)));
    }
    let (mut samples, mut labels) = (Vec::new(), Vec::new());
    let (mut size, count) = (size, files.len());
    for (path, label) in files {
        match pixels(&path, options, &mut size) {
            Ok(pixels) => {
                if samples.is_empty() {
                    samples = room(root, count, &pixels, size)?;
                }
                samples.extend(pixels);
                labels.push(label);
            }
            Err(error) if options.skip_bad => skipped.add(|| error.to_string()),
            Err(error) => return Err(error),
        }
    }
    let Some((channels, height, width)) = size.filter(|_| !labels.is_empty()) else {
        return Err(DataError::file(root, "has no images"));
    };
    Ok(Dataset {
        shape: vec![channels, height, width],
        samples: Samples::Bytes(samples),
        targets: Targets::Classes { shape: vec![], labels, names: names.to_vec() },
    })
}

/// Room for `count` images like the first.
fn room(
    root: &Path,
    count: usize,
    first: &[u8],
    size: Option<(usize, usize, usize)>,
) -> Result<Vec<u8>, DataError> {
    buffer(count.saturating_mul(first.len())).map_err(|error| {
        let (channels, height, width) = size.unwrap_or_default();
        let what =
            format!("has {count} images, which are kept as {channels} x {height} x {width} bytes each");
        DataError::file(root, format!("{what}: {error}; `--resize` makes them smaller"))
    })
}

/// The pixels of an image, channel by channel. All images have the size of the first.
fn pixels(
    path: &Path,
    options: &SourceOptions,
    size: &mut Option<(usize, usize, usize)>,
) -> Result<Vec<u8>, DataError> {
    let pictures = &options.pictures;
    let read = picture::read(path, pictures.channels)?;
    let image = read.prepared(pictures).filter(Picture::is_within_limits);
    let image = image.ok_or_else(|| {
        let what = format!("would become more than {MOST_PIXELS} pixels");
        DataError::file(path, format!("{what}; `--resize` brings all to one size"))
    })?;
    let found = (pictures.channels.count(), image.height(), image.width());
    let (_, height, width) = *size.get_or_insert(found);
    if (found.1, found.2) != (height, width) {
        return Err(DataError::file(
            path,
            format!(
                "is {} x {}, but the first image is {width} x {height}; `--resize` brings all to one size",
                found.2, found.1
            ),
        ));
    }
    Ok(image.planes(pictures.channels))
}
