//! Data sets from files, right ones and wrong ones.

mod hostile;

use std::io::Write;
use std::path::{Path, PathBuf};

use kiln_plan::{Channels, Pictures, Resize};
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
            Targets::Classes { names, .. } =>
                Targets::Classes { shape: vec![], labels: vec![1, 2, 3, 4, 5], names },
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
    let pictures = Pictures {
        channels: Channels::Grey,
        resize: Some(Resize::Shorter(2)),
        crop: Some([2, 2]),
        ..Pictures::default()
    };
    let small = SourceOptions { pictures, ..SourceOptions::default() };
    let small = load("folder", &folder, &small).expect("a data set").train;
    // 0.299 of red and 0.114 of blue.
    assert_eq!((small.shape, small.samples), (vec![1, 2, 2], Samples::Bytes([[32; 8], [89; 8]].concat())));
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
    assert_eq!(splits.train.targets, Targets::Classes { shape: vec![], labels: vec![1, 0, 1], names });
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
        ("imagenet:here", "use mnist:DIR"),
        ("mnist", "should be followed by its path"),
        ("digits:three", "not a number of digits"),
        ("moons:19", "`19` is not a number of moons to draw; it should be from 20 to 1000000"),
        ("waves:1000001", "not a number of waves"),
        ("waves:-20", "not a number of waves"),
        ("moons:99999999999999999999", "not a number of moons"),
        ("moons:noise=-1", "not a noise level of moons; it should be from 0 to 100"),
        ("waves:noise=much", "not a noise level of waves"),
        ("digits:500,test=0", "`0` is not a number of digits to draw; it should be from 1"),
        ("moons:angle=3", "moons have no option `angle`; options are count, test and noise"),
        ("moon", "did you mean `moons`?"),
        ("mnst:here", "did you mean `mnist:`?"),
        ("moonlight", "moons or waves"),
        ("", "is not a data set"),
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
    let Targets::Classes { labels, names, .. } = &splits.train.targets else { panic!("moons are classes") };
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

fn load_drawn(source: &str) -> Splits {
    let source: Source = source.parse().expect("a source");
    source.load(&SourceOptions::default()).expect("a data set")
}

