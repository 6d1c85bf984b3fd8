//! Training reports: one self-contained HTML file, and the charts and images as separate files.

mod axis;
mod charts;
mod data;
mod fits;
mod maps;
mod measures;
mod pictures;
mod plot;
mod samples;
mod sparkline;
mod strips;

use std::path::Path;

use base64::Engine;
use kiln_runtime::HostTensor;
use minijinja::{Environment, context};

use crate::activations::{ActivationStats, LayerStats, Snapshot};
use crate::data::Dataset;
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::history::Epoch;
use crate::landscape::Landscape;
use crate::lr_finder::{self, Found};
use crate::progress::Progress;
use charts::{Scale, Series, lines};
pub use data::data_page;
pub use maps::Map;

/// The contents of a report.
pub struct Report<'a> {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub summary: String,
    /// Settings, device, duration: names and what they are.
    pub facts: Vec<(String, String)>,
    /// The training samples.
    pub train: &'a Dataset,
    /// The validation samples, in the order of the evaluation.
    pub validation: Option<&'a Dataset>,
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
    /// Whether the outputs are scores whose softmax, or sigmoid, are probabilities.
    pub has_chances: bool,
    /// What the network answers where there are no samples, where samples are one or two numbers.
    pub landscape: Option<Landscape>,
    /// What the numbers of a sample are called, where they have names.
    pub features: Vec<String>,
    /// What each convolution makes of a sample.
    pub maps: Vec<Map>,
    /// Which sample that is.
    pub mapped: String,
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
        for (name, chart) in self.charts() {
            write(&folder.join(format!("{name}.svg")), plot::alone(&chart).as_bytes())?;
            charts.push(chart);
        }
        let mut filters = None;
        if let Some(weight) = &self.first_weight {
            if let Some(picture) = pictures::filters(weight) {
                write(&folder.join("filters.png"), &pictures::png(&picture)?)?;
            }
            filters = maps::filters(weight)?;
        }
        let layers = self.layers(folder)?;
        let (worst, mistakes) = match (self.validation, self.evaluation) {
            (Some(data), Some(evaluation)) => (
                samples::worst(data, evaluation, self.has_chances)?,
                samples::mistakes(data, evaluation, self.has_chances)?,
            ),
            (None, _) | (_, None) => (vec![], vec![]),
        };
        let shown: Vec<minijinja::Value> =
            mistakes.iter().filter_map(|kind| kind.get_attr("id").ok()).collect();
        let mut environment = Environment::new();
        let failed =
            |error: minijinja::Error| TrainError::Setting(format!("the report cannot be made: {error:#}"));
        environment.add_template("report.html", include_str!("report.html")).map_err(failed)?;
        let page = environment.get_template("report.html").map_err(failed)?;
        let best = self.progress.best.map(|(_, epoch)| epoch);
        let columns = measures::columns(&self.progress.epochs);
        let rows = self.progress.epochs.iter().map(|epoch| {
            let cells: Vec<String> = columns.iter().map(|column| (column.cell)(epoch)).collect();
            context! { cells, best => best == Some(epoch.epoch) }
        });
        let facts = self.facts.iter().map(|(name, value)| context! { name, value });
        let confusion = self.evaluation.and_then(|evaluation| evaluation.confusion.as_ref());
        let text = page
            .render(context! {
                title => &self.title,
                summary => &self.summary,
                facts => facts.collect::<Vec<_>>(),
                charts,
                columns => columns.iter().map(|column| column.name).collect::<Vec<_>>(),
                epochs => rows.collect::<Vec<_>>(),
                samples => samples::samples(self.train)?,
                classes => self.classes.to_vec(),
                confusion => confusion.map(|confusion| measures::matrix(confusion, self.classes)),
                per_class => confusion.map(|confusion| measures::per_class(confusion, self.classes)),
                fits => self.fits()?,
                worst,
                mistakes,
                shown,
                filters,
                layers,
                maps => maps::maps(&self.maps)?,
                mapped => &self.mapped,
            })
            .map_err(failed)?;
        write(&folder.join("report.html"), text.as_bytes())
    }

    /// What it has learned of few numbers.
    fn fits(&self) -> Result<Vec<String>, TrainError> {
        let data = self.validation.unwrap_or(self.train);
        let names = fits::Names { features: &self.features, classes: self.classes };
        let mut all = Vec::new();
        if let Some(landscape) = &self.landscape {
            all.extend(fits::curves(landscape, data, &names));
            if self.has_chances {
                all.extend(fits::surface(landscape, data, &names)?);
            }
        }
        if let (Some(data), Some(evaluation)) = (self.validation, self.evaluation) {
            all.extend(fits::against(data, evaluation));
        }
        Ok(all)
    }

    fn charts(&self) -> Vec<(&'static str, String)> {
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
            Series::new("by step", steps).rough(),
            Series::new("training", by_epoch(&|epoch| Some(epoch.train.loss))),
            Series::new("validation", by_epoch(&|epoch| Some(epoch.validation?.loss))).coloured(1),
        ];
        let accuracy = vec![
            Series::new("training", by_epoch(&|epoch| epoch.train.accuracy)),
            Series::new("validation", by_epoch(&|epoch| epoch.validation?.accuracy)).coloured(1),
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
        // The settings say what does not change.
        let changes = |series: &[Series]| {
            let mut points = series.iter().flat_map(|series| &series.points);
            points.next().is_some_and(|first| points.any(|point| point.1 != first.1))
        };
        let lr = vec![Series::new("learning rate", course(&|at| at.0))];
        let momentum = vec![Series::new("momentum", course(&|at| at.1))];
        let mut drawn = vec![
            ("loss", lines("Loss", "epoch", loss, Scale::Whole)),
            ("accuracy", lines("Accuracy", "epoch", accuracy, Scale::Whole)),
        ];
        if changes(&lr) {
            drawn.push(("learning-rate", lines("Learning rate", "step", lr, Scale::Whole)));
        }
        if self.has_momentum && changes(&momentum) {
            drawn.push(("momentum", lines("Momentum", "step", momentum, Scale::Whole)));
        }
        drawn.into_iter().filter_map(|(name, chart)| Some((name, chart?))).collect()
    }

    /// Small pictures of what each layer does, and the files of their histograms.
    fn layers(&self, folder: &Path) -> Result<Vec<minijinja::Value>, TrainError> {
        let measures: [&dyn Fn(&Snapshot) -> f64; 3] = [&|s| s.mean, &|s| s.deviation, &|s| s.near_zero];
        let of = |stats: &LayerStats, measure: &dyn Fn(&Snapshot) -> f64| -> Vec<f64> {
            stats.snapshots.iter().map(measure).collect()
        };
        let all = &self.activations.layers;
        let ranges = measures.map(|measure| {
            let rows: Vec<Vec<f64>> = all.iter().map(|(_, stats)| of(stats, measure)).collect();
            sparkline::range(rows.iter().map(Vec::as_slice))
        });
        let mut layers = Vec::new();
        for (number, (name, stats)) in all.iter().enumerate() {
            let mut picture = None;
            if let Some(pixels) = pictures::colourful(stats) {
                let bytes = pictures::png(&pixels)?;
                write(&folder.join(format!("activations-{number}.png")), &bytes)?;
                picture = Some(base64::engine::general_purpose::STANDARD.encode(&bytes));
            }
            let lines = measures.iter().zip(ranges).map(|(measure, (low, high))| {
                let values = of(stats, measure);
                let ends = values.first().zip(values.last());
                let words = ends.map_or_else(String::new, |(a, b)| format!("{a:.3} to {b:.3}"));
                context! { line => sparkline::sparkline(&values, low, high), words }
            });
            let measures: Vec<_> = lines.collect();
            layers.push(context! { name, limit => format!("{:.3}", stats.limit), picture, measures });
        }
        Ok(layers)
    }
}

