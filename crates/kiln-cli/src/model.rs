//! The model a command is about: an ONNX file, or a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use kiln::graph::{Dim, Graph};
use kiln::onnx::{ImportOptions, InputValue};
use kiln::train::Training;
use kiln::tune::target_of;
use kiln::{
    Capabilities, Compiled, DEFAULT_BATCH, Model, Options, Plan, Preferences, Records, Target, batch_symbols,
};
use miette::{IntoDiagnostic, Result, miette};

use crate::definition::{DefinitionArguments, is_recipe};
use crate::precision::PrecisionArgument;
use crate::records::RecordArguments;
use crate::sizes::{self, InputShape};
use crate::training::Recipe;

pub(crate) use crate::definition::is_plan;

/// How a model is read and compiled.
#[derive(Args, Clone)]
pub(crate) struct ModelArguments {
    /// The model: an ONNX file, PyTorch source (net.py, net.py:Net), or a recipe (`.toml`) that names one
    pub model: PathBuf,
    #[command(flatten)]
    pub definition: DefinitionArguments,
    /// Maximum of a symbolic dimension (for the batch, 8 if not given)
    #[arg(long, value_name = "NAME=NUMBER", value_parser = pair)]
    pub max: Vec<(String, u32)>,
    /// What a symbolic dimension is: a number (--dim H=224), another dimension (--dim batch_2=batch) or an expression
    /// (--dim H=32*h)
    #[arg(long, value_name = "NAME=SIZE", value_parser = dimension)]
    pub dim: Vec<(String, Dim)>,
    /// Sizes of an input: --input-shape x=1,3,640:1280,640 is a height of 640 to 1280, all else fixed
    #[arg(long, value_name = "NAME=SIZES", value_parser = InputShape::parse, help_heading = "ONNX")]
    pub input_shape: Vec<InputShape>,
    /// Known value of an input that sizes or axes depend on: --value axes=0,2
    #[arg(long, value_name = "NAME=NUMBERS", value_parser = known, help_heading = "ONNX")]
    pub value: Vec<(String, Vec<f64>)>,
    /// End the model before this node, or at this value: what it needs becomes outputs, with which the host program goes
    /// on; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "ONNX")]
    pub cut_at: Vec<String>,
    /// Device to compile for
    #[arg(long, default_value = AUTO, value_parser = targets())]
    pub target: String,
    #[command(flatten)]
    pub records: RecordArguments,
    #[command(flatten)]
    pub precision: PrecisionArgument,
    /// Trust shape inference where the file declares other shapes, and read newer operator sets
    #[arg(long)]
    pub lenient: bool,
}

/// The target that is the device of this machine.
pub(crate) const AUTO: &str = "auto";

/// The names of targets.
pub(crate) fn targets() -> PossibleValuesParser {
    let auto = (AUTO, "The device of this machine; `portable` if there is none");
    let named = [auto].into_iter().chain(Target::names());
    PossibleValuesParser::new(named.map(|(name, about)| PossibleValue::new(name).help(about)))
}

/// Parses `N=8`.
pub(crate) fn pair(text: &str) -> Result<(String, u32), String> {
    let (name, number) = text.split_once('=').ok_or("should be NAME=NUMBER, as in N=8")?;
    let number: u32 = number.parse().map_err(|_| format!("`{number}` is not a positive whole number"))?;
    if number == 0 {
        return Err("should be at least 1".into());
    }
    Ok((name.to_owned(), number))
}

/// Parses `H=224`, `H=W` and `H=32*h`.
fn dimension(text: &str) -> Result<(String, Dim), String> {
    let (name, size) = text.split_once('=').ok_or("should be NAME=SIZE, as in H=224 or batch_2=batch")?;
    let dim: Dim = size.parse().map_err(|()| format!("`{size}` is no number, name or expression of them"))?;
    if dim.as_const().is_some_and(|n| n < 1) {
        return Err("should be at least 1".into());
    }
    if dim.symbols().iter().any(|symbol| **symbol == *name) {
        return Err(format!("`{name}` cannot be defined by itself"));
    }
    Ok((name.to_owned(), dim))
}

/// Parses `axes=0,2`.
fn known(text: &str) -> Result<(String, Vec<f64>), String> {
    let (name, numbers) = text.split_once('=').ok_or("should be NAME=NUMBERS, as in axes=0,2")?;
    let number =
        |word: &str| word.trim().parse::<f64>().map_err(|_| format!("`{}` is not a number", word.trim()));
    let numbers = numbers.split(',').filter(|word| !word.trim().is_empty()).map(number);
    Ok((name.to_owned(), numbers.collect::<Result<_, _>>()?))
}

