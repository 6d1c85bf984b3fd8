//! Training reports: one self-contained HTML file, and the charts and images as separate files.

mod charts;
mod pictures;

use std::path::Path;

use base64::Engine;
use kiln_runtime::HostTensor;
use minijinja::{Environment, context};

use crate::activations::{ActivationStats, LayerStats, Snapshot};
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::history::Epoch;
use crate::lr_finder::{self, Found};
use crate::progress::Progress;
use charts::{Scale, Series, lines};

/// The contents of a report.
pub struct Report<'a> {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub summary: String,
    /// Losses and measures.
    pub progress: &'a Progress,
    /// The learning rate and the momentum of each step.
    pub schedule: Vec<(f64, f64)>,
    /// Whether the momentum does anything.
    pub has_momentum: bool,
    /// The last evaluation on the validation samples.
    pub evaluation: Option<&'a Evaluation>,
    /// Names of the classes.
    pub classes: &'a [String],
    /// The first layer's weight, `[out, in, height, width]`.
    pub first_weight: Option<HostTensor>,
    /// The recorded activations.
    pub activations: &'a ActivationStats,
}

/// Points of the loss curve; more would only make the file larger.
const MOST_POINTS: usize = 1000;

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    kiln_files::write(path, bytes).map_err(|source| TrainError::write(path, source))
}

impl Report<'_> {
    /// Writes `report.html`, and `loss.svg` and so on, into a folder.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let mut charts = Vec::new();
        for (name, chart) in self.charts()? {
            write(&folder.join(format!("{name}.svg")), chart.as_bytes())?;
            charts.push(chart);
        }
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let mut filters = None;
        if let Some(picture) = self.first_weight.as_ref().and_then(pictures::filters) {
            let bytes = pictures::png(&picture)?;
            write(&folder.join("filters.png"), &bytes)?;
            filters = Some(encode(&bytes));
        }
        let mut layers = Vec::new();
        for (number, (name, stats)) in self.activations.layers.iter().enumerate() {
            if let Some(picture) = pictures::colourful(stats) {
                let bytes = pictures::png(&picture)?;
                write(&folder.join(format!("activations-{number}.png")), &bytes)?;
                let limit = format!("{:.3}", stats.limit);
                layers.push(context! { name, limit, picture => encode(&bytes) });
            }
        }
        let mut environment = Environment::new();
        let failed =
            |error: minijinja::Error| TrainError::Setting(format!("the report cannot be made: {error:#}"));
        environment.add_template("report.html", include_str!("report.html")).map_err(failed)?;
        let page = environment.get_template("report.html").map_err(failed)?;
        let best = self.progress.best.map(|(_, epoch)| epoch);
        let rows = self.progress.epochs.iter().map(|epoch| {
            context! { cells => cells(epoch), best => best == Some(epoch.epoch) }
        });
        let text = page
            .render(context! {
                title => &self.title,
                summary => &self.summary,
                charts,
                epochs => rows.collect::<Vec<_>>(),
                classes => self.classes.to_vec(),
                confusion => self.confusion(),
                filters,
                layers,
                activation_charts => self.activation_charts()?,
            })
            .map_err(failed)?;
        write(&folder.join("report.html"), text.as_bytes())
    }

    fn charts(&self) -> Result<Vec<(&'static str, String)>, TrainError> {
        let epochs = &self.progress.epochs;
        let by_epoch = |of: &dyn Fn(&Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
            epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?))).collect()
        };
        let losses = &self.progress.losses;
        let per_epoch = losses.len() as f64 / epochs.len().max(1) as f64;
        let each = losses.len().div_ceil(MOST_POINTS).max(1);
        let steps = losses.chunks(each).enumerate().map(|(n, chunk)| {
            let mean = chunk.iter().map(|x| f64::from(*x)).sum::<f64>() / chunk.len() as f64;
            ((n * each + chunk.len()) as f64 / per_epoch, mean)
        });
        let loss = vec![
            Series::new("training, by step", steps),
            Series::new("training", by_epoch(&|epoch| Some(epoch.train.loss))),
            Series::new("validation", by_epoch(&|epoch| Some(epoch.validation?.loss))),
        ];
        let accuracy = vec![
            Series::new("training", by_epoch(&|epoch| epoch.train.accuracy)),
            Series::new("validation", by_epoch(&|epoch| epoch.validation?.accuracy)),
        ];
        let course = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let each = self.schedule.len().div_ceil(MOST_POINTS).max(1);
            self.schedule
                .iter()
                .enumerate()
                .step_by(each)
                .map(|(n, at)| (n as f64, of(at)))
                .collect::<Vec<_>>()
        };
        let lr = vec![Series::new("learning rate", course(&|at| at.0))];
        let momentum = vec![Series::new("momentum", course(&|at| at.1))];
        let mut drawn = vec![
            ("loss", lines("Loss", "epoch", &loss, Scale::Linear)?),
            ("accuracy", lines("Accuracy", "epoch", &accuracy, Scale::Linear)?),
            ("learning-rate", lines("Learning rate", "step", &lr, Scale::Linear)?),
        ];
        if self.has_momentum {
            drawn.push(("momentum", lines("Momentum", "step", &momentum, Scale::Linear)?));
        }
        Ok(drawn.into_iter().filter_map(|(name, chart)| Some((name, chart?))).collect())
    }

    fn activation_charts(&self) -> Result<Vec<String>, TrainError> {
        let layers = &self.activations.layers;
        let of = |measure: &dyn Fn(&Snapshot) -> f64| -> Vec<Series> {
            let points = |stats: &LayerStats| {
                stats
                    .snapshots
                    .iter()
                    .map(|snapshot| (snapshot.step as f64, measure(snapshot)))
                    .collect::<Vec<_>>()
            };
            layers.iter().map(|(name, stats)| Series::new(name.as_str(), points(stats))).collect()
        };
        let charts = [
            lines("Mean", "step", &of(&|s| s.mean), Scale::Linear)?,
            lines("Deviation", "step", &of(&|s| s.deviation), Scale::Linear)?,
            lines("Share near zero", "step", &of(&|s| s.near_zero), Scale::Linear)?,
        ];
        Ok(charts.into_iter().flatten().collect())
    }

    fn confusion(&self) -> Vec<minijinja::Value> {
        let Some(confusion) = self.evaluation.and_then(|evaluation| evaluation.confusion.as_ref()) else {
            return vec![];
        };
        (0..confusion.classes())
            .map(|right| {
                let counts = || (0..confusion.classes()).map(|predicted| confusion.count(right, predicted));
                let total = counts().sum::<u64>().max(1) as f64;
                let cells = counts().map(|count| {
                    context! { count, share => format!("{:.3}", count as f64 / total * 0.8) }
                });
                let name = self.classes.get(right).cloned().unwrap_or_else(|| right.to_string());
                context! { name, cells => cells.collect::<Vec<_>>() }
            })
            .collect()
    }
}

