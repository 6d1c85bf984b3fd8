//! One file per subcommand.

mod bench;
mod check;
mod compile;
mod completions;
mod data;
mod devices;
mod dump;
mod eval;
mod export_web;
mod kernels;
mod lr_find;
mod man;
mod quantize;
mod run;
mod summary;
mod train;
mod tune;
mod verify;
mod view;

use std::process::ExitCode;

use clap::Subcommand;

/// A subcommand with its arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compile a model into a plan file
    Compile(compile::Arguments),
    /// Run a model or a plan on inputs
    Run(run::Arguments),
    /// Train a model
    Train(train::Arguments),
    /// Evaluate a model on data with known targets
    Eval(eval::Arguments),
    /// Make a web page that runs or trains a model
    ExportWeb(export_web::Arguments),
    /// Show what is in a data set as a web page
    Data(data::Arguments),
    /// Find a good learning rate
    LrFind(lr_find::Arguments),
    /// Make a model's layers multiply integers of 8 bits
    Quantize(quantize::Arguments),
    /// Show a model's graph, fused layers, plan or kernels
    Dump(dump::Arguments),
    /// Draw a model's graph in every stage as a web page
    View(view::Arguments),
    /// List layers with their shapes, parameters and multiply-adds
    Summary(summary::Arguments),
    /// Compare a model's outputs with known ones
    Verify(verify::Arguments),
    /// Measure how fast a model runs
    Bench(bench::Arguments),
    /// Measure which kernels are the fastest on this device, for later compilations
    Tune(tune::Arguments),
    /// Report what is not supported in a model
    Check(check::Arguments),
    /// List the devices that plans can run on
    Devices(devices::Arguments),
    /// Write a script that completes the command line in a shell
    Completions(completions::Arguments),
    /// Write manual pages
    Man(man::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> miette::Result<ExitCode> {
        match self {
            Command::Compile(arguments) => compile::run(&arguments),
            Command::Run(arguments) => run::run(&arguments),
            Command::Train(arguments) => train::run(arguments),
            Command::Eval(arguments) => eval::run(arguments),
            Command::ExportWeb(arguments) => export_web::run(&arguments),
            Command::Data(arguments) => data::run(&arguments),
            Command::LrFind(arguments) => lr_find::run(arguments),
            Command::Quantize(arguments) => quantize::run(&arguments),
            Command::Dump(arguments) => dump::run(&arguments),
            Command::View(arguments) => view::run(&arguments),
            Command::Summary(arguments) => summary::run(&arguments),
            Command::Verify(arguments) => verify::run(&arguments),
            Command::Bench(arguments) => bench::run(&arguments),
            Command::Tune(arguments) => tune::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Devices(arguments) => devices::run(&arguments),
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Man(arguments) => man::run(&arguments),
        }
    }
}
