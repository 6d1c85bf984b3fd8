//! Losses, as PyTorch defines them, in forms that are stable.
//!
//! All but cross-entropy and NLL compare elements with elements of the same shape. Those two take `[N, C, d...]` and
//! class numbers `[N, d...]`.

use kiln_graph::ops::{BinaryOp, Iota, Softmax, UnaryOp};
use kiln_graph::{DType, Dim, Formula, Graph, GraphError, Made, Op, Tensor, TensorType, ValueId, product};

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

    /// Adds the loss of `output`, a number: the mean over the batch.
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

    /// Adds how many of the classes that score best are the right ones, a number; nothing for other losses.
    pub fn correct(
        &self,
        graph: &mut Graph,
        output: ValueId,
        target: ValueId,
    ) -> Result<Option<ValueId>, GraphError> {
        if !self.has_classes() {
            return Ok(None);
        }
        let mut f = Formula::new(graph, "correct");
        let best = kiln_graph::ops::ArgReduce {
            kind: kiln_graph::ops::ArgKind::Max,
            axis: 1,
            keep_dims: false,
            select_last_index: false,
        };
        let best = f.apply(Op::ArgReduce(best), &[output])?;
        let best = f.apply(Op::Cast(kiln_graph::ops::Cast { to: DType::I32 }), &[best])?;
        let right = f.binary(BinaryOp::Equal, best, target)?;
        let right = f.cast(right, DType::F32)?;
        f.total(right).map(Some)
    }
}

fn mean(f: &mut Formula<'_>, x: ValueId) -> Made {
    let count = f.graph.ty(x).elements();
    let sum = f.total(x)?;
    let count = f.size(count)?;
    f.div(sum, count)
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
    let Some(count) = shape[1].as_usize() else {
        return Err(GraphError::Unsuitable(format!(
            "the number of classes is not known: {}",
            f.graph.ty(log)
        )));
    };
    let line = |n: usize| {
        let mut line = vec![Dim::from(1); shape.len()];
        line[1] = n.into();
        line
    };
    let weights = match weights {
        Some(weights) if weights.len() != count => {
            return Err(GraphError::Unsuitable(format!(
                "there are {} class weights, but the network has {count} classes",
                weights.len()
            )));
        }
        Some(weights) => {
            let shape: Vec<usize> = line(count).iter().filter_map(Dim::as_usize).collect();
            let tensor = Tensor::f32(shape, weights.to_vec())?;
            Some(f.graph.constant("loss.weights", tensor))
        }
        None => None,
    };
    let mut column = shape.clone();
    column[1] = 1.into();
    let places = product(&column);
    let target = f.reshape(target, column)?;
    let classes = f.apply(Op::Iota(Iota { dtype: DType::I32, shape: line(count), axis: 1 }), &[])?;
    let hit = f.binary(BinaryOp::Equal, target, classes)?;
    let hit = f.cast(hit, DType::F32)?;
    let mut taken = hit;
    if let Some(weights) = weights {
        taken = f.mul(hit, weights)?;
    }
    let counts = match ignored {
        Some(ignored) => {
            let ignored =
                f.graph.constant("loss.ignored", Tensor::new([], kiln_graph::Data::I32(vec![ignored]))?);
            let ignored = f.binary(BinaryOp::Equal, target, ignored)?;
            let ignored = f.cast(ignored, DType::F32)?;
            let counts = f.one_minus(ignored)?;
            taken = f.mul(taken, counts)?;
            Some(counts)
        }
        None => None,
    };
    let divisor = if weights.is_some() || counts.is_some() { f.total(taken)? } else { f.size(places)? };
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
