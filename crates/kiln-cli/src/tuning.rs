//! Measuring kernels from the command line: with a bar, until the time is over or Ctrl-C is pressed; what was found is kept.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln::Options;
use kiln::tune::{Compile, DeviceKey, Observer, Outcome, RecordFile, Settings, Tuning, tune};
use miette::{IntoDiagnostic, Result};

use crate::device;
use crate::records::{Place, RecordArguments};
use crate::training::Interrupt;

/// How a command that compiles measures first.
#[derive(Args, Clone)]
pub(crate) struct TuneArguments {
    /// Measure kernels on this device first, as `kiln tune` does, for SECONDS (20 if not given)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "20", value_parser = seconds)]
    pub tune: Option<f64>,
}

/// Parses a number of seconds.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 86_400.0);
    number.ok_or(format!("`{text}` is not a number of seconds up to 86400 (a day)"))
}

/// The terminal while kernels are measured.
struct Screen {
    bar: ProgressBar,
    interrupt: Interrupt,
}

impl Observer for Screen {
    fn problem(&mut self, number: usize, count: usize, layers: &str) {
        self.bar.set_length(u64::try_from(count).unwrap_or(0));
        self.bar.set_position(u64::try_from(number).unwrap_or(0));
        self.bar.set_message(crate::terminal::clean_line(layers).into_owned());
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.is_asked()
    }
}

/// What was found, and where it is kept.
pub(crate) struct Found {
    pub tuning: Tuning,
    pub file: Option<PathBuf>,
    pub interrupt: Interrupt,
}

/// Measures the kernels of a program of what `compile` makes, keeps what was found, and adds it to `options`.
pub(crate) fn measure(
    compile: &Compile<'_>,
    options: &mut Options,
    program: &str,
    settings: &Settings,
    records: &RecordArguments,
) -> Result<Found> {
    let capabilities = kiln::default_device().into_diagnostic()?;
    let requirements = kiln::requirements_of(&capabilities);
    let device = device::open(&requirements)?;
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{bar:24} problem {pos}/{len}, {elapsed}  {msg}");
    bar.set_style(style.into_diagnostic()?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut screen = Screen { bar, interrupt: Interrupt::listen().into_diagnostic()? };
    let tuning = tune(&device, compile, options, program, settings, &mut screen);
    screen.bar.finish_and_clear();
    let tuning = tuning.into_diagnostic()?;
    for contest in &tuning.contests {
        for entry in &contest.entries {
            match &entry.outcome {
                Outcome::Wrong => note!(
                    "note: `{}` computes something else on this device, so it is not used for `{}`",
                    entry.choice,
                    contest.layers
                ),
                Outcome::Failed(reason) => {
                    note!("note: `{}` does not run for `{}`: {reason}", entry.choice, contest.layers);
                }
                Outcome::Seconds(_) | Outcome::Left => {}
            }
        }
    }
    tuning.apply(&mut options.preferences.records);
    let file = match records.place() {
        Place::Nowhere => None,
        Place::Cache(path) | Place::Named(path) => Some(path),
    };
    if let Some(path) = file.as_ref().filter(|_| !tuning.contests.is_empty()) {
        RecordFile::add_to(path, &DeviceKey::of(&capabilities), &tuning).into_diagnostic()?;
    }
    Ok(Found { tuning, file, interrupt: screen.interrupt })
}

/// Measures for a command that goes on to compile, and says what it brought.
pub(crate) fn measure_first(
    compile: &Compile<'_>,
    options: &mut Options,
    program: &str,
    seconds: f64,
    records: &RecordArguments,
) -> Result<()> {
    let settings = Settings { seconds, ..Settings::default() };
    let found = measure(compile, options, program, &settings, records)?;
    found.interrupt.forget();
    note!("{}", summary(&found.tuning, "--tune"));
    Ok(())
}

/// What measuring brought, in a line; `flag` is the one that gives it more time.
pub(crate) fn summary(tuning: &Tuning, flag: &str) -> String {
    let measured = tuning.contests.len();
    let mut text = format!("{measured} {} measured", if measured == 1 { "problem" } else { "problems" });
    if tuning.known > 0 {
        text += &format!(", {} known from earlier", tuning.known);
    }
    if tuning.left > 0 {
        text += &format!(", {} left for lack of time (`{flag}` gives more)", tuning.left);
    }
    match tuning.confirmation {
        None => text += "; the kernels are those of the estimates",
        Some(whole) => {
            let (before, after) = (whole.before * 1e3, whole.after * 1e3);
            text += &format!("; {before:.2} ms before, {after:.2} ms after");
            text += &if whole.is_better() {
                format!(" ({:.2} times as fast)", before / after)
            } else {
                ", which is not faster: the kernels of before stay".to_owned()
            };
        }
    }
    text
}
