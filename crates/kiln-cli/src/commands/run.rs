//! `kiln run`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kiln::graph::{Data, Graph};
use kiln::{HostTensor, Plan, Session};
use miette::{IntoDiagnostic, Result, bail};
use serde_json::json;

use crate::input::{self, InputArguments, Wanted};
use crate::model::{ModelArguments, is_plan, load_plan};
use crate::table::{Align, Table};
use crate::{labels, output};

/// Arguments of `kiln run`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln run models/filters.onnx photo.jpg -o out/
  kiln run net.py:Net bird.png --weights net.pt --mean 0.5 --std 0.25 --top 2
  kiln run resnet18.onnx cat.jpg --resize 256 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  kiln run net.kplan x=features.npy -o answers.npy
  kiln run net.onnx random --max N=4")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    inputs: InputArguments,
    /// Where outputs go: a folder, or a `.npy` or `.png` file if there is one output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Show the classes with the highest scores
    #[arg(long, value_name = "COUNT")]
    top: Option<usize>,
    /// What the classes are called, one a line
    #[arg(long, value_name = "FILE", requires = "top")]
    labels: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads inputs, runs, shows or writes outputs.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    let labels = arguments.labels.as_deref().map(labels::read).transpose()?;
    let told: BTreeMap<String, u32> = model.max.iter().cloned().collect();
    let (plan, inputs) = if is_plan(&model.model) {
        let plan = load_plan(&model.model)?;
        let inputs = input::read(&arguments.inputs, &wanted_by_plan(&plan), &told)?;
        (plan, inputs)
    } else {
        let graph = model.import()?;
        let inputs = input::read(&arguments.inputs, &wanted_by_graph(&graph), &told)?;
        let seen = symbols_of(&graph, &inputs)?;
        (model.compile(&graph, &seen)?.plan, inputs)
    };
    let mut session = Session::open(&plan).into_diagnostic()?;
    let borrowed: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let outputs: Vec<(String, HostTensor)> = session.run(&borrowed).into_diagnostic()?.into_iter().collect();
    if let Some(to) = &arguments.output {
        for file in output::write(&outputs, to)? {
            note!("wrote {}", file.display());
        }
    }
    if arguments.json {
        showln!(
            "{:#}",
            json!(
                outputs
                    .iter()
                    .map(|o| as_json(o, arguments.top, labels.as_deref()))
                    .collect::<Result<Vec<_>>>()?
            )
        )?;
    } else if let Some(count) = arguments.top {
        for (name, tensor) in &outputs {
            print_top(name, tensor, count, labels.as_deref())?;
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

/// The inputs of a graph.
pub fn wanted_by_graph(graph: &Graph) -> Vec<Wanted> {
    let input = |id: &kiln::graph::ValueId| {
        let value = graph.value(*id);
        let shape = value.ty.shape.iter().map(|dim| dim.as_usize().ok_or_else(|| dim.to_string())).collect();
        Wanted { name: value.name.clone(), dtype: kiln::host_dtype(value.ty.dtype), shape }
    };
    graph.inputs().iter().map(input).collect()
}

/// The inputs of a plan.
pub fn wanted_by_plan(plan: &Plan) -> Vec<Wanted> {
    let inputs = plan.programs.first().map_or(&[][..], |program| &program.inputs);
    let input = |n: &usize| {
        let tensor = plan.tensors.get(*n)?;
        let size = |dim: &kiln::Expr| {
            let number = dim.as_const().and_then(|n| usize::try_from(n).ok());
            number.ok_or_else(|| dim.text(&plan.symbols))
        };
        Some(Wanted {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.iter().map(size).collect(),
        })
    };
    inputs.iter().filter_map(input).collect()
}

/// What symbolic dimensions are, going by the inputs.
pub fn symbols_of(graph: &Graph, inputs: &[(String, HostTensor)]) -> Result<BTreeMap<String, u32>> {
    let shapes = inputs.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
    let bound = graph.bind_symbols(&shapes).into_diagnostic()?;
    Ok(bound
        .iter()
        .map(|(name, value)| (name.to_string(), u32::try_from(*value).unwrap_or(u32::MAX)))
        .collect())
}

/// The rows of a tensor of scores: one for each element of the batch.
fn rows(name: &str, tensor: &HostTensor) -> Result<Vec<Vec<f32>>> {
    let host = kiln::from_host(tensor).into_diagnostic()?;
    let Data::F32(scores) = host.data() else {
        bail!("the output `{name}` is {}, which are no scores", output::text(tensor));
    };
    let width = tensor.shape().iter().skip(1).product::<usize>().max(1);
    Ok(scores.chunks(width).map(<[f32]>::to_vec).collect())
}

fn label(labels: Option<&[String]>, class: usize) -> String {
    labels.and_then(|labels| labels.get(class)).cloned().unwrap_or_else(|| format!("class {class}"))
}

fn print_top(name: &str, tensor: &HostTensor, count: usize, labels: Option<&[String]>) -> Result<()> {
    let rows = rows(name, tensor)?;
    for (n, scores) in rows.iter().enumerate() {
        showln!("{name}{}", if rows.len() > 1 { format!("[{n}]") } else { String::new() })?;
        let mut table =
            Table::new(&[("probability", Align::Right), ("score", Align::Right), ("class", Align::Left)]);
        for guess in labels::top(scores, count) {
            let share = format!("{:.2} %", guess.probability * 100.0);
            table.row([share, format!("{:.4}", guess.score), label(labels, guess.class)]);
        }
        show!("{table}")?;
    }
    Ok(())
}

fn as_json(
    (name, tensor): &(String, HostTensor),
    top: Option<usize>,
    labels: Option<&[String]>,
) -> Result<serde_json::Value> {
    let mut value = json!({ "name": name, "dtype": tensor.dtype().name(), "shape": tensor.shape() });
    match top {
        None => value["data"] = json!(tensor.to_f64()),
        Some(count) => {
            let guesses = |scores: &Vec<f32>| -> Vec<serde_json::Value> {
                let guess = |g: labels::Guess| json!({ "class": g.class, "label": label(labels, g.class), "score": g.score, "probability": g.probability });
                labels::top(scores, count).into_iter().map(guess).collect()
            };
            value["top"] = json!(rows(name, tensor)?.iter().map(guesses).collect::<Vec<_>>());
        }
    }
    Ok(value)
}
