//! Models from PyTorch source, and their state dicts.

use std::path::Path;

use kiln_graph::{Def, Graph};
use kiln_plan::Metadata;
use kiln_torch::state_dict::StateDict;
use kiln_torch::{Fit, ImportOptions, Imported};

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

impl Model {
    pub(super) fn read_source(path: &Path, options: &ImportOptions) -> Result<Self, Error> {
        let (file, name) = split(path);
        let options = ImportOptions { model: name.or_else(|| options.model.clone()), ..options.clone() };
        let imported = kiln_torch::import(&file, &options)?;
        let Imported { graph, names, frozen, buffers, warnings, asks_for_training, lines } = imported;
        let asks_for_training = asks_for_training.then_some((file, options));
        let untrained = !graph.states().is_empty();
        let known = Self { names, frozen, buffers, warnings, untrained, lines, ..Self::of_graph(graph) };
        Ok(Self { asks_for_training, ..known })
    }

    /// The model as it computes in training, if that differs: source may read `self.training`.
    pub fn in_training(&self) -> Result<Option<InTraining>, Error> {
        let Some((file, options)) = &self.asks_for_training else { return Ok(None) };
        let options = ImportOptions { training: true, ..options.clone() };
        let Imported { mut graph, frozen, .. } = kiln_torch::import(file, &options)?;
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

    /// The weights under PyTorch's names.
    pub fn state_dict(&self) -> StateDict {
        StateDict::of(&self.graph, &self.names)
    }
}
