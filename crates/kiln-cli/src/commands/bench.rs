//! `kiln bench`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use kiln::graph::Dim;
use kiln::train::Loss;
use kiln::{Compiled, HostTensor, Model, Profile};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use crate::device;
use crate::input::{self, InputArguments, Wanted, wanted_by_plan};
use crate::memory::{self, MemoryArgument};
use crate::model::{ModelArguments, device_name, is_plan, load_plan};
use crate::output;
use crate::precision::of_plan;
use crate::sizes::Opened;
use crate::table::{Align, Table, bytes, si};
use crate::terminal;
use crate::timeline::Timeline;
use crate::training::{OptimizerName, Recipe};

/// Arguments of `kiln bench`.
#[derive(Args)]
#[command(after_help = "\
Inputs are random unless given; with a file, `output` in the JSON is the first output's answer.

Examples:
  kiln bench resnet18.onnx
  kiln bench resnet18.onnx --max N=4 --profile
  kiln bench net.onnx --max N=64 --train --profile
  kiln bench net.onnx --trace net.json                    open it in ui.perfetto.dev
  kiln bench resnet18.onnx --precision f16
  kiln bench resnet18.onnx input.npy --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    inputs: InputArguments,
    /// Measured runs
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Runs before measuring
    #[arg(long, default_value_t = 3)]
    warm_up: u32,
    /// Measure a training step: cross-entropy with this optimizer
    #[arg(long, value_name = "OPTIMIZER", num_args = 0..=1, default_missing_value = "sgd")]
    train: Option<OptimizerName>,
    #[command(flatten)]
    memory: MemoryArgument,
    /// Also time each kernel
    #[arg(long)]
    profile: bool,
    /// Write a timeline of host and device in Chrome's trace format, for chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Measured {
    compile_seconds: f64,
    load_seconds: f64,
    kernel_seconds: f64,
    first_answer_seconds: f64,
    /// Sorted, in seconds.
    runs: Vec<f64>,
    batch: usize,
    profile: Option<Profile>,
    timeline: Timeline,
}

