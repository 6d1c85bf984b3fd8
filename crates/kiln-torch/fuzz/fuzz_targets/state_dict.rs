//! Bytes into the reader of `.pt`, `.pth` and safetensors files.
//!
//! ```sh
//! cd crates/kiln-torch/fuzz
//! mkdir -p corpus/state_dict
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none state_dict corpus/state_dict \
//!     ../../../tests/oracles/fixtures/state_dicts -- -timeout=20 -rss_limit_mb=3000 -max_len=65536
//! ```

#![no_main]

use kiln_torch::state_dict::StateDict;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match StateDict::from_bytes(bytes) {
        Ok(read) => {
            for (name, tensor) in read.iter() {
                assert!(read.get(name).is_some());
                assert_eq!(tensor.shape().iter().product::<usize>(), tensor.to_f64().len());
            }
            // What was read can be written, and is the same when it is read again.
            if let Ok(written) = read.to_pt() {
                let again = StateDict::from_bytes(&written).expect("what was written is read");
                assert_eq!(again.len(), read.len());
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});
