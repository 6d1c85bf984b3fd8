//! MNIST and related data sets: the IDX format (LeCun, "The MNIST database"), plain or compressed.

use std::io::Read;
use std::path::{Path, PathBuf};

use kiln_files::{buffer, size_in_words, wide};

use super::{Dataset, Samples, Skipped, Splits, Targets, numbered};
use crate::error::DataError;

/// A data set in MNIST's form: its folder in torchvision's layout, and what its classes are called there.
pub(super) struct Kin {
    /// `DIR/NAME/raw` has the files.
    folder: &'static str,
    classes: &'static [&'static str],
}

/// The digits.
pub(super) const MNIST: Kin = Kin { folder: "MNIST", classes: &[] };

/// Clothes (Xiao, Rasul and Vollgraf 2017).
pub(super) const FASHION: Kin = Kin {
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
pub(super) const KUZUSHIJI: Kin =
    Kin { folder: "KMNIST", classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"] };

impl Kin {
    /// Reads the four files in `folder`, or where torchvision puts them below it. What is called MNIST may be one of the
    /// others, if it is the only one there.
    pub(super) fn load(&self, folder: &Path) -> Result<Splits, DataError> {
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
    Ok(Splits { train, validation: None, test: Some(test), skipped: Skipped::default() })
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
    let file = kiln_files::open(path).map_err(|e| DataError::read(path, e))?;
    let (size, most) = (file.size(), file.allowance());
    let read = if path.extension().is_some_and(|ending| ending == "gz") {
        parse(flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)), most)
    } else {
        parse(std::io::BufReader::new(file), size)
    };
    read.map_err(|message| DataError::file(path, message))
}

/// Reads a header and as many bytes as it says, which are at most `most`.
fn parse(mut reader: impl Read, most: u64) -> Result<(Vec<usize>, Vec<u8>), String> {
    let ends = |where_: &str| format!("ends in its {where_}");
    let broken = |error: std::io::Error, where_: &str| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ends(where_),
        _ => format!("is damaged: {error}"),
    };
    let mut start = [0; 4];
    reader.read_exact(&mut start).map_err(|error| broken(error, "header"))?;
    let [0, 0, kind, rank] = start else { return Err("is not an IDX file".into()) };
    if kind != 8 {
        return Err(format!("has elements of IDX type {kind:#x}; only bytes (0x8) can be read"));
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        let mut size = [0; 4];
        reader.read_exact(&mut size).map_err(|error| broken(error, "header"))?;
        // What saturates is refused with all that is too large.
        shape.push(usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX));
    }
    let count = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
    let Some(count) = count.filter(|count| wide(*count) <= most) else {
        let size = count.map_or("more bytes than there are".into(), |count| size_in_words(wide(count)));
        return Err(format!(
            "its header says {shape:?}, {size}, more than the {} that a file of this size may become; if it is \
             valid, `gunzip` it first",
            size_in_words(most)
        ));
    };
    kiln_files::room_for(wide(count)).map_err(|error| error.to_string())?;
    // Room for what comes, not for what a header says.
    let mut data = buffer(count.min(1 << 20)).map_err(|error| error.to_string())?;
    let found = (&mut reader).take(wide(count)).read_to_end(&mut data);
    found.map_err(|error| broken(error, "data"))?;
    let more = reader.read(&mut [0]).map_err(|error| broken(error, "data"))?;
    match (data.len() == count, more) {
        (true, 0) => Ok((shape, data)),
        (true, _) => Err(format!("its header says {shape:?}, but more than {count} bytes follow")),
        (false, _) => Err(format!("its header says {shape:?}, but {} bytes follow", data.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn headers_have_to_be_true() {
        let parse = |bytes: &[u8]| parse(bytes, 1 << 20);
        assert_eq!(parse(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), Ok((vec![2], vec![7, 9])));
        let cases: [(&[u8], &str); 8] = [
            (&[], "ends in its header"),
            (&[0, 0, 8], "ends in its header"),
            (&[1, 2, 3, 4, 5], "is not an IDX file"),
            (&[0, 0, 9, 1, 0, 0, 0, 0], "IDX type 0x9"),
            (&[0, 0, 8, 1, 0, 0], "ends in its header"),
            (&[0, 0, 8, 1, 0, 0, 0, 2, 7], "1 bytes follow"),
            (&[0, 0, 8, 1, 0, 0, 0, 2, 7, 7, 7], "more than 2 bytes follow"),
            (&[0, 0, 8, 1, 0xff, 0, 0, 0], "4.0 GiB, more than the 1.0 MiB"),
        ];
        for (wrong, words) in cases {
            let error = parse(wrong).expect_err(words);
            assert!(error.contains(words), "{words}: {error}");
        }
        let error = parse(&[&[0, 0, 8, 3][..], &[255; 12]].concat()).expect_err("too many");
        assert!(error.contains("more bytes than there are"), "{error}");
    }
}