impl Measured {
    fn quantile(&self, share: f64) -> f64 {
        let index = (share * (self.runs.len() - 1) as f64).round() as usize;
        self.runs.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// Compiles, loads, runs and reports.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let model = &arguments.model;
    arguments.memory.needs_training(arguments.train.is_some() && !is_plan(&model.model))?;
    if let Some(path) = &arguments.trace {
        let files = [model.files(), arguments.inputs.files()].concat();
        output::keep_inputs("--trace", path, files.iter().map(PathBuf::as_path))?;
    }
    // Generated inputs have size 1 in each symbol unless given otherwise.
    let told: BTreeMap<String, u32> = model.max.iter().cloned().collect();
    let given = !arguments.inputs.inputs.is_empty();
    let mut timeline = Timeline::new();
    let start = Instant::now();
    let mut activations = None;
    let (plan, inputs) = if is_plan(&model.model) {
        model.precision.refuse_for_plan()?;
        let plan = load_plan(&model.model)?;
        let inputs = input::read(
            &or_random(&arguments.inputs, wanted_by_plan(&plan).len()),
            &wanted_by_plan(&plan),
            &told,
            &plan.metadata,
        )?;
        (plan, inputs)
    } else {
        let read = |wanted: &[Wanted], metadata: &_| {
            input::read(&or_random(&arguments.inputs, wanted.len()), wanted, &told, metadata)
        };
        let Opened { model: definition, inputs, seen } = model.open(read)?;
        let (compiled, inputs) = match arguments.train {
            Some(optimizer) => training(arguments, &definition, inputs, &seen, optimizer)?,
            None => (model.compile(&definition, &seen)?, inputs),
        };
        memory::note(&compiled);
        activations = Some(compiled.memory);
        (compiled.plan, inputs)
    };
    let compile_seconds = start.elapsed().as_secs_f64();
    timeline.host("compile", start);
    let borrowed: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let start = Instant::now();
    let mut session = device::load(&plan)?;
    let load_seconds = start.elapsed().as_secs_f64();
    timeline.host("load", start);
    let first = Instant::now();
    let program = match arguments.train {
        Some(_) => "train".to_owned(),
        None => plan.programs.first().map(|program| program.name.clone()).unwrap_or_default(),
    };
    let answer = session.run_program(&program, &borrowed).into_diagnostic()?;
    let first_answer_seconds = start.elapsed().as_secs_f64();
    timeline.host("first run", first);
    for _ in 0..arguments.warm_up {
        session.run_program(&program, &borrowed).into_diagnostic()?;
    }
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        let start = Instant::now();
        session.run_program(&program, &borrowed).into_diagnostic()?;
        runs.push(start.elapsed().as_secs_f64());
        timeline.host("run", start);
    }
    runs.sort_by(f64::total_cmp);
    let profile = if arguments.profile || arguments.trace.is_some() {
        let start = Instant::now();
        let profile = session.profile(&program, &borrowed, 5).into_diagnostic()?;
        timeline.host("profile", start);
        timeline.device(&profile, start);
        Some(profile)
    } else {
        None
    };
    let report = session.report();
    let measured = Measured {
        compile_seconds,
        load_seconds,
        kernel_seconds: first_answer_seconds
            - load_seconds
            - runs.get(runs.len() / 2).copied().unwrap_or(0.0),
        first_answer_seconds,
        runs,
        batch: match arguments.train {
            Some(_) => first_size(inputs.first().map(|(_, tensor)| tensor)),
            None => batch(
                inputs.first().map(|(_, tensor)| tensor),
                answer.iter().next().map(|(_, tensor)| tensor),
            ),
        },
        profile: profile.filter(|_| arguments.profile),
        timeline,
    };
    if let Some(path) = &arguments.trace {
        kiln_files::write(path, measured.timeline.to_json().as_bytes())
            .map_err(|error| miette!("cannot write `{}`: {error}", path.display()))?;
    }
    let ms = 1e3;
    let dispatches = plan.program(&program).map_or(0, |program| program.dispatches.len());
    let device = device_name(session.device().capabilities());
    if arguments.json {
        let value = json!({
            "device": device,
            "median_ms": measured.quantile(0.5) * ms,
            "p10_ms": measured.quantile(0.1) * ms,
            "p90_ms": measured.quantile(0.9) * ms,
            "batch": measured.batch,
            "per_second": measured.batch as f64 / measured.quantile(0.5),
            "compile_ms": measured.compile_seconds * ms,
            "load_ms": measured.load_seconds * ms,
            "kernel_compilation_ms": measured.kernel_seconds * ms,
            "first_answer_ms": measured.first_answer_seconds * ms,
            "dispatches": dispatches,
            "kernels": plan.shaders.len(),
            "precision": of_plan(&plan),
            "weight_bytes": report.weight_bytes,
            "activation_bytes": report.arena_bytes,
            "largest_live_set_bytes": activations.map(|m| m.largest_live_set),
            "profile": measured.profile.as_ref().map(profile_json),
            // With a user's input, the output can be compared with that of other engines.
            "output": given.then(|| answer.into_iter().next().map(|(_, tensor)| tensor.to_f64())).flatten(),
        });
        terminal::show_json("bench", value)?;
        return Ok(ExitCode::SUCCESS);
    }
    showln!("device               {device}")?;
    showln!(
        "latency              {:.2} ms median of {} ({:.2} to {:.2} from tenth to ninetieth percentile), batch {}",
        measured.quantile(0.5) * ms,
        measured.runs.len(),
        measured.quantile(0.1) * ms,
        measured.quantile(0.9) * ms,
        measured.batch,
    )?;
    showln!("throughput           {} per second", si(measured.batch as f64 / measured.quantile(0.5)))?;
    showln!("compilation          {:.0} ms, reading the model included", measured.compile_seconds * ms)?;
    showln!("plan to first answer {:.0} ms", measured.first_answer_seconds * ms)?;
    showln!("  loading            {:.0} ms, the device included", measured.load_seconds * ms)?;
    showln!(
        "  kernels            {:.0} ms for the driver to compile {}",
        measured.kernel_seconds * ms,
        plan.shaders.len()
    )?;
    showln!("submission           1 with {dispatches} dispatches")?;
    if of_plan(&plan) == "f16" {
        showln!("precision            f16")?;
    }
    showln!("weights              {}", bytes(report.weight_bytes))?;
    show!("peak activations     {}", bytes(report.arena_bytes))?;
    match activations {
        Some(memory) => showln!(
            " ({:.1} % above the largest live set, {})",
            100.0 * (memory.activations as f64 / memory.largest_live_set.max(1) as f64 - 1.0),
            bytes(memory.largest_live_set)
        )?,
        None => showln!()?,
    }
    if let Some(profile) = &measured.profile {
        showln!(
            "device               {:.2} ms with each dispatch in a pass of its own, {:.0} % of it between kernels",
            profile.seconds * ms,
            100.0 * profile.idle()
        )?;
        showln!()?;
        show!("{}", profile_table(profile))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Samples of a run: the first size of the first input, if that of the first output is the same. A single image without a batch
/// is one sample, whatever its channels are.
fn batch(input: Option<&HostTensor>, output: Option<&HostTensor>) -> usize {
    let samples = first_size(input);
    let one = output.is_some_and(|output| output.shape().first() != Some(&samples));
    if one { 1 } else { samples }
}

fn first_size(tensor: Option<&HostTensor>) -> usize {
    tensor.and_then(|tensor| tensor.shape().first().copied()).unwrap_or(1)
}

/// The plan of a training step, with targets whose classes repeat from sample to sample.
fn training(
    arguments: &Arguments,
    definition: &Model,
    mut inputs: Vec<(String, HostTensor)>,
    seen: &BTreeMap<String, u32>,
    optimizer: OptimizerName,
) -> Result<(Compiled, Vec<(String, HostTensor)>)> {
    let recipe = Recipe { optimizer: Some(optimizer), ..Recipe::default() };
    let training = arguments.memory.limits(recipe.training(Loss::cross_entropy()));
    let compiled = arguments.model.compile_training(definition, &training, seen)?;
    let batch = first_size(inputs.first().map(|(_, tensor)| tensor));
    let output = definition
        .graph
        .outputs()
        .first()
        .map(|output| definition.graph.ty(output.value).shape.clone())
        .unwrap_or_default();
    let classes = output.get(1).and_then(Dim::as_usize).unwrap_or(1).max(1);
    let size = |dim: &Dim| dim.as_usize().unwrap_or(batch);
    let shape: Vec<usize> =
        output.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, d)| size(d)).collect();
    let labels: Vec<i32> = (0..shape.iter().product()).map(|i: usize| (i % classes) as i32).collect();
    let number = |value: f64| HostTensor::new([], vec![value as f32]).into_diagnostic();
    inputs.push(("target".into(), HostTensor::new(shape, labels).into_diagnostic()?));
    inputs.push(("lr".into(), number(recipe.lr())?));
    if training.optimizer.has_momentum() {
        inputs.push(("momentum".into(), number(recipe.momentum())?));
    }
    Ok((compiled, inputs))
}

