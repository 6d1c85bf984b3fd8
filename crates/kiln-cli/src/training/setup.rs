//! From a recipe to a trainer with its data.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use kiln::graph::Graph;
use kiln::model::is_source;
use kiln::plan::{InputSource, Task};
use kiln::torch::Names;
use kiln::train::{Loss, TargetScale, Training};
use kiln::training::augment::{self, Augmentation, Fit};
use kiln::training::data::{Dataset, Known, Meaning, Skipped, Source, SourceOptions, Splits, column_names};
use kiln::training::loader::{Loader, changed_shape};
use kiln::training::normalize::Normalize;
use kiln::training::{Evaluation, Interface, Trainer, separate};
use kiln::tune::target_of;
use kiln::{Compiled, Metadata, Model, Options, Plan, Preferences};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};

use super::Recipe;
use super::classes::{as_before, assumed, in_order};
use super::known::describe;
use super::recipe::{LossName, OptimizerName};
use super::suited::Suited;
use crate::definition::{note_untrained, refuse_plan};
use crate::device;
use crate::model::{is_plan, load_plan};
use crate::records::RecordArguments;
use crate::tuning::measure_first;

/// Everything that a training needs.
pub(crate) struct Setup {
    /// The model, with its initial weights.
    pub model: Graph,
    /// What else PyTorch calls its states.
    pub names: Names,
    /// The loss.
    pub loss: LossName,
    /// The step.
    pub training: Training,
    /// The initializers of an ONNX file that only normalize the input and are not parameters.
    pub normalizing: Vec<String>,
    /// What is said of the choice of kernels.
    preferences: Preferences,
    /// The compiled programs.
    pub compiled: Compiled,
    /// Which measurements of kernels count.
    pub records: RecordArguments,
    /// The plan on a device.
    pub trainer: Trainer,
    /// The training samples.
    pub train: Loader,
    /// The validation samples.
    pub validation: Option<Loader>,
    /// How samples are normalized.
    pub normalize: Normalize,
    /// The skipped parts of the data.
    pub skipped: Skipped,
}

/// Reads the data that a recipe names. For a model that is only evaluated, classes and columns are the model's.
fn data_of(recipe: &Recipe, known: &Metadata, evaluates: bool) -> Result<Splits> {
    let source = recipe.source()?;
    let options = SourceOptions {
        skip_bad: recipe.skip_bad.unwrap_or(false),
        pictures: recipe.pictures(known.preprocessing.as_ref()),
        seed: recipe.seed.unwrap_or(0),
        known: known_to(&source, known, evaluates),
    };
    let splits = source.load(&options).into_diagnostic().wrap_err_with(|| format!("--data {source}"))?;
    if recipe.classes.is_empty() {
        return Ok(splits);
    }
    splits.chosen(&recipe.classes, evaluates).into_diagnostic().wrap_err("--classes")
}

/// The model's knowledge of the data: classes and columns.
fn known_to(source: &Source, known: &Metadata, evaluates: bool) -> Known {
    let columns = match known.preprocessing.as_ref().map(|known| &known.source) {
        Some(InputSource::Table { columns }) => columns.clone(),
        Some(InputSource::Pictures(_) | InputSource::Numbers) | None => vec![],
    };
    let target = known.targets.as_ref().and_then(|targets| targets.names.first()).cloned();
    if evaluates {
        return Known { classes: known.classes.clone(), columns, target };
    }
    // Further training may use another table; the model's columns are used if it has all of them.
    let own = match source {
        Source::Csv(path) => column_names(path).map_or(vec![], |(names, _)| names),
        _ => vec![],
    };
    let has_all = columns.iter().all(|column| own.contains(column));
    Known { classes: vec![], columns: if has_all { columns } else { vec![] }, target: None }
}

/// The metadata of a model that is only evaluated, completed by the recipe: the classes if it has none, and
/// the loss that it was trained with.
fn completed(recipe: &Recipe, known: &Metadata) -> (Recipe, Metadata) {
    let (mut recipe, mut known) = (recipe.clone(), known.clone());
    if known.classes.is_empty() {
        known.classes.clone_from(&recipe.classes);
    }
    let trained = known.provenance.as_ref().and_then(|trained| LossName::from_str(&trained.loss, true).ok());
    recipe.loss = recipe.loss.or(trained);
    (recipe, known)
}

