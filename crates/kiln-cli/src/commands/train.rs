//! `kiln train`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kiln::training::activations::ActivationStats;
use kiln::training::data::{IGNORED, Targets};
use kiln::training::{Checkpoints, Settings, history};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};

use crate::table::bytes;
use crate::training::{
    Recipe, Screen, Setup, confusion, curve, layers, loss_name, write_report, write_results,
};

/// Arguments of `kiln train`.
#[derive(Args)]
#[command(after_help = "\
Writes into the folder: report.html; weights.safetensors, model.onnx and model.kplan with the
trained weights, and weights.pt for PyTorch source; history.csv and history.jsonl with a line for
each epoch; checkpoints/; and recipe.toml, which trains the same again.

Examples:
  kiln train models/digits.toml
  kiln train net.py:Net --data folder:birds --batch 64 --lr 0.01
  kiln train net.onnx --data mnist:data --epochs 5 --lr 0.06 --momentum 0.9 --schedule one-cycle
  kiln train net.onnx --data folder:birds --augment flip --freeze 'features.*'
  kiln train net.onnx --data mnist:data --epochs 5 --resume")]
pub struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    /// Folder for everything that comes of it [default: the model's name with -training]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Go on from the newest checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Replace an earlier training in the folder
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Look at the activations of each layer in about a hundred steps, for the report
    #[arg(long)]
    activation_stats: bool,
}

/// Trains.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { recipe, output, resume, overwrite, activation_stats } = arguments;
    let named = recipe.model.clone();
    let recipe = recipe.complete()?;
    let output = output.unwrap_or_else(|| default_output(named.as_deref()));
    let checkpoints = output.join("checkpoints");
    let is_there = checkpoints.exists();
    if is_there && !resume && !overwrite {
        bail!(
            "`{}` has an earlier training; --resume goes on with it, --overwrite replaces it, -o names another folder",
            output.display()
        );
    }
    let settings = Settings {
        epochs: recipe.epochs.unwrap_or(1),
        lr: recipe.lr(),
        momentum: recipe.momentum(),
        schedule: recipe.schedule()?,
        warmup: recipe.warmup.unwrap_or(0),
        patience: recipe.patience,
        monitor: recipe.monitor.unwrap_or_default(),
        checkpoints: Some(Checkpoints {
            folder: checkpoints.clone(),
            every_steps: recipe.checkpoint_every,
            keep: recipe.keep.unwrap_or(1),
        }),
    };
    let mut setup = Setup::new(&recipe)?;
    if resume && !is_there {
        note!("note: `{}` has no checkpoint yet; training begins at the beginning", output.display());
    } else if resume {
        setup.trainer.resume(&checkpoints).into_diagnostic().wrap_err("--resume")?;
        note!(
            "goes on after {} steps ({} epochs)",
            setup.trainer.progress.step,
            setup.trainer.progress.epoch
        );
    }
    describe(&setup);
    if is_there && overwrite {
        // Only now, when it is sure that the new training can begin.
        std::fs::remove_dir_all(&checkpoints)
            .map_err(|e| miette!("cannot remove `{}`: {e}", checkpoints.display()))?;
    }
    let mut screen = Screen::new(&setup, &settings)?;
    if activation_stats {
        let steps = setup.trainer.steps_per_epoch(&setup.train) * settings.epochs;
        screen.activations = ActivationStats::new(layers(&setup), steps);
    }
    let Setup { trainer, train, validation, .. } = &mut setup;
    let outcome = trainer.fit(train, validation.as_ref(), &settings, &mut screen);
    screen.bar.finish_and_clear();
    // What was reached is kept, whatever stopped it.
    history::write(&output, &setup.trainer.progress.epochs).into_diagnostic()?;
    outcome.into_diagnostic()?;
    if let (true, Some((_, best))) =
        (setup.trainer.progress.epoch < settings.epochs, setup.trainer.progress.best)
    {
        note!(
            "stopped early: nothing was better than epoch {best}, which is in checkpoints/best.safetensors"
        );
    }
    showln!("\n{}", curve(&setup.trainer.progress.losses))?;
    if let Some(evaluation) = &screen.last {
        show!("{}", confusion(evaluation, setup.train.data.class_names().unwrap_or_default()))?;
    }
    write_results(&mut setup, &recipe, &screen, &output)?;
    write_report(&mut setup, &settings, &screen, &output)?;
    Ok(ExitCode::SUCCESS)
}

