//! Batch normalization.

use super::gradient::{Adjoint, Gradients};
use super::{ReduceKind, UnaryOp, take};
use crate::array::{Array, around};
use crate::dim::{Dim, product};
use crate::error::{GraphError, ShapeError};
use crate::formula::Formula;
use crate::graph::{Graph, ValueId};
use crate::guards::Guards;
use crate::number::Real;
use crate::tensor::{ShapeDisplay, Tensor, TensorType};

/// Batch normalization (Ioffe and Szegedy 2015) over all dimensions but the second.
///
/// Inputs: `x [N, C, ...]`, `scale [C]`, `bias [C]`, `mean [C]`, `var [C]`; output
/// `(x - mean) / sqrt(var + epsilon) * scale + bias`.
///
/// In training, mean and (biased) variance come from the batch, and there are two more outputs: the new running
/// statistics `running * momentum + batch * (1 - momentum)` (ONNX's sense of `momentum`). The variance that enters
/// the running statistics is the biased one where ONNX is followed and the unbiased one where PyTorch is.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of the old running statistics that is kept in a training step.
    pub momentum: f32,
    /// Whether batch statistics are used and running ones updated.
    pub training: bool,
    /// Whether a training step leaves this as it is: the running statistics are used there, too, and stay
    /// (`bn.eval()` while the rest of a network trains).
    pub frozen: bool,
    /// Whether the running variance is updated with the unbiased batch variance (PyTorch).
    pub unbiased: bool,
}

impl BatchNorm {
    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<Vec<TensorType>, ShapeError> {
        let [x, scale, bias, mean, var] = take(inputs)?;
        if x.rank() < 2 {
            return Err(ShapeError::Rank {
                operand: "the input",
                expected: "at least 2".into(),
                found: x.shape.clone(),
            });
        }
        for (name, ty) in [("scale", scale), ("bias", bias), ("mean", mean), ("var", var)] {
            let fits = matches!(ty.shape.as_slice(), [size] if guards.equal(size, &x.shape[1]).is_some());
            if !fits {
                return Err(ShapeError::Mismatch(format!(
                    "`{name}` has shape {}, but the input has {} channels (shape {}), so [{}] is needed",
                    ShapeDisplay(&ty.shape),
                    x.shape[1],
                    ShapeDisplay(&x.shape),
                    x.shape[1],
                )));
            }
        }
        let mut outputs = vec![x.clone()];
        if self.training {
            outputs.extend([mean.clone(), var.clone()]);
        }
        Ok(outputs)
    }

    /// The output, and in training the new running mean and variance.
    pub(crate) fn eval<T: Real>(&self, inputs: &[Array<T>]) -> Vec<Vec<T>> {
        let [x, scale, bias, running_mean, running_var] = inputs else { return vec![] };
        let (images, channels, inner) = around(x.shape, 1);
        let (epsilon, momentum) = (T::from_f64(self.epsilon.into()), T::from_f64(self.momentum.into()));
        let (mut running_mean, mut running_var) = (running_mean.data.to_vec(), running_var.data.to_vec());
        let mut out = vec![T::ZERO; x.data.len()];
        for c in 0..channels {
            let all = || (0..images).flat_map(|n| (0..inner).map(move |i| (n * channels + c) * inner + i));
            let count = images * inner;
            let (mut mean, mut var) = (running_mean[c], running_var[c]);
            if self.training {
                let average = |sum: T, count: usize| sum.over(T::from_size(count));
                let square = |v: T| v.mul(v);
                mean = average(all().fold(T::ZERO, |sum, at| sum.add(x.data[at])), count);
                let squares = all().fold(T::ZERO, |sum, at| sum.add(square(x.data[at].sub(mean))));
                var = average(squares, count);
                let kept = if self.unbiased { average(squares, count.saturating_sub(1)) } else { var };
                let mix = |old: T, new: T| old.mul(momentum).add(new.mul(T::ONE.sub(momentum)));
                running_mean[c] = mix(running_mean[c], mean);
                running_var[c] = mix(running_var[c], kept);
            }
            let deviation = var.add(epsilon).sqrt();
            for at in all() {
                out[at] = x.data[at].sub(mean).over(deviation).mul(scale.data[c]).add(bias.data[c]);
            }
        }
        vec![out, running_mean, running_var]
    }
}