/// The use of the parts of the data.
fn parted(recipe: &Recipe, mut splits: Splits) -> Result<Splits> {
    if let Some(share) = recipe.validation {
        splits =
            splits.hold_out(share, recipe.seed.unwrap_or(0)).into_diagnostic().wrap_err("--validation")?;
    }
    Ok(match recipe.limit {
        Some(most) => splits.limited(most),
        None => splits,
    })
}

/// Reads the model; `sample` is the shape of what it is to take.
fn model_of(recipe: &Recipe, path: &Path, sample: &[usize]) -> Result<Model> {
    let seed = recipe.seed.unwrap_or(0);
    let mut model = recipe.definition.read_for(path, sample, seed)?;
    // Source has no weights to discard, and those of a file are meant to be used.
    if recipe.from_scratch.unwrap_or(false) && !is_source(path) && recipe.definition.weights.is_none() {
        model.graph = kiln::train::initialize(&model.graph, seed).into_diagnostic()?;
        model.untrained = true;
    }
    Ok(model)
}

/// The step that a recipe asks for, as the model's source wants it.
fn training_of(recipe: &Recipe, model: &Model, loss: Loss) -> Result<Training> {
    check_patterns("--freeze", &recipe.freeze, &model.graph)?;
    check_patterns("--unfreeze", &recipe.unfreeze, &model.graph)?;
    model.training(recipe.training(loss), &recipe.unfreeze).map_err(crate::definition::report)
}

/// Refuses patterns that name nothing: who freezes a layer wants to know that it is another one.
fn check_patterns(flag: &str, patterns: &[String], model: &Graph) -> Result<()> {
    const MOST: usize = 8;
    let names: Vec<&String> = model.states().iter().map(|id| &model.value(*id).name).collect();
    let nothing = |pattern: &&String| !names.iter().any(|name| kiln::train::matches(pattern, name));
    let Some(pattern) = patterns.iter().find(nothing) else { return Ok(()) };
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    bail!("{flag}: no parameter is called `{pattern}`; there are {}{more}", shown.join(", "))
}

/// The training step for an optimizer's name or a recipe file. The default loss is cross-entropy.
pub(crate) fn step_of(model: &Model, words: &str) -> Result<Training> {
    let recipe = if words.ends_with(".toml") {
        Recipe { model: Some(words.into()), ..Recipe::default() }.complete()?
    } else {
        let optimizer = OptimizerName::from_str(words, true).map_err(|_| {
            miette!("`{words}` is neither a recipe (`.toml`) nor an optimizer (sgd, adam, adamw, rmsprop, adagrad)")
        })?;
        Recipe { optimizer: Some(optimizer), ..Recipe::default() }
    };
    let name = recipe.loss.unwrap_or(if kiln::train::gives_logarithms(&model.graph) {
        LossName::Nll
    } else {
        LossName::CrossEntropy
    });
    training_of(&recipe, model, recipe.loss(name))
}

fn options(
    model: &Graph,
    batch: usize,
    records: &RecordArguments,
    preferences: Preferences,
) -> Result<Options> {
    let device = kiln::default_device().into_diagnostic()?;
    let batch = u32::try_from(batch).into_diagnostic()?;
    // A training has one batch size; other symbols would need numbers that the data does not give.
    let max = model.symbols().iter().map(|symbol| (symbol.to_string(), batch)).collect();
    let preferences = Preferences { records: records.of_device(&device)?, ..preferences };
    Ok(Options { target: target_of(&device).0, max, preferences, ..Options::default() })
}

fn loader(recipe: &Recipe, data: Dataset, interface: &Interface, normalize: &Normalize) -> Loader {
    Loader {
        normalize: normalize.clone(),
        seed: recipe.seed.unwrap_or(0),
        workers: recipe.workers.unwrap_or(1),
        ..Loader::new(data, interface, recipe.batch())
    }
}

