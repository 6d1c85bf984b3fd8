//! The terminal: results on standard output, messages on standard error.
//!
//! Names and messages come from untrusted files, and a terminal interprets what they may contain: escape
//! sequences, bells, bidirectional marks. All text for the terminal goes through [`clean`] here, which shows such
//! characters escaped; JSON escapes them by number, so that programs read exact values.
//!
//! The standard library's `println!` panics when the reader is gone (`kiln summary net.onnx | head -1`) or the disk
//! is full. Here the first is not an error and the second is an ordinary one.

use std::borrow::Cow;
use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use miette::{Result, miette};

/// The bar that is on the terminal, if there is one: it makes room for whatever else is written.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Says which bar is on the terminal, or that there is none any more.
pub(crate) fn show_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

fn beside_bar<T>(write: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// How many characters a line of the terminal has; `None` where results go elsewhere.
pub(crate) fn width() -> Option<usize> {
    let (width, _) = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten()?;
    Some(usize::from(width.0)).filter(|width| *width > 0)
}

/// Writes to standard output; a closed pipe is not an error.
pub(crate) fn show(text: fmt::Arguments<'_>) -> Result<()> {
    show_bytes(clean(&text.to_string()).as_bytes())
}

/// The version of the documents of `--json`. It grows when a field is renamed, removed, or means something else.
const VERSION: u32 = 1;

/// Writes a document of `--json` to standard output, exact and with a line's end: what it is, `kiln-bench` or the like, the version,
/// and the fields of `value`.
pub(crate) fn show_json(what: &str, value: serde_json::Value) -> Result<()> {
    let mut document = serde_json::json!({ "format": format!("kiln-{what}"), "version": VERSION });
    if let (serde_json::Value::Object(all), serde_json::Value::Object(fields)) = (&mut document, value) {
        all.extend(fields);
    }
    show_bytes(json_text(&format!("{document:#}\n")).as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn show_bytes(bytes: &[u8]) -> Result<()> {
    beside_bar(|| {
        let mut out = std::io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    })
}

/// Prints a message. If it cannot be written, the work continues.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    beside_bar(|| {
        let _ = writeln!(std::io::stderr().lock(), "{}", clean(&text.to_string()));
    });
}

/// The same for a text that was cleaned and then coloured.
pub(crate) fn note_coloured(text: &str) {
    beside_bar(|| {
        let _ = writeln!(std::io::stderr().lock(), "{}", replaced(text, &|text, at| !is_colour(text, at)));
    });
}

/// A text with control characters escaped as `\u{1b}`; line ends and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    replaced(text, &|_, _| true)
}

/// A text of one line: line ends are escaped, too.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    match clean(text) {
        text if text.contains(['\n', '\t']) => Cow::Owned(text.replace('\n', "\\n").replace('\t', "\\t")),
        text => text,
    }
}

/// A text with control characters replaced by others of as many bytes, so that positions in it stay.
pub(crate) fn clean_in_place(text: &str) -> String {
    let same_length = |c: char| match c.len_utf8() {
        1 => '?',
        2 => '\u{bf}',
        3 => '\u{fffd}',
        _ => '\u{1f6ab}',
    };
    text.chars().map(|c| if is_obeyed(c) { same_length(c) } else { c }).collect()
}

/// JSON in which control characters are escaped by number. They occur in strings only.
pub(crate) fn json_text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal does something other than to show a character: controls (C0, DEL, C1), marks of direction, and
/// those that are not seen.
fn is_obeyed(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn replaced<'a>(text: &'a str, unless: &dyn Fn(&str, usize) -> bool) -> Cow<'a, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if is_obeyed(c) && unless(text, at) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a sequence that only sets colours begins here: `ESC [ 1;31 m`.
fn is_colour(text: &str, at: usize) -> bool {
    let sequence = text[at..].strip_prefix("\u{1b}[");
    let end = sequence
        .and_then(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').chars().next());
    end == Some('m')
}

fn written(outcome: std::io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(miette!("cannot write to standard output: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `print!` for results: `show!("{table}")?`.
macro_rules! show {
    ($($text:tt)*) => { $crate::terminal::show(format_args!($($text)*)) };
}

/// `println!` for results.
macro_rules! showln {
    () => { $crate::terminal::show(format_args!("\n")) };
    ($($text:tt)+) => { $crate::terminal::show(format_args!("{}\n", format_args!($($text)+))) };
}

/// `eprintln!` for messages.
macro_rules! note {
    ($($text:tt)*) => { $crate::terminal::note(format_args!($($text)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let cases = [
            ("größe 日本 \n\ta", "größe 日本 \n\ta"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\rb\u{8}\u{7f}", "a\\u{d}b\\u{8}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}def\u{2066}\u{200f}", "abc\\u{202e}def\\u{2066}\\u{200f}"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected);
            assert_eq!(clean(&clean(text)), expected);
            let in_place = clean_in_place(text);
            assert_eq!((in_place.len(), in_place.contains(is_obeyed)), (text.len(), false), "{text:?}");
        }
        assert_eq!(clean_line("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(
            replaced("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J", &|t, at| !is_colour(t, at)),
            "\u{1b}[1;31mred\u{1b}[0m \\u{1b}[2J"
        );
    }

    #[test]
    fn json_is_exact() {
        for name in ["\u{1b}[31m", "\u{7f}\u{9b}", "\u{202e}\u{2028}", "\u{e0041}", "plain"] {
            let value = serde_json::json!({ name: name });
            let text = json_text(&format!("{value:#}")).into_owned();
            assert!(!text.contains(is_obeyed), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }
}
