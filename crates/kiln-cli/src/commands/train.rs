//! `kiln train`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kiln::training::activations::ActivationStats;
use kiln::training::data::{IGNORED, Targets};
use kiln::training::tensorboard::Events;
use kiln::training::{Checkpoints, Damaged, End, Resumed, Settings, history};
use miette::{IntoDiagnostic, Result, WrapErr, bail};

use crate::definition::is_recipe;
use crate::output;
use crate::records::RecordArguments;
use crate::table::{bytes, grouped};
use crate::training::{
    Earlier, Environment, Folder, Interrupt, Recipe, Screen, Setup, Trace, compare, confusion, curve, layers,
    loss_name, note_skipped, write_report, write_results,
};
use crate::tuning::TuneArguments;

/// Arguments of `kiln train`.
#[derive(Args)]
#[command(after_help = "\
Writes into the folder: report.html; weights.safetensors, model.onnx and model.kplan with the
trained weights, and weights.pt for PyTorch source; history.csv and history.jsonl with a line for
each epoch; checkpoints/; recipe.toml, which repeats the training, and environment.toml. With
--patience, the weights are those of the best epoch. The first Ctrl-C or SIGTERM finishes the
step and writes a checkpoint; --resume continues from it.

Examples:
  kiln train models/digits.toml
  kiln train net.py:Net --data folder:birds --batch 64 --lr 0.01
  kiln train net.onnx --data mnist:data --epochs 5 --lr 0.06 --momentum 0.9 --schedule one-cycle
  kiln train net.onnx --data folder:birds --augment flip --freeze 'features.*'
  kiln train net.onnx --data mnist:data --epochs 5 --resume
  kiln train models/digits.toml --epochs 1 --trace digits.json     open it in ui.perfetto.dev")]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    records: RecordArguments,
    #[command(flatten)]
    tune: TuneArguments,
    /// Output folder [default: the model's name with -training]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Continue from the newest intact checkpoint of the folder; the recipe has to be the same, except for --epochs,
    /// --patience, --workers, --steps-per-submit, --checkpoint-every and --keep
    #[arg(long)]
    resume: bool,
    /// Continue although recipe or data have changed
    #[arg(long, requires = "resume")]
    allow_changes: bool,
    /// Replace an earlier training, or files of the same names, in the folder
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Record the activations of each layer in about a hundred steps, for the report
    #[arg(long)]
    activation_stats: bool,
    /// Write a timeline of the steps, and of the kernels of one more step on the device, in Chrome's trace format, for
    /// chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write losses and measures as event files for TensorBoard into a folder, while it trains
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