/// The losses of a learning-rate finder as a chart.
pub fn learning_rates(found: &Found, path: &Path) -> Result<(), TrainError> {
    let series = [
        Series::new("loss", found.losses.iter().copied()).rough(),
        Series::new("smoothed", lr_finder::smoothed(&found.losses)),
    ]
    .into_iter()
    .chain(marks(found))
    .collect::<Vec<_>>();
    match lines("Loss by learning rate", "learning rate", series, Scale::Logarithmic) {
        Some(chart) => write(path, plot::alone(&chart).as_bytes()),
        None => {
            Err(TrainError::Setting("no learning rate gave a finite loss; a smaller first one may".into()))
        }
    }
}

/// Upright lines at the rates that are suggested.
fn marks(found: &Found) -> Vec<Series> {
    let losses = found.losses.iter().map(|(_, loss)| *loss).filter(|loss| loss.is_finite());
    let (low, high) = losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let lr_finder::Suggested { valley, steepest, minimum } = found.suggested;
    let all = [("valley", valley), ("steep", steepest), ("minimum", minimum)];
    let mark = |(n, (name, rate)): (usize, (&str, Option<f64>))| {
        let rate = rate?;
        Some(Series::new(format!("{name}: {rate:.1e}"), [(rate, low), (rate, high)]).coloured(n + 1))
    };
    all.into_iter().enumerate().filter_map(mark).collect()
}