/// A model with the data it is to learn or be tested on.
struct Prepared {
    model: Model,
    splits: Splits,
    augmentations: Vec<Augmentation>,
    /// What is done to samples that are not changed at random.
    fit: Option<Fit>,
    normalize: Normalize,
    loss: LossName,
    training: Training,
}

/// Reads data and model, and matches them. If a model is only evaluated, classes are those of the model, in its order.
fn prepare(recipe: &Recipe, known: &Metadata, evaluates: bool) -> Result<Prepared> {
    let Some(path) = &recipe.model else {
        bail!("no model was given; name an ONNX file, PyTorch source or a recipe")
    };
    refuse_plan(path)?;
    let splits = data_of(recipe, known, evaluates)?;
    let augmentations = recipe.augmentations()?;
    let fit = augment::fit(&augmentations);
    let sample =
        changed_shape(&splits.train.shape, &augmentations, None).into_diagnostic().wrap_err("--augment")?;
    let model = model_of(recipe, path, &sample)?;
    let suited = Suited::new(recipe, &model.graph, &splits.train.targets)?;
    let numbers =
        suited.outputs() == Some(known.classes.len()) && splits.are_known(suited.meaning, &known.classes);
    let classes = if evaluates || numbers { &known.classes[..] } else { &[] };
    let splits = splits.decided(suited.meaning, classes).into_diagnostic().wrap_err("--data")?;
    let splits = match (evaluates, suited.loss.has_classes() || suited.name == LossName::Bce) {
        (true, _) => ordered(recipe, splits, known, suited.outputs())?,
        // An order that is asked for is the one to learn.
        (false, true) if recipe.classes.is_empty() && suited.outputs() == Some(known.classes.len()) => {
            as_before(splits, &known.classes)
        }
        (false, _) => splits,
    };
    suited.check_classes(&splits.train)?;
    let normalize = match evaluates {
        true => recipe.normalize_known(known, &splits),
        false => Normalize::default(),
    };
    let splits = parted(recipe, splits)?;
    let normalize = if evaluates { normalize } else { recipe.normalize(known, Some(&splits.train)) };
    let training = training_of(recipe, &model, suited.loss)?;
    Ok(Prepared { model, splits, augmentations, fit, normalize, loss: suited.name, training })
}

/// The data of a model that is only evaluated, in the order of its classes, of which there are `outputs`.
fn ordered(recipe: &Recipe, splits: Splits, known: &Metadata, outputs: Option<usize>) -> Result<Splits> {
    // Classes that are named in order have the numbers of that order.
    let numbered = recipe.source()?.numbers_classes() || !recipe.classes.is_empty();
    if known.classes.is_empty() && !numbered {
        assumed(&splits.train, outputs)?;
    }
    in_order(splits, &known.classes, numbered)
}

/// The scale of the targets, if requested and supported by the model.
fn scale_of(
    recipe: &Recipe,
    model: &Graph,
    training: &Training,
    data: &Dataset,
) -> Result<Option<TargetScale>> {
    if !recipe.scale_targets.unwrap_or(false) {
        return Ok(None);
    }
    let Some(scale) = data.target_scale() else {
        bail!("--scale-targets is for targets that are numbers, but these are classes")
    };
    let output = training.output(model).into_diagnostic()?;
    kiln::train::fold(model, output, &scale).into_diagnostic().wrap_err("--scale-targets")?;
    Ok(Some(scale))
}

