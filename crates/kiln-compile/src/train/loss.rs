//! Losses, as PyTorch defines them, in forms that are stable.
//!
//! All but cross-entropy and NLL compare elements with elements of the same shape. Those two take `[N, C, d...]` and
//! class numbers `[N, d...]`.

use kiln_graph::ops::{ArgKind, ArgReduce, BinaryOp, Iota, Softmax, UnaryOp};
use kiln_graph::{
    DType, Data, Dim, Formula, Graph, GraphError, Made, Op, Tensor, TensorType, ValueId, product,
};

use super::names::{CORRECT, LOSS_WEIGHT, PREDICTED};

/// What a network's output is compared with, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// `nn.CrossEntropyLoss`: scores of classes against class numbers.
    CrossEntropy {
        /// A weight for each class.
        weights: Option<Vec<f32>>,
        /// The share of the target that is spread over all classes.
        label_smoothing: f32,
        /// A class number that does not count.
        ignore_index: Option<i32>,
    },
    /// `nn.NLLLoss`: logarithms of probabilities against class numbers.
    Nll {
        /// A weight for each class.
        weights: Option<Vec<f32>>,
        /// A class number that does not count.
        ignore_index: Option<i32>,
    },
    /// `nn.MSELoss`
    Mse,
    /// `nn.L1Loss`
    L1,
    /// `nn.SmoothL1Loss`
    SmoothL1 {
        /// Where the square becomes a line.
        beta: f32,
    },
    /// `nn.BCEWithLogitsLoss`
    BceWithLogits,
}

impl Loss {
    /// Cross-entropy without weights.
    pub fn cross_entropy() -> Self {
        Loss::CrossEntropy { weights: None, label_smoothing: 0.0, ignore_index: None }
    }

    /// Whether targets are class numbers.
    pub fn has_classes(&self) -> bool {
        matches!(self, Loss::CrossEntropy { .. } | Loss::Nll { .. })
    }

    /// The type of the target for an output of type `output`.
    pub fn target(&self, output: &TensorType) -> Result<TensorType, GraphError> {
        if !self.has_classes() {
            return Ok(output.clone());
        }
        if output.rank() < 2 {
            return Err(GraphError::Unsuitable(format!(
                "cross-entropy and NLL need an output [N, classes, ...], but it is {output}"
            )));
        }
        let mut shape = output.shape.clone();
        shape.remove(1);
        Ok(TensorType::new(DType::I32, shape))
    }

    /// The class number that does not count.
    pub fn ignore_index(&self) -> Option<i32> {
        match self {
            Loss::CrossEntropy { ignore_index, .. } | Loss::Nll { ignore_index, .. } => *ignore_index,
            Loss::Mse | Loss::L1 | Loss::SmoothL1 { .. } | Loss::BceWithLogits => None,
        }
    }

    /// Adds the loss of `output`, a number: the mean over the batch.
    ///
    /// Where no target counts, it is 0 and so are all gradients. PyTorch's value is NaN there, 0 / 0, and its gradients
    /// are 0, too; with 0, a batch without labels is one from which nothing is learned.
    pub fn build(&self, graph: &mut Graph, output: ValueId, target: ValueId) -> Made {
        let mut f = Formula::new(graph, "loss");
        let f = &mut f;
        match self {
            Loss::CrossEntropy { weights, label_smoothing, ignore_index } => {
                let log = f.apply(Op::Softmax(Softmax { axis: 1, log: true }), &[output])?;
                classes(f, log, target, weights.as_deref(), f64::from(*label_smoothing), *ignore_index)
            }
            Loss::Nll { weights, ignore_index } => {
                classes(f, output, target, weights.as_deref(), 0.0, *ignore_index)
            }
            Loss::Mse => {
                let apart = f.sub(output, target)?;
                let squares = f.mul(apart, apart)?;
                mean(f, squares)
            }
            Loss::L1 => {
                let apart = f.sub(output, target)?;
                let apart = f.unary(UnaryOp::Abs, apart)?;
                mean(f, apart)
            }
            Loss::SmoothL1 { beta } => {
                let apart = f.sub(output, target)?;
                let size = f.unary(UnaryOp::Abs, apart)?;
                let beta = f64::from(*beta);
                if beta == 0.0 {
                    return mean(f, size);
                }
                let square = f.mul(apart, apart)?;
                let square = f.scale(square, 0.5 / beta)?;
                let line = f.shift(size, -0.5 * beta)?;
                let bend = f.number(beta);
                let near = f.binary(BinaryOp::Less, size, bend)?;
                let parts = f.select(near, square, line)?;
                mean(f, parts)
            }
            Loss::BceWithLogits => {
                // -t*log(s(x)) - (1 - t)*log(1 - s(x)) = log(1 + exp(x)) - t*x
                let softplus = f.unary(UnaryOp::Softplus, output)?;
                let along = f.mul(output, target)?;
                let parts = f.sub(softplus, along)?;
                mean(f, parts)
            }
        }
    }

