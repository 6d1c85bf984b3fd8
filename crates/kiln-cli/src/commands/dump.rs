//! `kiln dump`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kiln::graph::{Graph, Op};
use kiln::{Compiled, CompiledProgram, Model, Plan};
use miette::{IntoDiagnostic, Result, bail, miette};
use serde_json::json;

use super::kernels;
use crate::metadata;
use crate::model::{ModelArguments, is_plan, load_plan};
use crate::output;
use crate::table::{Align, Table, bytes, shorten};
use crate::terminal;
use crate::training::step_of;

/// Arguments of `kiln dump`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln dump net.onnx                              the graph as it was read
  kiln dump net.onnx --stage fused                which layers became one kernel
  kiln dump net.onnx --stage fused --format dot | dot -Tsvg > net.svg
  kiln dump net.onnx --stage backward             how gradients are computed
  kiln dump net.onnx --stage plan                 memory and dispatches
  kiln dump net.onnx --stage kernels              which kernel was chosen for each layer, and why
  kiln dump net.onnx --stage wgsl                 the source of the kernels
  kiln dump net.onnx --format onnx -o copy.onnx   for other tools
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
    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The graph as it was read
    Import,
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
        output::keep_inputs(output, model.files().iter().map(PathBuf::as_path))?;
    }
    arguments.refuse_useless_train()?;
    if is_plan(&model.model) {
        model.precision.refuse_for_plan()?;
        let plan = load_plan(&model.model)?;
        return match arguments.stage {
            Stage::Plan => write(arguments, plan_form(&plan, arguments.format)?.into_bytes()),
            Stage::Wgsl => write(arguments, wgsl(&plan, arguments.format)?.into_bytes()),
            Stage::Import
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
    let definition = model.read()?;
    let graph = &definition.graph;
    let contents = match arguments.stage {
        Stage::Import if arguments.format == Format::Onnx => definition.to_onnx().into_diagnostic()?,
        Stage::Import => graph_form(graph, arguments.format)?,
        Stage::Fused => {
            fused_form(&inference(model.compile(&definition, &Default::default())?)?, arguments.format)?
        }
        Stage::Backward => {
            let training = model.in_precision(&step_of(&definition, arguments.optimizer())?);
            let backward = kiln::train::backward(graph, &training).into_diagnostic()?;
            let tidy = kiln::passes::run(kiln::passes::TRAINING, &backward).into_diagnostic()?;
            graph_form(&tidy, arguments.format)?
        }
        Stage::Step => fused_form(&step(arguments, &definition)?, arguments.format)?,
        Stage::Kernels => {
            let program = match arguments.train {
                Some(_) => step(arguments, &definition)?,
                None => inference(model.compile(&definition, &Default::default())?)?,
            };
            let target = model.options(graph, &Default::default())?.target.name;
            match arguments.format {
                Format::Text => kernels::text(&program, &target).into_bytes(),
                Format::Json => kernels::json(&program, &target).into_bytes(),
                Format::Dot | Format::Onnx => {
                    bail!("the choice of kernels is a list, not a graph; its forms are text and json")
                }
            }
        }
        Stage::Plan => plan_form(&compiled(arguments, &definition)?.plan, arguments.format)?.into_bytes(),
        Stage::Weights => return weights(arguments, &definition),
        Stage::Wgsl => wgsl(&compiled(arguments, &definition)?.plan, arguments.format)?.into_bytes(),
    };
    write(arguments, contents)
}

impl Arguments {
    fn optimizer(&self) -> &str {
        self.train.as_deref().unwrap_or("sgd")
    }

    /// Refuses `--train` where it would change nothing.
    fn refuse_useless_train(&self) -> Result<()> {
        let useless = match self.stage {
            Stage::Import | Stage::Fused | Stage::Weights => true,
            Stage::Backward | Stage::Step | Stage::Kernels | Stage::Plan | Stage::Wgsl => false,
        };
        if self.train.is_some() && useless {
            bail!(
                "`--train` is for the stages backward, step, kernels, plan and wgsl; choose one with `--stage`"
            );
        }
        if self.train.is_some() && is_plan(&self.model.model) {
            bail!("a compiled plan keeps the programs it has; `--train` is for models");
        }
        Ok(())
    }
}

/// The program of an inference plan.
fn inference(compiled: Compiled) -> Result<CompiledProgram> {
    compiled.programs.into_iter().next().ok_or_else(|| miette!("an inference plan has one program"))
}

/// A plan for inference, or with `--train` for training.
fn compiled(arguments: &Arguments, definition: &Model) -> Result<Compiled> {
    if arguments.train.is_none() {
        return arguments.model.compile(definition, &Default::default());
    }
    let training = step_of(definition, arguments.optimizer())?;
    arguments.model.compile_training(definition, &training, &Default::default())
}

/// The training step of a training plan.
fn step(arguments: &Arguments, definition: &Model) -> Result<CompiledProgram> {
    let training = step_of(definition, arguments.optimizer())?;
    let compiled = arguments.model.compile_training(definition, &training, &Default::default())?;
    let found = compiled.programs.into_iter().find(|program| program.name == "train");
    found.ok_or_else(|| miette!("a training plan has a program `train`"))
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
    write(arguments, table.to_string().into_bytes())
}

fn graph_form(graph: &Graph, format: Format) -> Result<Vec<u8>> {
    Ok(match format {
        Format::Text => graph.to_string().into_bytes(),
        Format::Dot => graph.dot().to_string().into_bytes(),
        Format::Json => graph_json(graph).into_bytes(),
        Format::Onnx => kiln::onnx::export(graph).into_diagnostic()?,
    })
}

fn fused_form(program: &CompiledProgram, format: Format) -> Result<Vec<u8>> {
    Ok(match format {
        Format::Text => program.fusion.display(&program.graph).to_string().into_bytes(),
        Format::Dot => fused_dot(program).into_bytes(),
        Format::Json => fused_json(program).into_bytes(),
        Format::Onnx => graph_form(&program.graph, Format::Onnx)?,
    })
}

fn graph_json(graph: &Graph) -> String {
    format!("{:#}\n", graph_value(graph))
}

fn graph_value(graph: &Graph) -> serde_json::Value {
    let name = |id: &kiln::graph::ValueId| graph.value(*id).name.clone();
    let value = |id: &kiln::graph::ValueId| json!({ "name": name(id), "type": graph.ty(*id).to_string() });
    let nodes: Vec<_> = graph
        .nodes()
        .iter()
        .map(|node| {
            let mut shown = json!({
                "name": node.name,
                "operator": node.op.name(),
                "inputs": node.inputs.iter().map(name).collect::<Vec<_>>(),
                "outputs": node.outputs.iter().map(value).collect::<Vec<_>>(),
            });
            if let Op::Loop(op) = &node.op {
                shown["steps"] = json!(op.steps.to_string());
                shown["body"] = graph_value(&op.body);
            }
            shown
        })
        .collect();
    let outputs: Vec<_> =
        graph.outputs().iter().map(|o| json!({ "name": o.name, "value": name(&o.value) })).collect();
    json!({
        "name": graph.name,
        "inputs": graph.inputs().iter().map(value).collect::<Vec<_>>(),
        "states": graph.states().iter().map(value).collect::<Vec<_>>(),
        "nodes": nodes,
        "outputs": outputs,
    })
}

fn fused_json(compiled: &CompiledProgram) -> String {
    let graph = &compiled.graph;
    let name = |id: &kiln::graph::ValueId| graph.value(*id).name.clone();
    let node = |id: &kiln::graph::NodeId| json!({ "name": graph.node(*id).name, "operator": graph.node(*id).op.name() });
    let groups: Vec<_> = compiled
        .fusion
        .groups
        .iter()
        .map(|group| {
            json!({
                "name": group.name,
                "anchor": group.anchor.as_ref().map(node),
                "elementwise": group.nodes.iter().map(node).collect::<Vec<_>>(),
                "inputs": group.inputs.iter().map(name).collect::<Vec<_>>(),
                "outputs": group.outputs.iter().map(name).collect::<Vec<_>>(),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "name": graph.name, "groups": groups }))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A box for each kernel.
fn fused_dot(compiled: &CompiledProgram) -> String {
    let graph = &compiled.graph;
    let mut maker = vec![None; graph.values().len()];
    let mut out =
        format!("digraph {} {{\n  node [shape=box, fontname=\"sans-serif\"]\n", quoted(&graph.name));
    for id in graph.inputs() {
        maker[id.index()] = Some(format!("input{}", id.index()));
        let label = format!("{}\\n{}", graph.value(*id).name, graph.ty(*id));
        out += &format!(
            "  input{} [shape=oval, label={}]\n",
            id.index(),
            quoted(&label).replace("\\\\n", "\\n")
        );
    }
    for (n, group) in compiled.fusion.groups.iter().enumerate() {
        let types: Vec<String> = group.outputs.iter().map(|id| graph.ty(*id).to_string()).collect();
        let label = quoted(&format!("{}\\n{}", group.name, types.join(", "))).replace("\\\\n", "\\n");
        out += &format!("  kernel{n} [label={label}]\n");
        for id in &group.inputs {
            if let Some(from) = &maker[id.index()] {
                out += &format!("  {from} -> kernel{n}\n");
            }
        }
        for id in &group.outputs {
            maker[id.index()] = Some(format!("kernel{n}"));
        }
    }
    out + "}\n"
}

fn plan_form(plan: &Plan, format: Format) -> Result<String> {
    match format {
        Format::Text => Ok(plan_text(plan)),
        Format::Json => Ok(plan_json(plan)),
        Format::Dot | Format::Onnx => bail!("a plan is a list, not a graph; its formats are text and json"),
    }
}

/// Characters of a name outside of tables.
const MOST_NAME: usize = 200;

fn plan_text(plan: &Plan) -> String {
    let text = |expr: &kiln::Expr| expr.text(&plan.symbols);
    let mut out =
        format!("plan {} by {}\n", shorten(&plan.name, MOST_NAME), shorten(&plan.producer, MOST_NAME));
    for symbol in &plan.symbols {
        out += &format!("{} from 1 to {}\n", shorten(&symbol.name, MOST_NAME), symbol.max);
    }
    let needs = needs(plan);
    if !needs.is_empty() {
        out += &format!("needs a device with {}\n", needs.join(", "));
    }
    for (what, known) in metadata::lines(&plan.metadata) {
        out += &format!("{what}: {known}\n");
    }
    out += "\n";
    let mut buffers = Table::new(&[("buffer", Align::Left), ("for", Align::Left), ("size", Align::Right)]);
    for buffer in &plan.buffers {
        buffers.row([buffer.name.clone(), format!("{:?}", buffer.kind).to_lowercase(), bytes(buffer.size)]);
    }
    out += &format!("{buffers}\n");
    for program in &plan.programs {
        out += &format!("program {}\n\n", shorten(&program.name, MOST_NAME));
        let mut dispatches = Table::new(&[
            ("", Align::Right),
            ("layers", Align::Left),
            ("kernel", Align::Left),
            ("workgroups", Align::Left),
            ("reads and writes", Align::Left),
        ]);
        for (n, dispatch) in program.dispatches.iter().enumerate() {
            let groups: Vec<String> = dispatch.workgroups.iter().map(text).filter(|n| n != "1").collect();
            let bindings: Vec<String> = dispatch
                .bindings
                .iter()
                .map(|range| {
                    let buffer = plan.buffers.get(range.buffer).map_or("?", |b| b.name.as_str());
                    format!("{buffer}+{:#x}", range.offset)
                })
                .collect();
            let shader = plan.shaders.get(dispatch.shader).map_or("?", |s| s.name.as_str());
            let groups = if groups.is_empty() { "1".into() } else { groups.join(" x ") };
            dispatches.row([
                n.to_string(),
                dispatch.name.clone(),
                shader.to_owned(),
                groups,
                bindings.join(", "),
            ]);
        }
        out += &dispatches.to_string();
        if !program.repeats.is_empty() {
            let mut repeats =
                Table::new(&[("loop", Align::Left), ("dispatches", Align::Left), ("steps", Align::Left)]);
            for repeat in &program.repeats {
                let range = repeat.dispatches();
                let last = range.end.saturating_sub(1);
                repeats.row([repeat.name.clone(), format!("{} to {last}", range.start), text(&repeat.steps)]);
            }
            out += &format!("\n{repeats}");
        }
    }
    out
}

/// Features that not every device has.
fn needs(plan: &Plan) -> Vec<String> {
    let needs = &plan.requirements;
    let subgroups = needs.subgroup_size.map(|size| format!("subgroups of {size}"));
    let features = [
        (needs.shader_f16, "16-bit floats in kernels"),
        (needs.shader_int64, "64-bit integers in kernels"),
        (needs.shader_float64, "64-bit floats in kernels"),
    ];
    let features = features.into_iter().filter(|(needed, _)| *needed).map(|(_, what)| what.to_owned());
    subgroups.into_iter().chain(features).collect()
}

fn plan_json(plan: &Plan) -> String {
    let text = |expr: &kiln::Expr| expr.text(&plan.symbols);
    let tensors: Vec<_> = plan
        .tensors
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "dtype": t.dtype.name(), "storage": t.storage.name(), "shape": t.shape.iter().map(text).collect::<Vec<_>>(),
                "order": t.layout.order, "lanes": t.layout.lanes,
                "buffer": t.place.buffer, "offset": t.place.offset, "size": t.place.size,
            })
        })
        .collect();
    let programs: Vec<_> = plan
        .programs
        .iter()
        .map(|p| {
            let dispatches: Vec<_> = p
                .dispatches
                .iter()
                .map(|d| {
                    json!({
                        "name": d.name,
                        "shader": d.shader,
                        "workgroups": d.workgroups.iter().map(text).collect::<Vec<_>>(),
                        "bindings": d.bindings.iter().map(|r| json!([r.buffer, r.offset, r.size])).collect::<Vec<_>>(),
                        "writes": d.writes,
                        "flops": text(&d.flops),
                    })
                })
                .collect();
            let output = |o: &kiln::plan::OutputRef| {
                let sizes: Vec<_> = o.sizes.iter().map(|s| json!({ "axis": s.axis, "tensor": s.tensor })).collect();
                json!({ "name": o.name, "tensor": o.tensor, "sizes": sizes })
            };
            let outputs: Vec<_> = p.outputs.iter().map(output).collect();
            let repeats: Vec<_> = p
                .repeats
                .iter()
                .map(|r| json!({ "name": r.name, "first": r.first, "count": r.count, "steps": text(&r.steps) }))
                .collect();
            json!({
                "name": p.name, "inputs": p.inputs, "outputs": outputs, "dispatches": dispatches, "repeats": repeats,
            })
        })
        .collect();
    let value = json!({
        "name": plan.name,
        "producer": plan.producer,
        "needs": needs(plan),
        "metadata": plan.metadata.to_properties(),
        "symbols": plan.symbols.iter().map(|s| json!({ "name": s.name, "max": s.max })).collect::<Vec<_>>(),
        "buffers": plan.buffers.iter().map(|b| json!({ "name": b.name, "kind": format!("{:?}", b.kind).to_lowercase(), "size": b.size })).collect::<Vec<_>>(),
        "tensors": tensors,
        "shaders": plan.shaders.iter().map(|s| s.name.clone()).collect::<Vec<_>>(),
        "programs": programs,
    });
    format!("{value:#}\n")
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
            Ok(format!("{:#}\n", json!(shaders)))
        }
        Format::Dot | Format::Onnx => bail!("kernels are text; their formats are text and json"),
    }
}