impl Setup {
    /// Reads, measures kernels for so many seconds if that is wanted, compiles and loads.
    pub(crate) fn new(recipe: &Recipe, records: &RecordArguments, tune: Option<f64>) -> Result<Self> {
        // If the weights are discarded, the model's normalization does not apply.
        let from_scratch = recipe.from_scratch.unwrap_or(false) && recipe.definition.weights.is_none();
        let known = if from_scratch { Metadata::default() } else { recipe.known()? };
        let Prepared { model, splits, augmentations, fit, normalize, loss, mut training } =
            prepare(recipe, &known, false)?;
        training.target_scale = scale_of(recipe, &model.graph, &training, &splits.train)?;
        let normalizing = if is_source(recipe.model.as_deref().unwrap_or(Path::new(""))) {
            vec![]
        } else {
            model.frozen.iter().filter(|name| training.frozen.contains(name)).cloned().collect()
        };
        let Model { graph: model, names, .. } = model;
        let preferences = recipe.definition.preferences();
        let mut options = options(&model, recipe.batch(), records, preferences.clone())?;
        options.precision = training.precision;
        if let Some(seconds) = tune {
            let compile = |options: &Options| Ok(kiln::compile_training(&model, &training, options)?);
            measure_first(&compile, &mut options, "train", seconds, records)?;
        }
        let compiled = kiln::compile_training(&model, &training, &options).into_diagnostic()?;
        let mut trainer = Trainer::new(device::load(&compiled.plan)?, &training).into_diagnostic()?;
        trainer.looks_with(separate(&model, &training, &options));
        let validation = splits.validation().cloned();
        let interface = trainer.interface();
        let train =
            Loader { shuffle: true, augmentations, ..loader(recipe, splits.train, interface, &normalize) };
        let validation = validation.map(|data| Loader { fit, ..loader(recipe, data, interface, &normalize) });
        train.check().into_diagnostic()?;
        let mut setup = Self {
            model,
            names,
            loss,
            training,
            normalizing,
            preferences,
            compiled,
            records: records.clone(),
            trainer,
            train,
            validation,
            normalize,
            skipped: splits.skipped,
        };
        let known = describe(&setup, recipe, &setup.trainer.progress, None);
        setup.trainer.known = Metadata { provenance: None, ..known }.to_properties();
        Ok(setup)
    }

    /// The model with the trainer's current weights.
    pub(crate) fn trained(&mut self) -> Result<Graph> {
        kiln::trained(&mut self.trainer, &self.model).into_diagnostic()
    }

    /// How a model with this training's weights is compiled for batches up to `batch`.
    pub(super) fn options_for(&self, model: &Graph, batch: usize) -> Result<Options> {
        options(model, batch, &self.records, self.preferences.clone())
    }

    /// An inference plan of a model, for batches up to that of the training.
    pub(crate) fn inference_plan(&self, model: &Model) -> Result<Plan> {
        let Model { graph, metadata, .. } = model;
        let options = options(graph, self.train.batch, &self.records, self.preferences.clone())?;
        let compiled = kiln::compile(graph, &options).into_diagnostic()?;
        Ok(Plan { metadata: metadata.clone(), ..compiled.plan })
    }
}

/// Prints how much of the data was skipped.
pub(crate) fn note_skipped(skipped: &Skipped) {
    if let Some(first) = skipped.reasons().first() {
        note!("left out {} that cannot be used; the first: {first}", skipped.len());
    }
}

/// A model that is only to be evaluated, with the samples: those for testing, or for validation, or all.
pub(crate) fn evaluation(recipe: &Recipe, records: &RecordArguments) -> Result<(Arc<Dataset>, Evaluation)> {
    if let Some(path) = recipe.model.as_deref().filter(|path| is_plan(path)) {
        return evaluation_of_plan(recipe, path);
    }
    let (recipe, known) = &completed(recipe, &recipe.known()?);
    let Prepared { model, splits, fit, normalize, training, .. } = prepare(recipe, known, true)?;
    note_untrained(&model, recipe.model.as_deref().unwrap_or(Path::new("")));
    note_skipped(&splits.skipped);
    let graph = kiln::train::evaluation(&model.graph, &training).into_diagnostic()?;
    let options = options(&graph, recipe.batch(), records, recipe.definition.preferences())?;
    let options = Options { precision: training.precision, ..options };
    let compiled = kiln::compile_programs(&[("evaluate", &graph)], &options).into_diagnostic()?;
    let mut session = device::load(&compiled.plan)?;
    let interface = Interface::of(&session, "evaluate", training.output.as_deref()).into_diagnostic()?;
    let Splits { train, validation, test, .. } = splits;
    let data = test.or(validation).unwrap_or(train);
    let loader = Loader { fit, ..loader(recipe, data, &interface, &normalize) };
    let found = kiln::training::evaluate(&mut session, &interface, &loader).into_diagnostic()?;
    Ok((loader.data, found))
}