/// Trains.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments {
        recipe,
        mut records,
        tune,
        output,
        resume,
        allow_changes,
        overwrite,
        activation_stats,
        trace,
        tensorboard,
    } = arguments;
    records.measures = tune.tune.is_some();
    let named = recipe.model.clone();
    let recipe = recipe.complete()?;
    let output = output.unwrap_or_else(|| default_output(named.as_deref()));
    if let Some(path) = &trace {
        output::keep_inputs(
            "--trace",
            path,
            recipe.files().iter().map(PathBuf::as_path).chain(named.as_deref()),
        )?;
    }
    let earlier = match (resume, overwrite) {
        (true, _) => Earlier::Resume,
        (false, true) => Earlier::Replace,
        (false, false) => Earlier::Refuse,
    };
    let folder = Folder::new(output, earlier, &recipe, named.as_deref().filter(|path| is_recipe(path)))?;
    let settings = settings(&recipe, &folder)?;
    let mut setup = Setup::new(&recipe, &records, tune.tune)?;
    let _lock = folder.lock()?;
    let environment = Environment::of(&mut setup);
    let settled = recipe.settled(&setup);
    if resume {
        go_on(&mut setup, &folder, &settled, &environment, allow_changes)?;
    }
    describe(&setup);
    folder.clear()?;
    // Before the first step, so that a training that was killed can be compared when it resumes, and a folder that cannot
    // be written to is found at once.
    folder.write("recipe.toml", settled.to_text()?.as_bytes())?;
    folder.write("environment.toml", environment.to_text()?.as_bytes())?;
    let mut screen = Screen::new(&setup, &settings)?;
    screen.trace = trace.as_deref().map(Trace::new);
    let step = setup.trainer.progress.step;
    screen.events = tensorboard.map(|folder| Events::new(&folder, step)).transpose().into_diagnostic()?;
    screen.interrupt = Interrupt::listen().into_diagnostic()?;
    if activation_stats {
        let steps = setup.trainer.steps_per_epoch(&setup.train) * settings.epochs;
        screen.activations = ActivationStats::new(layers(&setup), steps);
    }
    let Setup { trainer, train, validation, .. } = &mut setup;
    let outcome = trainer.fit(train, validation.as_ref(), &settings, &mut screen);
    screen.bar.finish_and_clear();
    // The progress is kept, whatever stopped it.
    let written = history::write(&folder.path, &setup.trainer.progress.epochs);
    if let Some(Err(error)) = screen.events.take().map(Events::finish) {
        note!("note: {error}");
    }
    let end = match (outcome, written) {
        (Err(error), Err(also)) => {
            note!("note: {also}");
            Err(error)
        }
        (Ok(_), Err(error)) => Err(error),
        (outcome, Ok(())) => outcome,
    };
    if end.into_diagnostic()? == End::Stopped {
        screen.trace.as_ref().map_or(Ok(()), Trace::write)?;
        let progress = &setup.trainer.progress;
        note!(
            "stopped after step {} ({} epochs); the same command with --resume continues from there",
            progress.step,
            progress.epoch
        );
        return Ok(ExitCode::from(screen.interrupt.status()));
    }
    if recipe.patience.is_some() {
        take_best(&mut setup, &folder, &mut screen, settings.epochs)?;
    }
    // A training that was stopped after its last epoch.
    let Setup { trainer, validation, .. } = &mut setup;
    if let (None, Some(validation)) = (&screen.last, validation) {
        screen.last = Some(trainer.evaluate(validation).into_diagnostic()?);
    }
    showln!("\n{}", curve(&setup.trainer.progress.losses))?;
    if let Some(evaluation) = &screen.last {
        show!("{}", confusion(evaluation, setup.train.data.class_names().unwrap_or_default()))?;
    }
    write_results(&mut setup, &recipe, &screen, &folder)?;
    write_report(&mut setup, &recipe, &settings, &screen, &folder.path)?;
    if let Some(mut trace) = screen.trace.take() {
        if let Err(error) = trace.device(&mut setup, &settings) {
            note!("note: the timeline has no kernels: {error}");
        }
        trace.write()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(recipe: &Recipe, folder: &Folder) -> Result<Settings> {
    Ok(Settings {
        epochs: recipe.epochs.unwrap_or(1),
        lr: recipe.lr(),
        momentum: recipe.momentum(),
        schedule: recipe.schedule()?,
        warmup: recipe.warmup.unwrap_or(0),
        patience: recipe.patience,
        monitor: recipe.monitor.unwrap_or_default(),
        steps_per_submit: recipe.steps_per_submit,
        checkpoints: Some(Checkpoints {
            folder: folder.checkpoints(),
            every_steps: recipe.checkpoint_every,
            keep: recipe.keep.unwrap_or(1),
        }),
    })
}

/// Resumes from the newest checkpoint, if the training is the same or changes are allowed.
fn go_on(
    setup: &mut Setup,
    folder: &Folder,
    recipe: &Recipe,
    environment: &Environment,
    allow_changes: bool,
) -> Result<()> {
    let checkpoints = folder.checkpoints();
    let found = if checkpoints.exists() {
        setup.trainer.resume(&checkpoints).into_diagnostic().wrap_err("--resume")?
    } else {
        None
    };
    let Some(Resumed { from, damaged, history_is_lost, best_is_lost }) = found else {
        note!("note: `{}` has no checkpoint yet; training starts from the beginning", folder.path.display());
        return Ok(());
    };
    for Damaged { path, message } in damaged {
        note!("note: `{}` cannot be used: {message}; it is set aside as .damaged", path.display());
    }
    let differences = compare(&folder.path, recipe, environment)?;
    if !differences.course.is_empty() && !allow_changes {
        bail!(
            "--resume: this is not the training that was started in `{}`:\n  {}\n\
             Undo these changes to resume, or resume with them by --allow-changes",
            folder.path.display(),
            differences.course.join("\n  ")
        );
    }
    for difference in differences.course.iter().chain(&differences.surroundings) {
        note!("note: {difference}");
    }
    if history_is_lost {
        note!("note: the history beside the checkpoints was modified; that of earlier steps is lost");
    }
    if let Some(reason) = best_is_lost {
        note!(
            "note: best.safetensors is not the best epoch's: {reason}; the best epoch is searched from here on"
        );
    }
    let trainer = &mut setup.trainer;
    if !differences.course.is_empty() && trainer.progress.batch > 0 {
        note!("note: the interrupted epoch starts over");
        trainer.restart_epoch();
    }
    let progress = &trainer.progress;
    note!("resuming from {} after {} steps ({} epochs)", from.display(), progress.step, progress.epoch);
    Ok(())
}

/// With `--patience`, the weights of the best epoch are written, and its measures are reported.
fn take_best(setup: &mut Setup, folder: &Folder, screen: &mut Screen, epochs: u64) -> Result<()> {
    let Setup { trainer, validation, .. } = setup;
    let progress = &trainer.progress;
    let Some((_, best)) = progress.best.filter(|(_, best)| *best != progress.epoch) else { return Ok(()) };
    if progress.epoch < epochs {
        note!("stopped early: no epoch was better than epoch {best}");
    }
    trainer.restore_best(&folder.checkpoints()).into_diagnostic()?;
    if let Some(validation) = validation {
        screen.last = Some(trainer.evaluate(validation).into_diagnostic()?);
    }
    note!("the weights that are written are those of the best epoch, {best}");
    Ok(())
}

fn default_output(model: Option<&Path>) -> PathBuf {
    let (file, name) = kiln::model::split(model.unwrap_or(Path::new("model")));
    let stem = name.unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    PathBuf::from(format!("{stem}-training"))
}

/// Lists which states of a model are trained and which are not, if the file does not say so itself.
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

/// Describes the loss and the targets.
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

/// Describes the training before it starts.
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
    let others = setup
        .validation
        .as_ref()
        .map_or(String::new(), |v| format!(", {} for validation", grouped(v.data.len() as u64)));
    note!("{} training samples of {:?}{others}", grouped(train.data.len() as u64), train.data.shape);
    note_skipped(&setup.skipped);
    note!("{}", compared(setup));
    if let Some(text) = trained(setup) {
        note!("{text}");
    }
    match setup.training.without_gradient(&setup.model).unwrap_or_default().as_slice() {
        [] => {}
        [one] => note!("`{one}` gets no gradient and is not trained"),
        [first, rest @ ..] => {
            note!("`{first}` and {} more parameters get no gradient and are not trained", rest.len());
        }
    }
    let dispatches = setup.compiled.plan.program("train").map_or(0, |program| program.dispatches.len());
    note!(
        "{} parameters; a step is {dispatches} dispatches, {} of activations, {} of state",
        grouped(count as u64),
        bytes(memory.activations),
        bytes(memory.states)
    );
    crate::memory::note(&setup.compiled);
}
