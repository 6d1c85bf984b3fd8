//! Files that were made to harm, or that are no files: each is refused by name, in no time and with little memory.

use std::io::Write;
use std::path::Path;

use kiln_train::data::{Meaning, SourceOptions, Targets};

use super::{folder, idx, load};

fn gz(path: &Path, bytes: &[u8], then_zeros: usize) {
    let file = std::fs::File::create(path).expect("a file");
    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gz.write_all(bytes).expect("a file");
    gz.write_all(&vec![0; then_zeros]).expect("a file");
    gz.finish().expect("a file");
}

/// MNIST's files, whose images are these bytes in a compressed file, followed by zeros.
fn mnist(name: &str, header: &[u32], then_zeros: usize) -> Result<usize, String> {
    let folder = folder(name);
    for part in ["train", "t10k"] {
        let mut bytes = vec![0, 0, 8, header.len() as u8];
        bytes.extend(header.iter().flat_map(|size| size.to_be_bytes()));
        gz(&folder.join(format!("{part}-images-idx3-ubyte.gz")), &bytes, then_zeros);
        idx(
            &folder.join(format!("{part}-labels-idx1-ubyte")),
            &[header[0]],
            &vec![1; header[0].min(99) as usize],
        );
    }
    load("mnist", &folder, &SourceOptions::default()).map(|splits| splits.train.len())
}

#[test]
fn a_compressed_file_becomes_no_more_than_its_size_justifies() {
    assert_eq!(mnist("bomb-none", &[3, 4, 5], 60), Ok(3));
    let error = mnist("bomb-header", &[10_000_000, 28, 28], 1 << 20).expect_err("a bomb");
    assert!(error.contains("train-images") && error.contains("7.3 GiB, more than the 256.0 MiB"), "{error}");
    let error = mnist("bomb-data", &[3, 4, 5], 1 << 26).expect_err("a bomb");
    assert!(error.contains("more than 60 bytes follow"), "{error}");
    let error = mnist("bomb-cut", &[3, 400, 500], 60).expect_err("too few");
    assert!(error.contains("but 60 bytes follow"), "{error}");
}

/// `x.npy` and `y.npy`: three samples of two numbers, and these targets.
fn arrays(name: &str, targets: &[i64]) -> Result<Targets, String> {
    let folder = folder(name);
    let write = |name: &str, descr: &str, shape: &str, bytes: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n");
        let length = (header.len() as u16).to_le_bytes();
        let all = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat();
        std::fs::write(folder.join(name), all).expect("a file");
    };
    write("x.npy", "|u1", "(3, 2)", &[1, 2, 3, 4, 5, 6]);
    let bytes: Vec<u8> = targets.iter().flat_map(|target| target.to_le_bytes()).collect();
    write("y.npy", "<i8", &format!("({},)", targets.len()), &bytes);
    let splits = load("npz", &folder, &SourceOptions::default())?;
    let meaning = Meaning::Classes { outputs: Some(3), ignored: None };
    splits.decided(meaning, &[]).map(|splits| splits.train.targets).map_err(|error| error.to_string())
}

#[test]
fn classes_are_counted_before_they_are_named() {
    let Ok(Targets::Classes { labels, names, .. }) = arrays("labels-good", &[0, 2, 1]) else {
        panic!("classes")
    };
    assert_eq!((labels, names.join(" ")), (vec![0, 2, 1], "0 1 2".into()));
    for large in [100_000_000, (1 << 31) - 1, 1 << 31, 1 << 62, i64::MAX] {
        let error = arrays("labels-large", &[0, large, 1]).expect_err("too large");
        let words =
            format!("a target is {large}, which is too large for the number of a class: there can be 65536");
        assert!(error.contains(&words), "{error}");
        assert_eq!(error.contains("--ignore-index"), large < 1 << 31, "{error}");
    }
    for negative in [-1, i64::MIN] {
        let error = arrays("labels-negative", &[0, negative, 1]).expect_err("no class");
        assert!(error.contains(&format!("`--ignore-index {negative}`")), "{error}");
    }
}

fn table(name: &str, text: &str, options: &SourceOptions) -> Result<(Targets, usize), String> {
    let path = folder("hostile-tables").join(name);
    std::fs::write(&path, text).expect("a file");
    load("csv", &path, options).map(|splits| (splits.train.targets, splits.skipped.len()))
}

