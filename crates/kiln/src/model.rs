//! A model definition from a file: ONNX, or PyTorch source.

use std::path::{Path, PathBuf};

use kiln_graph::Graph;
use kiln_torch::state_dict::StateDict;
use kiln_torch::{Fit, Names};

use crate::Error;

/// How a model definition is read.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// For ONNX files.
    pub onnx: kiln_onnx::ImportOptions,
    /// For PyTorch source. What is said behind the file's name, `net.py:Net`, comes first.
    pub source: kiln_torch::ImportOptions,
}

/// A model with its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// The graph as it is in training, where PyTorch source asks for `self.training` and does something else then.
    pub in_training: Option<Graph>,
    /// What else PyTorch calls its states.
    pub names: Names,
    /// States that training leaves alone, because the source says so.
    pub frozen: Vec<String>,
    /// What is allowed but looks like a mistake.
    pub warnings: Vec<String>,
}

impl Model {
    /// Reads the model definition `path`: `net.onnx`, `net.py`, `net.py:Net`.
    pub fn read(path: &Path, options: &ModelOptions) -> Result<Self, Error> {
        let (file, name) = split(path);
        if !is_source(path) {
            let graph = kiln_onnx::import(&file, &options.onnx)?.graph;
            let names = Names::default();
            return Ok(Self { graph, in_training: None, names, frozen: vec![], warnings: vec![] });
        }
        let options = kiln_torch::ImportOptions {
            model: name.or_else(|| options.source.model.clone()),
            ..options.source.clone()
        };
        let imported = kiln_torch::import(&file, &options)?;
        let in_training = if imported.asks_for_training && !options.training {
            let options = kiln_torch::ImportOptions { training: true, ..options };
            Some(kiln_torch::import(&file, &options)?.graph).filter(|other| *other != imported.graph)
        } else {
            None
        };
        let kiln_torch::Imported { graph, names, frozen, warnings, .. } = imported;
        Ok(Self { graph, in_training, names, frozen, warnings })
    }

    /// Gives the model the weights of a state dict: `.pt`, `.pth`, `.safetensors`. With `partial`, those that fit.
    pub fn load_weights(&mut self, path: &Path, partial: bool) -> Result<Fit, Error> {
        let dict = StateDict::read(path)?;
        let fit = dict.load_into(&mut self.graph, &self.names, partial)?;
        if let Some(graph) = &mut self.in_training {
            dict.load_into(graph, &self.names, partial)?;
        }
        Ok(fit)
    }

    /// The weights under PyTorch's names.
    pub fn state_dict(&self) -> StateDict {
        StateDict::of(&self.graph, &self.names)
    }
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
