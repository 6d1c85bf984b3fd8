//! `kiln summary`

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;
use kiln::graph::{Def, Dim, Graph, Node, Op, product};
use kiln::{Expr, Metadata, Plan};
use miette::Result;
use serde_json::json;

use crate::metadata;
use crate::model::{ModelArguments, is_plan, load_plan};
use crate::precision;
use crate::sizes;
use crate::table::{Align, Table, bytes, grouped, shorten, si_formula};
use crate::terminal;

/// Arguments of `kiln summary`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kiln summary resnet18.onnx
  kiln summary net.py:Net --input 3,32,32
  kiln summary resnet18.onnx --max N=1 --json
  kiln summary resnet18.kplan        what is left of it in a plan: kernels, memory, metadata")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A layer as its author knows it: all nodes of one name.
struct Layer {
    name: String,
    operator: &'static str,
    output: String,
    parameters: u64,
    /// For one element of the batch.
    products: Dim,
}

/// Prints a row for each layer, and totals.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if is_plan(&arguments.model.model) {
        arguments.model.precision.refuse_for_plan()?;
        let plan = load_plan(&arguments.model.model)?;
        return of_plan(&plan, arguments.json);
    }
    let model = arguments.model.read()?;
    let graph = &model.graph;
    let Counts { parameters, statistics, buffers } = Counts::of(graph, &model.buffers);
    let layers = layers(graph, &model.buffers);
    let products = layers.iter().fold(Dim::from(0), |sum, layer| sum + layer.products.clone());
    let compiled = arguments.model.compile(&model, &Default::default())?;
    let memory = compiled.memory;
    if arguments.json {
        let rows: Vec<_> = layers
            .iter()
            .map(|l| {
                json!({
                    "name": l.name, "operator": l.operator, "output": l.output,
                    "parameters": l.parameters, "multiply_adds": count(&l.products),
                })
            })
            .collect();
        let value = json!({
            "layers": rows,
            "parameters": parameters,
            "running_statistics": statistics,
            "buffers": buffers,
            "multiply_adds": count(&products),
            "precision": precision::of_plan(&compiled.plan),
            "weight_bytes": memory.weights,
            "peak_activation_bytes": memory.activations,
            "largest_live_set_bytes": memory.largest_live_set,
            "metadata": model.metadata.to_properties(),
            "sizes": sizes::conditions_json(graph),
        });
        terminal::show_json("summary", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("operator", Align::Left),
        ("output", Align::Whole),
        ("parameters", Align::Right),
        ("mult-adds", Align::Right),
    ]);
    for layer in &layers {
        table.row([
            layer.name.clone(),
            layer.operator.to_owned(),
            layer.output.clone(),
            if layer.parameters == 0 { "-".into() } else { grouped(layer.parameters) },
            if layer.products.is(0) { "-".into() } else { si_formula(&layer.products.to_string()) },
        ]);
    }
    show!("{table}")?;
    showln!()?;
    sizes::show_conditions(graph)?;
    showln!("parameters        {}", grouped(parameters))?;
    if statistics > 0 {
        showln!("statistics        {} (running means and variances)", grouped(statistics))?;
    }
    if buffers > 0 {
        showln!("buffers           {} (constant)", grouped(buffers))?;
    }
    showln!("multiply-adds     {}", si_formula(&products.to_string()))?;
    let sizes: Vec<String> =
        compiled.plan.symbols.iter().map(|s| format!("{} = {}", s.name, s.max)).collect();
    showln!(
        "peak activations  {}{} (largest live set {})",
        bytes(memory.activations),
        if sizes.is_empty() { String::new() } else { format!(" at {}", sizes.join(", ")) },
        bytes(memory.largest_live_set)
    )?;
    showln!("weights           {}", bytes(memory.weights))?;
    show_precision(&compiled.plan)?;
    show_metadata(&model.metadata)?;
    Ok(ExitCode::SUCCESS)
}

/// Says where a plan keeps 16-bit floats.
fn show_precision(plan: &Plan) -> Result<()> {
    match precision::of_plan(plan) {
        "f32" => Ok(()),
        name => showln!("precision         {name}"),
    }
}

fn show_metadata(metadata: &Metadata) -> Result<()> {
    for (what, known) in metadata::lines(metadata) {
        showln!("{what:<16}  {known}")?;
    }
    Ok(())
}

