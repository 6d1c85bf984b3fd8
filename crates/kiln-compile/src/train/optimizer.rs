//! Optimizers and their settings, as PyTorch has them.
//!
//! The learning rate and, where there is one, the momentum are no settings but inputs of each step, so that schedules
//! need no new plan.

/// An optimizer with its settings, and PyTorch's defaults for what is not said.
#[derive(Clone, Debug, PartialEq)]
pub enum Optimizer {
    /// `torch.optim.SGD`
    Sgd {
        /// Whether there is momentum; how much is an input of each step.
        momentum: bool,
        /// Dampening of the momentum.
        dampening: f32,
        /// Nesterov's form of the momentum.
        nesterov: bool,
        /// L2 penalty, added to the gradient.
        weight_decay: f32,
    },
    /// `torch.optim.Adam`; the momentum of each step is beta1.
    Adam {
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the denominator.
        eps: f32,
        /// L2 penalty, added to the gradient.
        weight_decay: f32,
    },
    /// `torch.optim.AdamW`; the momentum of each step is beta1.
    AdamW {
        /// Decay of the second moment.
        beta2: f32,
        /// Added to the denominator.
        eps: f32,
        /// Decay of the weights, apart from the gradient.
        weight_decay: f32,
    },
    /// `torch.optim.RMSprop`
    RmsProp {
        /// Decay of the mean square.
        alpha: f32,
        /// Added to the denominator.
        eps: f32,
        /// L2 penalty, added to the gradient.
        weight_decay: f32,
        /// Whether there is momentum; how much is an input of each step.
        momentum: bool,
        /// Whether the mean gradient is taken off.
        centered: bool,
    },
    /// `torch.optim.Adagrad`
    Adagrad {
        /// Decay of the learning rate.
        lr_decay: f32,
        /// What the sum of squares starts from.
        initial_accumulator_value: f32,
        /// Added to the denominator.
        eps: f32,
        /// L2 penalty, added to the gradient.
        weight_decay: f32,
    },
}

impl Optimizer {
    /// SGD without anything else.
    pub fn sgd() -> Self {
        Optimizer::Sgd { momentum: false, dampening: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam with PyTorch's defaults.
    pub fn adam() -> Self {
        Optimizer::Adam { beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }

    /// AdamW with PyTorch's defaults.
    pub fn adam_w() -> Self {
        Optimizer::AdamW { beta2: 0.999, eps: 1e-8, weight_decay: 1e-2 }
    }

    /// RMSprop with PyTorch's defaults.
    pub fn rms_prop() -> Self {
        Optimizer::RmsProp { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: false, centered: false }
    }

    /// Adagrad with PyTorch's defaults.
    pub fn adagrad() -> Self {
        Optimizer::Adagrad { lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10, weight_decay: 0.0 }
    }

    /// The learning rate where none is asked for.
    pub fn usual_lr(&self) -> f64 {
        match self {
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => 0.001,
            Optimizer::Sgd { .. } | Optimizer::RmsProp { .. } | Optimizer::Adagrad { .. } => 0.01,
        }
    }

    /// Whether each step has a momentum.
    pub fn has_momentum(&self) -> bool {
        match self {
            Optimizer::Sgd { momentum, .. } | Optimizer::RmsProp { momentum, .. } => *momentum,
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => true,
            Optimizer::Adagrad { .. } => false,
        }
    }
}
