//! The version with the revision of the sources, where these are a git repository.

use std::path::Path;
use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    // A package that was downloaded may lie in the repository of another program.
    let is_own = git(&["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix == "crates/kiln-cli/");
    let revision = if is_own { git(&["rev-parse", "--short=10", "HEAD"]) } else { None };
    let version = match &revision {
        Some(revision) => format!("{version} ({revision})"),
        None => version,
    };
    println!("cargo::rustc-env=KILN_VERSION={version}");
    if revision.is_some() {
        // What names the revision, and what that name stands for.
        let paths = ["HEAD", "refs/heads", "packed-refs"].map(|name| git(&["rev-parse", "--git-path", name]));
        for path in paths.iter().flatten().filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}
