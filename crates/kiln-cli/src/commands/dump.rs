//! `kiln dump`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kiln::graph::{Graph, Op};
use kiln::onnx::FunctionOf;
use kiln::{Compiled, CompiledProgram, Model, Plan};
use miette::{IntoDiagnostic, Result, bail, miette};
use serde_json::json;

use super::kernels;
use crate::inspect::{self, document, fused, passes, plan};
use crate::memory::MemoryArgument;
use crate::model::{ModelArguments, is_plan, load_plan};
use crate::output;
use crate::progress::Progress;
use crate::table::{Align, Table};
use crate::terminal;
use crate::training::step_of;

/// Arguments of `kiln dump`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln dump net.onnx                              the graph as it was read
  kiln dump net.onnx --stage fused                which layers became one kernel
  kiln dump net.onnx --stage fused --why          and why others did not
  kiln dump net.onnx --stage passes               what each pass changes
  kiln dump net.onnx --stage fused --format dot | dot -Tsvg > net.svg
  kiln dump net.onnx --stage backward             how gradients are computed
  kiln dump net.onnx --stage plan                 memory and dispatches
  kiln dump net.onnx --stage kernels              which kernel was chosen for each layer, and why
  kiln dump net.onnx --stage wgsl                 the source of the kernels
  kiln dump net.onnx --format onnx -o copy.onnx   for other tools; --stage fused: each kernel is a function
  kiln dump net.onnx --stage step --format onnx -o step.onnx   a training step, which returns the new weights
  kiln dump net.py --stage weights -o net.pt      the weights it begins with, as a state dict")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Stage between model and plan
    #[arg(long, default_value = "import")]
    stage: Stage,
    /// For backward and step: an optimizer (`sgd` if not given), or a recipe (`.toml`); for kernels, plan and wgsl: those
    /// of training instead of inference
    #[arg(long, value_name = "OPTIMIZER|RECIPE")]
    train: Option<String>,
    #[command(flatten)]
    memory: MemoryArgument,
    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
    /// For fused and step, as text: why a kernel does not go on
    #[arg(long)]
    why: bool,
    /// For json: all elements of weights and constants, not only those of small ones
    #[arg(long)]
    data: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The graph as it was read
    Import,
    /// What each pass changes; with --train of a training step
    Passes,
    /// The graph after all passes, by kernels
    Fused,
    /// The graph of the loss and all gradients, as training computes them
    Backward,
    /// A whole training step after all passes, by kernels
    Step,
    /// Which kernel was chosen for each group of layers, from which candidates, and why
    Kernels,
    /// Memory, tensors and dispatches
    Plan,
    /// The source of all kernels
    Wgsl,
    /// The weights under PyTorch's names; a state dict with -o FILE.pt or FILE.safetensors
    Weights,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
    /// For other ONNX tools (graphs only)
    Onnx,
}

/// Prints or writes one stage in one form.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    if let Some(output) = &arguments.output {
        output::keep_inputs("-o", output, model.files().iter().map(PathBuf::as_path))?;
    }
    arguments.refuse_useless()?;
    if is_plan(&model.model) {
        model.precision.refuse_for_plan()?;
        let plan = load_plan(&model.model)?;
        return match arguments.stage {
            Stage::Plan => write(arguments, plan_form(&plan, arguments)?.into_bytes()),
            Stage::Wgsl => write(arguments, wgsl(&plan, arguments.format)?.into_bytes()),
            Stage::Import
            | Stage::Passes
            | Stage::Fused
            | Stage::Backward
            | Stage::Step
            | Stage::Kernels
            | Stage::Weights => {
                bail!(
                    "a compiled plan does not contain its graph; `--stage plan` and `--stage wgsl` show \
                     what it contains"
                )
            }
        };
    }
    let progress = Progress::new("reading the model");
    let definition = model.read()?;
    progress.stage("compiling");
    let graph = &definition.graph;
    let contents = match arguments.stage {
        Stage::Import if arguments.format == Format::Onnx => definition.to_onnx().into_diagnostic()?,
        Stage::Import => arguments.graph(graph)?,
        Stage::Passes => arguments.passes(&definition)?,
        Stage::Fused => arguments.program(&model.compile(&definition, &Default::default())?)?,
        Stage::Backward => {
            let training = model.in_precision(&step_of(&definition, arguments.optimizer())?);
            let backward = kiln::train::backward(graph, &training).into_diagnostic()?;
            let tidy = kiln::passes::run(kiln::passes::TRAINING, &backward).into_diagnostic()?;
            arguments.graph(&tidy)?
        }
        Stage::Step => arguments.program(&training(arguments, &definition)?)?,
        Stage::Kernels => {
            let compiled = compiled(arguments, &definition)?;
            let program = first(&compiled)?;
            let target = model.options(graph, &Default::default())?.target.name;
            match arguments.format {
                Format::Text => kernels::text(program, &target).into_bytes(),
                Format::Json => document("kernels", kernels::json(program, &target)).into_bytes(),
                Format::Dot | Format::Onnx => {
                    bail!("the choice of kernels is a list, not a graph; its forms are text and json")
                }
            }
        }
        Stage::Plan => plan_form(&compiled(arguments, &definition)?.plan, arguments)?.into_bytes(),
        Stage::Weights => return weights(arguments, &definition),
        Stage::Wgsl => wgsl(&compiled(arguments, &definition)?.plan, arguments.format)?.into_bytes(),
    };
    drop(progress);
    write(arguments, contents)
}

