//! `kiln eval`

use std::process::ExitCode;

use clap::Args;
use miette::Result;
use serde_json::json;

use crate::records::RecordArguments;
use crate::table::grouped;
use crate::terminal;
use crate::training::{Recipe, confusion, evaluation};

/// Arguments of `kiln eval`.
#[derive(Args)]
#[command(after_help = "\
Samples are preprocessed as the model says; the loss of a plan (`.kplan`), the one it was
trained with, is computed on the host. Uses the test samples, else the validation samples, else all samples.

Examples:
  kiln eval digits-training/model.onnx --data digits
  kiln eval digits-training/model.kplan --data digits
  kiln eval net.py:Net --weights net.pt --data folder:birds --mean 0.5 --std 0.25
  kiln eval net.onnx --weights weights.safetensors --data mnist:data --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    records: RecordArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Evaluates.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode> {
    let recipe = arguments.recipe.complete()?;
    let (data, found) = evaluation(&recipe, &arguments.records)?;
    let scores = found.scores;
    if arguments.json {
        let value = json!({ "samples": data.len(), "scores": scores });
        terminal::show_json("eval", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    showln!("samples   {}", grouped(data.len() as u64))?;
    showln!("loss      {:.5}", scores.loss)?;
    if let Some(confusion) = &found.confusion {
        let (right, all) = (confusion.right(), confusion.total());
        showln!("accuracy  {:.2} % ({} of {})", 100.0 * confusion.accuracy(), grouped(right), grouped(all))?;
        showln!("F1        {:.4}", confusion.f1())?;
    }
    if let Some(auc) = scores.auc {
        showln!("AUC       {auc:.4}")?;
    }
    show!("{}", confusion(&found, data.class_names().unwrap_or_default()))?;
    Ok(ExitCode::SUCCESS)
}
