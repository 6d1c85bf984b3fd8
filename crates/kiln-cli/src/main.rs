//! The `kiln` command: compile a network, run it, look into it.
//!
//! Each verb has a file in [`commands`]. Results go to standard output, everything said along the way to standard
//! error. Exit status: 0 done, 1 something is wrong with what was asked for, 2 the command line is wrong.

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod terminal;

mod commands;
mod definition;
mod input;
mod labels;
mod metadata;
mod model;
mod output;
mod picture;
mod table;
mod training;

use std::process::ExitCode;

use clap::Parser;
use miette::Report;

use commands::Command;

/// Compile convolutional networks into plans and run them on any GPU.
#[derive(Parser)]
#[command(name = "kiln", version, max_term_width = 100, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  kiln run models/filters.onnx photo.jpg -o out/       every filter's picture of a photograph
  kiln train models/digits.toml                        learn digits that Kiln draws itself
  kiln train net.py:Net --data folder:birds            learn from pictures, by PyTorch source
  kiln compile resnet18.onnx --max N=8 -o resnet18.kplan
  kiln run resnet18.kplan cat.jpg --top 5 --labels imagenet.txt
  kiln dump resnet18.onnx --stage fused                which layers became one kernel
  kiln bench resnet18.onnx --profile                   where the time goes

WGPU_BACKEND and WGPU_ADAPTER_NAME choose the device (see `kiln devices`); NO_COLOR turns colours
off.";

fn main() -> ExitCode {
    quiet_device_selection();
    match Cli::parse().command.run() {
        Ok(code) => code,
        Err(report) => {
            note!("{:?}", without_repetition(report));
            ExitCode::from(1)
        }
    }
}

/// Many errors say their cause in their own message and have it as their source, too: once is enough.
fn without_repetition(report: Report) -> Report {
    // What points into a source file stays whole.
    if report.labels().is_some() || report.help().is_some() {
        return report;
    }
    let mut said: Vec<String> = Vec::new();
    for cause in report.chain().map(ToString::to_string) {
        if !said.last().is_some_and(|before| before.contains(&cause)) {
            said.push(cause);
        }
    }
    let mut causes = said.into_iter().rev();
    let first = Report::msg(causes.next().unwrap_or_default());
    causes.fold(first, Report::wrap_err)
}

/// Mesa's device selection complains on standard error where there is no desktop; it is not needed here.
#[allow(
    unsafe_code,
    reason = "the environment may only be changed while there is one thread, which is the case"
)]
fn quiet_device_selection() {
    if std::env::var_os("NODEVICE_SELECT").is_none() {
        // SAFETY: this is the first thing the program does; no other thread can read the environment.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