impl Arguments {
    /// How wide tables may be: a file has room.
    fn width(&self) -> Option<usize> {
        if self.output.is_some() { None } else { terminal::width() }
    }

    fn optimizer(&self) -> &str {
        self.train.as_deref().unwrap_or("sgd")
    }

    /// The stage as it is typed.
    fn stage_name(&self) -> String {
        self.stage.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Elements of weights and constants that JSON has.
    fn most(&self) -> usize {
        if self.data { usize::MAX } else { kiln::graph::text::SHOWN_ELEMENTS }
    }

    fn graph(&self, graph: &Graph) -> Result<Vec<u8>> {
        Ok(match self.format {
            Format::Text => graph.to_string().into_bytes(),
            Format::Dot => graph.dot().to_string().into_bytes(),
            Format::Json => {
                let contents = json!({ "graph": inspect::graph::graph(graph, self.most()) });
                document(&self.stage_name(), contents).into_bytes()
            }
            Format::Onnx => kiln::onnx::export(graph).into_diagnostic()?,
        })
    }

    fn program(&self, compiled: &Compiled) -> Result<Vec<u8>> {
        let program = first(compiled)?;
        let (graph, fusion) = (&program.graph, &program.fusion);
        Ok(match self.format {
            Format::Text if self.why => fusion.display_with_reasons(graph).to_string().into_bytes(),
            Format::Text => fusion.display(graph).to_string().into_bytes(),
            Format::Dot => graph.dot_in_clusters(&fused::clusters(program)).to_string().into_bytes(),
            Format::Json => {
                let kernels: Vec<String> =
                    compiled.kernels.iter().map(|kernel| kernel.name.clone()).collect();
                document(&self.stage_name(), fused::program(program, &kernels, self.most())).into_bytes()
            }
            Format::Onnx => fused_onnx(program)?,
        })
    }

    fn passes(&self, definition: &Model) -> Result<Vec<u8>> {
        let training = match &self.train {
            Some(_) => {
                let training = self.model.in_precision(&step_of(definition, self.optimizer())?);
                Some(kiln::train::step(&definition.graph, &training).into_diagnostic()?)
            }
            None => None,
        };
        let graph = training.as_ref().unwrap_or(&definition.graph).clone().settled().into_diagnostic()?;
        let ran = passes::each(&graph, self.model.precision.chosen(), training.is_some())?;
        match self.format {
            Format::Text => Ok(passes::text(&graph, &ran).into_bytes()),
            Format::Json => Ok(document("passes", passes::json(&graph, &ran, self.most())).into_bytes()),
            Format::Dot | Format::Onnx => {
                bail!("the passes are several graphs; their formats are text and json")
            }
        }
    }

    /// Refuses flags where they would change nothing.
    fn refuse_useless(&self) -> Result<()> {
        let useless = match self.stage {
            Stage::Import | Stage::Fused | Stage::Weights => true,
            Stage::Passes | Stage::Backward | Stage::Step | Stage::Kernels | Stage::Plan | Stage::Wgsl => {
                false
            }
        };
        if self.train.is_some() && useless {
            bail!(
                "`--train` is for the stages passes, backward, step, kernels, plan and wgsl; choose one with \
                 `--stage`"
            );
        }
        // A step is one for sgd if no optimizer is named.
        self.memory.needs_training(self.train.is_some() || self.stage == Stage::Step)?;
        let is_fused = matches!(self.stage, Stage::Fused | Stage::Step);
        if self.why && !(is_fused && self.format == Format::Text) {
            bail!("`--why` is for the stages fused and step as text; their JSON has the reasons anyway");
        }
        if self.data && self.format != Format::Json {
            bail!("`--data` is for `--format json`");
        }
        if self.train.is_some() && is_plan(&self.model.model) {
            bail!("a compiled plan keeps the programs it has; `--train` is for models");
        }
        Ok(())
    }
}

/// The program of an inference plan, or the step of a training plan.
fn first(compiled: &Compiled) -> Result<&CompiledProgram> {
    let step = compiled.programs.iter().find(|program| program.name == "train");
    step.or(compiled.programs.first()).ok_or_else(|| miette!("a plan has a program"))
}

/// A plan for inference, or with `--train` for training.
fn compiled(arguments: &Arguments, definition: &Model) -> Result<Compiled> {
    if arguments.train.is_none() {
        return arguments.model.compile(definition, &Default::default());
    }
    training(arguments, definition)
}

/// A plan for training, whose first program is the step.
fn training(arguments: &Arguments, definition: &Model) -> Result<Compiled> {
    let training = arguments.memory.limits(step_of(definition, arguments.optimizer())?);
    arguments.model.compile_training(definition, &training, &Default::default())
}

fn write(arguments: &Arguments, contents: Vec<u8>) -> Result<ExitCode> {
    match &arguments.output {
        Some(path) => kiln_files::write(path, &contents)
            .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))?,
        None => {
            use std::io::IsTerminal;
            if arguments.format == Format::Onnx && std::io::stdout().is_terminal() {
                bail!("an ONNX file cannot be written to the terminal; name a file with -o");
            }
            match arguments.format {
                Format::Onnx => terminal::show_bytes(&contents)?,
                Format::Json => {
                    terminal::show_bytes(terminal::json_text(&String::from_utf8_lossy(&contents)).as_bytes())?
                }
                Format::Text | Format::Dot => show!("{}", String::from_utf8_lossy(&contents))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the weights, or writes them as a state dict.
fn weights(arguments: &Arguments, model: &Model) -> Result<ExitCode> {
    let dict = model.state_dict();
    if let Some(path) = &arguments.output {
        dict.write(path).into_diagnostic()?;
        note!("wrote {} tensors to {}", dict.len(), path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.format != Format::Text {
        bail!("weights are listed as text; `-o weights.pt` or `-o weights.safetensors` writes them");
    }
    let mut table = Table::new(&[("name", Align::Left), ("type", Align::Left)]);
    for (name, tensor) in dict.iter() {
        table.row([name.to_owned(), tensor.ty().to_string()]);
    }
    write(arguments, table.lines(arguments.width()).into_bytes())
}

/// Each kernel as a function of the model.
fn fused_onnx(program: &CompiledProgram) -> Result<Vec<u8>> {
    let graph = &program.graph;
    if graph.nodes().iter().any(|node| matches!(node.op, Op::Loop(_))) {
        note!("note: the file has no functions, since loops are written out");
        return kiln::onnx::export(graph).into_diagnostic();
    }
    let functions = fused::clusters(program).into_iter().map(|(name, nodes)| FunctionOf { name, nodes });
    // A function of one node shows nothing that the node does not.
    let functions: Vec<FunctionOf> = functions.filter(|function| function.nodes.len() > 1).collect();
    kiln::onnx::export_with_functions(graph, &functions).into_diagnostic()
}

fn plan_form(plan: &Plan, arguments: &Arguments) -> Result<String> {
    match arguments.format {
        Format::Text => Ok(plan::text(plan, arguments.width())),
        Format::Json => Ok(document("plan", plan::json(plan))),
        Format::Dot | Format::Onnx => bail!("a plan is a list, not a graph; its formats are text and json"),
    }
}

fn wgsl(plan: &Plan, format: Format) -> Result<String> {
    match format {
        Format::Text => Ok(plan
            .shaders
            .iter()
            .enumerate()
            .map(|(n, shader)| format!("// ---- {n}: {}\n{}\n", shader.name, shader.wgsl))
            .collect()),
        Format::Json => {
            let shaders: Vec<_> =
                plan.shaders.iter().map(|s| json!({ "name": s.name, "wgsl": s.wgsl })).collect();
            Ok(document("wgsl", json!({ "kernels": shaders })))
        }
        Format::Dot | Format::Onnx => bail!("kernels are text; their formats are text and json"),
    }
}