#[test]
fn tables_with_too_much_of_something() {
    let lines = |line: &dyn Fn(usize) -> String, count: usize| {
        (0..count).fold("x,y\n".to_owned(), |text, n| text + &line(n) + "\n")
    };
    let strict = SourceOptions::default();
    let lenient = SourceOptions { skip_bad: true, ..SourceOptions::default() };
    // Each row a class of its own.
    let error = table("ids.csv", &lines(&|n| format!("1,id{n}"), 70_000), &strict).expect_err("no classes");
    assert!(error.contains("more than 65536 different targets, and they are words"), "{error}");
    // As many values are no classes.
    let values = table("values.csv", &lines(&|n| format!("1,{n}.5"), 70_000), &strict).expect("values").0;
    assert_eq!(values.count(), 70_000);
    // A word among values is no class either.
    let stray = lines(&|n| if n == 7 { "1,NA".into() } else { format!("1,{n}.5") }, 20);
    let error = table("stray.csv", &stray, &strict).expect_err("a word");
    assert!(
        error.contains("line 9: the target `NA` is not a number, which others in the column `y` are"),
        "{error}"
    );
    let (values, skipped) = table("stray.csv", &stray, &lenient).expect("the others");
    assert_eq!((values.count(), skipped), (19, 1));
    // Of a million bad lines a few are remembered; long words are cut in errors, and no names.
    let (_, skipped) =
        table("bad.csv", &lines(&|n| if n == 0 { "1,2".into() } else { "a,b".into() }, 5000), &lenient)
            .expect("one line");
    assert_eq!(skipped, 4999);
    let long = "w".repeat(100_000);
    let error = table("long.csv", &format!("x,y\n{long},1\n"), &strict).expect_err("not a number");
    assert!(error.len() < 500, "{} letters", error.len());
    let error = table("name.csv", &format!("x,y\n1,{long}\n"), &strict).expect_err("a long name");
    assert!(error.contains("has a name of 100000 bytes; 1024 can be kept") && error.len() < 500, "{error}");
}

/// Pipes, devices and folders where a file should be, names that are no text, and files of nothing.
#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = folder("no-file");
    let pipe = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    };
    let picture = |path: &Path| {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let image = image::RgbImage::from_pixel(2, 2, image::Rgb([1, 2, 3]));
        image.save_with_format(path, image::ImageFormat::Png).expect("an image");
    };
    let strict = SourceOptions::default();
    let lenient = SourceOptions { skip_bad: true, ..SourceOptions::default() };
    pipe(&root.join("pipe.csv"));
    std::fs::create_dir(root.join("arrays")).expect("a folder");
    pipe(&root.join("arrays/x.npy"));
    std::fs::File::create(root.join("sparse.csv")).and_then(|file| file.set_len(1 << 42)).expect("a file");
    for (kind, place, words) in [
        ("csv", "pipe.csv", "it is a pipe (FIFO), not a regular file"),
        ("npz", "pipe.csv", "it is a pipe (FIFO)"),
        ("npz", "arrays", "it is a pipe (FIFO)"),
        ("csv", "sparse.csv", "it is sparse"),
        ("npz", "sparse.csv", "it is sparse"),
        ("csv", "/dev/zero", "it is a device"),
        ("csv", "arrays", "it is a folder"),
    ] {
        let error = load(kind, &root.join(place), &strict).expect_err(words);
        assert!(error.contains(words), "{kind}:{place}: {error}");
    }
    // A pipe among images is named or left out; an image whose name is no text is an image.
    let images = root.join("images");
    for class in ["a", "b"] {
        picture(&images.join(class).join("0.png"));
    }
    picture(&images.join("a").join(OsStr::from_bytes(b"caf\xe9.png")));
    assert_eq!(load("folder", &images, &strict).expect("three").train.len(), 3);
    pipe(&images.join("b/pipe.png"));
    let error = load("folder", &images, &strict).expect_err("a pipe");
    assert!(error.contains("pipe.png") && error.contains("it is a pipe"), "{error}");
    let splits = load("folder", &images, &lenient).expect("the others");
    assert_eq!((splits.train.len(), splits.skipped.len()), (3, 1));
    // A class whose name is no text is named, and not lost.
    picture(&images.join(OsStr::from_bytes(b"\xfcber")).join("0.png"));
    for options in [&strict, &lenient] {
        let error = load("folder", &images, options).expect_err("a name that is no text");
        assert!(error.contains("ber`: has a name that is not UTF-8 text"), "{error}");
    }
}
