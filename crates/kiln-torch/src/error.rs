//! Errors of source files, with their place in the file.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::python::{FaultData, Interpreter};
use crate::source::Span;

/// An error of a model definition, in terms of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// Where.
    pub place: Option<Place>,
    /// Where what failed was called from, innermost first.
    pub calls: Vec<Place>,
    /// Where the layer that failed was made.
    pub made: Option<Place>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// What it says.
    pub text: Arc<str>,
    /// The bytes that are meant.
    pub range: std::ops::Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The longest line that is shown whole, in characters.
const LONGEST: usize = 240;

impl Place {
    /// The line, whole.
    pub fn line_text(&self) -> &str {
        self.text.lines().nth(self.line - 1).unwrap_or_default()
    }

    /// The line, the characters before what is meant, and how many are meant in it. A line of a file that no person wrote
    /// is cut to what is around the place.
    fn line(&self) -> (String, usize, usize) {
        let (before, mut skipped) = (self.column - 1, 0);
        let mut line: String = self.line_text().chars().take(before.saturating_add(LONGEST)).collect();
        if before > LONGEST / 2 && line.chars().count() > LONGEST {
            skipped = before - LONGEST / 2;
            line = line.chars().skip(skipped).collect();
        }
        let line: String = line.chars().take(LONGEST).collect();
        let meant = self.text.get(self.range.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        (line, before - skipped, meant.chars().take(LONGEST).count().max(1))
    }
}

impl ImportError {
    /// An error without a place.
    pub(crate) fn plain(message: impl Into<String>, help: Option<String>) -> Self {
        Self { message: message.into(), help, place: None, calls: vec![], made: None }
    }

    pub(crate) fn new(data: &FaultData, interpreter: &Interpreter) -> Self {
        let place = |span: Span| {
            let file = interpreter.files.get(usize::try_from(span.file).ok()?)?;
            let (line, column) = file.position(span.start);
            let at = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX).min(file.text.len());
            Some(Place {
                file: file.path.clone(),
                text: file.text.as_str().into(),
                range: at(span.start)..at(span.end).max(at(span.start)),
                line,
                column,
            })
        };
        // What is built in is nobody's to read: the place is where the program calls it.
        let is_own = |span: &Span| {
            let file = usize::try_from(span.file).ok().and_then(|file| interpreter.files.get(file));
            !file.is_some_and(|file| crate::torch::is_built_in(&file.path))
        };
        let mut on_the_way =
            data.span.into_iter().chain(data.calls.iter().map(|(span, _)| *span)).filter(is_own);
        let (first, made) = (on_the_way.next(), data.made.filter(is_own));
        let calls = on_the_way.filter(|span| Some(*span) != first);
        Self {
            message: data.message.clone(),
            help: data.help.clone(),
            // A layer in an `nn.Sequential` is called by no line: the one that makes it is the place.
            place: first.or(made).and_then(place),
            calls: calls.filter_map(place).collect(),
            made: made.filter(|_| first.is_some()).and_then(place),
        }
    }

    /// The error with the source line, underlined, as text.
    pub fn report(&self) -> String {
        let mut out = format!("error: {}\n", self.message);
        if let Some(place) = &self.place {
            let (line, before, count) = place.line();
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            // Tabs stay, so that the line below has the same width.
            let indent: String =
                line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            out += &format!("{margin}--> {}:{}:{}\n", place.file.display(), place.line, place.column);
            out += &format!("{margin} |\n{number} | {line}\n{margin} | {indent}{}\n", "^".repeat(count));
            let calls = self.calls.iter().map(|call| ("called", call));
            for (what, other) in self.made.iter().map(|made| ("made", made)).chain(calls) {
                let text: String = other.line_text().trim().chars().take(LONGEST).collect();
                out += &format!("{margin} = {what} at {}:{}: {text}\n", other.file.display(), other.line);
            }
        }
        if let Some(help) = &self.help {
            out += &format!("help: {help}\n");
        }
        out
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}: ", place.file.display(), place.line)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ImportError {}
