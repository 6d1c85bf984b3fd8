//! `kiln man`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::Cli;

/// Arguments of `kiln man`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln man ~/.local/share/man/man1
  man kiln-train")]
pub(crate) struct Arguments {
    /// The folder for the pages: `kiln.1`, and one for each command
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot make the folder `{}`", folder.display()))?;
    let mut all = Cli::command();
    all.build();
    page(folder, &all)?;
    for command in all.get_subcommands().filter(|command| command.get_name() != "help") {
        page(folder, command)?;
    }
    note!("wrote manual pages to {}", folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command.
fn page(folder: &Path, command: &Command) -> Result<()> {
    // `kiln train` is `kiln-train` to `man`.
    let name = command.get_bin_name().unwrap_or("kiln").replace(' ', "-");
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).title(name.clone());
    man.render(&mut text).into_diagnostic()?;
    let path = folder.join(format!("{name}.1"));
    kiln_files::write(&path, &text).map_err(|error| miette!("cannot write `{}`: {error}", path.display()))
}
