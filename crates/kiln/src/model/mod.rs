//! A model definition from a file: ONNX, or PyTorch source.

#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "torch")]
mod torch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_graph::Graph;
use kiln_plan::Metadata;

use crate::{Compiled, Error, Options, Target, compile};
#[cfg(feature = "torch")]
pub use torch::InTraining;

/// How a model definition is read.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// For ONNX files.
    #[cfg(feature = "onnx")]
    pub onnx: kiln_onnx::ImportOptions,
    /// For PyTorch source. A name after the file's, `net.py:Net`, takes precedence.
    #[cfg(feature = "torch")]
    pub source: kiln_torch::ImportOptions,
}

/// A model with its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// What else PyTorch calls its states.
    #[cfg(feature = "torch")]
    pub names: kiln_torch::Names,
    /// States that are not trained: because the source says so, or because in an ONNX file, which does not distinguish
    /// weights from other initializers, they only normalize an input.
    pub frozen: Vec<String>,
    /// States that are buffers of PyTorch source, not parameters.
    pub buffers: Vec<String>,
    /// Warnings: what is allowed but looks like a mistake.
    pub warnings: Vec<String>,
    /// The lines of PyTorch source that nodes come from, by their names.
    #[cfg(feature = "torch")]
    pub lines: BTreeMap<String, kiln_torch::Line>,
    /// How inputs are preprocessed, what outputs mean, where the weights come from.
    pub metadata: Metadata,
    /// Other metadata of an ONNX file, in free form.
    pub properties: BTreeMap<String, String>,
    /// Whether the weights are random numbers, since source has none and no state dict was loaded.
    pub untrained: bool,
    /// The source, if it reads `self.training` and may compute something else in training.
    #[cfg(feature = "torch")]
    asks_for_training: Option<torch::Source>,
}

impl Model {
    /// A model without metadata.
    pub fn of_graph(graph: Graph) -> Self {
        Self {
            graph,
            #[cfg(feature = "torch")]
            names: kiln_torch::Names::default(),
            frozen: vec![],
            buffers: vec![],
            warnings: vec![],
            #[cfg(feature = "torch")]
            lines: BTreeMap::new(),
            metadata: Metadata::default(),
            properties: BTreeMap::new(),
            untrained: false,
            #[cfg(feature = "torch")]
            asks_for_training: None,
        }
    }

    /// Reads the model definition `path`: `net.onnx`, `net.py`, `net.py:Net`.
    pub fn read(path: &Path, options: &ModelOptions) -> Result<Self, Error> {
        #[cfg(feature = "torch")]
        if is_source(path) {
            return Self::read_source(path, &options.source);
        }
        #[cfg(feature = "onnx")]
        if !is_source(path) {
            return Self::read_onnx(path, &options.onnx);
        }
        Err(Error::NotBuiltIn { path: path.into() })
    }
}

/// Compiles the model definition `path` for batches (and other symbolic dimensions) up to `max`.
pub fn compile_file(path: &Path, target: &Target, max: &[(&str, u32)]) -> Result<Compiled, Error> {
    let Model { graph, metadata, .. } = Model::read(path, &ModelOptions::default())?;
    let max = max.iter().map(|(name, max)| ((*name).to_owned(), *max)).collect();
    let mut compiled = compile(&graph, &Options { target: target.clone(), max, ..Options::default() })?;
    compiled.plan.metadata = metadata;
    Ok(compiled)
}

/// The metadata of a model's file, or else of its weights file, without reading either into a graph.
#[cfg(all(feature = "onnx", feature = "torch"))]
pub fn known_metadata(path: &Path, weights: Option<&Path>) -> Result<Metadata, Error> {
    let mut metadata = Metadata::default();
    if !is_source(path) {
        metadata = Metadata::from_properties(&kiln_onnx::metadata(path)?)?;
    }
    if let Some(weights) = weights {
        let properties = kiln_torch::state_dict::StateDict::metadata_of(weights)?;
        let own = Metadata::from_properties(&properties)?;
        if !own.is_empty() {
            metadata = own;
        }
    }
    Ok(metadata)
}

/// Whether a model definition is PyTorch source.
pub fn is_source(path: &Path) -> bool {
    split(path).0.extension().is_some_and(|extension| extension == "py")
}

/// The file and the name of `net.py:Net`.
pub fn split(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    match text.rsplit_once(':') {
        Some((file, name)) if file.ends_with(".py") => (file.into(), Some(name.to_owned())),
        _ => (path.into(), None),
    }
}