fn cells(epoch: &Epoch) -> Vec<String> {
    let percent = |share: Option<f64>| share.map_or(String::new(), |share| format!("{:.2} %", share * 100.0));
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    let validation = epoch.validation.as_ref();
    vec![
        epoch.epoch.to_string(),
        format!("{:.5}", epoch.train.loss),
        percent(epoch.train.accuracy),
        number(epoch.train.f1),
        validation.map_or(String::new(), |scores| format!("{:.5}", scores.loss)),
        percent(validation.and_then(|scores| scores.accuracy)),
        number(validation.and_then(|scores| scores.f1)),
        number(validation.and_then(|scores| scores.auc)),
        format!("{:.2e}", epoch.lr),
        format!("{:.1}", epoch.seconds),
    ]
}

/// The losses of a learning-rate finder as a chart.
pub fn learning_rates(found: &Found, path: &Path) -> Result<(), TrainError> {
    let series = [
        Series::new("loss", found.losses.iter().copied()),
        Series::new("smoothed", lr_finder::smoothed(&found.losses)),
    ];
    match lines("Loss by learning rate", "learning rate", &series, Scale::Logarithmic)? {
        Some(chart) => write(path, chart.as_bytes()),
        None => {
            Err(TrainError::Setting("no learning rate gave a finite loss; a smaller first one may".into()))
        }
    }
}
