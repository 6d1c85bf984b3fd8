//! `kiln train`

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln::HostTensor;
use kiln::graph::{Op, ValueId};
use kiln::training::activations::ActivationStats;
use kiln::training::history::{self, Epoch};
use kiln::training::report::Report;
use kiln::training::schedule::Position;
use kiln::training::{Checkpoints, Evaluation, Observer, Settings, Step, checkpoint};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};

use crate::table::{Align, Table, bytes};
use crate::training::{Recipe, Setup};

/// Arguments of `kiln train`.
#[derive(Args)]
#[command(after_help = "\
Writes into the folder: report.html, weights.safetensors, model.onnx and model.kplan with the trained weights, history.csv and
history.jsonl with a line for each epoch, checkpoints/, and recipe.toml, which trains the same again.

Examples:
  kiln train models/digits.toml
  kiln train net.onnx --data mnist:data --epochs 5 --lr 0.06 --momentum 0.9 --schedule one-cycle
  kiln train net.onnx --data folder:birds --augment flip --augment crop:padding=4 --freeze 'features.*'
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
    /// Begin with the weights in a safetensors file
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
}

/// Trains.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { recipe, output, resume, overwrite, activation_stats, weights } = arguments;
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
    if let Some(file) = &weights {
        let missing = checkpoint::load_weights(setup.trainer.session(), file)
            .into_diagnostic()
            .wrap_err("--weights")?;
        let missing: Vec<String> = missing.into_iter().filter(|name| is_models(&setup, name)).collect();
        if !missing.is_empty() {
            note!("note: `{}` has no {}; they begin as in the model", file.display(), missing.join(", "));
        }
    }
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
        let steps = setup.train.batches() as u64 * settings.epochs;
        screen.activations = ActivationStats::new(layers(&setup), steps);
    }
    let Setup { trainer, train, validation, .. } = &mut setup;
    let outcome = trainer.fit(train, validation.as_ref(), &settings, &mut screen);
    screen.bar.finish_and_clear();
    // What was reached is kept, whatever stopped it.
    history::write(&output, &setup.trainer.progress.epochs).into_diagnostic()?;
    outcome.into_diagnostic()?;
    showln!("\n{}", curve(&setup.trainer.progress.losses))?;
    if let Some(evaluation) = &screen.last {
        show!("{}", confusion(evaluation, setup.train.data.class_names().unwrap_or_default()))?;
    }
    write_results(&mut setup, &recipe, &output)?;
    write_report(&mut setup, &settings, &screen, &output)?;
    Ok(ExitCode::SUCCESS)
}

fn default_output(model: Option<&Path>) -> PathBuf {
    let stem = model.and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
    PathBuf::from(format!("{stem}-training"))
}

fn is_models(setup: &Setup, name: &str) -> bool {
    setup.model.states().iter().any(|id| setup.model.value(*id).name == name)
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
        note!("left out {} that cannot be read; the first: {}", setup.skipped.len(), setup.skipped[0]);
    }
    let dispatches = setup.compiled.plan.program("train").map_or(0, |program| program.dispatches.len());
    note!(
        "{} parameters; a step is {dispatches} dispatches, {} of activations, {} of state",
        crate::table::grouped(count as u64),
        bytes(memory.activations),
        bytes(memory.states)
    );
}

/// The terminal while it trains.
struct Screen {
    bar: ProgressBar,
    header: bool,
    has_accuracy: bool,
    has_auc: bool,
    last: Option<Evaluation>,
    /// A loss that does not jump, for the bar.
    smooth: Option<f64>,
    activations: ActivationStats,
}

impl Screen {
    fn new(setup: &Setup, settings: &Settings) -> Result<Self> {
        let steps = setup.train.batches() as u64 * settings.epochs;
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let style = ProgressStyle::with_template("{bar:24} step {pos}/{len}  {msg}  {eta} left");
        bar.set_style(style.into_diagnostic()?);
        bar.set_position(setup.trainer.progress.step);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        let has_accuracy = setup.train.data.class_names().is_some();
        let has_auc = setup.train.data.class_names().is_some_and(|names| names.len() == 2);
        Ok(Self {
            bar,
            header: true,
            has_accuracy,
            has_auc,
            last: None,
            smooth: None,
            activations: ActivationStats::default(),
        })
    }
}

