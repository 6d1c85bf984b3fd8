//! Tests that lack what they need say so where it is seen: test runners hide what a passing test prints.

use std::io::Write;

/// Notes that the running test was skipped, and why. `scripts/test` lists the notes after its run.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    println!("skipped: {test}: {why}");
    let Some(path) = std::env::var_os("KILN_SKIPPED") else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{test}: {why}"));
    written.expect("KILN_SKIPPED names a file that can be written");
}
