//! The terminal: results on standard output, everything said along the way on standard error.
//!
//! The standard library's `println!` panics when nobody reads any more (`kiln summary net.onnx | head -1`) or the disk
//! is full. Here the first is no error and the second is one like any other.

use std::fmt;
use std::io::{ErrorKind, Write};

use miette::{Result, miette};

/// Writes to standard output; a reader that has seen enough is no error.
pub fn show(text: fmt::Arguments<'_>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_fmt(text).and_then(|()| out.flush()))
}

/// The same for bytes.
pub fn show_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Says something along the way. Where that cannot be read, the work goes on all the same.
pub fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
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

/// `eprintln!` for what is said along the way.
macro_rules! note {
    ($($text:tt)*) => { $crate::terminal::note(format_args!($($text)*)) };
}
