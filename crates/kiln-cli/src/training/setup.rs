//! From a recipe to a trainer with its data.

use clap::ValueEnum;
use kiln::graph::{Graph, Op};
use kiln::model::is_source;
use kiln::onnx::ImportOptions;
use kiln::torch::Names;
use kiln::train::{Loss, Training};
use kiln::training::data::{Dataset, SourceOptions, Splits, Targets};
use kiln::training::loader::Loader;
use kiln::training::normalize::Normalize;
use kiln::training::{Interface, Trainer};
use kiln::{Compiled, Device, DeviceOptions, Model, Options, Plan, Session};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};

use super::Recipe;
use super::recipe::{LossName, OptimizerName};

/// Everything that a training needs.
pub struct Setup {
    /// The model, with the weights it begins with.
    pub model: Graph,
    /// What else PyTorch calls its states.
    pub names: Names,
    /// The step.
    pub training: Training,
    /// The compiled programs.
    pub compiled: Compiled,
    /// The plan on a device.
    pub trainer: Trainer,
    /// The training samples.
    pub train: Loader,
    /// The samples that are looked at after each epoch.
    pub validation: Option<Loader>,
    /// How samples are normalized.
    pub normalize: Normalize,
    /// What was left out of the data, and why.
    pub skipped: Vec<String>,
}

/// Reads the data that a recipe names.
fn data_of(recipe: &Recipe) -> Result<Splits> {
    let source = recipe.source()?;
    let options = SourceOptions {
        skip_bad: recipe.skip_bad.unwrap_or(false),
        resize: recipe.resize,
        channels: if recipe.grey.unwrap_or(false) { 1 } else { 3 },
        seed: recipe.seed.unwrap_or(0),
    };
    let mut splits = source.load(&options).into_diagnostic().wrap_err_with(|| format!("--data {source}"))?;
    if let Some(share) = recipe.validation {
        splits =
            splits.hold_out(share, recipe.seed.unwrap_or(0)).into_diagnostic().wrap_err("--validation")?;
    }
    Ok(match recipe.limit {
        Some(most) => splits.limited(most.max(1)),
        None => splits,
    })
}

fn model_of(recipe: &Recipe) -> Result<Model> {
    let Some(path) = &recipe.model else {
        bail!("there is no model; name an ONNX file, PyTorch source or a recipe")
    };
    let seed = recipe.seed.unwrap_or(0);
    let mut model = recipe.definition.read(path, ImportOptions::default(), seed)?;
    // Source has no weights to forget.
    if recipe.from_scratch.unwrap_or(false) && !is_source(path) {
        model.graph = kiln::train::initialize(&model.graph, seed).into_diagnostic()?;
    }
    Ok(model)
}

/// The step that a recipe asks for, as the model's source wants it.
fn training_of(recipe: &Recipe, model: &Model, loss: Loss) -> Result<Training> {
    let mut training = recipe.training(loss)?;
    training.frozen.extend(model.frozen.iter().cloned());
    training.model = model.in_training().map_err(crate::definition::report)?;
    Ok(training)
}

/// The training step that a few words ask for: an optimizer's name, or a recipe's file. Without a loss, that of classes.
pub fn step_of(model: &Model, words: &str) -> Result<Training> {
    let recipe = if words.ends_with(".toml") {
        Recipe { model: Some(words.into()), ..Recipe::default() }.complete()?
    } else {
        let optimizer = OptimizerName::from_str(words, true).map_err(|_| {
            miette!("`{words}` is no optimizer and no recipe (`.toml`); there are sgd, adam, adamw, rmsprop, adagrad")
        })?;
        Recipe { optimizer: Some(optimizer), ..Recipe::default() }
    };
    let name = recipe.loss.unwrap_or(if gives_logarithms(&model.graph) {
        LossName::Nll
    } else {
        LossName::CrossEntropy
    });
    training_of(&recipe, model, recipe.loss(name))
}

/// Whether a model ends in the logarithm of a softmax.
fn gives_logarithms(model: &Graph) -> bool {
    let output = model.outputs().first().and_then(|output| model.producer(output.value));
    output.is_some_and(|node| matches!(&model.node(node).op, Op::Softmax(softmax) if softmax.log))
}

/// The loss that is asked for, or what suits.
fn loss_of(recipe: &Recipe, model: &Graph, data: &Dataset) -> Loss {
    if let Some(name) = recipe.loss {
        return recipe.loss(name);
    }
    let output = model.outputs().first().map(|output| output.value);
    let single = output
        .is_some_and(|id| model.ty(id).rank() > 1 && model.ty(id).shape[1..].iter().all(|dim| dim.is(1)));
    recipe.loss(match &data.targets {
        Targets::Values { .. } => LossName::Mse,
        Targets::Classes { .. } if single => LossName::Bce,
        Targets::Classes { .. } if gives_logarithms(model) => LossName::Nll,
        Targets::Classes { .. } => LossName::CrossEntropy,
    })
}