fn default_output(model: Option<&Path>) -> PathBuf {
    let (file, name) = kiln::model::split(model.unwrap_or(Path::new("model")));
    let stem = name.unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    PathBuf::from(format!("{stem}-training"))
}

/// Says which states of a model change and which do not, where the file does not say so itself.
fn trained(setup: &Setup) -> Option<String> {
    const MOST: usize = 8;
    let Setup { model, training, normalizing, .. } = setup;
    let list = |names: &[String]| {
        let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
        match names.len().saturating_sub(MOST) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let parameters = training.parameters(model);
    let statistics = kiln::train::statistics(model);
    let others: Vec<String> = model
        .states()
        .iter()
        .map(|id| model.value(*id).name.clone())
        .filter(|name| {
            !parameters.contains(name) && !statistics.contains(name) && !normalizing.contains(name)
        })
        .collect();
    if normalizing.is_empty() && others.is_empty() {
        return None;
    }
    let mut text = format!("trained: {}; not trained: ", list(&parameters));
    if !normalizing.is_empty() {
        text += &format!("{} (normalize the input)", list(normalizing));
    }
    if !others.is_empty() {
        text += &format!("{}{} (frozen)", if normalizing.is_empty() { "" } else { ", " }, list(&others));
    }
    Some(text)
}

/// Says what the outputs are compared with, and how.
fn compared(setup: &Setup) -> String {
    const MOST: usize = 10;
    let loss = loss_name(setup.loss);
    let Targets::Classes { names, labels, .. } = &setup.train.data.targets else {
        return format!("{loss} of numbers");
    };
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > MOST { ", ..." } else { "" };
    let ignored = labels.iter().filter(|label| **label == IGNORED).count();
    let ignored = match ignored {
        0 => String::new(),
        _ => format!("; {ignored} of {} targets do not count", labels.len()),
    };
    format!("{loss} over {} classes: {shown}{more}{ignored}", names.len())
}

/// Says what is about to happen.
fn describe(setup: &Setup) {
    let (train, memory) = (&setup.train, setup.compiled.memory);
    let parameters = setup.training.parameters(&setup.model);
    let count: usize = setup
        .model
        .states()
        .iter()
        .filter(|id| parameters.contains(&setup.model.value(**id).name))
        .filter_map(|id| setup.model.ty(*id).elements().as_usize())
        .sum();
    let others =
        setup.validation.as_ref().map_or(String::new(), |v| format!(", {} for validation", v.data.len()));
    note!("{} samples of {:?} to learn from{others}", train.data.len(), train.data.shape);
    if !setup.skipped.is_empty() {
        note!("left out {} that cannot be used; the first: {}", setup.skipped.len(), setup.skipped[0]);
    }
    note!("{}", compared(setup));
    if let Some(text) = trained(setup) {
        note!("{text}");
    }
    match setup.training.without_gradient(&setup.model).unwrap_or_default().as_slice() {
        [] => {}
        [one] => note!("`{one}` gets no gradient and stays as it is"),
        [first, rest @ ..] => {
            note!("`{first}` and {} more parameters get no gradient and stay as they are", rest.len());
        }
    }
    let dispatches = setup.compiled.plan.program("train").map_or(0, |program| program.dispatches.len());
    note!(
        "{} parameters; a step is {dispatches} dispatches, {} of activations, {} of state",
        crate::table::grouped(count as u64),
        bytes(memory.activations),
        bytes(memory.states)
    );
}
