//! Recipes: the file as a table, and what its words become. The numbers of the others have their ranges in the command.
//!
//! ```sh
//! cd crates/kiln-train/fuzz
//! mkdir -p corpus/recipe && cp seeds/recipe/* ../../../models/*.toml corpus/recipe
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none recipe corpus/recipe \
//!     -- -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=4096
//! ```

#![no_main]

use std::collections::BTreeMap;

use kiln_plan::Metadata;
use kiln_train::augment::Augmentation;
use kiln_train::data::Source;
use kiln_train::schedule::{Position, Schedule};
use libfuzzer_sys::fuzz_target;
use toml::{Table, Value};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => return drop(error.to_string()),
    };
    let words = |key: &str| match table.get(key) {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    for text in words("data") {
        match text.parse::<Source>() {
            // What it is written as is the same again.
            Ok(source) => assert_eq!(source.to_string().parse::<Source>().ok(), Some(source)),
            Err(error) => drop(error.to_string()),
        }
    }
    for text in words("schedule") {
        let Ok(schedule) = text.parse::<Schedule>() else { continue };
        for step in [0, 1, 49, 99] {
            let (lr, momentum) = schedule.at(Position { step, steps_per_epoch: 10, steps: 100 }, 0.1, 0.9, 3);
            assert!(lr >= 0.0 && (0.0..1.0).contains(&momentum), "{lr} {momentum}");
        }
    }
    for text in words("augment") {
        if let Ok(augmentation) = text.parse::<Augmentation>() {
            changed(&augmentation);
        }
    }
    if let Some(Ok(properties)) = table.get("metadata").cloned().map(Value::try_into::<BTreeMap<String, String>>)
        && let Ok(metadata) = Metadata::from_properties(&properties)
    {
        assert_eq!(Metadata::from_properties(&metadata.to_properties()).ok(), Some(metadata));
    }
});

/// Changes a picture, if it is one that can be changed.
fn changed(augmentation: &Augmentation) {
    use rand_chacha::rand_core::SeedableRng;
    let mut shape = [3, 6, 5];
    let Ok(sides) = augmentation.check(shape) else { return };
    if sides.iter().product::<usize>() > 1 << 16 {
        return;
    }
    for seed in 0..3 {
        let mut image = vec![0.5; 3 * 6 * 5];
        shape = [3, 6, 5];
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        augmentation.apply(&mut image, &mut shape, &mut random);
        assert_eq!(shape, sides);
        assert_eq!(image.len(), sides.iter().product::<usize>());
    }
}
