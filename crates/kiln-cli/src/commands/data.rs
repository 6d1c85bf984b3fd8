//! `kiln data`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kiln::training::augment::Augmentation;
use kiln::training::data::{Source, SourceOptions};
use kiln::training::report;
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::output;

/// Arguments of `kiln data`.
#[derive(Args)]
#[command(after_help = "\
The page shows samples with their labels, before and after augmentation, how many there are of each
class, and which files cannot be read.

Examples:
  kiln data mnist:data -o data.html
  kiln data folder:birds --augment flip --augment crop:padding=4")]
pub(crate) struct Arguments {
    /// The data, as for `kiln train --data`: mnist:DIR, folder:DIR, csv:FILE, digits, ...
    #[arg(value_name = "SOURCE")]
    source: Source,
    /// Random change of training images, as for `kiln train`; may be repeated
    #[arg(long, value_name = "CHANGE")]
    augment: Vec<Augmentation>,
    /// The seed of the changes, and of data that is generated
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The page
    #[arg(short, long, value_name = "FILE", default_value = "data.html")]
    output: PathBuf,
}

/// Reads the data and writes the page.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    output::keep_inputs("-o", &arguments.output, arguments.source.path())?;
    let options = SourceOptions { skip_bad: true, seed: arguments.seed, ..SourceOptions::default() };
    let splits = arguments.source.load(&options).into_diagnostic()?;
    let title = arguments.source.to_string();
    let page = report::data_page(&title, &splits, &arguments.augment, arguments.seed)
        .into_diagnostic()
        .wrap_err("--augment")?;
    kiln_files::write(&arguments.output, page.as_bytes())
        .map_err(|error| miette!("cannot write `{}`: {error}", arguments.output.display()))?;
    note!("wrote {}", arguments.output.display());
    Ok(ExitCode::SUCCESS)
}