/// Samples to observe a model's values on, and to score it with.
pub(crate) struct Observed {
    /// Some of the training samples.
    pub data: Dataset,
    /// How samples are normalized.
    pub normalize: Normalize,
    /// Samples with known classes, or why there are none.
    pub scored: Result<Dataset, String>,
}

/// Reads at most `most` samples to observe a model on, which has `outputs` scores, and those with known classes. Samples
/// need not be of the model's classes to be looked at.
pub(crate) fn observed(
    recipe: &Recipe,
    known: &Metadata,
    most: usize,
    outputs: Option<usize>,
) -> Result<Observed> {
    let splits = data_of(recipe, known, true)?;
    note_skipped(&splits.skipped);
    let normalize = recipe.normalize_known(known, &splits);
    let all = splits.train.len();
    let count = all.min(most);
    let data = splits.train.subset(&(0..count).map(|n| n * all / count).collect::<Vec<_>>());
    let scored = scored(recipe, known, splits, outputs).map_err(|error| error.to_string());
    Ok(Observed { data, normalize, scored })
}

/// The samples for testing, or for validation, or all, with classes in the model's order.
fn scored(recipe: &Recipe, known: &Metadata, splits: Splits, outputs: Option<usize>) -> Result<Dataset> {
    let Some(outputs) = outputs else { bail!("the model's output is not one score for each class") };
    let meaning = Meaning::Classes { outputs: Some(outputs), ignored: None };
    let splits = splits.decided(meaning, &known.classes).into_diagnostic()?;
    let Some(names) = splits.train.class_names() else { bail!("the data has no classes") };
    if names.len() > outputs.max(2) {
        bail!("the data has {} classes, and the model {outputs}", names.len());
    }
    let Splits { train, validation, test, .. } = ordered(recipe, splits, known, Some(outputs))?;
    Ok(test.or(validation).unwrap_or(train))
}

/// The meaning of whole numbers for a compiled plan.
fn meaning(recipe: &Recipe, known: &Metadata) -> Meaning {
    let by_loss = matches!(recipe.loss, Some(LossName::Mse | LossName::L1 | LossName::SmoothL1));
    if by_loss || matches!(known.task, Some(Task::Regression | Task::MultiLabel)) {
        return Meaning::Values;
    }
    let outputs = Some(known.classes.len()).filter(|count| *count > 0);
    Meaning::Classes { outputs, ignored: recipe.ignore_index.map(i64::from) }
}

/// The same for a compiled plan, whose outputs are compared on the host.
fn evaluation_of_plan(recipe: &Recipe, path: &Path) -> Result<(Arc<Dataset>, Evaluation)> {
    recipe.precision.refuse_for_plan()?;
    let plan = load_plan(path)?;
    let (recipe, known) = &completed(recipe, &plan.metadata);
    let splits = data_of(recipe, known, true)?;
    note_skipped(&splits.skipped);
    let normalize = recipe.normalize_known(known, &splits);
    let splits = splits.decided(meaning(recipe, known), &known.classes);
    let splits = splits.into_diagnostic().wrap_err("--data")?;
    let splits = parted(recipe, ordered(recipe, splits, known, None)?)?;
    let Splits { train, validation, test, .. } = splits;
    let data = test.or(validation).unwrap_or(train);
    let mut session = device::load(&plan)?;
    let name = if plan.program("inference").is_some() {
        "inference"
    } else {
        plan.programs.first().map_or("", |p| p.name.as_str())
    };
    let loss = recipe.loss.and_then(|loss| loss.to_possible_value());
    let loss = loss.as_ref().map(|loss| loss.get_name());
    let found =
        kiln::training::evaluate_outputs(&mut session, name, &data, &normalize, loss).into_diagnostic()?;
    Ok((Arc::new(data), found))
}
