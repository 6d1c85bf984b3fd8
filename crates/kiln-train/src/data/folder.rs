//! Image folders: a folder for each class, as torchvision's `ImageFolder` and fastai read them.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;

use super::source::SourceOptions;
use super::{Dataset, Samples, Splits, Targets};
use crate::error::DataError;

/// Reads `folder/train` with `folder/val` (or `valid`, `validation`) and `folder/test`; or `folder` itself, if its
/// folders are the classes.
pub fn load(folder: &Path, options: &SourceOptions) -> Result<Splits, DataError> {
    let named = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    let root = named(&["train", "training"]).unwrap_or_else(|| folder.to_owned());
    let names = classes(&root)?;
    let mut skipped = Vec::new();
    let train = part(&root, &names, options, None, &mut skipped)?;
    let size = (train.shape[0], train.shape[1], train.shape[2]);
    let mut other = |names_of: &[&str]| -> Result<Option<Dataset>, DataError> {
        match named(names_of) {
            Some(path) => part(&path, &names, options, Some(size), &mut skipped).map(Some),
            None => Ok(None),
        }
    };
    let validation = other(&["val", "valid", "validation"])?;
    let test = other(&["test", "testing"])?;
    Ok(Splits { train, validation, test, skipped })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = std::fs::read_dir(folder).map_err(|e| DataError::read(folder, e))?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| DataError::read(folder, e))?;
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

fn classes(root: &Path) -> Result<Vec<String>, DataError> {
    let folders = entries(root)?.into_iter().filter(|path| path.is_dir());
    let names: Vec<String> =
        folders.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    if names.is_empty() {
        return Err(DataError::file(root, "has no folders; each class should be a folder with its images"));
    }
    Ok(names)
}

fn part(
    root: &Path,
    names: &[String],
    options: &SourceOptions,
    size: Option<(usize, usize, usize)>,
    skipped: &mut Vec<String>,
) -> Result<Dataset, DataError> {
    for class in classes(root)? {
        if !names.contains(&class) {
            return Err(DataError::file(
                &root.join(&class),
                format!("is no class of the training images; those are {}", names.join(", ")),
            ));
        }
    }
    let mut files = Vec::new();
    for (label, name) in names.iter().enumerate() {
        let folder = root.join(name);
        if folder.is_dir() {
            let images = entries(&folder)?.into_iter().filter(|path| path.is_file());
            files.extend(images.map(|path| (path, label as i32)));
        }
    }
    let (mut samples, mut labels) = (Vec::new(), Vec::new());
    let mut size = size.or(options.resize.map(|side| (options.channels, side, side)));
    for (path, label) in files {
        match pixels(&path, options, &mut size) {
            Ok(pixels) => {
                samples.extend(pixels);
                labels.push(label);
            }
            Err(error) if options.skip_bad => skipped.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    let Some((channels, height, width)) = size.filter(|_| !labels.is_empty()) else {
        return Err(DataError::file(root, "has no images"));
    };
    Ok(Dataset {
        shape: vec![channels, height, width],
        samples: Samples::Bytes(samples),
        targets: Targets::Classes { labels, names: names.to_vec() },
    })
}

/// The pixels of an image, channel by channel. All images have the size of the first, or the one asked for.
fn pixels(
    path: &Path,
    options: &SourceOptions,
    size: &mut Option<(usize, usize, usize)>,
) -> Result<Vec<u8>, DataError> {
    let image = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| DataError::read(path, e))?
        .decode()
        .map_err(|e| DataError::file(path, format!("is no image that can be read: {e}")))?;
    let found = (options.channels, image.height() as usize, image.width() as usize);
    let (channels, height, width) = *size.get_or_insert(found);
    let image = match options.resize {
        // The shorter side, then the middle.
        Some(side) => image.resize_to_fill(side as u32, side as u32, FilterType::Triangle),
        None if found == (channels, height, width) => image,
        None => {
            return Err(DataError::file(
                path,
                format!(
                    "is {} x {}, but the first image is {width} x {height}; a size to bring all to (`--resize`) would help",
                    found.2, found.1
                ),
            ));
        }
    };
    let plane = height * width;
    let mut out = vec![0; channels * plane];
    if channels == 1 {
        out.copy_from_slice(image.to_luma8().as_raw());
        return Ok(out);
    }
    for (i, pixel) in image.to_rgb8().pixels().enumerate() {
        for (channel, value) in pixel.0.iter().enumerate() {
            out[channel * plane + i] = *value;
        }
    }
    Ok(out)
}
