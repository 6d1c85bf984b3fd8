//! Programs as people write them on their first days, and what is said about each.
//!
//! `wrong/` has the programs, the snapshot what they give. The best of them are shown in `docs/wrong-programs.md`, which is
//! held to what is really said.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use kiln_torch::{ImportOptions, import_text};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torch/wrong")
}

/// The names of all programs, in order.
fn programs() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the folder of programs");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".py")).collect();
    names.sort();
    names
}

fn program(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is said about a program; input shapes and arguments are in its comments.
fn said(name: &str) -> String {
    match import_text(&program(name), Path::new(name), &ImportOptions::default()) {
        Err(error) => error.report(),
        Ok(model) if model.warnings.is_empty() => "no word\n".to_owned(),
        Ok(model) => model.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect(),
    }
}

#[test]
fn messages() {
    let mut table = String::new();
    for name in programs() {
        let _ = writeln!(table, "{name}:\n  {}\n", said(&name).trim_end().replace('\n', "\n  "));
    }
    insta::assert_snapshot!(table);
}

/// What the page for people says: of each program some lines, and the message.
struct Shown {
    program: String,
    lines: String,
    message: String,
}

fn shown(page: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = vec![];
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some((_, rest)) = line.split_once("tests/torch/wrong/") {
            let program = rest.split(')').next().unwrap_or_default().to_owned();
            all.push(Shown { program, lines: String::new(), message: String::new() });
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: String =
            lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        let last = all.last_mut().expect("a program in front of its blocks");
        match kind {
            "python" => last.lines = block,
            "text" => last.message = block,
            other => panic!("a block of {other}"),
        }
    }
    all
}

#[test]
fn the_page_says_what_is_said() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/wrong-programs.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let shown = shown(&page);
    assert_eq!(shown.len(), 20);
    for Shown { program: name, lines, message } in shown {
        assert_eq!(message, said(&name), "{name}");
        let text = program(&name);
        let mut rest = text.lines();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            assert!(rest.any(|other| other == line), "{name} does not say, or not there: {line}");
        }
    }
}
