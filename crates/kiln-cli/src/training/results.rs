//! The results of a training: weights in three forms, the recipe, the report.

use std::collections::HashSet;
use std::path::Path;

use kiln::Model;
use kiln::graph::{Op, ValueId};
use kiln::plan::InputSource;
use kiln::torch::state_dict::StateDict;
use kiln::training::Settings;
use kiln::training::landscape::landscape;
use kiln::training::report::Report;
use kiln::training::schedule::Position;
use miette::{IntoDiagnostic, Result};

use super::known::describe;
use super::maps::maps;
use super::recipe::LossName;
use super::{Folder, Recipe, Screen, Setup};
use crate::table::grouped;

/// The tensors of a step that are the outputs of the model's layers: what a kernel of a convolution or a matrix product
/// leaves.
pub(crate) fn layers(setup: &Setup) -> Vec<String> {
    let Some(program) = setup.compiled.programs.iter().find(|program| program.name == "train") else {
        return vec![];
    };
    let own: HashSet<&str> = setup.model.nodes().iter().map(|node| node.name.as_str()).collect();
    let graph = &program.graph;
    let makes = |group: &&kiln::fuse::Group| {
        let anchor = group.anchor.map(|id| graph.node(id));
        anchor.is_some_and(|node| {
            matches!(node.op, Op::Conv(_) | Op::MatMul(_)) && own.contains(node.name.as_str())
        })
    };
    let outputs = program.fusion.groups.iter().filter(makes).flat_map(|group| &group.outputs);
    outputs.map(|id| graph.value(*id).name.clone()).collect()
}

/// Writes the training report.
pub(crate) fn write_report(
    setup: &mut Setup,
    recipe: &Recipe,
    settings: &Settings,
    screen: &Screen,
    output: &Path,
) -> Result<()> {
    let (per_epoch, step) = (setup.trainer.steps_per_epoch(&setup.train), setup.trainer.progress.step);
    let steps = per_epoch * settings.epochs;
    let position = |step| Position { step, steps_per_epoch: per_epoch, steps };
    let at = |step| settings.schedule.at(position(step), settings.lr, settings.momentum, settings.warmup);
    let is_filter = |id: &&ValueId| setup.model.ty(**id).rank() == 4;
    let first = setup.model.states().iter().find(is_filter).map(|id| setup.model.value(*id).name.clone());
    let session = setup.trainer.session();
    let first_weight = match first.and_then(|name| kiln::training::weight(session, &name)) {
        Some(index) => Some(session.read_tensor(index).into_diagnostic()?),
        None => None,
    };
    let device = crate::model::device_name(setup.trainer.session().device().capabilities());
    let facts = facts(setup, recipe, device);
    let known = describe(setup, recipe, &setup.trainer.progress, None);
    let features = match known.preprocessing.map(|known| known.source) {
        Some(InputSource::Table { columns }) => columns,
        Some(InputSource::Pictures(_) | InputSource::Numbers) | None => vec![],
    };
    let landscape = landscape(&mut setup.trainer, &setup.train.data, &setup.normalize).into_diagnostic()?;
    let (shown, mapped) = match &setup.validation {
        Some(validation) => (validation.data.clone(), "the first validation sample"),
        None => (setup.train.data.clone(), "the first training sample"),
    };
    // The report is no worse a report without them.
    let maps = maps(setup, &shown, 0).unwrap_or_else(|error| {
        note!("note: the report has no activation maps: {error}");
        vec![]
    });
    let report = Report {
        facts,
        train: &setup.train.data,
        validation: setup.validation.as_ref().map(|validation| &*validation.data),
        title: format!("Training of {}", setup.model.name),
        summary: format!(
            "{} steps of {} samples, {} training samples",
            grouped(step),
            setup.train.batch as u64 * setup.trainer.accumulate(),
            grouped(setup.train.data.len() as u64)
        ),
        progress: &setup.trainer.progress,
        schedule: (0..step).map(at).collect(),
        has_momentum: setup.trainer.interface().has_momentum,
        evaluation: screen.last.as_ref(),
        classes: setup.train.data.class_names().unwrap_or_default(),
        first_weight,
        activations: &screen.activations,
        has_chances: match setup.loss {
            LossName::CrossEntropy | LossName::Nll => true,
            // Each of several scores is a probability of its own.
            LossName::Bce => setup.trainer.interface().classes == Some(2),
            LossName::Mse | LossName::L1 | LossName::SmoothL1 => false,
        },
        landscape,
        features,
        maps,
        mapped: mapped.to_owned(),
    };
    report.write(output).into_diagnostic()?;
    note!("{} shows it in charts", output.join("report.html").display());
    Ok(())
}

/// What the report says first: the settings, the device, how long it took.
fn facts(setup: &Setup, recipe: &Recipe, device: String) -> Vec<(String, String)> {
    let epochs = &setup.trainer.progress.epochs;
    let seconds: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
    let settings = recipe.settled(setup).to_text().unwrap_or_default();
    let own = [
        ("device".to_owned(), device),
        ("duration".to_owned(), format!("{seconds:.1} s in {} epochs", epochs.len())),
    ];
    // The recipe's lines, up to its tables.
    let lines =
        settings.lines().take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    let said = lines.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    own.into_iter().chain(said).collect()
}

/// The trained weights in three forms, and the recipe.
pub(crate) fn write_results(
    setup: &mut Setup,
    recipe: &Recipe,
    screen: &Screen,
    folder: &Folder,
) -> Result<()> {
    let output = &folder.path;
    let graph = setup.trained()?;
    let metadata = describe(setup, recipe, &setup.trainer.progress, screen.last.as_ref());
    let properties = metadata.to_properties();
    let mut trained = Model::of_graph(graph);
    trained.metadata = metadata;
    let mut weights = StateDict::of(&trained.graph, &setup.names);
    weights.metadata.clone_from(&properties);
    weights.write(&output.join("weights.safetensors")).into_diagnostic()?;
    let from_source = recipe.model.as_deref().is_some_and(kiln::model::is_source);
    if from_source {
        weights.write(&output.join("weights.pt")).into_diagnostic()?;
    }
    let file = trained.to_onnx().into_diagnostic()?;
    folder.write("model.onnx", &file)?;
    let plan = setup.inference_plan(&trained)?;
    plan.save(output.join("model.kplan")).into_diagnostic()?;
    let recipe = Recipe { metadata: properties, ..recipe.settled(setup) };
    folder.write("recipe.toml", recipe.to_text()?.as_bytes())?;
    let also = if from_source { " weights.pt," } else { "" };
    note!("wrote weights.safetensors,{also} model.onnx, model.kplan, history.csv to {}", output.display());
    if !setup.normalize.mean.is_empty() {
        let list = |numbers: &[f32]| numbers.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(",");
        note!(
            "samples were normalized by --mean {} --std {}",
            list(&setup.normalize.mean),
            list(&setup.normalize.std)
        );
    }
    Ok(())
}
