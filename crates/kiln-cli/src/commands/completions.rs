//! `kiln completions`

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use miette::Result;

use crate::Cli;
use crate::terminal::show_bytes;

/// Arguments of `kiln completions`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln completions bash > ~/.local/share/bash-completion/completions/kiln
  kiln completions zsh > \"${fpath[1]}/_kiln\"
  kiln completions fish > ~/.config/fish/completions/kiln.fish")]
pub(crate) struct Arguments {
    /// The shell that will read the script
    shell: Shell,
}

/// Writes the script to standard output.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "kiln", &mut script);
    show_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