impl Observer for Screen {
    fn watch(&mut self, step: u64) -> bool {
        self.activations.watches(step)
    }

    fn tensor(&mut self, step: u64, name: &str, tensor: &HostTensor) {
        self.activations.note(step, name, tensor);
    }

    fn step(&mut self, step: &Step<'_>) {
        let smooth = self.smooth.map_or(step.loss, |old| 0.95 * old + 0.05 * step.loss);
        self.smooth = Some(smooth);
        self.bar.set_position(step.step + 1);
        self.bar.set_message(format!("loss {smooth:.4}  lr {:.2e}", step.lr));
    }

    fn epoch(&mut self, epoch: &Epoch, evaluation: Option<&Evaluation>) {
        self.last = evaluation.cloned();
        let mut columns = vec![("epoch", Align::Right), ("train loss", Align::Right)];
        let mut cells = vec![format!("{:>5}", epoch.epoch), format!("{:>10.5}", epoch.train.loss)];
        let percent =
            |share: Option<f64>| share.map_or(String::new(), |share| format!("{:.2} %", 100.0 * share));
        if self.has_accuracy {
            columns.push(("accuracy", Align::Right));
            cells.push(format!("{:>8}", percent(epoch.train.accuracy)));
        }
        if let Some(validation) = &epoch.validation {
            columns.push(("valid. loss", Align::Right));
            cells.push(format!("{:>11.5}", validation.loss));
            if self.has_accuracy {
                columns.extend([("accuracy", Align::Right), ("F1", Align::Right)]);
                let f1 = validation.f1.map_or(String::new(), |f1| format!("{f1:.4}"));
                cells.extend([format!("{:>8}", percent(validation.accuracy)), format!("{f1:>6}")]);
            }
            if self.has_auc {
                columns.push(("AUC", Align::Right));
                cells.push(format!("{:>6}", validation.auc.map_or(String::new(), |auc| format!("{auc:.4}"))));
            }
        }
        columns.push(("seconds", Align::Right));
        cells.push(format!("{:>7.1}", epoch.seconds));
        let mut table = Table::new(&columns);
        table.row(cells);
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let shown = if std::mem::take(&mut self.header) { &lines[..] } else { &lines[2..] };
        // A table that nobody reads any more does not stop the training.
        self.bar.suspend(|| {
            let _ = showln!("{}", shown.join("\n"));
        });
    }
}

/// The loss from step to step as a row of bars, with the first and the last number.
fn curve(losses: &[f32]) -> String {
    const WIDTH: usize = 64;
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let each = losses.len().div_ceil(WIDTH).max(1);
    let means: Vec<f32> =
        losses.chunks(each).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect();
    let (low, high) =
        means.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
    let bar = |mean: &f32| {
        let level = (mean - low) / (high - low).max(f32::MIN_POSITIVE) * (BARS.len() - 1) as f32;
        BARS[(level.round() as usize).min(BARS.len() - 1)]
    };
    let ends = means.first().zip(means.last()).map(|(a, b)| format!("{a:.4} to {b:.4}")).unwrap_or_default();
    format!("loss  {}  {ends}", means.iter().map(bar).collect::<String>())
}

