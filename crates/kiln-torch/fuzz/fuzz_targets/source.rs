//! Python texts into the importer.
//!
//! ```sh
//! cd crates/kiln-torch/fuzz
//! mkdir -p corpus/source
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none source corpus/source seeds/source ../../../models \
//!     -- -dict=seeds/source.dict -timeout=20 -rss_limit_mb=3000 -max_len=8192
//! ```

#![no_main]

mod mutate;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kiln_torch::{ImportError, ImportOptions, Imported, Limits, import_text};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// A folder without other files that could be imported.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("kiln-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join("fuzz.py")
});

fn read(text: &str, path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let result = import_text(text, path, options);
    match &result {
        Ok(imported) => {
            imported.graph.verify().expect("what is imported is valid");
            let _ = imported.graph.to_string();
        }
        Err(error) => {
            // What panics on the thread of the evaluator comes back as an error.
            assert!(!error.message.contains("an error in Kiln itself"), "{}", error.message);
            let _ = (error.report(), error.to_string());
        }
    }
    result
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Half of the texts are read as in training; which half is a matter of the text.
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let limits =
        Limits { steps: 200_000, cells: 200_000, elements: 1 << 22, nodes: 5000, ..Limits::default() };
    let mut options = ImportOptions {
        training: sum.is_multiple_of(2),
        lenient_imports: sum.is_multiple_of(3),
        inputs: if text.contains("# kiln:") { vec![] } else { vec!["3,16,16".into()] },
        limits,
        ..ImportOptions::default()
    };
    if let Err(error) = read(text, &PLACE, &options)
        && error.message.contains("defines several models")
        && let Some((_, last)) = error.help.as_deref().unwrap_or_default().rsplit_once(':')
    {
        options.model = Some(last.to_owned());
        let _ = read(text, &PLACE, &options);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed)
});
