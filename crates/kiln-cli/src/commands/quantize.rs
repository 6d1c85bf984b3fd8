//! `kiln quantize`

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use kiln::Model;
use kiln::quantize::{Comparison, Method, Network, Noise, calibrate, compare};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::{Value, json};

use crate::calibration::{Calibration, CalibrationArguments, Scored};
use crate::definition::{note_untrained, refuse_plan};
use crate::device;
use crate::model::{ModelArguments, beside};
use crate::output;
use crate::picture::PictureArguments;
use crate::table::{Align, Table, bytes};
use crate::terminal;

/// A layer below this keeps less than two digits; it is worth a hint.
const FEW_DECIBELS: f64 = 20.0;

/// Arguments of `kiln quantize`.
#[derive(Args)]
#[command(after_help = "\
Convolutions, transposed convolutions and matrix products with known weights multiply integers of
8 bits: weights with a scale for each output channel, activations with a scale and a zero point that
follow from the samples. The file has QuantizeLinear and DequantizeLinear around floating point
operators (QDQ), which other engines run, too. docs/quantization.md says more.

Examples:
  kiln quantize net.onnx --calibrate folder:photos
  kiln quantize net.onnx --calibrate folder:photos --method percentile:99.99 -o small.onnx
  kiln quantize net.onnx --calibrate folder:photos --keep /conv1/Conv --keep '/head/*'
  kiln quantize net.py:Net --weights net.pt --calibrate npz:digits.npz
  kiln quantize net.onnx --calibrate a.png b.png c.png --mean 0.5 --std 0.25
  kiln verify net.int8.onnx                    its outputs, if there are known ones")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    data: CalibrationArguments,
    #[command(flatten)]
    pictures: PictureArguments,
    /// The ONNX file; the model's name with `.int8.onnx` if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How ranges follow from the samples: minmax, or percentile:P to leave out the outermost values, so that P percent
    /// remain (99.9 if not given)
    #[arg(long, value_name = "METHOD", default_value = "minmax", value_parser = method)]
    method: Method,
    /// A layer that stays in floating point, by name: '/head/*'; may be repeated
    #[arg(long, value_name = "NODE")]
    keep: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Parses `percentile:99.9`.
fn method(text: &str) -> Result<Method, String> {
    let (name, percent) = text.split_once(':').map_or((text, None), |(name, percent)| (name, Some(percent)));
    match (name, percent) {
        ("minmax", None) => Ok(Method::MinMax),
        ("percentile", percent) => {
            let percent = percent.unwrap_or("99.9");
            let number = f64::from_str(percent).ok().filter(|percent| (50.0..=100.0).contains(percent));
            number.map(Method::Percentile).ok_or(format!("`{percent}` is not a number from 50 to 100"))
        }
        _ => Err("should be minmax or percentile:P, as in percentile:99.9".into()),
    }
}

