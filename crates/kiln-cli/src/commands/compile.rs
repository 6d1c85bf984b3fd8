//! `kiln compile`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use kiln::train::Training;
use kiln::{Compiled, Error, Model, Options};
use miette::{IntoDiagnostic, Result, bail};
use serde_json::json;

use crate::definition::{note_untrained, refuse_plan};
use crate::labels;
use crate::memory::{self, MemoryArgument};
use crate::model::{ModelArguments, beside};
use crate::output;
use crate::picture::PictureArguments;
use crate::precision::of_plan;
use crate::progress::Progress;
use crate::table::bytes;
use crate::terminal;
use crate::training::step_of;
use crate::tuning::{TuneArguments, measure_first};

/// Arguments of `kiln compile`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln compile resnet18.onnx --max N=8 -o resnet18.kplan
  kiln compile net.py:Net --input 3,32,32 --weights net.pt
  kiln compile net.py:Net --weights net.pt --labels classes.txt --mean 0.5 --std 0.25
  kiln compile birds/recipe.toml --weights birds/weights.pt
  kiln compile net.onnx --dim H=224 --dim W=224
  kiln compile net.onnx --target gpu          for a device that is not here
  kiln compile net.onnx --precision f16       with weights and activations of 16 bits
  kiln compile net.onnx --train adam          for a program that trains without the compiler")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The plan file; the model's name with `.kplan` if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make a plan that trains, with programs `train`, `evaluate` and `inference`: an optimizer, or a recipe (`.toml`)
    #[arg(long, value_name = "OPTIMIZER|RECIPE", num_args = 0..=1, default_missing_value = "sgd")]
    train: Option<String>,
    #[command(flatten)]
    memory: MemoryArgument,
    #[command(flatten)]
    tune: TuneArguments,
    #[command(flatten)]
    pictures: PictureArguments,
    /// Class names, one per line; stored in the plan
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compiles and writes the plan.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    refuse_plan(&model.model)?;
    arguments.memory.needs_training(arguments.train.is_some())?;
    let output = arguments.output.clone().unwrap_or_else(|| beside(&model.model, "kplan"));
    output::keep_inputs("-o", &output, model.files().iter().map(PathBuf::as_path))?;
    let start = Instant::now();
    let progress = Progress::new("reading the model");
    let mut definition = model.read()?;
    arguments.pictures.describe(&mut definition.metadata)?;
    if let Some(path) = &arguments.labels {
        definition.metadata.classes = labels::read(path)?;
        labels::check_count(path, &definition.metadata.classes, &labels::scores_of(&definition.graph))?;
    }
    let imported = start.elapsed();
    let training = arguments.train.as_ref().map(|how| step_of(&definition, how)).transpose()?;
    let training = training.map(|training| arguments.memory.limits(model.in_precision(&training)));
    if training.is_none() {
        note_untrained(&definition, &model.model);
    }
    progress.stage("compiling");
    let compiled = compiled(arguments, &definition, training.as_ref(), progress)?;
    compiled.plan.save(&output).into_diagnostic()?;
    let total = start.elapsed();
    let Compiled { plan, memory, recomputed, .. } = &compiled;
    let dispatches = plan.programs.iter().map(|program| program.dispatches.len()).sum::<usize>();
    let symbols: Vec<String> = plan.symbols.iter().map(|s| format!("{} up to {}", s.name, s.max)).collect();
    if arguments.json {
        let value = json!({
            "output": output,
            "dispatches": dispatches,
            "kernels": plan.shaders.len(),
            "precision": of_plan(plan),
            "weight_bytes": memory.weights,
            "activation_bytes": memory.activations,
            "largest_live_set_bytes": memory.largest_live_set,
            "recomputed_nodes": recomputed.map_or(0, |recomputed| recomputed.nodes),
            "import_seconds": imported.as_secs_f64(),
            "seconds": total.as_secs_f64(),
            "symbols": plan.symbols.iter().map(|s| (s.name.clone(), s.max)).collect::<std::collections::BTreeMap<_, _>>(),
        });
        terminal::show_json("compile", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    showln!("{}", output.display())?;
    note!(
        "{dispatches} dispatches of {} kernels, {} weights, {} activations{}{}; {:.2} s",
        plan.shaders.len(),
        bytes(memory.weights),
        bytes(memory.activations),
        if of_plan(plan) == "f16" { " in f16" } else { "" },
        if symbols.is_empty() { String::new() } else { format!(", {}", symbols.join(", ")) },
        total.as_secs_f64(),
    );
    memory::note(&compiled);
    Ok(ExitCode::SUCCESS)
}

/// Compiles, after kernels were measured if that is wanted.
fn compiled(
    arguments: &Arguments,
    definition: &Model,
    training: Option<&Training>,
    progress: Progress,
) -> Result<Compiled> {
    let mut model = arguments.model.clone();
    model.records.measures = arguments.tune.tune.is_some();
    let mut options = model.options(&definition.graph, &Default::default())?;
    if let Some(training) = training {
        options.precision = training.precision;
    }
    let compile = |options: &Options| -> Result<Compiled, Error> {
        let mut compiled = match training {
            Some(training) => kiln::compile_training(&definition.graph, training, options)?,
            None => kiln::compile(&definition.graph, options)?,
        };
        compiled.plan.metadata.clone_from(&definition.metadata);
        Ok(compiled)
    };
    if let Some(seconds) = arguments.tune.tune {
        if !model.is_for_this_device() {
            bail!(
                "--tune measures on the device of this machine; with `--target`, `--records FILE` takes what was measured elsewhere"
            );
        }
        // Measuring has a progress of its own.
        drop(progress);
        let program = if training.is_some() { "train" } else { "inference" };
        measure_first(&compile, &mut options, program, seconds, &model.records)?;
    }
    compile(&options).into_diagnostic()
}
