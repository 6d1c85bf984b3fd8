//! Arrays: `.npy`, `.npz` and IDX files, plain and compressed.
//!
//! ```sh
//! cd crates/kiln-train/fuzz
//! mkdir -p corpus/arrays && cp seeds/arrays/* corpus/arrays
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none arrays corpus/arrays \
//!     -- -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=8192
//! ```

#![no_main]

mod place;

use kiln_train::data::{Meaning, Source, SourceOptions};
use kiln_train::npy;
use libfuzzer_sys::fuzz_target;

/// Labels for as many images as `images` says it has.
fn labels(images: &[u8]) -> Vec<u8> {
    let count = images.get(4..8).map_or([0; 4], |count| [count[0], count[1], count[2], count[3]]);
    let labels = vec![3; (u32::from_be_bytes(count) as usize).min(1 << 16)];
    [&[0, 0, 8, 1][..], &count, &labels].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let source = if bytes.starts_with(b"\x93NUMPY") {
        if let Ok(array) = npy::read(bytes, kiln_files::allowance(bytes.len() as u64)) {
            assert!(array.shape.iter().product::<usize>() <= bytes.len());
        }
        let folder = place::folder().join("arrays");
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in ["x.npy", "y.npy"] {
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
        Source::Npz(folder)
    } else if bytes.starts_with(b"PK") {
        let file = place::folder().join("arrays.npz");
        std::fs::write(&file, bytes).expect("a file");
        Source::Npz(file)
    } else {
        let folder = place::folder().join("idx");
        std::fs::create_dir_all(&folder).expect("a folder");
        let ending = if bytes.starts_with(&[0x1f, 0x8b]) { ".gz" } else { "" };
        for old in std::fs::read_dir(&folder).expect("a folder").flatten() {
            std::fs::remove_file(old.path()).expect("a file");
        }
        for part in ["train", "t10k"] {
            std::fs::write(folder.join(format!("{part}-images-idx3-ubyte{ending}")), bytes).expect("a file");
            std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels(bytes)).expect("a file");
        }
        Source::Mnist(folder)
    };
    match source.load(&SourceOptions::default()) {
        Ok(splits) => {
            splits.train.check("the data").expect("what is read is whole");
            let meaning = Meaning::Classes { outputs: Some(3), ignored: None };
            if let Ok(decided) = splits.decided(meaning, &[]) {
                decided.train.check("the data").expect("what is decided is whole");
            }
        }
        Err(error) => drop(error.to_string()),
    }
});