fn normalize_of(recipe: &Recipe, data: &Dataset) -> Normalize {
    if recipe.no_normalize.unwrap_or(false) {
        return Normalize::default();
    }
    match (&recipe.mean, &recipe.std) {
        (None, None) => Normalize::of(data),
        (mean, std) => {
            Normalize { mean: mean.clone().unwrap_or_default(), std: std.clone().unwrap_or_default() }
        }
    }
}

/// Checks that the model has as many outputs as there are classes, in words that help.
fn check_classes(model: &Graph, training: &Training, data: &Dataset) -> Result<()> {
    let (Some(names), Some(output)) = (data.class_names(), model.outputs().first()) else { return Ok(()) };
    let found = model.ty(output.value).shape.get(1).and_then(kiln::graph::Dim::as_usize);
    if training.loss.has_classes()
        && let Some(found) = found
        && found < names.len()
    {
        bail!(
            "the model's output `{}` has {found} classes, but the data has {} ({})",
            output.name,
            names.len(),
            names.iter().take(12).cloned().collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

fn options(model: &Graph, batch: usize) -> Result<Options> {
    let device = kiln::default_device().into_diagnostic()?;
    let batch = u32::try_from(batch).into_diagnostic()?;
    // A training has one batch size; other symbols would need numbers that the data does not give.
    let max = model.symbols().iter().map(|symbol| (symbol.to_string(), batch)).collect();
    Ok(Options { target: kiln::target_for(&device), max })
}

fn open(compiled: &Compiled) -> Result<Session> {
    let device = Device::open(&DeviceOptions::from_env(), &compiled.plan.requirements).into_diagnostic()?;
    Session::load(&device, &compiled.plan).into_diagnostic()
}

fn loader(recipe: &Recipe, data: Dataset, interface: &Interface, normalize: &Normalize) -> Loader {
    Loader {
        normalize: normalize.clone(),
        seed: recipe.seed.unwrap_or(0),
        workers: recipe.workers.unwrap_or(1),
        ..Loader::new(data, interface, recipe.batch())
    }
}

impl Setup {
    /// Reads, compiles and loads.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let model = model_of(recipe)?;
        let splits = data_of(recipe)?;
        let normalize = normalize_of(recipe, &splits.train);
        let training = training_of(recipe, &model, loss_of(recipe, &model.graph, &splits.train))?;
        let Model { graph: model, names, .. } = model;
        check_classes(&model, &training, &splits.train)?;
        let compiled =
            kiln::compile_training(&model, &training, &options(&model, recipe.batch())?).into_diagnostic()?;
        let trainer = Trainer::new(open(&compiled)?).into_diagnostic()?;
        let validation = splits.validation().cloned();
        let interface = trainer.interface();
        let train = Loader {
            shuffle: true,
            augmentations: recipe.augmentations()?,
            ..loader(recipe, splits.train, interface, &normalize)
        };
        let validation = validation.map(|data| loader(recipe, data, interface, &normalize));
        train.check().into_diagnostic()?;
        Ok(Self {
            model,
            names,
            training,
            compiled,
            trainer,
            train,
            validation,
            normalize,
            skipped: splits.skipped,
        })
    }

    /// The model with the weights that the trainer has come to.
    pub fn trained(&mut self) -> Result<Graph> {
        kiln::trained(&mut self.trainer, &self.model).into_diagnostic()
    }

    /// An inference plan of a model, for batches up to that of the training.
    pub fn inference_plan(&self, model: &Graph) -> Result<Plan> {
        let compiled = kiln::compile(model, &options(model, self.train.batch)?).into_diagnostic()?;
        Ok(compiled.plan)
    }
}

/// A model that is only to be evaluated, with the samples: those for testing, or for validation, or all.
pub fn evaluation(recipe: &Recipe) -> Result<(Session, Interface, Loader)> {
    let model = model_of(recipe)?;
    let splits = data_of(recipe)?;
    let normalize = normalize_of(recipe, &splits.train);
    let training = training_of(recipe, &model, loss_of(recipe, &model.graph, &splits.train))?;
    check_classes(&model.graph, &training, &splits.train)?;
    let graph = kiln::train::evaluation(&model.graph, &training).into_diagnostic()?;
    let options = options(&graph, recipe.batch())?;
    let compiled = kiln::compile_programs(&[("evaluate", &graph)], &options).into_diagnostic()?;
    let session = open(&compiled)?;
    let interface = Interface::of(&session, "evaluate").into_diagnostic()?;
    let Splits { train, validation, test, .. } = splits;
    let data = test.or(validation).unwrap_or(train);
    let loader = loader(recipe, data, &interface, &normalize);
    loader.check().map_err(|e| miette!("{e}"))?;
    Ok((session, interface, loader))
}