    /// Adds what can be said beside the loss, by name: [`CORRECT`] for losses over classes, [`LOSS_WEIGHT`] where targets
    /// do not all count the same, and [`PREDICTED`] where each output can be a score of a class.
    pub(super) fn beside(
        &self,
        graph: &mut Graph,
        output: ValueId,
        target: ValueId,
    ) -> Result<Vec<(&'static str, ValueId)>, GraphError> {
        let mut all = Vec::new();
        let predicted = self.predicted(graph, output)?;
        if let Loss::CrossEntropy { weights, ignore_index, .. } | Loss::Nll { weights, ignore_index } = self {
            let mut f = Formula::new(graph, "correct");
            if let Some(predicted) = predicted {
                let right = f.binary(BinaryOp::Equal, predicted, target)?;
                let mut right = f.cast(right, DType::F32)?;
                if let Some(ignored) = ignore_index {
                    let counts = counting(&mut f, target, *ignored)?;
                    right = f.mul(right, counts)?;
                }
                all.push((CORRECT, f.total(right)?));
            }
            if weights.is_some() || ignore_index.is_some() {
                let shape = f.graph.ty(output).shape.clone();
                let parts = Parts::new(&mut f, &shape, target, weights.as_deref(), *ignore_index)?;
                all.push((LOSS_WEIGHT, f.total(parts.taken)?));
            }
        }
        all.extend(predicted.map(|predicted| (PREDICTED, predicted)));
        Ok(all)
    }

    /// The class with the highest score for each target, `i32`: along the classes, or for a single score whether it
    /// speaks for the second of two classes. Other losses know classes only as one number for each.
    fn predicted(&self, graph: &mut Graph, output: ValueId) -> Result<Option<ValueId>, GraphError> {
        let shape = graph.ty(output).shape.clone();
        let is_single = shape.iter().skip(1).all(|dim| dim.is(1));
        let mut f = Formula::new(graph, "predicted");
        match self {
            Loss::BceWithLogits if is_single => {
                let zero = f.number(0.0);
                let above = f.binary(BinaryOp::Greater, output, zero)?;
                return f.cast(above, DType::I32).map(Some);
            }
            Loss::CrossEntropy { .. } | Loss::Nll { .. } => {}
            Loss::Mse | Loss::L1 | Loss::SmoothL1 { .. } | Loss::BceWithLogits => {
                if shape.len() != 2 || is_single {
                    return Ok(None);
                }
            }
        }
        let best = ArgReduce { kind: ArgKind::Max, axis: 1, keep_dims: false, select_last_index: false };
        let best = f.apply(Op::ArgReduce(best), &[output])?;
        f.cast(best, DType::I32).map(Some)
    }
}

/// Whether a model ends in the logarithm of a softmax, as [`Loss::Nll`] takes it.
pub fn gives_logarithms(model: &Graph) -> bool {
    let output = model.outputs().first().and_then(|output| model.producer(output.value));
    output.is_some_and(|node| matches!(&model.node(node).op, Op::Softmax(softmax) if softmax.log))
}

fn mean(f: &mut Formula<'_>, x: ValueId) -> Made {
    let count = f.graph.ty(x).elements();
    let sum = f.total(x)?;
    let count = f.size(count)?;
    f.div(sum, count)
}

