//! `kiln lr-find`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kiln::training::lr_finder::{self, Range, Suggested};
use kiln::training::report;
use miette::{IntoDiagnostic, Result};
use serde_json::json;

use crate::output;
use crate::progress::Progress;
use crate::records::RecordArguments;
use crate::terminal;
use crate::training::{Recipe, Setup};

/// Arguments of `kiln lr-find`.
#[derive(Args)]
#[command(after_help = "\
The rate grows from step to step until the loss explodes. Good rates are where the loss
falls, well before it rises. Suggested are fastai's valley, half way through the longest fall of
the smoothed loss, and where the loss falls fastest over a fifth of the steps. The first tenth of
the steps, which is noise, and the last five do not count.

Examples:
  kiln lr-find net.onnx --data mnist:data --batch 512 --plot rates.svg")]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    records: RecordArguments,
    /// First rate
    #[arg(long, default_value_t = 1e-7)]
    from: f64,
    /// Last rate
    #[arg(long, default_value_t = 10.0)]
    to: f64,
    /// Steps
    #[arg(long, default_value_t = 100)]
    steps: u64,
    /// Plot the losses to an SVG file
    #[arg(short, long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tries rates.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode> {
    let named = arguments.recipe.model.clone();
    let recipe = arguments.recipe.complete()?;
    if let Some(path) = &arguments.plot {
        output::keep_inputs(
            "--plot",
            path,
            recipe.files().iter().map(PathBuf::as_path).chain(named.as_deref()),
        )?;
    }
    let range = Range { from: arguments.from, to: arguments.to, steps: arguments.steps };
    range.check().into_diagnostic()?;
    let progress = Progress::new("reading the data, compiling");
    let mut setup = Setup::new(&recipe, &arguments.records, None)?;
    progress.stage("trying rates");
    let Setup { trainer, train, .. } = &mut setup;
    let observe = &mut |done| progress.steps(done, range.steps);
    let found = lr_finder::find(trainer, train, recipe.momentum(), range, observe).into_diagnostic()?;
    drop(progress);
    if let Some(path) = &arguments.plot {
        report::learning_rates(&found, path).into_diagnostic()?;
    }
    if arguments.json {
        let losses: Vec<_> =
            found.losses.iter().map(|(lr, loss)| json!({ "lr": lr, "loss": loss })).collect();
        let Suggested { valley, steepest, minimum } = found.suggested;
        let value = json!({ "valley": valley, "steepest": steepest, "minimum": minimum, "losses": losses });
        terminal::show_json("lr-find", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    show!("{}", picture(&lr_finder::smoothed(&found.losses)))?;
    let rate = |rate: Option<f64>| rate.map_or("none".to_owned(), |rate| format!("{rate:.2e}"));
    let Suggested { valley, steepest, minimum } = found.suggested;
    showln!("valley at {}, steepest descent at {}", rate(valley), rate(steepest))?;
    showln!("a tenth of the rate with the least loss is {}", rate(minimum))?;
    Ok(ExitCode::SUCCESS)
}

/// The losses as bars, a line for each few steps.
fn picture(smooth: &[(f64, f64)]) -> String {
    const LINES: usize = 25;
    const WIDTH: f64 = 50.0;
    let (low, high) =
        smooth.iter().fold((f64::INFINITY, 0f64), |(l, h), (_, loss)| (l.min(*loss), h.max(*loss)));
    let every = smooth.len().div_ceil(LINES).max(1);
    let mut text = String::from("      lr     loss\n");
    for (lr, loss) in smooth.iter().step_by(every) {
        let bar = ((loss - low) / (high - low).max(1e-12) * WIDTH) as usize;
        text += &format!("{lr:>8.1e}  {loss:>7.4}  {}\n", "#".repeat(bar + 1));
    }
    text
}
