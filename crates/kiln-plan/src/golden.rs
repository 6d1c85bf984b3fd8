//! The plans in `tests/plans`, which every reader of the format has to take or to refuse: this one, and the one in `web/`.
//!
//! `good` are read, `refused` are not, and `verdicts.json` has what is said of these. It also has a verdict for each of
//! many random changes of the first good plan, which a reader in another language makes for itself. With KILN_WRITE=1 in
//! the environment, the test writes the files.

use std::path::{Path, PathBuf};

use crate::tests::{impossible, repair, sample, unchecked};
use crate::{Plan, metadata, repeat};

/// What is larger is left to the tests beside: it says nothing that small files do not say.
const LARGEST: usize = 32 << 10;
const MUTATIONS: usize = 8192;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plans")
}

/// File names with contents.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("good/sample.kplan".to_string(), sample().to_bytes().unwrap())];
    files.push(("good/repeats.kplan".to_string(), repeat::tests::sample().to_bytes().unwrap()));
    for (n, metadata) in metadata::tests::samples().into_iter().enumerate() {
        let plan = Plan { metadata, ..sample() };
        files.push((format!("good/metadata-{n}.kplan"), plan.to_bytes().unwrap()));
    }
    let good = files[0].1.clone();
    let (mut refused, mut said) = (Vec::new(), Vec::new());
    let damaged = damaged(&good).into_iter().chain(impossible().map(|(plan, _)| unchecked(&plan)));
    for (n, bytes) in damaged.enumerate().filter(|(_, bytes)| bytes.len() <= LARGEST) {
        let name = format!("refused/{n:03}.kplan");
        said.push(format!("    {:?}: {}", name, json(&Plan::read(&bytes).unwrap_err().to_string())));
        refused.push((name, bytes));
    }
    files.extend(refused);
    let verdicts: Vec<bool> = mutations(&good).map(|bytes| Plan::read(&bytes).is_ok()).collect();
    let accepted = verdicts.iter().filter(|accepted| **accepted).count();
    assert!(accepted > 500 && accepted < MUTATIONS - 500, "both occur: {accepted}");
    let digit = |four: &[bool]| four.iter().fold(0, |digit, accepted| 2 * digit + u32::from(*accepted));
    let digits: String = verdicts.chunks(4).filter_map(|four| char::from_digit(digit(four), 16)).collect();
    let table =
        format!("{{\n  \"refused\": {{\n{}\n  }},\n  \"mutations\": \"{digits}\"\n}}\n", said.join(",\n"));
    files.push(("verdicts.json".to_string(), table.into_bytes()));
    files
}

/// A string of JSON.
fn json(text: &str) -> String {
    let escape = |c: char| match c {
        '"' => "\\\"".to_string(),
        '\\' => "\\\\".to_string(),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

/// The bytes of a good plan, damaged in ways that checksums or lengths show.
fn damaged(good: &[u8]) -> Vec<Vec<u8>> {
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        bytes
    };
    vec![
        vec![],
        b"KILN".to_vec(),
        b"\x89PNG\r\n\x1a\n and so on".to_vec(),
        changed(&|bytes| bytes[8] = 4),
        changed(&|bytes| bytes[8] = 6),
        changed(&|bytes| bytes[12] ^= 1),
        changed(&|bytes| bytes[100] ^= 1),
        changed(&|bytes| {
            let last = bytes.len() - 256;
            bytes[last] ^= 1;
        }),
        // In the padding.
        changed(&|bytes| {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }),
        changed(&|bytes| bytes.push(0)),
        changed(&|bytes| bytes.truncate(bytes.len() - 1)),
        changed(&|bytes| bytes.truncate(500)),
        changed(&|bytes| {
            bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
            repair(bytes);
        }),
        changed(&|bytes| {
            bytes[24..32].copy_from_slice(&512u64.to_le_bytes());
            repair(bytes);
        }),
    ]
}

/// Random changes of up to four bytes, chosen by a linear congruential generator (constants of Knuth's MMIX), behind good
/// checksums.
fn mutations(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let header = good.len() - 3 * 256 - 12;
    (0..MUTATIONS).map(move |_| {
        let mut bytes = good.to_vec();
        for _ in 0..1 + random(4) {
            let at = 12 + random(header);
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        repair(&mut bytes);
        bytes
    })
}

#[test]
fn golden_plans_are_as_they_were() {
    let files = files();
    let write = std::env::var_os("KILN_WRITE").is_some();
    for (name, bytes) in &files {
        let path = folder().join(name);
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
        let found = std::fs::read(&path).unwrap_or_default();
        assert!(found == *bytes, "{} is not what is written now; KILN_WRITE=1 writes it", path.display());
    }
}

/// The files as they are, whoever made them.
#[test]
fn golden_plans_are_read() {
    for entry in std::fs::read_dir(folder().join("good")).unwrap() {
        let path = entry.unwrap().path();
        Plan::load(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    for entry in std::fs::read_dir(folder().join("refused")).unwrap() {
        let path = entry.unwrap().path();
        assert!(Plan::load(&path).is_err(), "{}", path.display());
    }
}
