//! MNIST and its kin: the IDX format (LeCun, "The MNIST database"), plain or compressed.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Dataset, Samples, Splits, Targets, numbered};
use crate::error::DataError;

/// A data set in MNIST's form: its folder in torchvision's layout, and what its classes are called there.
pub struct Kin {
    /// `DIR/NAME/raw` has the files.
    folder: &'static str,
    classes: &'static [&'static str],
}

/// The digits.
pub const MNIST: Kin = Kin { folder: "MNIST", classes: &[] };

/// Clothes (Xiao, Rasul and Vollgraf 2017).
pub const FASHION: Kin = Kin {
    folder: "FashionMNIST",
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
};

/// Japanese syllables (Clanuwat et al. 2018).
pub const KUZUSHIJI: Kin =
    Kin { folder: "KMNIST", classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"] };

impl Kin {
    /// Reads the four files in `folder`, or where torchvision puts them below it. What is called MNIST may be one of the
    /// others, if it is the only one there.
    pub fn load(&self, folder: &Path) -> Result<Splits, DataError> {
        let has = |place: &Path| find(place, "train-images", "idx3-ubyte").is_ok();
        let below = |kin: &Kin| [folder.join(kin.folder).join("raw"), folder.join(kin.folder)];
        let own =
            [folder.to_owned(), folder.join("raw")].into_iter().chain(below(self)).find(|place| has(place));
        let others = || {
            let others: Vec<(Kin, PathBuf)> = [FASHION, KUZUSHIJI]
                .into_iter()
                .filter_map(|kin| below(&kin).into_iter().find(|place| has(place)).map(|place| (kin, place)))
                .collect();
            others
        };
        match own {
            Some(place) => {
                // The folder itself may say what it is.
                let named = [FASHION, KUZUSHIJI]
                    .into_iter()
                    .find(|kin| place.components().rev().take(2).any(|part| part.as_os_str() == kin.folder));
                load(&place, named.as_ref().unwrap_or(self).classes)
            }
            None if self.folder == MNIST.folder => match &others()[..] {
                [(kin, place)] => load(place, kin.classes),
                // Says what is missing where MNIST's files should be.
                _ => load(folder, self.classes),
            },
            None => load(folder, self.classes),
        }
    }
}

fn load(folder: &Path, classes: &[&str]) -> Result<Splits, DataError> {
    let mut train = part(folder, "train")?;
    let mut test = part(folder, "t10k")?;
    for data in [&mut train, &mut test] {
        if let Targets::Classes { names, .. } = &mut data.targets
            && names.len() == classes.len()
        {
            *names = classes.iter().map(|name| (*name).to_owned()).collect();
        }
    }
    Ok(Splits { train, validation: None, test: Some(test), skipped: vec![] })
}

fn part(folder: &Path, name: &str) -> Result<Dataset, DataError> {
    let (images_path, labels_path) = (
        find(folder, &format!("{name}-images"), "idx3-ubyte")?,
        find(folder, &format!("{name}-labels"), "idx1-ubyte")?,
    );
    let (image_shape, images) = read(&images_path)?;
    let (label_shape, labels) = read(&labels_path)?;
    let ([count, height, width], [labels_count]) = (&image_shape[..], &label_shape[..]) else {
        return Err(DataError::file(
            &images_path,
            format!(
                "has {} dimensions and its labels {}; 3 and 1 are MNIST's",
                image_shape.len(),
                label_shape.len()
            ),
        ));
    };
    if count != labels_count {
        return Err(DataError::file(&labels_path, format!("has {labels_count} labels for {count} images")));
    }
    let classes = usize::from(labels.iter().copied().max().unwrap_or(0)).max(9) + 1;
    let data = Dataset {
        shape: vec![1, *height, *width],
        samples: Samples::Bytes(images),
        targets: Targets::Classes {
            shape: vec![],
            labels: labels.into_iter().map(i32::from).collect(),
            names: numbered(classes),
        },
    };
    data.check(&images_path.display().to_string())?;
    Ok(data)
}

/// The file, under one of the names it goes by.
fn find(folder: &Path, name: &str, kind: &str) -> Result<PathBuf, DataError> {
    let names = [format!("{name}-{kind}"), format!("{name}.{kind}")];
    let candidates = names.iter().flat_map(|name| [format!("{name}.gz"), name.clone()]);
    let found = candidates.map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        DataError::file(
            folder,
            format!("there is no `{name}-{kind}.gz` (nor `{name}-{kind}`), which MNIST has"),
        )
    })
}

/// Shape and bytes of a file.
fn read(path: &Path) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let file = std::fs::File::open(path).map_err(|e| DataError::read(path, e))?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes)
    } else {
        std::io::BufReader::new(file).read_to_end(&mut bytes)
    }
    .map_err(|e| DataError::read(path, e))?;
    parse(&bytes).map_err(|message| DataError::file(path, message))
}

fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<u8>), String> {
    let [0, 0, kind, rank, rest @ ..] = bytes else { return Err("is no IDX file".into()) };
    if *kind != 8 {
        return Err(format!("has elements of IDX type {kind:#x}; only bytes (0x8) can be read"));
    }
    let rank = usize::from(*rank);
    let sizes = rest.get(..4 * rank).ok_or("ends in its header")?;
    let shape: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize)
        .collect();
    let data = &rest[4 * rank..];
    let count = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
    match count {
        Some(count) if count == data.len() => Ok((shape, data.to_vec())),
        _ => Err(format!("its header says {shape:?}, but {} bytes follow", data.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn headers_have_to_be_true() {
        assert_eq!(parse(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), Ok((vec![2], vec![7, 9])));
        for wrong in [
            &[][..],
            &[0, 0, 8],
            &[0, 0, 9, 1, 0, 0, 0, 0],
            &[0, 0, 8, 1, 0, 0],
            &[0, 0, 8, 1, 0, 0, 0, 2, 7],
        ] {
            assert!(parse(wrong).is_err());
        }
        assert!(parse(&[&[0, 0, 8, 3][..], &[255; 12]].concat()).is_err());
    }
}
