//! How a model definition is read: an ONNX file, or PyTorch source with its arguments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use kiln::graph::{Dim, Graph};
use kiln::torch::ImportError;
use kiln::{Error, Model, ModelOptions, Preferences};
use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report, Result, miette};
use serde::{Deserialize, Serialize};

use crate::report::readable;
use crate::terminal::{clean_in_place, clean_line};
use crate::training::metadata_beside;

/// Options of a definition, from flags or a recipe.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DefinitionArguments {
    /// Shape of one sample: 3,32,32 is 3 channels of 32 x 32; with NAME= in front where `forward` takes several, with
    /// i64: for integers. A comment in the file can give it: `# kiln: --input 3,32,32`; with data, it follows from the
    /// data
    #[arg(long, value_name = "SHAPE", help_heading = "PyTorch source")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<String>,
    /// Argument of the model's constructor, as Python writes it: n_blocks=100; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "PyTorch source")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arg: Vec<String>,
    /// Skip decorators and calls that come from unknown imports
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "PyTorch source")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lenient_imports: Option<bool>,
    /// Folder that the source may import files from [default: that of the file]
    #[arg(long, value_name = "FOLDER", help_heading = "PyTorch source")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Weights: a state dict in a `.pt`, `.pth` or `.safetensors` file
    #[arg(long, value_name = "FILE", help_heading = "Weights")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Load the weights that fit and list those that do not: for a new head on a trained body
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", help_heading = "Weights")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_weights: Option<bool>,
    /// Add up only the products that an operator is defined by. Without it, 3x3 convolutions may be computed by Winograd's
    /// algorithm, with a quarter of the products, up to 1.5e-5 of the largest value off; training does so only with
    /// --precise=false
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precise: Option<bool>,
}

impl DefinitionArguments {
    /// What is said of the choice of kernels.
    pub(crate) fn preferences(&self) -> Preferences {
        Preferences { precise: self.precise, ..Preferences::default() }
    }

    /// Reads a model. Initial values of parameters depend on `seed`.
    pub(crate) fn read(&self, path: &Path, onnx: kiln::onnx::ImportOptions, seed: u64) -> Result<Model> {
        self.finished(self.definition(path, onnx, seed, &[])?)
    }

    /// Reads a model for samples of a shape, which defines what the file does not: the input's shape of PyTorch source,
    /// symbolic dimensions of an ONNX file. Where source does not take the shape itself, it may take the same without a
    /// channel of images, or all in a row.
    pub(crate) fn read_for(&self, path: &Path, sample: &[usize], seed: u64) -> Result<Model> {
        let read = |onnx, sample: &[usize]| self.definition(path, onnx, seed, sample);
        let mut model = read(Default::default(), sample);
        if kiln::model::is_source(path) && self.input.is_empty() && model.is_err() {
            let row = [sample.iter().product()];
            let others = [sample.strip_prefix(&[1]).unwrap_or_default(), &row];
            let others = others.into_iter().filter(|other| !other.is_empty() && *other != sample);
            if let Some(other) = others.map(|other| read(Default::default(), other)).find(Result::is_ok) {
                model = other;
            }
        }
        let mut model = model?;
        let dims = symbols_for(&model.graph, sample);
        if !kiln::model::is_source(path) && !dims.is_empty() {
            model = read(kiln::onnx::ImportOptions { dims, ..Default::default() }, sample)?;
        }
        self.finished(model)
    }

    fn definition(
        &self,
        path: &Path,
        onnx: kiln::onnx::ImportOptions,
        seed: u64,
        sample: &[usize],
    ) -> Result<Model> {
        if is_recipe(path) {
            let help = "give the model that its `model` key names";
            return Err(miette!(help = help, "`{}` is a recipe, not a model", path.display()));
        }
        refuse_plan(path)?;
        let source = kiln::torch::ImportOptions {
            args: self.arg.clone(),
            inputs: self.input.clone(),
            sample: sample.to_vec(),
            dims: onnx.dims.clone(),
            lenient_imports: self.lenient_imports.unwrap_or(false),
            root: self.root.clone(),
            seed,
            ..Default::default()
        };
        let options = ModelOptions { onnx, source };
        Model::read(path, &options).map_err(|error| match error {
            Error::Source(_) => report(error),
            other => report(other).wrap_err(format!("`{}` cannot be used", path.display())),
        })
    }