/// The batch statistics of each channel, of shape `[1, C, 1, ...]`, and values derived from them.
pub struct BatchStatistics {
    /// The mean.
    pub mean: ValueId,
    /// `x - mean`, of the shape of `x`.
    pub centered: ValueId,
    /// The biased variance.
    pub var: ValueId,
    /// `sqrt(var + epsilon)`.
    pub deviation: ValueId,
}

impl BatchNorm {
    /// Adds the statistics of the batch `x` to a graph, as nodes called `name`.
    ///
    /// Mean and variance do not wait for each other. The variance is a reduction of its own
    /// ([`ReduceKind::Variance`]): the difference of two large squares would lose what it is about.
    pub fn batch_statistics(
        &self,
        graph: &mut Graph,
        name: &str,
        x: ValueId,
    ) -> Result<BatchStatistics, GraphError> {
        let axes: Vec<usize> = (0..graph.ty(x).rank()).filter(|axis| *axis != 1).collect();
        let epsilon = graph.constant("epsilon", Tensor::scalar(self.epsilon));
        let mut f = Formula::new(graph, name);
        let mean = f.reduce(ReduceKind::Mean, x, axes.clone(), true)?;
        let centered = f.sub(x, mean)?;
        let var = f.reduce(ReduceKind::Variance, x, axes, true)?;
        let sum = f.add(var, epsilon)?;
        let deviation = f.unary(UnaryOp::Sqrt, sum)?;
        Ok(BatchStatistics { mean, centered, var, deviation })
    }

    /// In training the batch's statistics depend on `x`, too (Ioffe and Szegedy 2015, section 3); in inference they
    /// are numbers, with gradients of their own.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (x, dy) = (at.input(0), at.dy()?);
        let shape = at.shape(x);
        let mut line = vec![Dim::from(1); shape.len()];
        line[1] = shape[1].clone();
        let axes: Vec<usize> = (0..shape.len()).filter(|axis| *axis != 1).collect();
        let vector = vec![shape[1].clone()];
        let column = |at: &mut Adjoint<'_>, i: usize| {
            let row = at.input(i);
            at.reshape(row, line.clone())
        };
        let scale = column(at, 1)?;
        // The names of the node's own nodes, so that they are found to be the same and computed once.
        let name = at.name.trim_end_matches(".grad").to_owned();
        let (centered, deviation) = if self.training {
            let statistics = self.batch_statistics(at.graph, &name, x)?;
            (statistics.centered, statistics.deviation)
        } else {
            let (mean, var) = (column(at, 3)?, column(at, 4)?);
            let epsilon = at.number(f64::from(self.epsilon), var)?;
            let sum = at.add(var, epsilon)?;
            (at.sub(x, mean)?, at.unary(UnaryOp::Sqrt, sum)?)
        };
        let weighted = at.mul(dy, centered)?;
        let shift = at.reduce(ReduceKind::Sum, dy, axes.clone(), true)?;
        let moment = at.reduce(ReduceKind::Sum, weighted, axes.clone(), true)?;
        let factor = at.div(moment, deviation)?;
        let slope = at.div(scale, deviation)?;
        let mut gradients = vec![None; 5];
        if at.wants(0) {
            gradients[0] = Some(if self.training {
                // slope * (dy - mean(dy) - normal * mean(dy * normal)), with what belongs to channels put together
                // first: the rest reads x and dy and four vectors.
                let count = at.size(product(axes.iter().map(|axis| &shape[*axis])), dy)?;
                let average = at.div(shift, count)?;
                let along = at.div(factor, count)?;
                let along = at.div(along, deviation)?;
                let along = at.mul(along, slope)?;
                let rest = at.sub(dy, average)?;
                let rest = at.mul(rest, slope)?;
                let part = at.mul(centered, along)?;
                at.sub(rest, part)?
            } else {
                at.mul(dy, slope)?
            });
        }
        gradients[1] = Some(at.reshape(factor, vector.clone())?);
        gradients[2] = Some(at.reshape(shift, vector.clone())?);
        if !self.training && at.wants(3) {
            let product = at.mul(shift, slope)?;
            let minus = at.neg(product)?;
            gradients[3] = Some(at.reshape(minus, vector.clone())?);
        }
        if !self.training && at.wants(4) {
            // d/dvar of (x - mean) * (var + epsilon)^(-1/2)
            let twice = at.add(deviation, deviation)?;
            let product = at.mul(factor, slope)?;
            let quotient = at.div(product, twice)?;
            let minus = at.neg(quotient)?;
            gradients[4] = Some(at.reshape(minus, vector)?);
        }
        Ok(gradients)
    }
}
