//! Tables: CSV files to learn from, to evaluate a model that knows its classes and columns, and to run one.
//!
//! ```sh
//! cd crates/kiln-train/fuzz
//! mkdir -p corpus/table && cp seeds/table/* corpus/table
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none table corpus/table \
//!     -- -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=4096
//! ```

#![no_main]

mod place;

use kiln_train::data::{Known, Meaning, Source, SourceOptions, Splits, Targets, column_names, read_columns};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // What is asked for is a matter of the last byte.
    let Some((how, text)) = bytes.split_last() else { return };
    let path = place::folder().join("table.csv");
    std::fs::write(&path, text).expect("a file");
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let known = Known {
        classes: list(if how & 1 == 0 { &[] } else { &["1", "2", "a"] }),
        columns: list(if how & 2 == 0 { &[] } else { &["b", "x"] }),
        target: (how & 4 != 0).then(|| "y".into()),
    };
    let options = SourceOptions { skip_bad: how & 8 != 0, known: known.clone(), ..SourceOptions::default() };
    let _ = read_columns(&path, &known.columns);
    let _ = column_names(&path);
    match Source::Csv(path).load(&options) {
        Ok(splits) => loaded(splits, &known),
        Err(error) => drop(error.to_string()),
    }
});

/// What is true of every table that was read.
fn loaded(splits: Splits, known: &Known) {
    splits.train.check("the data").expect("what is read is whole");
    let _ = splits.clone().chosen(&["1".into(), "a".into()], true);
    let meaning = Meaning::Classes { outputs: Some(3), ignored: Some(2) };
    for classes in [&known.classes[..], &[]] {
        let Ok(decided) = splits.clone().decided(meaning, classes) else { continue };
        decided.train.check("the data").expect("what is decided is whole");
        assert!(!matches!(decided.train.targets, Targets::Whole { .. }));
    }
    let _ = splits.train.target_scale();
    let _ = splits.train.channel_statistics();
}
