//! Models from PyTorch source, and their state dicts.

use std::path::{Path, PathBuf};

use kiln_compile::train::Training;
use kiln_graph::{Def, Graph};
use kiln_plan::Metadata;
use kiln_torch::state_dict::StateDict;
use kiln_torch::{Fit, ImportError, ImportOptions, Imported};

use super::{Model, split};
use crate::Error;

/// A model as it computes in training.
#[derive(Clone, Debug, PartialEq)]
pub struct InTraining {
    /// The graph, whose states have the model's values.
    pub graph: Graph,
    /// States that are not trained.
    pub frozen: Vec<String>,
}

/// Source that a model was read from, to be read once more.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    /// What the file says, where it is in memory.
    text: Option<String>,
    options: ImportOptions,
}

impl Source {
    fn import(&self) -> Result<Imported, ImportError> {
        match &self.text {
            Some(text) => kiln_torch::import_text(text, &self.path, &self.options),
            None => kiln_torch::import(&self.path, &self.options),
        }
    }
}

impl Model {
    pub(super) fn read_source(path: &Path, options: &ImportOptions) -> Result<Self, Error> {
        Self::of_source(path, None, options)
    }

    /// Reads PyTorch source that is in memory; `path` is what messages call it, with a model's name perhaps, `net.py:Net`.
    pub fn from_source(text: &str, path: &Path, options: &ImportOptions) -> Result<Self, Error> {
        Self::of_source(path, Some(text.to_owned()), options)
    }

    fn of_source(path: &Path, text: Option<String>, options: &ImportOptions) -> Result<Self, Error> {
        let (path, name) = split(path);
        let options = ImportOptions { model: name.or_else(|| options.model.clone()), ..options.clone() };
        let source = Source { path, text, options };
        let imported = source.import()?;
        let Imported { graph, names, frozen, buffers, warnings, asks_for_training, lines } = imported;
        let asks_for_training = asks_for_training.then_some(source);
        let untrained = !graph.states().is_empty();
        let known = Self { names, frozen, buffers, warnings, untrained, lines, ..Self::of_graph(graph) };
        Ok(Self { asks_for_training, ..known })
    }

    /// The model as it computes in training, if that differs: source may read `self.training`.
    pub fn in_training(&self) -> Result<Option<InTraining>, Error> {
        let Some(source) = &self.asks_for_training else { return Ok(None) };
        let options = ImportOptions { training: true, ..source.options.clone() };
        let Imported { mut graph, frozen, .. } = Source { options, ..source.clone() }.import()?;
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

    /// A training as the model's source wants it: with what computes otherwise in training, and without what it freezes,
    /// unless a pattern in `unfreeze` names that.
    pub fn training(&self, mut training: Training, unfreeze: &[String]) -> Result<Training, Error> {
        let wanted =
            |name: &&String| !unfreeze.iter().any(|pattern| kiln_compile::train::matches(pattern, name));
        let in_training = self.in_training()?;
        let frozen = in_training.as_ref().map_or(&self.frozen, |in_training| &in_training.frozen);
        training.frozen.extend(frozen.iter().filter(wanted).cloned());
        training.model = in_training.map(|in_training| in_training.graph);
        Ok(training)
    }

    /// Gives the model the weights of a state dict: `.pt`, `.pth`, `.safetensors`. With `partial`, those that fit. The
    /// metadata of a safetensors file replaces the model's.
    pub fn load_weights(&mut self, path: &Path, partial: bool) -> Result<Fit, Error> {
        self.load_state_dict(&StateDict::read(path)?, partial)
    }

    /// The same with a state dict that has been read.
    pub fn load_state_dict(&mut self, dict: &StateDict, partial: bool) -> Result<Fit, Error> {
        let metadata = Metadata::from_properties(&dict.metadata)?;
        let fit = dict.load_into(&mut self.graph, &self.names, partial)?;
        self.untrained = false;
        if !metadata.is_empty() {
            self.metadata = metadata;
        }
        Ok(fit)
    }

    /// The weights under PyTorch's names.
    pub fn state_dict(&self) -> StateDict {
        StateDict::of(&self.graph, &self.names)
    }
}