    /// Prints a model's warnings, and loads its weights.
    fn finished(&self, mut model: Model) -> Result<Model> {
        for warning in &model.warnings {
            note!("warning: {warning}");
        }
        if let Some(file) = &self.weights {
            let partial = self.partial_weights.unwrap_or(false);
            let fit = model.load_weights(file, partial).map_err(|error| match error {
                Error::Weights(error) => {
                    miette!(
                        help = "`--partial-weights` loads those that fit",
                        "`{}`: {error}",
                        file.display()
                    )
                }
                other => miette!("{other}"),
            })?;
            for said in &fit.notes {
                note!("note: `{}`: {said}", file.display());
            }
            if !fit.is_perfect() {
                note!("note: only the weights of `{}` that fit were loaded\n{fit}", file.display());
            }
            if model.metadata.is_empty()
                && let Some((recipe, metadata)) = metadata_beside(file)
            {
                let (recipe, file) = (recipe.display(), file.display());
                note!("note: the model's metadata is read from `{recipe}`, which is next to `{file}`");
                model.metadata = metadata;
            }
        }
        Ok(model)
    }
}

/// The values of the symbols of a model's input for samples of a shape, without the batch.
fn symbols_for(graph: &Graph, sample: &[usize]) -> BTreeMap<String, Dim> {
    let [input] = graph.inputs() else { return BTreeMap::new() };
    let Some((batch, dims)) = graph.ty(*input).shape.split_first() else { return BTreeMap::new() };
    if dims.len() != sample.len() {
        return BTreeMap::new();
    }
    let symbols: Vec<String> = graph.symbols().iter().map(ToString::to_string).collect();
    let named = dims.iter().zip(sample).map(|(dim, size)| (dim.to_string(), Dim::from(*size)));
    named.filter(|(name, _)| symbols.contains(name) && *name != batch.to_string()).collect()
}

/// Whether a file is a recipe.
pub(crate) fn is_recipe(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Whether a file is a compiled plan.
pub(crate) fn is_plan(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0u8; 8];
    kiln_files::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"KILNPLAN"
}

/// An error for a plan where a model is needed.
pub(crate) fn refuse_plan(path: &Path) -> Result<()> {
    if is_plan(path) {
        let help = "`kiln run`, `bench`, `eval`, `verify`, `summary` and `dump --stage plan` take plans; here, give the \
                    model it was made from";
        return Err(miette!(
            help = help,
            "`{}` is a compiled plan, which does not contain its layers",
            path.display()
        ));
    }
    Ok(())
}

/// Notes that the weights of a model are random, if they are, where its outputs matter.
pub(crate) fn note_untrained(model: &Model, path: &Path) {
    if model.untrained {
        note!(
            "note: the weights of `{}` are random numbers, since no file was given; `--weights FILE` loads \
             trained ones",
            path.display()
        );
    }
}

/// An error with its help text; that of a source file with its place.
pub(crate) fn report(error: Error) -> Report {
    match error {
        Error::Source(error) => source_report(&error),
        other => miette!("{other}"),
    }
}

/// The error of a source file, with the place underlined.
fn source_report(error: &ImportError) -> Report {
    let mut diagnostic = MietteDiagnostic::new(readable(&error.message));
    let calls: Vec<String> = error
        .calls
        .iter()
        .map(|call| format!("called at {}:{}: {}", call.file.display(), call.line, call.line_text().trim()))
        .collect();
    let help = calls.into_iter().chain(error.help.clone()).collect::<Vec<_>>().join("\n");
    if !help.is_empty() {
        diagnostic = diagnostic.with_help(readable(&help));
    }
    match &error.place {
        Some(place) => {
            // A place of several lines is underlined in its first.
            let meant = place.text.get(place.range.clone()).unwrap_or_default();
            let length = meant.find('\n').unwrap_or(meant.len()).max(1);
            let label = LabeledSpan::underline(place.range.start..place.range.start + length);
            let name = clean_line(&place.file.display().to_string()).into_owned();
            let source = NamedSource::new(name, clean_in_place(&place.text));
            Report::new(diagnostic.with_label(label)).with_source_code(source)
        }
        None => Report::new(diagnostic),
    }
}
