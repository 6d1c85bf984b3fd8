//! Damaged models are errors, or models; never a panic, and never more memory than the file asks for with reason.

use std::path::Path;

use kiln::{Options, Target};

/// Small numbers that are the same each time (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % n.max(1)
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or(0)),
            2 => {
                bytes.remove(at);
            }
            // A number that is all ones is large, or negative.
            3 => bytes[at] = 0xff,
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

#[test]
fn damaged_models_do_no_harm() {
    let rounds: usize = std::env::var("KILN_DAMAGE").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/ops");
    let mut folders: Vec<_> = std::fs::read_dir(fixtures)
        .expect("the fixtures are committed")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    folders.sort();
    let (mut random, mut errors, mut models) = (Random(0x9e37_79b9_7f4a_7c15), 0, 0);
    for folder in folders {
        let bytes = std::fs::read(folder.join("model.onnx")).expect("a model");
        for _ in 0..rounds {
            let mut damaged = bytes.clone();
            damage(&mut damaged, &mut random);
            if let Ok(path) = std::env::var("KILN_DAMAGE_FILE") {
                std::fs::write(path, &damaged).expect("a writable file");
            }
            let Ok(imported) = kiln::onnx::import_bytes(&damaged, None, &Default::default()) else {
                errors += 1;
                continue;
            };
            models += 1;
            let max = imported.graph.symbols().iter().map(|s| (s.to_string(), 3)).collect();
            // Whether it compiles or not, it comes back.
            let _ = kiln::compile(
                &imported.graph,
                &Options { target: Target::lavapipe(), max, ..Options::default() },
            );
        }
    }
    assert!(errors > 0 && models > 0);
}
