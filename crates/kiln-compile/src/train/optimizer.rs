//! Optimizers with PyTorch's update rules (the formulas in the documentation of `torch.optim`).
//!
//! The learning rate and, where there is one, the momentum are inputs of each step, so that schedules need no new plan.
//! What an optimizer keeps is state, called as PyTorch calls it behind the parameter's name.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Formula, Graph, GraphError, Made, Tensor, ValueId};

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

    /// Whether each step has a momentum.
    pub fn has_momentum(&self) -> bool {
        match self {
            Optimizer::Sgd { momentum, .. } | Optimizer::RmsProp { momentum, .. } => *momentum,
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => true,
            Optimizer::Adagrad { .. } => false,
        }
    }
}

/// What all parameters share in one step.
pub struct Shared {
    /// The learning rate, a number.
    pub lr: ValueId,
    /// The momentum or beta1, a number.
    pub momentum: Option<ValueId>,
    /// Steps before this one, a number.
    pub steps: ValueId,
    /// `1 - beta1^t` and `sqrt(1 - beta2^t)` of Adam.
    corrections: Option<(ValueId, ValueId)>,
}

/// States and what they become, under a condition.
pub struct Updates {
    /// Each state with its new value.
    pub all: Vec<(ValueId, ValueId)>,
    /// Whether states change in a step at all.
    pub condition: ValueId,
}

impl Updates {
    /// Lets `state` become `new`, if the condition holds; gives what it becomes.
    pub fn push(&mut self, f: &mut Formula<'_>, state: ValueId, new: ValueId) -> Made {
        let new = f.select(self.condition, new, state)?;
        self.all.push((state, new));
        Ok(new)
    }
}

impl Shared {
    /// Computes what all parameters share.
    pub fn new(
        graph: &mut Graph,
        optimizer: &Optimizer,
        lr: ValueId,
        momentum: Option<ValueId>,
        steps: ValueId,
        updates: &mut Updates,
    ) -> Result<Self, GraphError> {
        let mut shared = Self { lr, momentum, steps, corrections: None };
        if let (Optimizer::Adam { beta2, .. } | Optimizer::AdamW { beta2, .. }, Some(beta1)) =
            (optimizer, momentum)
        {
            // 1 - beta2^t is kept and not computed from the power: near 1, beta2^t has few digits to lose.
            let kept = graph.state("train.correction2", Tensor::scalar(0f32))?;
            let mut f = Formula::new(graph, "optimizer");
            let step = f.shift(steps, 1.0)?;
            let power = f.binary(BinaryOp::Pow, beta1, step)?;
            let first = f.one_minus(power)?;
            let grown = f.scale(kept, f64::from(*beta2))?;
            let second = f.shift(grown, complement(*beta2))?;
            let second = updates.push(&mut f, kept, second)?;
            shared.corrections = Some((first, f.unary(UnaryOp::Sqrt, second)?));
        }
        Ok(shared)
    }
}

/// `1 - x`, for the number that somebody has written as an `f32`: 0.001 for 0.999 and not 0.00099998713.
fn complement(x: f32) -> f64 {
    1.0 - x.to_string().parse().unwrap_or(f64::from(x))
}