/// Rows are right classes, columns predicted ones.
pub fn confusion(evaluation: &Evaluation, names: &[String]) -> String {
    const MOST: usize = 20;
    let Some(confusion) = evaluation.confusion.as_ref().filter(|confusion| confusion.classes() <= MOST)
    else {
        return String::new();
    };
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let width = |class: usize| {
        let counts = (0..confusion.classes()).map(|right| confusion.count(right, class).to_string().len());
        counts.chain([name(class).chars().count()]).max().unwrap_or(1)
    };
    let first = (0..confusion.classes()).map(|class| name(class).chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("\n{:<first$}  predicted\n{:<first$}", "right", "");
    for class in 0..confusion.classes() {
        text += &format!("  {:>width$}", name(class), width = width(class));
    }
    text.push('\n');
    for right in 0..confusion.classes() {
        text += &format!("{:<first$}", name(right));
        for predicted in 0..confusion.classes() {
            text += &format!("  {:>width$}", confusion.count(right, predicted), width = width(predicted));
        }
        text.push('\n');
    }
    text
}

/// The tensors of a step that are the outputs of the model's layers: what a kernel of a convolution or a matrix product
/// leaves.
fn layers(setup: &Setup) -> Vec<String> {
    let Some(program) = setup.compiled.programs.iter().find(|program| program.name == "train") else {
        return vec![];
    };
    let own: HashSet<&str> = setup.model.nodes().iter().map(|node| node.name.as_str()).collect();
    let graph = &program.graph;
    let makes = |group: &&kiln::fuse::Group| {
        let anchor = group.anchor.map(|id| graph.node(id));
        anchor.is_some_and(|node| {
            matches!(node.op, Op::Conv(_) | Op::MatMul(_)) && own.contains(node.name.as_str())
        })
    };
    let outputs = program.fusion.groups.iter().filter(makes).flat_map(|group| &group.outputs);
    outputs.map(|id| graph.value(*id).name.clone()).collect()
}

fn write_report(setup: &mut Setup, settings: &Settings, screen: &Screen, output: &Path) -> Result<()> {
    let (per_epoch, step) = (setup.train.batches() as u64, setup.trainer.progress.step);
    let steps = per_epoch * settings.epochs;
    let position = |step| Position { step, steps_per_epoch: per_epoch, steps };
    let at = |step| settings.schedule.at(position(step), settings.lr, settings.momentum, settings.warmup);
    let is_filter = |id: &&ValueId| setup.model.ty(**id).rank() == 4;
    let first = setup.model.states().iter().find(is_filter).map(|id| setup.model.value(*id).name.clone());
    let session = setup.trainer.session();
    let first_weight = match first.and_then(|name| session.find_tensor(&name)) {
        Some(index) => Some(session.read_tensor(index).into_diagnostic()?),
        None => None,
    };
    let report = Report {
        title: format!("Training of {}", setup.model.name),
        summary: format!(
            "{step} steps of {} samples, {} samples to learn from",
            setup.train.batch,
            setup.train.data.len()
        ),
        progress: &setup.trainer.progress,
        schedule: (0..step).map(at).collect(),
        has_momentum: setup.trainer.interface().has_momentum,
        evaluation: screen.last.as_ref(),
        classes: setup.train.data.class_names().unwrap_or_default(),
        first_weight,
        activations: &screen.activations,
    };
    report.write(output).into_diagnostic()?;
    note!("{} shows it in pictures", output.join("report.html").display());
    Ok(())
}

/// The trained weights in three forms, and the recipe.
fn write_results(setup: &mut Setup, recipe: &Recipe, output: &Path) -> Result<()> {
    let names: Vec<String> =
        setup.model.states().iter().map(|id| setup.model.value(*id).name.clone()).collect();
    let weights = output.join("weights.safetensors");
    checkpoint::save(setup.trainer.session(), &weights, None::<&()>, &|name| {
        names.iter().any(|own| own == name)
    })
    .into_diagnostic()?;
    let trained = setup.trained()?;
    let file = kiln::onnx::export(&trained).into_diagnostic()?;
    checkpoint::write_whole(&output.join("model.onnx"), &file).into_diagnostic()?;
    let plan = setup.inference_plan(&trained)?;
    plan.save(output.join("model.kplan")).into_diagnostic()?;
    let recipe = Recipe {
        mean: Some(setup.normalize.mean.clone()).filter(|mean| !mean.is_empty()),
        std: Some(setup.normalize.std.clone()).filter(|std| !std.is_empty()),
        model: recipe.model.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        ..recipe.clone()
    };
    let text = toml::to_string(&recipe).into_diagnostic()?;
    checkpoint::write_whole(&output.join("recipe.toml"), text.as_bytes()).into_diagnostic()?;
    note!("wrote weights.safetensors, model.onnx, model.kplan, history.csv to {}", output.display());
    if !setup.normalize.mean.is_empty() {
        let list = |numbers: &[f32]| numbers.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(",");
        note!(
            "samples were normalized by --mean {} --std {}",
            list(&setup.normalize.mean),
            list(&setup.normalize.std)
        );
    }
    Ok(())
}
