//! A model definition from a file: ONNX, or PyTorch source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_graph::{Def, Graph};
use kiln_plan::Metadata;
use kiln_torch::state_dict::StateDict;
use kiln_torch::{Fit, Names};

use crate::Error;

/// How a model definition is read.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// For ONNX files.
    pub onnx: kiln_onnx::ImportOptions,
    /// For PyTorch source. A name after the file's, `net.py:Net`, takes precedence.
    pub source: kiln_torch::ImportOptions,
}

/// A model with its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// What else PyTorch calls its states.
    pub names: Names,
    /// States that are not trained: because the source says so, or because in an ONNX file, which does not distinguish
    /// weights from other initializers, they only normalize an input.
    pub frozen: Vec<String>,
    /// States that are buffers of PyTorch source, not parameters.
    pub buffers: Vec<String>,
    /// Warnings: what is allowed but looks like a mistake.
    pub warnings: Vec<String>,
    /// How inputs are preprocessed, what outputs mean, where the weights come from.
    pub metadata: Metadata,
    /// Other metadata of an ONNX file, in free form.
    pub properties: BTreeMap<String, String>,
    /// Whether the weights are random numbers, since source has none and no state dict was loaded.
    pub untrained: bool,
    /// The source, if it reads `self.training` and may compute something else in training.
    asks_for_training: Option<(PathBuf, kiln_torch::ImportOptions)>,
}

/// A model as it computes in training.
#[derive(Clone, Debug, PartialEq)]
pub struct InTraining {
    /// The graph, whose states have the model's values.
    pub graph: Graph,
    /// States that are not trained.
    pub frozen: Vec<String>,
}

impl Model {
    /// A model without metadata.
    pub fn of_graph(graph: Graph) -> Self {
        Self {
            graph,
            names: Names::default(),
            frozen: vec![],
            buffers: vec![],
            warnings: vec![],
            metadata: Metadata::default(),
            properties: BTreeMap::new(),
            untrained: false,
            asks_for_training: None,
        }
    }

    /// Reads the model definition `path`: `net.onnx`, `net.py`, `net.py:Net`.
    pub fn read(path: &Path, options: &ModelOptions) -> Result<Self, Error> {
        let (file, name) = split(path);
        if !is_source(path) {
            let kiln_onnx::Imported { graph, metadata: properties, .. } =
                kiln_onnx::import(&file, &options.onnx)?;
            let frozen = kiln_compile::train::normalizing(&graph);
            let metadata = Metadata::from_properties(&properties)?;
            return Ok(Self { frozen, metadata, properties, ..Self::of_graph(graph) });
        }
        let options = kiln_torch::ImportOptions {
            model: name.or_else(|| options.source.model.clone()),
            ..options.source.clone()
        };
        let imported = kiln_torch::import(&file, &options)?;
        let kiln_torch::Imported { graph, names, frozen, buffers, warnings, asks_for_training } = imported;
        let asks_for_training = asks_for_training.then_some((file, options));
        let untrained = !graph.states().is_empty();
        Ok(Self { names, frozen, buffers, warnings, untrained, asks_for_training, ..Self::of_graph(graph) })
    }

    /// The model as it computes in training, if that differs: source may read `self.training`.
    pub fn in_training(&self) -> Result<Option<InTraining>, Error> {
        let Some((file, options)) = &self.asks_for_training else { return Ok(None) };
        let options = kiln_torch::ImportOptions { training: true, ..options.clone() };
        let kiln_torch::Imported { mut graph, frozen, .. } = kiln_torch::import(file, &options)?;
        for id in graph.states().to_vec() {
            let name = &graph.value(id).name;
            let own = self.graph.states().iter().find(|own| self.graph.value(**own).name == *name);
            if let Some(Def::State(value)) = own.map(|own| &self.graph.value(*own).def) {
                graph.set_state(id, value.clone())?;
            }
        }
        let differs = graph != self.graph || frozen != self.frozen;
        Ok(differs.then_some(InTraining { graph, frozen }))
    }

    /// Gives the model the weights of a state dict: `.pt`, `.pth`, `.safetensors`. With `partial`, those that fit. The
    /// metadata of a safetensors file replaces the model's.
    pub fn load_weights(&mut self, path: &Path, partial: bool) -> Result<Fit, Error> {
        let dict = StateDict::read(path)?;
        let metadata = Metadata::from_properties(&dict.metadata)?;
        let fit = dict.load_into(&mut self.graph, &self.names, partial)?;
        self.untrained = false;
        if !metadata.is_empty() {
            self.metadata = metadata;
        }
        Ok(fit)
    }

    /// The model as an ONNX file, with its metadata.
    pub fn to_onnx(&self) -> Result<Vec<u8>, kiln_onnx::ExportError> {
        let mut properties = self.properties.clone();
        properties.retain(|key, _| !key.starts_with("kiln."));
        properties.extend(self.metadata.to_properties());
        kiln_onnx::export_with_metadata(&self.graph, &properties)
    }

    /// The weights under PyTorch's names.
    pub fn state_dict(&self) -> StateDict {
        StateDict::of(&self.graph, &self.names)
    }
}

/// The metadata of a model's file, or else of its weights file, without reading either into a graph.
pub fn known_metadata(path: &Path, weights: Option<&Path>) -> Result<Metadata, Error> {
    let mut metadata = Metadata::default();
    if !is_source(path) {
        metadata = Metadata::from_properties(&kiln_onnx::metadata(path)?)?;
    }
    if let Some(weights) = weights {
        let own = Metadata::from_properties(&StateDict::metadata_of(weights)?)?;
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
