//! `kiln run`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kiln::graph::Data;
use kiln::plan::Task;
use kiln::{HostTensor, Metadata};
use miette::{IntoDiagnostic, Result, bail};
use serde_json::json;

use crate::definition::note_untrained;
use crate::device;
use crate::input::{self, InputArguments, Wanted, wanted_by_plan};
use crate::labels::{Guess, Labels};
use crate::metadata;
use crate::model::{ModelArguments, is_plan, load_plan};
use crate::output;
use crate::sizes::Opened;
use crate::table::{Align, Table, shorten};
use crate::terminal;

/// Arguments of `kiln run`.
#[derive(Args)]
#[command(after_help = "\
The model's metadata is used: how images are preprocessed, what the classes are called. For a classifier,
the five best classes are shown.

Examples:
  kiln run models/filters.onnx photo.jpg -o out/
  kiln run net.py:Net bird.png --weights net.pt --mean 0.5 --std 0.25 --top 2
  kiln run resnet18.onnx cat.jpg --resize 256 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  kiln run net.kplan x=features.npy -o answers.npy
  kiln run price.kplan houses.csv
  kiln run birds/recipe.toml bird.png --weights birds/weights.pt
  kiln run net.onnx random --max N=4")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    inputs: InputArguments,
    /// Where to write outputs: a folder, or a `.npy` or `.png` file if there is one output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Show so many classes with the highest scores [default of classifiers: 5]
    #[arg(long, value_name = "COUNT")]
    top: Option<usize>,
    /// Class names, one per line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads inputs, runs, shows or writes outputs.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    if let Some(output) = &arguments.output {
        let files = [model.files(), arguments.inputs.files()].concat();
        output::keep_inputs("-o", output, files.iter().map(PathBuf::as_path))?;
    }
    let told: BTreeMap<String, u32> = model.max.iter().cloned().collect();
    let (plan, inputs) = if is_plan(&model.model) {
        model.precision.refuse_for_plan()?;
        let plan = load_plan(&model.model)?;
        let inputs = input::read(&arguments.inputs, &wanted_by_plan(&plan), &told, &plan.metadata)?;
        (plan, inputs)
    } else {
        let read = |wanted: &[Wanted], metadata: &_| input::read(&arguments.inputs, wanted, &told, metadata);
        let Opened { model: definition, inputs, seen } = model.open(read)?;
        note_untrained(&definition, &model.model);
        (model.compile(&definition, &seen)?.plan, inputs)
    };
    let labels = Labels::new(arguments.labels.as_deref(), &plan)?;
    if arguments.top.is_some() {
        refuse_top(&plan)?;
    }
    let mut session = device::load(&plan)?;
    let borrowed: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let outputs = session.run(&borrowed).into_diagnostic()?;
    let outputs: Vec<(String, HostTensor)> =
        outputs.into_iter().map(|output| restored(output, &plan.metadata)).collect::<Result<_>>()?;
    let top = arguments.top.or_else(|| {
        let quiet = arguments.json || arguments.output.is_some();
        let classes = outputs.iter().find_map(|(_, t)| metadata::classes_of(&plan.metadata, t.shape()));
        let named = arguments.labels.as_ref().map(|_| usize::MAX);
        classes.or(named).filter(|_| !quiet).map(|classes| classes.min(5))
    });
    if let Some(to) = &arguments.output {
        for file in output::write(&outputs, to)? {
            note!("wrote {}", file.display());
        }
    }
    if arguments.json {
        let values = outputs.iter().map(|o| as_json(o, top, &labels)).collect::<Result<Vec<_>>>()?;
        terminal::show_json("run", json!({ "outputs": values }))?;
    } else if let Some(count) = top {
        for (name, tensor) in &outputs {
            print_top(name, tensor, count, &labels)?;
        }
    } else if arguments.output.is_none() {
        let mut table = Table::new(&[
            ("output", Align::Left),
            ("type", Align::Left),
            ("smallest", Align::Right),
            ("mean", Align::Right),
            ("largest", Align::Right),
        ]);
        for (name, tensor) in &outputs {
            let (low, mean, high) = output::range(tensor);
            table.row([
                name.clone(),
                output::text(tensor),
                format!("{low:.5}"),
                format!("{mean:.5}"),
                format!("{high:.5}"),
            ]);
        }
        show!("{table}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Only scores of classes have best ones.
fn refuse_top(plan: &kiln::Plan) -> Result<()> {
    let outputs = plan.programs.first().map(|program| &program.outputs[..]).unwrap_or_default();
    if let Some(found) = outputs.iter().find(|output| !output.sizes.is_empty()) {
        bail!(
            "--top shows the classes with the highest scores, and this model finds objects: how many `{}` has depends \
             on the picture; without --top all outputs are shown",
            found.name
        );
    }
    Ok(())
}

/// An output in the units of the targets, if a regression was trained on scaled targets.
fn restored((name, tensor): (String, HostTensor), metadata: &Metadata) -> Result<(String, HostTensor)> {
    let Some(targets) = metadata.targets.as_ref().filter(|_| metadata.task == Some(Task::Regression)) else {
        return Ok((name, tensor));
    };
    let Ok(values) = tensor.as_f32() else { return Ok((name, tensor)) };
    let each = tensor.shape().iter().skip(1).product::<usize>().max(1);
    let restore = |(n, value): (usize, &f32)| targets.restore(n % each, *value);
    let values: Vec<f32> = values.iter().enumerate().map(restore).collect();
    let tensor = HostTensor::new(tensor.shape(), values).into_diagnostic()?;
    Ok((name, tensor))
}

/// The rows of a tensor of scores: one for each element of the batch.
fn rows(name: &str, tensor: &HostTensor) -> Result<Vec<Vec<f32>>> {
    let host = kiln::from_host(tensor).into_diagnostic()?;
    let Data::F32(scores) = host.data() else {
        bail!("the output `{name}` is {}, which is not a tensor of scores", output::text(tensor));
    };
    let width = tensor.shape().iter().skip(1).product::<usize>().max(1);
    Ok(scores.chunks(width).map(<[f32]>::to_vec).collect())
}

fn print_top(name: &str, tensor: &HostTensor, count: usize, labels: &Labels) -> Result<()> {
    let rows = rows(name, tensor)?;
    for (n, scores) in rows.iter().enumerate() {
        showln!("{}{}", shorten(name, 200), if rows.len() > 1 { format!("[{n}]") } else { String::new() })?;
        let mut table =
            Table::new(&[("probability", Align::Right), ("score", Align::Right), ("class", Align::Left)]);
        for guess in labels.top(scores, count) {
            let share = format!("{:.2} %", guess.probability * 100.0);
            table.row([share, format!("{:.4}", guess.score), labels.name(guess.class)]);
        }
        show!("{table}")?;
    }
    Ok(())
}

fn as_json(
    (name, tensor): &(String, HostTensor),
    top: Option<usize>,
    labels: &Labels,
) -> Result<serde_json::Value> {
    let mut value = json!({ "name": name, "dtype": tensor.dtype().name(), "shape": tensor.shape() });
    match top {
        None => value["data"] = json!(tensor.to_f64()),
        Some(count) => {
            let guesses = |scores: &Vec<f32>| -> Vec<serde_json::Value> {
                let guess = |g: Guess| json!({ "class": g.class, "label": labels.name(g.class), "score": g.score, "probability": g.probability });
                labels.top(scores, count).into_iter().map(guess).collect()
            };
            value["top"] = json!(rows(name, tensor)?.iter().map(guesses).collect::<Vec<_>>());
        }
    }
    Ok(value)
}
