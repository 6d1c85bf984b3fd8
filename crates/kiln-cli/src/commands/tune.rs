//! `kiln tune`

use std::process::ExitCode;

use clap::Args;
use kiln::Options;
use kiln::tune::{Contest, Entry, Outcome, Settings, Tuning};
use miette::{Result, bail};
use serde_json::{Value, json};

use crate::definition::refuse_plan;
use crate::model::ModelArguments;
use crate::table::{Align, Table, shorten};
use crate::terminal;
use crate::training::step_of;
use crate::tuning::{Found, measure, seconds, summary};

/// The first choice of the estimate is good enough within this.
const NEAR: f64 = 1.3;
/// Widest cell with names of layers.
const MOST_LAYERS: usize = 32;

/// Arguments of `kiln tune`.
#[derive(Args)]
#[command(after_help = "\
For each problem of the model, those that take longest first, the kernels with the best estimates
are run on this device, compared with the evaluator, and timed in turn. One that is more than 5 %
faster is recorded, if the model as a whole is faster with what was found. Commands that compile
for this device then use it: the records are in the user's cache folder (KILN_CACHE is another
one), or in the file that --records names. Ctrl-C ends measuring and keeps what was found.
docs/tuning.md says more.

Examples:
  kiln tune resnet18.onnx --max N=8
  kiln tune net.py:Net --train adam
  kiln tune models/digits.toml --train models/digits.toml --seconds 60
  kiln tune net.onnx --records h200.ktune     a file to commit, for `kiln compile --records h200.ktune`")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Measure the kernels of a training step: an optimizer, or a recipe (`.toml`)
    #[arg(long, value_name = "OPTIMIZER|RECIPE", num_args = 0..=1, default_missing_value = "sgd")]
    train: Option<String>,
    /// How long it may take
    #[arg(long, default_value = "20", value_parser = seconds)]
    seconds: f64,
    /// Kernels that are tried for a problem
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..))]
    candidates: u8,
    /// Measure all problems, those with a record, too
    #[arg(long)]
    again: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures, records and reports.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut model = arguments.model.clone();
    model.records.measures = true;
    refuse_plan(&model.model)?;
    if !model.is_for_this_device() {
        bail!("--target: `kiln tune` measures on the device of this machine, which is `--target auto`");
    }
    let definition = model.read()?;
    let mut options = model.options(&definition.graph, &Default::default())?;
    if arguments.again {
        options.preferences.records = Default::default();
    }
    let settings = Settings { seconds: arguments.seconds, candidates: arguments.candidates.into() };
    let Found { tuning, file, interrupt } = match &arguments.train {
        Some(how) => {
            let training = model.in_precision(&step_of(&definition, how)?);
            options.precision = training.precision;
            let compile =
                |options: &Options| Ok(kiln::compile_training(&definition.graph, &training, options)?);
            measure(&compile, &mut options, "train", &settings, &model.records)?
        }
        None => {
            let compile = |options: &Options| Ok(kiln::compile(&definition.graph, options)?);
            measure(&compile, &mut options, "inference", &settings, &model.records)?
        }
    };
    let kept = file.filter(|_| !tuning.contests.is_empty());
    if arguments.json {
        let mut value = json(&tuning);
        value["device"] = json!(options.target.name);
        value["records"] = json!(kept);
        terminal::show_json("tune", value)?;
    } else {
        show(&tuning)?;
        if let Some(path) = &kept {
            showln!("records   {}", path.display())?;
        }
    }
    if interrupt.is_asked() {
        return Ok(ExitCode::from(interrupt.status()));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(tuning: &Tuning) -> Result<()> {
    let total: f64 = tuning.contests.iter().map(|contest| contest.share).sum();
    let mut table = Table::new(&[
        ("share", Align::Right),
        ("groups", Align::Right),
        ("layers", Align::Left),
        ("before us", Align::Right),
        ("now us", Align::Right),
        ("gain", Align::Right),
        ("kernel", Align::Left),
    ]);
    let microseconds = |seconds: Option<f64>| seconds.map_or("-".into(), |s| format!("{:.1}", s * 1e6));
    for contest in &tuning.contests {
        table.row([
            if total > 0.0 { format!("{:.1} %", 100.0 * contest.share / total) } else { "-".into() },
            contest.groups.to_string(),
            shorten(&contest.layers, MOST_LAYERS).into_owned(),
            microseconds(contest.seconds_of(&contest.before)),
            microseconds(contest.seconds_of(&contest.choice)),
            if contest.choice == contest.before { String::new() } else { format!("{:.2}", contest.gain()) },
            contest.choice.clone(),
        ]);
    }
    if !tuning.contests.is_empty() {
        showln!("{table}")?;
        let ranked: Vec<f64> = tuning.contests.iter().filter_map(Contest::behind).collect();
        let near = ranked.iter().filter(|behind| **behind <= NEAR).count();
        showln!("estimates {near} of {} first choices are within {NEAR} times the fastest", ranked.len())?;
    }
    if let Some(first) = tuning.whole_only.first() {
        let count = tuning.whole_only.len();
        note!("note: {count} problems cannot be measured by themselves, such as that of `{first}`");
    }
    showln!("program   {}", summary(tuning, "--seconds"))
}

fn json(tuning: &Tuning) -> Value {
    let entry = |entry: &Entry| {
        let outcome = match &entry.outcome {
            Outcome::Seconds(_) => "measured",
            Outcome::Wrong => "wrong",
            Outcome::Failed(_) => "failed",
            Outcome::Left => "not measured",
        };
        let microseconds = entry.seconds().map(|seconds| seconds * 1e6);
        json!({
            "choice": entry.choice,
            "estimated_microseconds": entry.estimate * 1e6,
            "outcome": outcome,
            "microseconds": microseconds,
        })
    };
    let contest = |contest: &Contest| {
        json!({
            "layers": contest.layers,
            "groups": contest.groups,
            "problem": contest.key,
            "seconds": contest.share,
            "before": contest.before,
            "choice": contest.choice,
            "gain": contest.gain(),
            "behind": contest.behind(),
            "candidates": contest.entries.iter().map(entry).collect::<Vec<_>>(),
        })
    };
    let whole = tuning.confirmation.map(|whole| {
        json!({ "before_ms": whole.before * 1e3, "after_ms": whole.after * 1e3, "kept": whole.is_better() })
    });
    json!({
        "problems": tuning.contests.iter().map(contest).collect::<Vec<_>>(),
        "known": tuning.known,
        "left": tuning.left,
        "not_by_themselves": tuning.whole_only,
        "program": whole,
    })
}
