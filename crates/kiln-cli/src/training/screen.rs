//! The terminal while a network trains: a bar, a table of epochs, a curve, the confusion matrix.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln::HostTensor;
use kiln::training::activations::ActivationStats;
use kiln::training::history::Epoch;
use kiln::training::tensorboard::Events;
use kiln::training::{Evaluation, Observer, Settings, Step};
use miette::{IntoDiagnostic, Result};

use super::{Interrupt, Setup, Trace};
use crate::table::{Align, Table, shorten};
use crate::terminal::clean_line;

/// The terminal while it trains.
pub(crate) struct Screen {
    /// The bar, where there is a terminal.
    pub bar: ProgressBar,
    header: bool,
    has_accuracy: bool,
    has_auc: bool,
    /// The last evaluation on the validation samples.
    pub last: Option<Evaluation>,
    /// A smoothed loss, for the bar.
    smooth: Option<f64>,
    /// The recorded activations.
    pub activations: ActivationStats,
    /// The signal handler.
    pub interrupt: Interrupt,
    /// The timeline, if one is recorded.
    pub trace: Option<Trace>,
    /// The event files for TensorBoard, if there are any.
    pub events: Option<Events>,
}

impl Screen {
    /// Nothing to see yet.
    pub(crate) fn new(setup: &Setup, settings: &Settings) -> Result<Self> {
        let steps = setup.trainer.steps_per_epoch(&setup.train) * settings.epochs;
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
        let has_accuracy =
            setup.train.data.class_names().is_some() && setup.trainer.interface().classes.is_some();
        let has_auc = setup.trainer.interface().classes == Some(2)
            && setup.train.data.class_names().is_some_and(|names| names.len() == 2);
        Ok(Self {
            bar,
            header: true,
            has_accuracy,
            has_auc,
            last: None,
            smooth: None,
            activations: ActivationStats::default(),
            interrupt: Interrupt::default(),
            trace: None,
            events: None,
        })
    }
}

impl Observer for Screen {
    fn stops(&mut self) -> bool {
        self.interrupt.is_asked()
    }

    fn watch(&mut self, step: u64) -> bool {
        self.activations.watches(step)
    }

    fn wants(&self, name: &str) -> bool {
        self.activations.wants(name)
    }

    fn tensor(&mut self, step: u64, name: &str, tensor: &HostTensor) {
        self.activations.note(step, name, tensor);
    }

    fn step(&mut self, step: &Step<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.host("step");
        }
        if let Some(events) = &mut self.events {
            events.step(step);
        }
        let smooth = self.smooth.map_or(step.loss, |old| 0.95 * old + 0.05 * step.loss);
        self.smooth = Some(smooth);
        self.bar.set_position(step.step + 1);
        self.bar.set_message(format!("loss {smooth:.4}  lr {:.2e}", step.lr));
    }

    fn epoch(&mut self, epoch: &Epoch, evaluation: Option<&Evaluation>) {
        if let Some(trace) = &mut self.trace {
            trace.host("evaluation and checkpoint");
        }
        if let Some(events) = &mut self.events {
            events.epoch(epoch);
        }
        self.last = evaluation.cloned();
        let mut columns = vec![("epoch", Align::Right), ("train loss", Align::Right)];
        let mut cells = vec![format!("{:>5}", epoch.epoch), format!("{:>10.5}", epoch.train.loss)];
        let percent =
            |share: Option<f64>| share.map_or(String::new(), |share| format!("{:.2} %", 100.0 * share));
        let f1 = |f1: Option<f64>| f1.map_or("      ".to_owned(), |f1| format!("{f1:.4}"));
        // That of F1 in training is in the history and the report: the table fits into 80 columns.
        if self.has_accuracy {
            columns.push(("train acc.", Align::Right));
            cells.push(format!("{:>10}", percent(epoch.train.accuracy)));
        }
        if let Some(validation) = &epoch.validation {
            columns.push(("valid. loss", Align::Right));
            cells.push(format!("{:>11.5}", validation.loss));
            if self.has_accuracy {
                columns.extend([("valid. acc.", Align::Right), ("F1", Align::Right)]);
                cells.extend([format!("{:>11}", percent(validation.accuracy)), f1(validation.f1)]);
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
        // A closed standard output does not stop the training.
        self.bar.suspend(|| {
            let _ = showln!("{}", shown.join("\n"));
            if let (1.., Some(scale)) = (epoch.skipped, epoch.loss_scale) {
                note!(
                    "note: {} of the epoch's steps were passed over, since gradients overflowed 16 bits; the loss scale is {scale}",
                    epoch.skipped
                );
            }
        });
    }
}

/// The loss from step to step as a row of bars, with the first and the last number.
pub(crate) fn curve(losses: &[f32]) -> String {
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

/// Rows are actual classes, columns predicted ones.
pub(crate) fn confusion(evaluation: &Evaluation, names: &[String]) -> String {
    const MOST: usize = 20;
    let Some(confusion) = evaluation.confusion.as_ref().filter(|confusion| confusion.classes() <= MOST)
    else {
        return String::new();
    };
    let name = |class: usize| match names.get(class) {
        Some(name) => shorten(&clean_line(name), 40).into_owned(),
        None => class.to_string(),
    };
    let width = |class: usize| {
        let counts = (0..confusion.classes()).map(|actual| confusion.count(actual, class).to_string().len());
        counts.chain([name(class).chars().count()]).max().unwrap_or(1)
    };
    let first = (0..confusion.classes()).map(|class| name(class).chars().count()).max().unwrap_or(0).max(6);
    let mut text = format!("\n{:<first$}  predicted\n{:<first$}", "actual", "");
    for class in 0..confusion.classes() {
        text += &format!("  {:>width$}", name(class), width = width(class));
    }
    text.push('\n');
    for actual in 0..confusion.classes() {
        text += &format!("{:<first$}", name(actual));
        for predicted in 0..confusion.classes() {
            text += &format!("  {:>width$}", confusion.count(actual, predicted), width = width(predicted));
        }
        text.push('\n');
    }
    text
}