/// What a plan contains of a model: layers by kernels, memory, metadata.
fn of_plan(plan: &Plan, json: bool) -> Result<ExitCode> {
    let text = |expr: &Expr| expr.text(&plan.symbols);
    let size = |kind| plan.buffers.iter().filter(|b| b.kind == kind).map(|b| b.size).sum::<u64>();
    let weights = size(kiln::plan::BufferKind::Weights);
    let states = size(kiln::plan::BufferKind::State);
    let activations = size(kiln::plan::BufferKind::Arena);
    let shader = |n: usize| plan.shaders.get(n).map_or("?", |shader| shader.name.as_str());
    if json {
        let programs: Vec<_> = plan
            .programs
            .iter()
            .map(|program| {
                let rows = program.dispatches.iter().enumerate().map(|(n, d)| {
                    let steps = program.repeat_of(n).map_or_else(|| "1".into(), |repeat| text(&repeat.steps));
                    json!({ "name": d.name, "kernel": shader(d.shader), "flops": text(&d.flops), "steps": steps })
                });
                json!({ "name": program.name, "dispatches": rows.collect::<Vec<_>>() })
            })
            .collect();
        let value = json!({
            "name": plan.name,
            "producer": plan.producer,
            "programs": programs,
            "precision": precision::of_plan(plan),
            "weight_bytes": weights,
            "state_bytes": states,
            "peak_activation_bytes": activations,
            "metadata": plan.metadata.to_properties(),
        });
        terminal::show_json("summary", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    for program in &plan.programs {
        let mut table =
            Table::new(&[("layers", Align::Left), ("kernel", Align::Left), ("operations", Align::Right)]);
        for (n, dispatch) in program.dispatches.iter().enumerate() {
            let flops = si_formula(&text(&dispatch.flops));
            let operations = match program.repeat_of(n) {
                Some(repeat) => format!("{} x ({flops})", text(&repeat.steps)),
                None => flops,
            };
            table.row([dispatch.name.clone(), shader(dispatch.shader).to_owned(), operations]);
        }
        showln!("program {}\n\n{table}", shorten(&program.name, 200))?;
    }
    let sizes: Vec<String> = plan.symbols.iter().map(|s| format!("{} = {}", s.name, s.max)).collect();
    let at = if sizes.is_empty() { String::new() } else { format!(" at {}", sizes.join(", ")) };
    showln!("peak activations  {}{at}", bytes(activations))?;
    showln!("weights           {}", bytes(weights))?;
    show_precision(plan)?;
    if states > 0 {
        showln!("states            {}", bytes(states))?;
    }
    showln!("compiled by       {}", shorten(&plan.producer, 200))?;
    show_metadata(&plan.metadata)?;
    Ok(ExitCode::SUCCESS)
}

fn count(dim: &Dim) -> String {
    let number = dim.as_const().and_then(|n| u64::try_from(n).ok());
    number.map_or_else(|| dim.to_string(), grouped)
}

/// Elements of states, each once wherever it is used.
#[derive(Default)]
struct Counts {
    parameters: u64,
    /// Running means and variances of batch normalization.
    statistics: u64,
    /// Other buffers.
    buffers: u64,
}

impl Counts {
    fn of(graph: &Graph, buffers: &[String]) -> Self {
        let buffers: HashSet<&String> = buffers.iter().collect();
        let running: HashSet<String> = kiln::train::statistics(graph).into_iter().collect();
        let mut counts = Self::default();
        for id in graph.states() {
            let size = graph.ty(*id).elements().as_usize().unwrap_or(0) as u64;
            let name = &graph.value(*id).name;
            let count = match (running.contains(name), buffers.contains(name)) {
                (true, _) => &mut counts.statistics,
                (false, true) => &mut counts.buffers,
                (false, false) => &mut counts.parameters,
            };
            *count += size;
        }
        counts
    }
}

fn layers(graph: &Graph, buffers: &[String]) -> Vec<Layer> {
    let running: HashSet<String> = kiln::train::statistics(graph).into_iter().collect();
    let mut seen = vec![false; graph.values().len()];
    for id in graph.states() {
        let name = &graph.value(*id).name;
        seen[id.index()] = running.contains(name) || buffers.contains(name);
    }
    let mut layers: Vec<Layer> = Vec::new();
    for node in graph.nodes() {
        let mut own = 0;
        for id in &node.inputs {
            let is_state = matches!(graph.value(*id).def, Def::State(_));
            if is_state && !std::mem::replace(&mut seen[id.index()], true) {
                own += graph.ty(*id).elements().as_usize().unwrap_or(0) as u64;
            }
        }
        let output = node.outputs.first().map(|id| graph.ty(*id).to_string()).unwrap_or_default();
        let products = products(graph, node);
        match layers.last_mut().filter(|last| last.name == node.name) {
            Some(layer) => {
                layer.output = output;
                layer.parameters += own;
                layer.products = layer.products.clone() + products;
            }
            None => {
                let (name, operator) = (node.name.clone(), node.op.name());
                layers.push(Layer { name, operator, output, parameters: own, products });
            }
        }
    }
    layers
}

/// Multiply-adds of convolutions and matrix products, in loops those of all steps.
fn products(graph: &Graph, node: &Node) -> Dim {
    let Some(output) = node.outputs.first() else { return 0.into() };
    let elements = graph.ty(*output).elements();
    match &node.op {
        Op::Conv(_) => {
            let weight = &graph.ty(node.inputs[1]).shape;
            elements * product(&weight[1..])
        }
        Op::MatMul(op) => {
            let shape = &graph.ty(node.inputs[0]).shape;
            let k = shape.len() - if op.transpose_a { 2 } else { 1 };
            elements * shape[k].clone()
        }
        Op::Loop(op) => {
            let step = op.body.nodes().iter().map(|node| products(&op.body, node));
            &step.fold(Dim::from(0), |sum, products| sum + products) * &op.steps
        }
        _ => 0.into(),
    }
}