/// 1 where a target counts, 0 where it is the class number that does not.
fn counting(f: &mut Formula<'_>, target: ValueId, ignored: i32) -> Made {
    let ignored = f.constant(Tensor::new([], Data::I32(vec![ignored]))?);
    let ignored = f.binary(BinaryOp::Equal, target, ignored)?;
    let ignored = f.cast(ignored, DType::F32)?;
    f.one_minus(ignored)
}

/// What each class of each target has to do with a loss over classes.
struct Parts {
    /// The number of classes.
    count: usize,
    /// The number of targets.
    places: Dim,
    /// The weight of each class, `[1, C, 1...]`.
    weights: Option<ValueId>,
    /// Whether a target counts, `[N, 1, d...]`.
    counts: Option<ValueId>,
    /// The weight of the target's class there, 0 elsewhere and where a target does not count, `[N, C, d...]`.
    taken: ValueId,
}

impl Parts {
    /// For outputs of a shape `[N, C, d...]` and targets `[N, d...]`.
    fn new(
        f: &mut Formula<'_>,
        shape: &[Dim],
        target: ValueId,
        weights: Option<&[f32]>,
        ignored: Option<i32>,
    ) -> Result<Self, GraphError> {
        let Some(count) = shape[1].as_usize() else {
            return Err(GraphError::Unsuitable(format!("the number of classes is not known: {}", shape[1])));
        };
        let mut line = vec![Dim::from(1); shape.len()];
        line[1] = count.into();
        let weights = match weights {
            Some(weights) if weights.len() != count => {
                return Err(GraphError::Unsuitable(format!(
                    "there are {} class weights, but the network has {count} classes",
                    weights.len()
                )));
            }
            Some(weights) => {
                let sizes: Vec<usize> = line.iter().filter_map(Dim::as_usize).collect();
                let tensor = Tensor::f32(sizes, weights.to_vec())?;
                Some(f.graph.constant("loss.weights", tensor))
            }
            None => None,
        };
        let mut column = shape.to_vec();
        column[1] = 1.into();
        let places = product(&column);
        let target = f.reshape(target, column)?;
        let classes = f.apply(Op::Iota(Iota { dtype: DType::I32, shape: line, axis: 1 }), &[])?;
        let hit = f.binary(BinaryOp::Equal, target, classes)?;
        let mut taken = f.cast(hit, DType::F32)?;
        if let Some(weights) = weights {
            taken = f.mul(taken, weights)?;
        }
        let counts = match ignored {
            Some(ignored) => {
                let counts = counting(f, target, ignored)?;
                taken = f.mul(taken, counts)?;
                Some(counts)
            }
            None => None,
        };
        Ok(Self { count, places, weights, counts, taken })
    }
}

/// The loss of logarithms of probabilities `[N, C, d...]`: with weights `w`, classes `y`, smoothing `s`
/// `-(1 - s) * sum w[y] * log[y] / sum w[y] - s / C * sum_c w[c] * log[c] / sum w[y]`.
fn classes(
    f: &mut Formula<'_>,
    log: ValueId,
    target: ValueId,
    weights: Option<&[f32]>,
    smoothing: f64,
    ignored: Option<i32>,
) -> Made {
    let shape = f.graph.ty(log).shape.clone();
    let Parts { count, places, weights, counts, taken } = Parts::new(f, &shape, target, weights, ignored)?;
    let divisor = if weights.is_some() || counts.is_some() {
        let sum = f.total(taken)?;
        // Where no target counts, 0 / 1.
        let (zero, one) = (f.number(0.0), f.number(1.0));
        let nothing = f.binary(BinaryOp::Equal, sum, zero)?;
        f.select(nothing, one, sum)?
    } else {
        f.size(places)?
    };
    let mut share = taken;
    if smoothing > 0.0 {
        let rest = f.number(smoothing / count as f64);
        let mut spread = match weights {
            Some(weights) => f.mul(weights, rest)?,
            None => rest,
        };
        if let Some(counts) = counts {
            spread = f.mul(counts, spread)?;
        }
        let kept = f.scale(taken, 1.0 - smoothing)?;
        share = f.add(kept, spread)?;
    }
    let parts = f.mul(log, share)?;
    let sum = f.total(parts)?;
    let sum = f.unary(UnaryOp::Neg, sum)?;
    f.div(sum, divisor)
}
