//! The `kiln` command: compile a network, run it, inspect it.
//!
//! Each subcommand has a file in [`commands`]. Results go to standard output, messages to standard
//! error. Exit status: 0 success, 1 the command failed, 2 the command line is invalid. With `--json`
//! errors are JSON on standard output, too (`report.rs`).

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod terminal;

mod calibration;
mod commands;
mod definition;
mod device;
mod input;
mod inspect;
mod labels;
mod memory;
mod metadata;
mod model;
mod output;
mod picture;
mod precision;
mod progress;
mod records;
mod report;
mod sizes;
mod table;
mod timeline;
mod tolerance;
mod training;
mod tuning;

use std::process::ExitCode;

use clap::Parser;
use miette::Report;

use commands::Command;

/// Compile convolutional networks into plans and run them on any GPU.
#[derive(Parser)]
#[command(name = "kiln", version = env!("KILN_VERSION"), max_term_width = 100, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  kiln run models/filters.onnx photo.jpg -o out/       the image that each filter makes of a photograph
  kiln train models/digits.toml                        train on digits drawn by Kiln
  kiln train net.py:Net --data folder:birds            train PyTorch source on images
  kiln compile resnet18.onnx --max N=8 -o resnet18.kplan
  kiln run resnet18.kplan cat.jpg --top 5 --labels imagenet.txt
  kiln dump resnet18.onnx --stage fused                which layers became one kernel
  kiln quantize net.onnx --calibrate folder:photos     an ONNX file with integers of 8 bits
  kiln bench resnet18.onnx --profile                   where the time goes
  kiln tune resnet18.onnx                              measure which kernels are the fastest here

WGPU_BACKEND and WGPU_ADAPTER_NAME choose the device (see `kiln devices`); NO_COLOR turns colours
off.";

fn main() -> ExitCode {
    quiet_device_selection();
    // Anywhere on the command line: its errors are reported in the requested form, too.
    let arguments: Vec<_> = std::env::args_os().collect();
    let as_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    report::keep_words_whole();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if as_json && error.use_stderr() => {
            report::say(Report::msg(error.to_string().trim_end().to_owned()), true);
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => {
            report::say(error, as_json);
            ExitCode::from(1)
        }
    }
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
