//! Pictures: PNG and JPEG files, decoded and brought to a size.
//!
//! ```sh
//! cd crates/kiln-train/fuzz
//! mkdir -p corpus/picture && cp ../../../tests/oracles/fixtures/pictures/*.{png,jpg} corpus/picture
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none picture corpus/picture \
//!     -- -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=2048 -max_len=8192
//! ```

#![no_main]

use kiln_plan::{Channels, Pictures, Resize};
use kiln_train::picture::from_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for channels in [Channels::Rgb, Channels::Grey] {
        let picture = match from_bytes(bytes, channels) {
            Ok(picture) => picture,
            Err(error) => {
                drop(error);
                return;
            }
        };
        let pictures =
            Pictures { channels, resize: Some(Resize::Shorter(9)), crop: Some([7, 11]), ..Pictures::default() };
        if let Some(prepared) = picture.prepared(&pictures) {
            assert_eq!(prepared.planes(channels).len(), channels.count() * 7 * 11);
        }
    }
});