/// Adds the update of one parameter from its gradient.
pub fn update(
    graph: &mut Graph,
    optimizer: &Optimizer,
    shared: &Shared,
    parameter: ValueId,
    gradient: ValueId,
    updates: &mut Updates,
) -> Result<(), GraphError> {
    let name = graph.value(parameter).name.clone();
    let shape = graph.ty(parameter).static_shape().unwrap_or_default();
    let keep = |graph: &mut Graph, what: &str, first: f32| {
        let count = shape.iter().product();
        let first = Tensor::f32(shape.clone(), vec![first; count])?;
        graph.state(format!("{name}.{what}"), first)
    };
    let lr = shared.lr;
    match optimizer {
        Optimizer::Sgd { dampening, nesterov, weight_decay, .. } => {
            let buffer = match shared.momentum {
                Some(_) => Some(keep(graph, "momentum_buffer", 0.0)?),
                None => None,
            };
            let mut f = Formula::new(graph, format!("{name}.update"));
            let mut d = decayed(&mut f, gradient, parameter, *weight_decay)?;
            if let (Some(mu), Some(buffer)) = (shared.momentum, buffer) {
                let old = f.mul(buffer, mu)?;
                let damped = f.scale(d, complement(*dampening))?;
                let mut new = f.add(old, damped)?;
                if *dampening != 0.0 {
                    // The first step is not dampened.
                    let zero = f.number(0.0);
                    let is_first = f.binary(BinaryOp::Equal, shared.steps, zero)?;
                    new = f.select(is_first, d, new)?;
                }
                new = updates.push(&mut f, buffer, new)?;
                d = if *nesterov {
                    let ahead = f.mul(new, mu)?;
                    f.add(d, ahead)?
                } else {
                    new
                };
            }
            let step = f.mul(d, lr)?;
            let new = f.sub(parameter, step)?;
            updates.push(&mut f, parameter, new)?;
        }
        Optimizer::Adam { beta2, eps, weight_decay } | Optimizer::AdamW { beta2, eps, weight_decay } => {
            let (Some(beta1), Some((correction1, correction2))) = (shared.momentum, shared.corrections)
            else {
                return Err(GraphError::Invalid("Adam without beta1".into()));
            };
            let first = keep(graph, "exp_avg", 0.0)?;
            let second = keep(graph, "exp_avg_sq", 0.0)?;
            let mut f = Formula::new(graph, format!("{name}.update"));
            let apart = matches!(optimizer, Optimizer::AdamW { .. });
            let g = if apart { gradient } else { decayed(&mut f, gradient, parameter, *weight_decay)? };
            let rest = f.one_minus(beta1)?;
            let (old, new) = (f.mul(first, beta1)?, f.mul(g, rest)?);
            let m = f.add(old, new)?;
            let square = f.mul(g, g)?;
            let (old, new) = (f.scale(second, f64::from(*beta2))?, f.scale(square, complement(*beta2))?);
            let v = f.add(old, new)?;
            let m = updates.push(&mut f, first, m)?;
            let v = updates.push(&mut f, second, v)?;
            let root = f.unary(UnaryOp::Sqrt, v)?;
            let root = f.div(root, correction2)?;
            let root = f.shift(root, f64::from(*eps))?;
            let rate = f.div(lr, correction1)?;
            let step = f.mul(m, rate)?;
            let step = f.div(step, root)?;
            let mut kept = parameter;
            if apart && *weight_decay != 0.0 {
                let decay = f.scale(lr, f64::from(*weight_decay))?;
                let factor = f.one_minus(decay)?;
                kept = f.mul(parameter, factor)?;
            }
            let new = f.sub(kept, step)?;
            updates.push(&mut f, parameter, new)?;
        }
        Optimizer::RmsProp { alpha, eps, weight_decay, centered, .. } => {
            let square = keep(graph, "square_avg", 0.0)?;
            let mean = if *centered { Some(keep(graph, "grad_avg", 0.0)?) } else { None };
            let buffer = match shared.momentum {
                Some(_) => Some(keep(graph, "momentum_buffer", 0.0)?),
                None => None,
            };
            let mut f = Formula::new(graph, format!("{name}.update"));
            let g = decayed(&mut f, gradient, parameter, *weight_decay)?;
            let squares = f.mul(g, g)?;
            let mut v = mixed(&mut f, square, squares, *alpha)?;
            v = updates.push(&mut f, square, v)?;
            if let Some(mean) = mean {
                let average = mixed(&mut f, mean, g, *alpha)?;
                let average = updates.push(&mut f, mean, average)?;
                let squares = f.mul(average, average)?;
                v = f.sub(v, squares)?;
            }
            let root = f.unary(UnaryOp::Sqrt, v)?;
            let root = f.shift(root, f64::from(*eps))?;
            let mut d = f.div(g, root)?;
            if let (Some(mu), Some(buffer)) = (shared.momentum, buffer) {
                let old = f.mul(buffer, mu)?;
                d = f.add(old, d)?;
                d = updates.push(&mut f, buffer, d)?;
            }
            let step = f.mul(d, lr)?;
            let new = f.sub(parameter, step)?;
            updates.push(&mut f, parameter, new)?;
        }
        Optimizer::Adagrad { lr_decay, initial_accumulator_value, eps, weight_decay } => {
            let sum = keep(graph, "sum", *initial_accumulator_value)?;
            let mut f = Formula::new(graph, format!("{name}.update"));
            let g = decayed(&mut f, gradient, parameter, *weight_decay)?;
            let squares = f.mul(g, g)?;
            let total = f.add(sum, squares)?;
            let total = updates.push(&mut f, sum, total)?;
            let mut rate = lr;
            if *lr_decay != 0.0 {
                let slower = f.scale(shared.steps, f64::from(*lr_decay))?;
                let slower = f.shift(slower, 1.0)?;
                rate = f.div(lr, slower)?;
            }
            let root = f.unary(UnaryOp::Sqrt, total)?;
            let root = f.shift(root, f64::from(*eps))?;
            let step = f.mul(g, rate)?;
            let step = f.div(step, root)?;
            let new = f.sub(parameter, step)?;
            updates.push(&mut f, parameter, new)?;
        }
    }
    Ok(())
}

/// `g + decay * p`
fn decayed(f: &mut Formula<'_>, gradient: ValueId, parameter: ValueId, decay: f32) -> Made {
    if decay == 0.0 {
        return Ok(gradient);
    }
    let pull = f.scale(parameter, f64::from(decay))?;
    f.add(gradient, pull)
}

/// `alpha * old + (1 - alpha) * new`
fn mixed(f: &mut Formula<'_>, old: ValueId, new: ValueId, alpha: f32) -> Made {
    let (old, new) = (f.scale(old, f64::from(alpha))?, f.scale(new, complement(alpha))?);
    f.add(old, new)
}
