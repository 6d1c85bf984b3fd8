//! Data sets from files, right ones and wrong ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use kiln_train::data::{Samples, Source, SourceOptions, Splits, Targets};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn load(kind: &str, path: &Path, options: &SourceOptions) -> Result<Splits, String> {
    let source: Source = format!("{kind}:{}", path.display()).parse().expect("a source");
    source.load(options).map_err(|error| error.to_string())
}

fn idx(path: &Path, sizes: &[u32], bytes: &[u8]) {
    let mut all = vec![0, 0, 8, sizes.len() as u8];
    all.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    all.extend(bytes);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let file = std::fs::File::create(path).expect("a file");
        let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gz.write_all(&all).and_then(|()| gz.finish().map(drop)).expect("a file");
    } else {
        std::fs::write(path, all).expect("a file");
    }
}

#[test]
fn mnist() {
    let folder = folder("mnist");
    idx(&folder.join("train-images-idx3-ubyte.gz"), &[3, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    idx(&folder.join("train-labels-idx1-ubyte.gz"), &[3], &[7, 0, 9]);
    idx(&folder.join("t10k-images-idx3-ubyte"), &[1, 2, 2], &[255, 0, 0, 51]);
    let error = load("mnist", &folder, &SourceOptions::default()).expect_err("a file is missing");
    assert!(error.contains("t10k-labels-idx1-ubyte"), "{error}");
    idx(&folder.join("t10k-labels-idx1-ubyte"), &[2], &[1, 1]);
    let error = load("mnist", &folder, &SourceOptions::default()).expect_err("a label too many");
    assert!(error.contains("t10k-labels") && error.contains("2 labels for 1 images"), "{error}");
    idx(&folder.join("t10k-labels-idx1-ubyte"), &[1], &[1]);
    let splits = load("mnist", &folder, &SourceOptions::default()).expect("a data set");
    assert_eq!((splits.train.len(), &splits.train.shape[..]), (3, &[1, 2, 2][..]));
    assert_eq!(splits.validation().expect("a test set").sample(0), [1.0, 0.0, 0.0, 0.2]);
}

#[test]
fn cifar() {
    let folder = folder("cifar");
    let image = |label: u8| [&[label][..], &[100; 3072]].concat();
    for n in 1..=5 {
        std::fs::write(folder.join(format!("data_batch_{n}.bin")), image(n)).expect("a file");
    }
    std::fs::write(folder.join("test_batch.bin"), [image(0), image(12)].concat()).expect("a file");
    let error = load("cifar10", &folder, &SourceOptions::default()).expect_err("a label out of range");
    assert!(error.contains("test_batch.bin") && error.contains("label 12"), "{error}");
    std::fs::write(folder.join("test_batch.bin"), &image(0)[..3000]).expect("a file");
    let error = load("cifar10", &folder, &SourceOptions::default()).expect_err("a cut file");
    assert!(error.contains("3000 bytes") && error.contains("3073"), "{error}");
    std::fs::write(folder.join("test_batch.bin"), image(0)).expect("a file");
    let splits = load("cifar10", &folder, &SourceOptions::default()).expect("a data set");
    assert_eq!(
        splits.train.targets.clone(),
        match splits.train.targets {
            Targets::Classes { names, .. } => Targets::Classes { labels: vec![1, 2, 3, 4, 5], names },
            other => other,
        }
    );
}

#[test]
fn folders() {
    let folder = folder("images");
    for (class, level) in [("cat", 10u8), ("dog", 200)] {
        for part in ["train", "val"] {
            std::fs::create_dir_all(folder.join(part).join(class)).expect("a folder");
            for n in 0..2 {
                let image = image::RgbImage::from_pixel(6, 4, image::Rgb([level, 0, 255]));
                image.save(folder.join(part).join(class).join(format!("{n}.png"))).expect("an image");
            }
        }
    }
    let splits = load("folder", &folder, &SourceOptions::default()).expect("a data set");
    assert_eq!((splits.train.len(), &splits.train.shape[..]), (4, &[3, 4, 6][..]));
    assert_eq!(splits.train.class_names(), Some(&["cat".to_owned(), "dog".to_owned()][..]));
    assert!(matches!(&splits.train.samples, Samples::Bytes(all) if all[0] == 10 && all[2 * 72] == 200));
    let small = SourceOptions { resize: Some(2), channels: 1, ..SourceOptions::default() };
    assert_eq!(load("folder", &folder, &small).expect("a data set").train.shape, [1, 2, 2]);
    // What cannot be read is named, or counted.
    std::fs::write(folder.join("train/dog/broken.jpg"), b"no image").expect("a file");
    let error = load("folder", &folder, &SourceOptions::default()).expect_err("a broken image");
    assert!(error.contains("broken.jpg"), "{error}");
    let lenient = SourceOptions { skip_bad: true, ..SourceOptions::default() };
    let splits = load("folder", &folder, &lenient).expect("a data set");
    assert_eq!((splits.train.len(), splits.skipped.len()), (4, 1));
    std::fs::remove_file(folder.join("train/dog/broken.jpg")).expect("a file");
    // Other sizes and other classes.
    image::RgbImage::new(5, 5).save(folder.join("train/cat/square.png")).expect("an image");
    let error = load("folder", &folder, &SourceOptions::default()).expect_err("another size");
    assert!(error.contains("square.png") && error.contains("5 x 5") && error.contains("--resize"), "{error}");
    std::fs::remove_file(folder.join("train/cat/square.png")).expect("a file");
    std::fs::create_dir_all(folder.join("val/fish")).expect("a folder");
    let error = load("folder", &folder, &SourceOptions::default()).expect_err("another class");
    assert!(error.contains("fish") && error.contains("cat, dog"), "{error}");
}

#[test]
fn tables() {
    let folder = folder("tables");
    let path = folder.join("moons.csv");
    std::fs::write(&path, "x, y, class\n0.5, 1, up\n-1, 2.5, down\n3, 4, up\n").expect("a file");
    let splits = load("csv", &path, &SourceOptions::default()).expect("a data set");
    assert_eq!(splits.train.samples, Samples::Floats(vec![0.5, 1.0, -1.0, 2.5, 3.0, 4.0]));
    let names = vec!["down".to_owned(), "up".to_owned()];
    assert_eq!(splits.train.targets, Targets::Classes { labels: vec![1, 0, 1], names });
    std::fs::write(&path, "x,y\n1,0.5\n2,7\n").expect("a file");
    let splits = load("csv", &path, &SourceOptions::default()).expect("a data set");
    assert_eq!(splits.train.targets, Targets::Values { shape: vec![1], values: vec![0.5, 7.0] });
    std::fs::write(&path, "x,y\n1,0.5\nno,7\n2,1\n").expect("a file");
    let error = load("csv", &path, &SourceOptions::default()).expect_err("a word among numbers");
    assert!(error.contains("line 3, column 1") && error.contains("`no`"), "{error}");
    let lenient = SourceOptions { skip_bad: true, ..SourceOptions::default() };
    let splits = load("csv", &path, &lenient).expect("a data set");
    assert_eq!((splits.train.len(), splits.skipped.len()), (2, 1));
}

#[test]
fn sources_that_are_none() {
    for (text, words) in [
        ("imagenet:here", "there are mnist:DIR"),
        ("mnist", "should be followed by its place"),
        ("digits:three", "no number of digits"),
        ("moons:19", "`19` is no number of moons to draw, which is from 20 to 1000000"),
        ("waves:1000001", "no number of waves"),
        ("waves:-20", "no number of waves"),
        ("moons:99999999999999999999", "no number of moons"),
        ("moon", "moons or waves"),
        ("", "is no data set"),
    ] {
        let error = text.parse::<Source>().expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let error = load("folder", Path::new("/nowhere"), &SourceOptions::default()).expect_err("nothing there");
    assert!(error.contains("/nowhere"), "{error}");
}

fn drawn(source: &str, seed: u64) -> Splits {
    let parsed: Source = source.parse().expect("a source");
    assert!(parsed.to_string().starts_with(source));
    parsed.load(&SourceOptions { seed, ..SourceOptions::default() }).expect("a data set")
}

/// As many points of either class, each near its half circle; others in the test set.
#[test]
fn drawn_moons() {
    let splits = drawn("moons:600", 3);
    assert_eq!(splits, drawn("moons:600", 3));
    assert_ne!(splits.train, drawn("moons:600", 4).train);
    let test = splits.test.expect("a test set");
    assert_eq!((splits.train.len(), test.len(), &splits.train.shape[..]), (600, 100, &[2][..]));
    assert_ne!(splits.train.sample(0), test.sample(0));
    let Targets::Classes { labels, names } = &splits.train.targets else { panic!("moons are classes") };
    assert_eq!(names[..], ["upper", "lower"]);
    assert_eq!(labels.iter().filter(|label| **label == 1).count(), 300);
    assert!(!labels.is_sorted());
    for (i, label) in labels.iter().enumerate() {
        let [x, y] = splits.train.sample(i)[..] else { panic!("moons are points") };
        let (x, y) = if *label == 0 { (x, y) } else { (1.0 - x, 0.5 - y) };
        assert!((x.hypot(y) - 1.0).abs() < 0.6 && y > -0.6, "{label}: {x}, {y}");
    }
    assert_eq!(drawn("moons", 0).train.len(), 1000);
    assert_eq!(drawn("moons:21", 0).train.len(), 21);
}

/// Values near `sin(2 pi x)`, as far from it as the noise is.
#[test]
fn drawn_waves() {
    let splits = drawn("waves:2000", 3);
    assert_eq!(splits, drawn("waves:2000", 3));
    assert_ne!(splits.train, drawn("waves:2000", 4).train);
    let Targets::Values { shape, values } = &splits.train.targets else { panic!("waves are numbers") };
    assert_eq!((&splits.train.shape[..], &shape[..], values.len()), (&[1][..], &[1][..], 2000));
    let x: Vec<f32> = (0..2000).map(|i| splits.train.sample(i)[0]).collect();
    assert!(x.iter().all(|x| x.abs() <= 1.0) && x.iter().any(|x| *x < -0.9) && x.iter().any(|x| *x > 0.9));
    let apart = x.iter().zip(values).map(|(x, y)| (y - (std::f32::consts::TAU * x).sin()).powi(2));
    let deviation = (apart.sum::<f32>() / 2000.0).sqrt();
    assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
}

/// The digits that nobody has to download: the same for the same seed, and of all classes.
#[test]
fn drawn_digits() {
    let source: Source = "digits:200".parse().expect("a source");
    let draw = |seed| source.load(&SourceOptions { seed, ..SourceOptions::default() }).expect("digits");
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3).train, draw(4).train);
    let Targets::Classes { labels, .. } = draw(3).train.targets else { panic!("digits are classes") };
    assert!((0..10).all(|digit| labels.iter().filter(|label| **label == digit).count() > 5), "{labels:?}");
}

#[test]
fn parts_are_drawn_by_seed() {
    let source: Source = "digits:100".parse().expect("a source");
    let splits = source.load(&SourceOptions::default()).expect("digits");
    let held = splits.clone().hold_out(0.2, 1).expect("two parts");
    assert_eq!(
        (held.train.len(), held.validation.as_ref().map(kiln_train::data::Dataset::len)),
        (80, Some(20))
    );
    assert_eq!(held, splits.clone().hold_out(0.2, 1).expect("two parts"));
    assert_ne!(held, splits.clone().hold_out(0.2, 2).expect("two parts"));
    assert!(splits.hold_out(1.0, 1).is_err());
}