/// What is said of the noise and the test set holds.
#[test]
fn drawn_as_one_likes() {
    for (source, count, test) in
        [("waves:noise=0.4", 1000, 166), ("waves:2000,noise=0,test=7", 2000, 7), ("waves:test=30", 1000, 30)]
    {
        let splits = load_drawn(source);
        assert_eq!((splits.train.len(), splits.test.expect("a test set").len()), (count, test), "{source}");
    }
    // The deviation from the curve is what was asked for.
    for noise in [0.0f32, 0.4, 2.0] {
        let splits = load_drawn(&format!("waves:4000,noise={noise}"));
        let Targets::Values { values, .. } = &splits.train.targets else { panic!("waves are numbers") };
        let curve = |i: usize| (std::f32::consts::TAU * splits.train.sample(i)[0]).sin();
        let squares: f32 = values.iter().enumerate().map(|(i, y)| (y - curve(i)).powi(2)).sum();
        assert!(((squares / 4000.0).sqrt() - noise).abs() <= 0.05 * noise + 1e-5, "{noise}");
    }
    let near = load_drawn("moons:600,noise=0.01");
    for i in 0..600 {
        let [x, y] = near.train.sample(i)[..] else { panic!("moons are points") };
        let distances = [x.hypot(y), (1.0 - x).hypot(0.5 - y)].map(|radius| (radius - 1.0).abs());
        assert!(distances.into_iter().fold(f32::INFINITY, f32::min) < 0.06, "{x}, {y}");
    }
    assert_eq!(load_drawn("digits:20,noise=0").train, load_drawn("digits:20").train);
    assert_ne!(load_drawn("digits:20,noise=0.2").train, load_drawn("digits:20").train);
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

/// A batch as Python 2 wrote those that can be downloaded, or as Python 3 writes one in protocol 2 or 4: one image.
fn batch(python: u8, key: &str, label: u8, pixel: u8) -> Vec<u8> {
    let pixels = vec![pixel; 3072];
    let short = |text: &str| [&[b'U', text.len() as u8][..], text.as_bytes()].concat();
    let encoded = |text: &[u8]| {
        let length = (text.len() as u32).to_le_bytes();
        [b"c_codecs\nencode\nX", &length[..], text, b"X\x06\x00\x00\x00latin1\x86R"].concat()
    };
    match python {
        2 => [
            &b"\x80\x02}q\x01("[..],
            &short(key),
            &[b']', b'q', 5, b'(', b'K', label, b'e'],
            &short("data"),
            b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K\x01M\x00\x0c\x86",
            b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00",
            &pixels,
            b"tbu.",
        ]
        .concat(),
        3 => [
            &b"\x80\x02}("[..],
            &encoded(key.as_bytes()),
            &[b']', b'K', label, b'a'],
            &encoded(b"data"),
            b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85",
            &encoded(b"b"),
            b"\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nX\x02\x00\x00\x00u1\x89\x88\x87R(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            &encoded(&pixels),
            b"tbu.",
        ]
        .concat(),
        _ => [
            &b"\x80\x04}\x94(C"[..],
            &[key.len() as u8],
            key.as_bytes(),
            &[b']', b'K', label, b'a'],
            b"C\x04data\x8c\x16numpy._core.multiarray\x8c\x0c_reconstruct\x93\x8c\x05numpy\x94\x8c\x07ndarray\x93K\x00\x85C\x01b\x87R",
            b"(K\x01K\x01M\x00\x0c\x86h\x01\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87R(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B\x00\x0c\x00\x00",
            &pixels,
            b"tbu.",
        ]
        .concat(),
    }
}

/// The pickles that torchvision downloads, in its folders and in any protocol; no code of theirs is run.
#[test]
fn cifar_pickles() {
    let root = folder("cifar-pickles");
    let ten = root.join("cifar-10-batches-py");
    std::fs::create_dir_all(&ten).expect("a folder");
    for n in 1..=5u8 {
        std::fs::write(ten.join(format!("data_batch_{n}")), batch(n % 3 + 2, "labels", n, 10 * n))
            .expect("a file");
    }
    std::fs::write(ten.join("test_batch"), batch(2, "labels", 9, 77)).expect("a file");
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    let listed: String = names.iter().map(|name| format!("U{}{name}", name.len() as u8 as char)).collect();
    let meta = [b"\x80\x02}(U\x0blabel_names](".as_slice(), listed.as_bytes(), b"eu."].concat();
    std::fs::write(ten.join("batches.meta"), meta).expect("a file");
    for place in [&root, &ten] {
        let splits = load("cifar10", place, &SourceOptions::default()).expect("a data set");
        let Targets::Classes { labels, names: found, .. } = &splits.train.targets else { panic!("classes") };
        assert_eq!((&labels[..], &found[..]), (&[1, 2, 3, 4, 5][..], &names.map(String::from)[..]));
        assert_eq!(splits.train.sample(1)[..2], [20.0 / 255.0; 2]);
        assert_eq!(splits.test.expect("a test set").sample(0)[3071], 77.0 / 255.0);
    }
    let hundred = root.join("cifar-100-python");
    std::fs::create_dir_all(&hundred).expect("a folder");
    for part in ["train", "test"] {
        std::fs::write(hundred.join(part), batch(2, "fine_labels", 99, 5)).expect("a file");
    }
    let splits = load("cifar100", &root, &SourceOptions::default()).expect("a data set");
    assert!(
        matches!(&splits.train.targets, Targets::Classes { labels, names, .. } if labels[0] == 99 && names.len() == 100)
    );
    for (bytes, words) in [
        (batch(2, "labels", 12, 1), "has label 12; there are 10 classes"),
        (batch(2, "names", 1, 1), "has no `labels`"),
        (batch(2, "labels", 1, 1)[..3000].to_vec(), "truncated"),
        (b"\x80\x02cposix\nsystem\nU\x02ls\x85R.".to_vec(), "holds `posix.system`, and Kiln runs no code"),
        (b"\x80\x02}(U\x06labels]K\x01aU\x04dataK\x07u.".to_vec(), "`data`: is not an array"),
    ] {
        std::fs::write(ten.join("data_batch_3"), bytes).expect("a file");
        let error = load("cifar10", &root, &SourceOptions::default()).expect_err(words);
        assert!(error.contains("data_batch_3") && error.contains(words), "{words}: {error}");
    }
    let error = load("cifar10", &hundred, &SourceOptions::default()).expect_err("other files");
    assert!(error.contains("`data_batch_1.bin`") && error.contains("cifar-10-batches-py"), "{error}");
}

/// MNIST's files where torchvision puts them, and its kin with their names.
#[test]
fn torchvision_folders() {
    let root = folder("torchvision");
    let write = |place: &str| {
        let place = root.join(place);
        std::fs::create_dir_all(&place).expect("a folder");
        for part in ["train", "t10k"] {
            idx(&place.join(format!("{part}-images-idx3-ubyte")), &[1, 2, 2], &[1, 2, 3, 4]);
            idx(&place.join(format!("{part}-labels-idx1-ubyte")), &[1], &[9]);
        }
    };
    let last = |kind: &str, place: &Path| {
        let splits = load(kind, place, &SourceOptions::default()).unwrap_or_else(|e| panic!("{kind}: {e}"));
        splits.train.class_names().expect("classes")[9].clone()
    };
    write("FashionMNIST/raw");
    assert_eq!(last("mnist", &root), "Ankle boot");
    write("KMNIST/raw");
    let error = load("mnist", &root, &SourceOptions::default()).expect_err("either");
    assert!(error.contains("train-images-idx3-ubyte"), "{error}");
    write("MNIST/raw");
    for (kind, place, name) in [
        ("mnist", "", "9"),
        ("mnist", "MNIST", "9"),
        ("mnist", "MNIST/raw", "9"),
        ("fashion-mnist", "", "Ankle boot"),
        ("mnist", "FashionMNIST", "Ankle boot"),
        ("mnist", "FashionMNIST/raw", "Ankle boot"),
        ("kmnist", "", "wo"),
    ] {
        assert_eq!(last(kind, &root.join(place)), name, "{kind}:{place}");
    }
}

/// Which folders are parts and which are classes; what is not an image, hidden or left behind by a program does not count.
#[test]
fn folder_layouts() {
    // Images and other files; then the classes, how many samples there are, and whether there is another part; or an error.
    type Case<'a> = (&'a str, Result<(&'a str, usize, bool), &'a str>);
    let cases: &[Case<'_>] = &[
        ("bus/0.png car/0.png train/0.png", Ok(("bus car train", 3, false))),
        ("bus/0.png car/0.png test/0.png", Ok(("bus car test", 3, false))),
        ("bus/0.png val/0.png valid/0.png", Ok(("bus val valid", 3, false))),
        ("test/0.png train/0.png val/0.png", Ok(("test train val", 3, false))),
        ("bus/0.png car/0.png train/steam/0.png train/diesel/1.png", Ok(("bus car train", 4, false))),
        ("train/a/0.png train/b/0.png test/a/0.png", Ok(("a b", 2, true))),
        ("train/a/0.png train/b/0.png valid/b/0.png others/0.png", Ok(("a b", 2, true))),
        ("train/test/0.png train/train/0.png test/train/0.png", Ok(("test train", 2, true))),
        ("train/a/0.png train/b/0.png", Ok(("a b", 2, false))),
        ("train/a/0.png train/b/0.png test/0.png", Ok(("a b", 2, false))),
        ("a/x/y/0.png a/1.png b/z/0.PNG", Ok(("a b", 3, false))),
        (
            "a/0.png a/Thumbs.db a/desktop.ini a/.DS_Store a/notes.txt b/0.png .git/0.png",
            Ok(("a b", 2, false)),
        ),
        ("a/0.png b/0.png __MACOSX/a/0.png a/.hidden/0.png readme.md", Ok(("a b", 2, false))),
        ("a/0.png b/notes.txt", Err("b`: has no images")),
        ("notes.txt", Err("has no folders")),
        ("train/a/0.png test/a/0.png test/b/0.png", Err("is not a class of the training images")),
    ];
    for (n, (files, wanted)) in cases.iter().enumerate() {
        let root = folder(&format!("layout-{n}"));
        for file in files.split_whitespace() {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            if file.to_lowercase().ends_with(".png") {
                let image = image::RgbImage::from_pixel(2, 2, image::Rgb([n as u8, 0, 0]));
                image.save_with_format(&path, image::ImageFormat::Png).expect("an image");
            } else {
                std::fs::write(&path, b"not an image").expect("a file");
            }
        }
        let found = load("folder", &root, &SourceOptions::default());
        match (found, wanted) {
            (Ok(splits), Ok((names, count, other))) => {
                assert_eq!(splits.train.class_names().expect("classes").join(" "), *names, "{files}");
                assert_eq!((splits.train.len(), splits.validation().is_some()), (*count, *other), "{files}");
            }
            (Err(error), Err(words)) => assert!(error.contains(words), "{files}: {error}"),
            (found, _) => panic!("{files}: {found:?}"),
        }
    }
}

/// Some classes, by name or number, in the order they are asked for.
#[test]
fn chosen_classes() {
    let root = folder("chosen");
    for (n, class) in ["airplane", "bird", "cat"].into_iter().enumerate() {
        std::fs::create_dir_all(root.join(class)).expect("a folder");
        for picture in 0..=n {
            let image = image::RgbImage::from_pixel(2, 2, image::Rgb([n as u8, 0, 0]));
            image.save(root.join(class).join(format!("{picture}.png"))).expect("an image");
        }
    }
    let table = root.join("t.csv");
    std::fs::write(&table, "x,y\n0.5,3\n1,7\n2,3\n3,5\n").expect("a file");
    let numbers = root.join("v.csv");
    std::fs::write(&numbers, "x,y\n0.5,3.5\n").expect("a file");
    let choose = |kind: &str, path: &Path, classes: &str| {
        let splits = load(kind, path, &SourceOptions::default()).expect("a data set");
        let classes: Vec<String> = classes.split(',').map(String::from).collect();
        let train = splits.chosen(&classes, false).map_err(|error| error.to_string())?.train;
        let firsts: Vec<f32> =
            (0..train.len()).map(|i| (train.sample(i)[0] * 255.0).round() / 255.0).collect();
        match train.targets {
            Targets::Classes { labels, names, .. } => Ok((labels, names.join(" "), firsts)),
            other => Err(format!("{other:?}")),
        }
    };
    let shade = |n: f32| n / 255.0;
    assert_eq!(
        choose("folder", &root, "cat,bird"),
        Ok((vec![1, 1, 0, 0, 0], "cat bird".into(), [1.0, 1.0, 2.0, 2.0, 2.0].map(shade).to_vec()))
    );
    assert_eq!(
        choose("folder", &root, "1,airplane").map(|found| (found.0, found.1)),
        Ok((vec![1, 0, 0], "bird airplane".into()))
    );
    assert_eq!(
        choose("csv", &table, "7,3").map(|found| (found.0, found.1)),
        Ok((vec![1, 0, 1], "7 3".into()))
    );
    for (kind, path, classes, words) in [
        ("folder", &root, "brid", "no class `brid` among airplane, bird, cat; is `bird` meant?"),
        ("folder", &root, "Cat", "is `cat` meant?"),
        ("folder", &root, "submarine", "among airplane, bird, cat"),
        ("folder", &root, "3", "no class `3`"),
        ("folder", &root, "bird,bird", "chosen twice"),
        ("csv", &table, "4", "no class `4` among 3, 5, 7"),
        ("csv", &numbers, "4", "the targets are numbers"),
    ] {
        let error = choose(kind, path, classes).expect_err(classes);
        assert!(error.contains(words), "{classes}: {error}");
    }
}