/// Random inputs for a model without given inputs.
fn or_random(arguments: &InputArguments, count: usize) -> InputArguments {
    let mut arguments = arguments.clone();
    if arguments.inputs.is_empty() && count == 1 {
        arguments.inputs.push("random".into());
    }
    arguments
}

fn profile_table(profile: &Profile) -> Table {
    let total: f64 = profile.kernels.iter().map(|k| k.seconds).sum();
    let mut table = Table::new(&[
        ("share", Align::Right),
        ("ms", Align::Right),
        ("GFLOP/s", Align::Right),
        ("GB/s", Align::Right),
        ("kernel", Align::Left),
        ("layers", Align::Left),
    ]);
    for k in &profile.kernels {
        table.row([
            format!("{:.1} %", 100.0 * k.seconds / total),
            format!("{:.3}", k.seconds * 1e3),
            format!("{:.1}", k.flops / k.seconds * 1e-9),
            format!("{:.2}", k.bytes / k.seconds * 1e-9),
            k.shader.clone(),
            k.name.clone(),
        ]);
    }
    table.row([
        "100 %".into(),
        format!("{:.3}", total * 1e3),
        format!("{:.1}", profile.kernels.iter().map(|k| k.flops).sum::<f64>() / total * 1e-9),
        format!("{:.2}", profile.kernels.iter().map(|k| k.bytes).sum::<f64>() / total * 1e-9),
        String::new(),
        "together".into(),
    ]);
    table
}

fn profile_json(profile: &Profile) -> serde_json::Value {
    let kernels = profile.kernels.iter().map(|k| {
        json!({ "layers": k.name, "kernel": k.shader, "begin": k.begin, "seconds": k.seconds, "flops": k.flops, "bytes": k.bytes, "steps": k.steps })
    });
    json!({ "seconds": profile.seconds, "idle": profile.idle(), "kernels": kernels.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_those_of_input_and_output() {
        let tensor = |shape: &[usize]| {
            let zeros = vec![0f32; shape.iter().product()];
            HostTensor::new(shape.to_vec(), zeros).expect("as many as the shape says")
        };
        for (input, output, samples) in [
            (&[8, 3, 4, 4][..], &[8, 10][..], 8),
            (&[1, 3, 4, 4], &[1, 10], 1),
            // An image without a batch, and the boxes in it.
            (&[3, 4, 4], &[5, 4], 1),
            (&[3, 4, 4], &[], 1),
            (&[], &[2], 1),
        ] {
            assert_eq!(batch(Some(&tensor(input)), Some(&tensor(output))), samples, "{input:?} {output:?}");
        }
    }
}
