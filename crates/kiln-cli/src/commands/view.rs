//! `kiln view`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use kiln::plan::Role;
use kiln::{Compiled, DType, HostTensor, Model, Plan};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::{Value, json};

use crate::definition::refuse_plan;
use crate::device;
use crate::input::{self, InputArguments, wanted_by_plan};
use crate::inspect::passes;
use crate::inspect::view::{Kernels, Measured, first_stages, graph_stage, program_stage};
use crate::model::{ModelArguments, beside, device_name};
use crate::output;
use crate::picture::PictureArguments;
use crate::progress::Progress;
use crate::table::bytes;
use crate::training::step_of;

const PAGE: &str = include_str!("../../web/view/view.html");
const STYLE: &str = include_str!("../../web/view/view.css");
const GRAPH_STYLE: &str = include_str!("../../web/view/graph.css");
const DAGRE: &str = include_str!("../../web/view/third_party/dagre/dagre.min.js");
/// What later ones need comes first.
const SCRIPTS: [&str; 7] = [
    include_str!("../../web/view/numbers.js"),
    include_str!("../../web/view/items.js"),
    include_str!("../../web/view/draw.js"),
    include_str!("../../web/view/program.js"),
    include_str!("../../web/view/panel.js"),
    include_str!("../../web/view/charts.js"),
    include_str!("../../web/view/main.js"),
];

/// Arguments of `kiln view`.
#[derive(Args)]
#[command(after_help = "\
The page has everything in it and needs no network: the graph as it was read, behind each pass, by
kernels, backward, and as a training step; click a kernel for its WGSL, its parameters, what else
could have been chosen, and why it does not go on.

Examples:
  kiln view resnet18.onnx -o view.html
  kiln view net.py:Net --profile                  with the time of each kernel on this device
  kiln view models/net.toml --train adam
  kiln view detector.onnx --target h200           for a device that is not here")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The page; the model's name with `.html` if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How it is trained: an optimizer (`sgd` if not given), or a recipe (`.toml`)
    #[arg(long, value_name = "OPTIMIZER|RECIPE")]
    train: Option<String>,
    /// Time each kernel on this device, with random inputs: of the inference plan, and of the training step
    #[arg(long)]
    profile: bool,
}

/// Compiles, and writes the page.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    refuse_plan(&model.model)?;
    let path = arguments.output.clone().unwrap_or_else(|| beside(&model.model, "html"));
    output::keep_inputs("-o", &path, model.files().iter().map(PathBuf::as_path))?;
    let progress = Progress::new("reading the model");
    let definition = model.read()?;
    let document = document(arguments, &definition, &progress)?;
    progress.stage("writing the page");
    let page = page(&document)?;
    kiln_files::write(&path, page.as_bytes())
        .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))?;
    note!("wrote {} ({})", path.display(), bytes(page.len() as u64));
    Ok(ExitCode::SUCCESS)
}

/// What the page shows.
fn document(arguments: &Arguments, definition: &Model, progress: &Progress) -> Result<Value> {
    let model = &arguments.model;
    progress.stage("compiling");
    let compiled = model.compile(definition, &Default::default())?;
    let measured = match compiled.programs.first() {
        Some(program) if arguments.profile => Some(profile(arguments, &compiled, &program.name, progress)?),
        Some(_) | None => None,
    };
    let read = definition.graph.clone().settled().into_diagnostic()?;
    let ran = passes::each(&read, model.precision.chosen(), false)?;
    let mut kernels = Kernels::default();
    let mut stages = first_stages(definition, &read, &ran);
    if let Some(program) = compiled.programs.first() {
        let words = ["fused", "Fused", "The inference plan: each box is a kernel."];
        stages.push(program_stage(words, &compiled, program, &mut kernels, measured.as_ref()));
    }
    match training_stages(arguments, definition, &mut kernels, progress) {
        Ok(training) => stages.extend(training),
        // Many models are not for training; only who asks for it has to know.
        Err(error) if arguments.train.is_some() => return Err(error),
        Err(error) => note!("note: without the stages of training: {error}"),
    }
    let maxima: Vec<String> =
        compiled.plan.symbols.iter().map(|symbol| format!("{} up to {}", symbol.name, symbol.max)).collect();
    let lines = definition.lines.iter().map(|(name, line)| {
        let file = line.file.file_name().unwrap_or_default().to_string_lossy();
        (name.clone(), json!({ "file": file, "number": line.number, "text": line.text }))
    });
    let lines: serde_json::Map<String, Value> = lines.collect();
    Ok(json!({
        "format": "kiln-view", "version": crate::inspect::VERSION,
        "name": definition.graph.name,
        "front": if lines.is_empty() { "onnx" } else { "source" },
        "target": compiled.plan.target,
        "maxima": maxima.join(", "),
        "lines": lines,
        "stages": stages,
        "kernels": kernels.into_json(),
        "css": GRAPH_STYLE,
    }))
}

