//! PyTorch's update rules (the formulas in the documentation of `torch.optim`), a function each.
//!
//! What an optimizer keeps is state, called as PyTorch calls it behind the parameter's name.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Formula, Graph, GraphError, Made, Tensor, ValueId};

use super::optimizer::Optimizer;

/// What all parameters share in one step.
pub(super) struct Shared {
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
pub(super) struct Updates {
    /// Each state with its new value.
    pub all: Vec<(ValueId, ValueId)>,
    /// Whether states change in a step at all.
    pub condition: ValueId,
}

impl Updates {
    /// Lets `state` become `new`, if the condition holds; gives what it becomes.
    pub(super) fn push(&mut self, f: &mut Formula<'_>, state: ValueId, new: ValueId) -> Made {
        let new = f.select(self.condition, new, state)?;
        self.all.push((state, new));
        Ok(new)
    }
}

impl Shared {
    /// Computes what all parameters share.
    pub(super) fn new(
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

/// Adds the update of one parameter from its gradient; gives what the parameter becomes.
pub(super) fn update(
    graph: &mut Graph,
    optimizer: &Optimizer,
    shared: &Shared,
    parameter: ValueId,
    gradient: ValueId,
    updates: &mut Updates,
) -> Made {
    let name = graph.value(parameter).name.clone();
    let rule = Rule { graph, shared, name, parameter, gradient, updates };
    match optimizer {
        Optimizer::Sgd { dampening, nesterov, weight_decay, .. } => {
            rule.sgd(*dampening, *nesterov, *weight_decay)
        }
        Optimizer::Adam { beta2, eps, weight_decay } => rule.adam(*beta2, *eps, *weight_decay, false),
        Optimizer::AdamW { beta2, eps, weight_decay } => rule.adam(*beta2, *eps, *weight_decay, true),
        Optimizer::RmsProp { alpha, eps, weight_decay, centered, .. } => {
            rule.rms_prop(*alpha, *eps, *weight_decay, *centered)
        }
        Optimizer::Adagrad { lr_decay, initial_accumulator_value, eps, weight_decay } => {
            rule.adagrad(*lr_decay, *initial_accumulator_value, *eps, *weight_decay)
        }
    }
}

/// One parameter and what its update is made of.
struct Rule<'a> {
    graph: &'a mut Graph,
    shared: &'a Shared,
    /// The parameter's name.
    name: String,
    parameter: ValueId,
    gradient: ValueId,
    updates: &'a mut Updates,
}

impl Rule<'_> {
    /// A state of the parameter's shape beside it, filled with `first`.
    fn keep(&mut self, what: &str, first: f32) -> Result<ValueId, GraphError> {
        let shape = self.graph.ty(self.parameter).static_shape().unwrap_or_default();
        let count = shape.iter().product();
        let first = Tensor::f32(shape, vec![first; count])?;
        self.graph.state(format!("{}.{what}", self.name), first)
    }

    /// The momentum and the state that it decays, where the optimizer has one.
    fn momentum(&mut self) -> Result<Option<(ValueId, ValueId)>, GraphError> {
        match self.shared.momentum {
            Some(mu) => Ok(Some((mu, self.keep("momentum_buffer", 0.0)?))),
            None => Ok(None),
        }
    }

    fn sgd(mut self, dampening: f32, nesterov: bool, weight_decay: f32) -> Made {
        let momentum = self.momentum()?;
        let Self { graph, shared, name, parameter, gradient, updates } = self;
        let mut f = Formula::new(graph, format!("{name}.update"));
        let mut d = decayed(&mut f, gradient, parameter, weight_decay)?;
        if let Some((mu, buffer)) = momentum {
            let old = f.mul(buffer, mu)?;
            let damped = f.scale(d, complement(dampening))?;
            let mut new = f.add(old, damped)?;
            if dampening != 0.0 {
                // The first step is not dampened.
                let zero = f.number(0.0);
                let is_first = f.binary(BinaryOp::Equal, shared.steps, zero)?;
                new = f.select(is_first, d, new)?;
            }
            new = updates.push(&mut f, buffer, new)?;
            d = if nesterov {
                let ahead = f.mul(new, mu)?;
                f.add(d, ahead)?
            } else {
                new
            };
        }
        let step = f.mul(d, shared.lr)?;
        let new = f.sub(parameter, step)?;
        updates.push(&mut f, parameter, new)
    }

