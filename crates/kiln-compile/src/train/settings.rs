//! How a model is trained: everything that a training plan depends on beside the model.

use kiln_graph::{DType, Graph, GraphError, ValueId};

use super::loss::Loss;
use super::mode::statistics;
use super::optimizer::Optimizer;
use super::pattern::matches;
use super::scale::TargetScale;
use crate::differentiate::influences;
use crate::passes::halves::Precision;

/// How a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// The model as it computes in training, where that differs from what is evaluated; its states are the same.
    pub model: Option<Graph>,
    /// What the output is compared with.
    pub loss: Loss,
    /// The model's output that is compared; the first if none is named.
    pub output: Option<String>,
    /// The update rule.
    pub optimizer: Optimizer,
    /// Added to the loss: the sum of the magnitudes of the parameters that get a gradient, times this.
    pub l1: f32,
    /// Added to the loss: the sum of the squares of the parameters that get a gradient, times this.
    pub l2: f32,
    /// Patterns of names of parameters that stay as they are; `*` stands for anything.
    pub frozen: Vec<String>,
    /// Batches whose gradients the optimizer sees as one. Each counts with a share of 1 in so many, also where fewer
    /// are left at the end of an epoch.
    pub accumulate: u32,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f32>,
    /// The decay of an exponential moving average of the parameters, which is evaluated and kept instead of them: below 1.
    pub ema: Option<f32>,
    /// What targets are scaled by, so that the model learns numbers near 1.
    pub target_scale: Option<TargetScale>,
    /// What activations and their gradients are kept in. Parameters and what belongs to them have 32 bits.
    pub precision: Precision,
    /// Bytes that the plan may take on the device: weights, states and activations. Activations are computed again where they
    /// would not fit.
    pub memory: Option<u64>,
    /// Where random numbers begin.
    pub seed: u64,
    /// Whether the step has the gradients as outputs, `NAME.grad`.
    pub show_gradients: bool,
    /// Whether the step is two programs, `gradients` and `apply`, between which a host averages gradients over processes.
    pub split: bool,
}

impl Training {
    /// A loss and an optimizer, and nothing else.
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            model: None,
            loss,
            output: None,
            optimizer,
            l1: 0.0,
            l2: 0.0,
            frozen: vec![],
            accumulate: 1,
            clip_norm: None,
            ema: None,
            target_scale: None,
            precision: Precision::F32,
            memory: None,
            seed: 0,
            show_gradients: false,
            split: false,
        }
    }

    /// Whether the state called `name` stays as it is.
    pub(super) fn is_frozen(&self, name: &str) -> bool {
        self.frozen.iter().any(|pattern| matches(pattern, name))
    }

    /// The names of the parameters that change, if the loss depends on them.
    pub fn parameters(&self, model: &Graph) -> Vec<String> {
        let statistics = statistics(model);
        let states = model.states().iter().filter(|id| model.ty(**id).dtype == DType::F32);
        let names = states.map(|id| model.value(*id).name.clone());
        names.filter(|name| !statistics.contains(name) && !self.is_frozen(name)).collect()
    }

    /// Of the parameters, those that get no gradient, since what is compared does not depend on them, or only where
    /// gradients stop. They stay as they are, whatever decays the others.
    pub fn without_gradient(&self, model: &Graph) -> Result<Vec<String>, GraphError> {
        let model = self.model.as_ref().unwrap_or(model);
        let influences = influences(model, self.output(model)?);
        let mut names = self.parameters(model);
        let is_left = |id: &&ValueId| !influences[id.index()];
        let left: Vec<&str> =
            model.states().iter().filter(is_left).map(|id| model.value(*id).name.as_str()).collect();
        names.retain(|name| left.contains(&name.as_str()));
        Ok(names)
    }

    /// The model's output that is compared.
    pub fn output(&self, model: &Graph) -> Result<ValueId, GraphError> {
        let all = model.outputs();
        let chosen = match &self.output {
            Some(name) => all.iter().find(|output| output.name == *name),
            None => all.first(),
        };
        chosen.map(|output| output.value).ok_or_else(|| {
            let known: Vec<String> = all.iter().map(|output| format!("`{}`", output.name)).collect();
            let wanted = self.output.as_deref().unwrap_or("");
            GraphError::Unsuitable(format!("the model has no output `{wanted}`; it has {}", known.join(", ")))
        })
    }
}
