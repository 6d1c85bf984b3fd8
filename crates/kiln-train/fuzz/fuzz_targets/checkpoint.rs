//! Checkpoints: the file as a whole, with its checksums and its progress.
//!
//! ```sh
//! cd crates/kiln-train/fuzz
//! mkdir -p corpus/checkpoint && cp seeds/checkpoint/* corpus/checkpoint
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none checkpoint corpus/checkpoint \
//!     -- -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=8192
//! ```

#![no_main]

use kiln_train::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Checkpoint::check(bytes) {
        assert!(!error.is_empty());
    }
});