    /// Adam, or AdamW where the weights decay apart from the gradient.
    fn adam(mut self, beta2: f32, eps: f32, weight_decay: f32, apart: bool) -> Made {
        let (Some(beta1), Some((correction1, correction2))) = (self.shared.momentum, self.shared.corrections)
        else {
            return Err(GraphError::Invalid("Adam without beta1".into()));
        };
        let first = self.keep("exp_avg", 0.0)?;
        let second = self.keep("exp_avg_sq", 0.0)?;
        let Self { graph, shared, name, parameter, gradient, updates } = self;
        let mut f = Formula::new(graph, format!("{name}.update"));
        let g = if apart { gradient } else { decayed(&mut f, gradient, parameter, weight_decay)? };
        let rest = f.one_minus(beta1)?;
        let (old, new) = (f.mul(first, beta1)?, f.mul(g, rest)?);
        let m = f.add(old, new)?;
        let square = f.mul(g, g)?;
        let v = mixed(&mut f, second, square, beta2)?;
        let m = updates.push(&mut f, first, m)?;
        let v = updates.push(&mut f, second, v)?;
        let root = f.unary(UnaryOp::Sqrt, v)?;
        let root = f.div(root, correction2)?;
        let root = f.shift(root, f64::from(eps))?;
        let rate = f.div(shared.lr, correction1)?;
        let step = f.mul(m, rate)?;
        let step = f.div(step, root)?;
        let mut kept = parameter;
        if apart && weight_decay != 0.0 {
            let decay = f.scale(shared.lr, f64::from(weight_decay))?;
            let factor = f.one_minus(decay)?;
            kept = f.mul(parameter, factor)?;
        }
        let new = f.sub(kept, step)?;
        updates.push(&mut f, parameter, new)
    }

    fn rms_prop(mut self, alpha: f32, eps: f32, weight_decay: f32, centered: bool) -> Made {
        let square = self.keep("square_avg", 0.0)?;
        let mean = if centered { Some(self.keep("grad_avg", 0.0)?) } else { None };
        let momentum = self.momentum()?;
        let Self { graph, shared, name, parameter, gradient, updates } = self;
        let mut f = Formula::new(graph, format!("{name}.update"));
        let g = decayed(&mut f, gradient, parameter, weight_decay)?;
        let squares = f.mul(g, g)?;
        let mut v = mixed(&mut f, square, squares, alpha)?;
        v = updates.push(&mut f, square, v)?;
        if let Some(mean) = mean {
            let average = mixed(&mut f, mean, g, alpha)?;
            let average = updates.push(&mut f, mean, average)?;
            let squares = f.mul(average, average)?;
            v = f.sub(v, squares)?;
        }
        let root = f.unary(UnaryOp::Sqrt, v)?;
        let root = f.shift(root, f64::from(eps))?;
        let mut d = f.div(g, root)?;
        if let Some((mu, buffer)) = momentum {
            let old = f.mul(buffer, mu)?;
            d = f.add(old, d)?;
            d = updates.push(&mut f, buffer, d)?;
        }
        let step = f.mul(d, shared.lr)?;
        let new = f.sub(parameter, step)?;
        updates.push(&mut f, parameter, new)
    }

    fn adagrad(mut self, lr_decay: f32, first: f32, eps: f32, weight_decay: f32) -> Made {
        let sum = self.keep("sum", first)?;
        let Self { graph, shared, name, parameter, gradient, updates } = self;
        let mut f = Formula::new(graph, format!("{name}.update"));
        let g = decayed(&mut f, gradient, parameter, weight_decay)?;
        let squares = f.mul(g, g)?;
        let total = f.add(sum, squares)?;
        let total = updates.push(&mut f, sum, total)?;
        let mut rate = shared.lr;
        if lr_decay != 0.0 {
            let slower = f.scale(shared.steps, f64::from(lr_decay))?;
            let slower = f.shift(slower, 1.0)?;
            rate = f.div(shared.lr, slower)?;
        }
        let root = f.unary(UnaryOp::Sqrt, total)?;
        let root = f.shift(root, f64::from(eps))?;
        let step = f.mul(g, rate)?;
        let step = f.div(step, root)?;
        let new = f.sub(parameter, step)?;
        updates.push(&mut f, parameter, new)
    }
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
pub(super) fn mixed(f: &mut Formula<'_>, old: ValueId, new: ValueId, alpha: f32) -> Made {
    let (old, new) = (f.scale(old, f64::from(alpha))?, f.scale(new, complement(alpha))?);
    f.add(old, new)
}
