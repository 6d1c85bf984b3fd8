//! Models into the importer.
//!
//! ```sh
//! cd crates/kiln-onnx/fuzz
//! mkdir -p corpus/model
//! find ../../../tests/oracles/fixtures -name '*.onnx' -size -16k | \
//!     while read -r file; do cp "$file" "corpus/model/$(md5sum < "$file" | cut -c 1-16)"; done
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none model corpus/model \
//!     -- -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=16384
//! ```

#![no_main]

mod mutate;
mod random;
mod values;

use kiln_graph::{Graph, text};
use kiln_onnx::{ImportOptions, export, import_bytes, interface};
use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};

/// Graphs of more nodes or elements are not sent through text and export: that takes its time and tells nothing new.
const SMALL: (usize, usize) = (300, 1 << 14);

fuzz_target!(|bytes: &[u8]| {
    let known = interface(bytes).unwrap_or_default().to_know;
    let mut options = ImportOptions { values: values::made_up(bytes, &known), ..ImportOptions::default() };
    let mut result = import_bytes(bytes, None, &options);
    if result.is_err() {
        options.lenient = true;
        result = import_bytes(bytes, None, &options);
    }
    match result {
        Ok(imported) => imports(&imported.graph),
        Err(error) => drop(error.to_string()),
    }
});

/// What is true of every graph that was imported.
fn imports(graph: &Graph) {
    graph.verify().expect("what is imported is valid");
    let shown = graph.to_string();
    let stored = graph.values().iter().filter_map(|value| match &value.def {
        kiln_graph::Def::Constant(tensor) | kiln_graph::Def::State(tensor) => Some(tensor.len()),
        kiln_graph::Def::Input | kiln_graph::Def::Node { .. } => None,
    });
    if graph.nodes().len() > SMALL.0 || stored.sum::<usize>() > SMALL.1 {
        return;
    }
    let again = text::parse(&graph.with_data().to_string()).expect("the text form is read back");
    assert_eq!(again.to_string(), shown, "the text form says everything");
    if let Ok(bytes) = export(graph)
        && let Ok(imported) = import_bytes(&bytes, None, &ImportOptions::default())
    {
        imported.graph.verify().expect("what is imported is valid");
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross(data1, data2, out, seed)
});