impl ModelArguments {
    /// The files that are read: the model's own and that of its weights.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let (model, _) = kiln::model::split(&self.model);
        [model].into_iter().chain(self.definition.weights.clone()).collect()
    }

    /// Reads the model with its metadata.
    pub(crate) fn read(&self) -> Result<Model> {
        self.read_with(&BTreeMap::new())
    }

    /// The same, with sizes for dimensions that no flag names.
    pub(crate) fn read_with(&self, sizes: &BTreeMap<String, Dim>) -> Result<Model> {
        let mut options = self.import_options()?;
        for (name, size) in sizes {
            options.dims.entry(name.clone()).or_insert_with(|| size.clone());
        }
        if !is_recipe(&self.model) {
            return self.definition.read(&self.model, options, 0);
        }
        let recipe = self.recipe()?;
        let Some(path) = &recipe.model else {
            return Err(miette!("`{}` does not name a model", self.model.display()));
        };
        let mut model = recipe.definition.read(path, options, recipe.seed.unwrap_or(0))?;
        recipe.describe(&mut model.metadata)?;
        Ok(model)
    }

    /// The recipe that the model is, with what flags say of its definition.
    fn recipe(&self) -> Result<Recipe> {
        let (named, definition) = (Some(self.model.clone()), self.definition.clone());
        Recipe { model: named, definition, ..Recipe::default() }.complete()
    }

    /// Options for reading ONNX files.
    pub(crate) fn import_options(&self) -> Result<ImportOptions> {
        let mut dims: BTreeMap<String, Dim> = self.dim.iter().cloned().collect();
        for (name, size) in sizes::fixed(&self.input_shape, &self.model)? {
            dims.entry(name).or_insert(size);
        }
        let values = self.value.iter().cloned();
        let values = values.map(|(name, numbers)| (name, InputValue::Numbers(numbers))).collect();
        Ok(ImportOptions { dims, lenient: self.lenient, values, cut_at: self.cut_at.clone() })
    }

    /// Compiles a model; `seen` are values of symbols that are known from inputs.
    pub(crate) fn compile(&self, model: &Model, seen: &BTreeMap<String, u32>) -> Result<Compiled> {
        let options = self.options(&model.graph, seen)?;
        let mut compiled = kiln::compile(&model.graph, &options).into_diagnostic()?;
        compiled.plan.metadata.clone_from(&model.metadata);
        Ok(compiled)
    }

    /// What a graph is compiled with; `seen` are values of symbols that are known from inputs.
    pub(crate) fn options(&self, graph: &Graph, seen: &BTreeMap<String, u32>) -> Result<Options> {
        let max = self.largest(graph, seen)?;
        let (target, records) = self.target_with_records()?;
        let preferences = match is_recipe(&self.model) {
            true => self.recipe()?.definition.preferences(),
            false => self.definition.preferences(),
        };
        let preferences = Preferences { records, ..preferences };
        Ok(Options { target, max, preferences, precision: self.precision.chosen(), separate: false })
    }

    /// Compiles a training step.
    pub(crate) fn compile_training(
        &self,
        model: &Model,
        training: &Training,
        seen: &BTreeMap<String, u32>,
    ) -> Result<Compiled> {
        let options = self.options(&model.graph, seen)?;
        let training = self.in_precision(training);
        let mut compiled = kiln::compile_training(&model.graph, &training, &options).into_diagnostic()?;
        compiled.plan.metadata.clone_from(&model.metadata);
        Ok(compiled)
    }

    /// A training in the precision that is asked for, else in its own.
    pub(crate) fn in_precision(&self, training: &Training) -> Training {
        Training { precision: self.precision.asked().unwrap_or(training.precision), ..training.clone() }
    }

    fn largest(&self, graph: &Graph, seen: &BTreeMap<String, u32>) -> Result<BTreeMap<String, u32>> {
        let mut max: BTreeMap<String, u32> = self.max.iter().cloned().collect();
        for (name, most) in sizes::largest(&self.input_shape, graph)? {
            max.entry(name).or_insert(most);
        }
        for (name, value) in seen {
            let entry = max.entry(name.clone()).or_insert(*value);
            *entry = (*entry).max(*value);
        }
        for symbol in batch_symbols(graph) {
            max.entry(symbol).or_insert_with_key(|symbol| {
                note!("note: `{symbol}` may be up to {DEFAULT_BATCH}; `--max {symbol}=64` would allow more");
                DEFAULT_BATCH
            });
        }
        Ok(max)
    }

    /// Whether plans are for the device of this machine.
    pub(crate) fn is_for_this_device(&self) -> bool {
        self.target == AUTO
    }

    /// The device to compile for, with what was measured on it.
    fn target_with_records(&self) -> Result<(Target, Records)> {
        let target = match kiln::named_target(&self.target, self.precision.chosen()) {
            Some(target) => target,
            None => match kiln::default_device() {
                Ok(device) => return Ok((target_of(&device).0, self.records.of_device(&device)?)),
                Err(error) => {
                    note!("note: compiling for any device, since this machine has none: {error}");
                    Target::portable()
                }
            },
        };
        let records = self.records.of_target(&target.name)?;
        Ok((target, records))
    }
}

/// The default path of a file made from a model: next to it, with its name.
pub(crate) fn beside(model: &Path, extension: &str) -> PathBuf {
    let (file, name) = kiln::model::split(model);
    match name {
        Some(name) => file.with_file_name(name).with_extension(extension),
        None => file.with_extension(extension),
    }
}

/// Reads a plan file.
pub(crate) fn load_plan(path: &Path) -> Result<Plan> {
    Plan::load(path).map_err(|error| miette!("`{}`: {error}", path.display()))
}

/// A device as people call it.
pub(crate) fn device_name(device: &Capabilities) -> String {
    format!("{} ({})", device.name, device.backend)
}