/// Calibrates, compares, writes and reports.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    refuse_plan(&model.model)?;
    let output = arguments.output.clone().unwrap_or_else(|| beside(&model.model, "int8.onnx"));
    let files = model.files().into_iter().chain(arguments.data.files());
    output::keep_inputs("-o", &output, files.collect::<Vec<_>>().iter().map(PathBuf::as_path))?;
    let mut definition = model.read()?;
    arguments.pictures.describe(&mut definition.metadata)?;
    note_untrained(&definition, &model.model);
    let network = Network::new(&definition.graph, &arguments.keep).into_diagnostic()?;
    let calibration = arguments.data.read(model, &definition)?;
    let options = model.options(&definition.graph, &calibration.seen)?;
    let feeds = &*calibration.feeds;
    let ranges = calibrate(&network, feeds, arguments.method, &options).into_diagnostic()?;
    let quantized = network.quantized(&ranges).into_diagnostic()?;
    let mut made = definition.clone();
    made.graph = quantized.graph.clone();
    let file = made.to_onnx().into_diagnostic()?;
    let comparison = compare(&network, &quantized, feeds, &options).into_diagnostic()?;
    let accuracy = accuracy(model, &definition, &made, &calibration);
    kiln_files::write(&output, &file)
        .map_err(|error| miette!("cannot write `{}`: {error}", output.display()))?;
    let before = definition.to_onnx().map_or(0, |file| file.len());
    let report =
        Report { network, comparison, accuracy, samples: calibration.samples, sizes: [before, file.len()] };
    if arguments.json {
        let mut value = report.json();
        value["output"] = json!(output);
        terminal::show_json("quantize", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    report.show()?;
    showln!("{}", output.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Shares of samples that are classified right.
struct Accuracy {
    before: f64,
    after: f64,
    samples: usize,
}

/// How many samples the network and what was made of it classify right, or why that is not known.
fn accuracy(
    model: &ModelArguments,
    before: &Model,
    after: &Model,
    calibration: &Calibration,
) -> Result<Accuracy, String> {
    let Scored { data, normalize } = calibration.scored.as_ref().map_err(Clone::clone)?;
    let share = |definition: &Model| -> Result<f64, String> {
        let compiled = model.compile(definition, &calibration.seen).map_err(|error| error.to_string())?;
        let mut session = device::load(&compiled.plan).map_err(|error| error.to_string())?;
        let found = kiln::training::evaluate_outputs(&mut session, "inference", data, normalize, None);
        let found = found.map_err(|error| error.to_string())?;
        found.scores.accuracy.ok_or_else(|| "its targets are no classes".to_owned())
    };
    Ok(Accuracy { before: share(before)?, after: share(after)?, samples: data.len() })
}

struct Report {
    network: Network,
    comparison: Comparison,
    accuracy: Result<Accuracy, String>,
    samples: usize,
    /// Bytes of the file before and after.
    sizes: [usize; 2],
}

impl Report {
    fn show(&self) -> Result<()> {
        let mut table = Table::new(&[
            ("layer", Align::Left),
            ("operator", Align::Left),
            ("SNR", Align::Right),
            ("relative error", Align::Right),
        ]);
        for (layer, noise) in self.network.layers().iter().zip(&self.comparison.layers) {
            table.row([layer.name.clone(), layer.op.to_owned(), decibels(noise), percent(noise.relative())]);
        }
        for kept in self.network.kept() {
            table.row([kept.name.clone(), kept.op.to_owned(), "-".into(), format!("float: {}", kept.reason)]);
        }
        show!("{table}")?;
        showln!()?;
        for (name, noise) in &self.comparison.outputs {
            showln!(
                "output `{name}`  SNR {}, relative error {}, largest difference {:.3e} of {:.3e}",
                decibels(noise),
                percent(noise.relative()),
                noise.largest,
                noise.magnitude,
            )?;
        }
        match &self.accuracy {
            Ok(Accuracy { before, after, samples }) => {
                showln!(
                    "accuracy    {} before, {} after, of {samples} samples",
                    percent(*before),
                    percent(*after)
                )?;
            }
            Err(reason) => note!("note: accuracy is not compared: {reason}"),
        }
        showln!("samples     {}", self.samples)?;
        let [before, after] = self.sizes.map(|size| bytes(u64::try_from(size).unwrap_or(u64::MAX)));
        showln!("file        {before} before, {after} after")?;
        let layers = self.network.layers().iter().zip(&self.comparison.layers);
        let worst = layers.min_by(|(_, a), (_, b)| a.decibels().total_cmp(&b.decibels()));
        if let Some((layer, noise)) = worst.filter(|(_, noise)| noise.decibels() < FEW_DECIBELS) {
            note!(
                "note: `{}` loses most ({}); `--keep` leaves a layer in floating point, and `--method percentile` leaves \
                 out outliers",
                layer.name,
                decibels(noise)
            );
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let noise = |noise: &Noise| {
            json!({
                "snr_db": Some(noise.decibels()).filter(|db| db.is_finite()),
                "relative_error": Some(noise.relative()).filter(|error| error.is_finite()),
                "largest_difference": noise.largest,
                "largest_magnitude": noise.magnitude,
            })
        };
        let with = |name: &str, mut value: Value| {
            value["name"] = json!(name);
            value
        };
        let layers = self.network.layers().iter().zip(&self.comparison.layers).map(|(layer, of)| {
            let mut value = with(&layer.name, noise(of));
            value["operator"] = json!(layer.op);
            value
        });
        let kept = self.network.kept().iter();
        let kept = kept.map(|kept| json!({ "name": kept.name, "operator": kept.op, "reason": kept.reason }));
        let outputs = self.comparison.outputs.iter().map(|(name, of)| with(name, noise(of)));
        let accuracy = self.accuracy.as_ref().ok();
        let accuracy = accuracy.map(|Accuracy { before, after, samples }| {
            json!({ "before": before, "after": after, "samples": samples })
        });
        json!({
            "layers": layers.collect::<Vec<_>>(),
            "float": kept.collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
            "accuracy": accuracy,
            "samples": self.samples,
            "bytes_before": self.sizes[0],
            "bytes_after": self.sizes[1],
        })
    }
}

fn decibels(noise: &Noise) -> String {
    let value = noise.decibels();
    if value.is_nan() { "-".into() } else { format!("{value:.1} dB") }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