/// The loss with its gradients, and the whole step.
fn training_stages(
    arguments: &Arguments,
    definition: &Model,
    kernels: &mut Kernels,
    progress: &Progress,
) -> Result<Vec<Value>> {
    progress.stage("compiling a training step");
    let model = &arguments.model;
    let how = arguments.train.as_deref().unwrap_or("sgd");
    let training = model.in_precision(&step_of(definition, how)?);
    let backward = kiln::train::backward(&definition.graph, &training).into_diagnostic()?;
    let tidy = kiln::passes::run(kiln::passes::TRAINING, &backward).into_diagnostic()?;
    let about = "The loss and the gradients of all parameters, behind the passes.";
    let mut stages = vec![graph_stage("backward", "Backward", about, &tidy)];
    let compiled = model.compile_training(definition, &training, &Default::default())?;
    if let Some(program) = compiled.programs.iter().find(|program| program.name == "train") {
        let about = format!("A training step with {how}: each box is a kernel.");
        let measured = match arguments.profile {
            true => Some(profile(arguments, &compiled, &program.name, progress)?),
            false => None,
        };
        stages.push(program_stage(["step", "Step", &about], &compiled, program, kernels, measured.as_ref()));
    }
    Ok(stages)
}

/// Times of the kernels of a program, with random inputs.
fn profile(
    arguments: &Arguments,
    compiled: &Compiled,
    program: &str,
    progress: &Progress,
) -> Result<Measured> {
    let plan = &compiled.plan;
    progress.stage(match program {
        "train" => "measuring a training step",
        _ => "measuring",
    });
    let wanted = wanted_by_plan(plan);
    let inputs = match &wanted[..] {
        [_] => vec!["random".to_owned()],
        several => several.iter().map(|input| format!("{}=random", input.name)).collect(),
    };
    let random = InputArguments { inputs, pictures: PictureArguments::default(), normalize: false };
    let told = arguments.model.max.iter().cloned().collect();
    let mut inputs = input::read(&random, &wanted, &told, &plan.metadata)?;
    inputs.extend(step_inputs(plan, program, &inputs)?);
    let inputs: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let mut session = device::load(plan)?;
    session.run_program(program, &inputs).into_diagnostic()?;
    let profile = session.profile(program, &inputs, 5).into_diagnostic()?;
    Ok(Measured { profile, device: device_name(session.device().capabilities()) })
}

/// What a training step takes besides the model's inputs: targets whose classes repeat from sample to sample, and a learning rate
/// that changes little.
fn step_inputs(
    plan: &Plan,
    program: &str,
    given: &[(String, HostTensor)],
) -> Result<Vec<(String, HostTensor)>> {
    const RATE: f32 = 1e-6;
    let Some(found) = plan.program(program) else { return Ok(vec![]) };
    // What is given has the size of a batch; a target has the same.
    let batch = given.first().and_then(|(_, tensor)| tensor.shape().first().copied()).unwrap_or(1);
    let maxima: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    let of_output = |output: &kiln::plan::OutputRef| plan.tensors[output.tensor].shape_at(&maxima);
    let answer = plan.programs.first().and_then(|first| of_output(first.outputs.first()?));
    let classes = answer.and_then(|shape| shape.get(1).copied()).unwrap_or(2).max(2);
    let mut inputs = Vec::new();
    for (index, role) in found.inputs.iter().zip(&found.roles) {
        let tensor = &plan.tensors[*index];
        let number = |value: f32| HostTensor::new([], vec![value]).into_diagnostic();
        let input = match role {
            Role::Data => continue,
            Role::Target => {
                let mut shape = tensor.shape_at(&maxima).unwrap_or_default();
                if let (Some(first), None) = (shape.first_mut(), tensor.shape[0].as_const()) {
                    *first = batch;
                }
                let count = shape.iter().product::<usize>();
                match tensor.dtype {
                    DType::I32 => {
                        HostTensor::new(shape, (0..count).map(|n| (n % classes) as i32).collect::<Vec<_>>())
                    }
                    _ => HostTensor::new(shape, (0..count).map(|n| (n % 2) as f32).collect::<Vec<_>>()),
                }
                .into_diagnostic()?
            }
            Role::LearningRate => number(RATE)?,
            Role::Momentum | Role::Beta1 => number(0.9)?,
            Role::Update => number(1.0)?,
        };
        inputs.push((tensor.name.clone(), input));
    }
    Ok(inputs)
}

/// The page with everything in it. The data is compressed, so that nothing in a model's names is markup.
fn page(document: &Value) -> Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(document.to_string().as_bytes()).into_diagnostic()?;
    let data = STANDARD.encode(encoder.finish().into_diagnostic()?);
    let name = document["name"].as_str().unwrap_or_default();
    let title = name.replace('&', "&amp;").replace('<', "&lt;");
    let script = SCRIPTS.concat();
    let parts = [
        ("style", STYLE),
        ("data", &data),
        ("dagre", DAGRE),
        ("script", &script),
        // Last: a name may look like another placeholder.
        ("title", &title),
    ];
    Ok(parts
        .iter()
        .fold(PAGE.to_owned(), |page, (name, text)| page.replacen(&format!("{{{{ {name} }}}}"), text, 1)))
}
