//! Reporting errors: as text on standard error, or as JSON on standard output (`--json`).

use miette::{MietteDiagnostic, Report};
use serde_json::json;

use crate::table::shorten;
use crate::terminal::{clean, note_coloured, show_json};

/// Maximum characters of a word in a message; names can be as long as a file.
const MOST_WORD: usize = 300;

/// Messages are wrapped between words only: a path that is broken at a hyphen is no path any more.
pub(crate) fn keep_words_whole() {
    // It fails where there is a handler already.
    let _ = miette::set_hook(Box::new(|_| {
        let whole = textwrap::WordSplitter::NoHyphenation;
        Box::new(miette::MietteHandlerOpts::new().word_splitter(whole).break_words(false).build())
    }));
}

/// Reports why a command failed.
pub(crate) fn say(report: Report, as_json: bool) {
    // If standard output cannot be written to, that is the error to report.
    if as_json && show_json("error", error_json(&report)).is_ok() {
        return;
    }
    note_coloured(&format!("{:?}", for_people(report)));
}

/// `{"error": {"message": ..., "causes": [...], "help": ..., "places": [...]}}`.
fn error_json(report: &Report) -> serde_json::Value {
    let mut said = causes(report).into_iter();
    let message = said.next().unwrap_or_default();
    let mut error = json!({ "message": message, "causes": said.collect::<Vec<_>>() });
    if let Some(help) = report.help() {
        error["help"] = help.to_string().into();
    }
    let place = |label: miette::LabeledSpan| {
        let contents = report.source_code()?.read_span(label.inner(), 0, 0).ok()?;
        Some(json!({
            "file": contents.name(), "line": contents.line() + 1, "column": contents.column() + 1,
        }))
    };
    let places: Vec<_> = report.labels().into_iter().flatten().filter_map(place).collect();
    if !places.is_empty() {
        error["places"] = places.into();
    }
    json!({ "error": error })
}

/// The messages, outermost first. Many errors include their source's message in their own; it is shown
/// once.
pub(crate) fn causes(report: &Report) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in report.chain().map(ToString::to_string) {
        if !said.last().is_some_and(|before| before.contains(&cause)) {
            said.push(cause);
        }
    }
    said
}

/// The same error without terminal control characters.
fn for_people(report: Report) -> Report {
    // Labels into a source file are kept; they are cleaned where they are created.
    if report.labels().is_some() {
        return report;
    }
    let mut said = causes(&report).into_iter().rev().map(|cause| readable(&cause));
    let mut first = MietteDiagnostic::new(said.next().unwrap_or_default());
    if let Some(help) = report.help() {
        first = first.with_help(readable(&help.to_string()));
    }
    said.fold(Report::new(first), Report::wrap_err)
}

/// A message without control characters and overlong words.
pub(crate) fn readable(message: &str) -> String {
    let text = clean(message);
    if text.len() <= MOST_WORD {
        return text.into_owned();
    }
    text.split_inclusive([' ', '\n']).map(|word| shorten(word, MOST_WORD)).collect()
}
