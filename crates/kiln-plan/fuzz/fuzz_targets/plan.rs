//! Bytes into the reader of plan files.
//!
//! ```sh
//! cd crates/kiln-plan/fuzz
//! mkdir -p corpus/plan
//! for model in ../../../tests/oracles/fixtures/ops/*/model.onnx; do
//!     kiln compile "$model" -o "corpus/plan/$(basename "$(dirname "$model")")"
//! done
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none plan corpus/plan \
//!     -- -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=65536
//! ```

#![no_main]

mod field;
mod mutate;

use kiln_plan::{Plan, check};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| {
    match Plan::read(bytes) {
        Ok(plan) => {
            check(&plan).expect("what is read has been checked");
            let written = plan.to_bytes().expect("what is read can be written");
            let again = Plan::read(&written).expect("what is written can be read");
            // By their bytes: no NaN equals itself.
            assert!(
                again.to_bytes().expect("it was") == written,
                "what is written is the same when it is read"
            );
            looked_at(&plan);
        }
        Err(error) => drop(error.to_string()),
    }
});

/// What a runtime asks of a plan can be answered.
fn looked_at(plan: &Plan) {
    let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    for symbols in [largest.clone(), vec![1; largest.len()], vec![0; largest.len()]] {
        for tensor in &plan.tensors {
            for dim in &tensor.shape {
                let _ = (dim.eval(&symbols), dim.text(&plan.symbols), dim.as_const());
            }
        }
        for dispatch in plan.programs.iter().flat_map(|program| &program.dispatches) {
            let _ = dispatch.workgroups.each_ref().map(|count| count.eval(&symbols));
            let _ = (dispatch.flops.eval(&symbols), dispatch.bytes.eval(&symbols));
        }
    }
    for (index, _) in plan.states() {
        assert!(index < plan.tensors.len());
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed)
});
