//! Batch normalization.

use super::take;
use crate::array::{Array, around};
use crate::error::ShapeError;
use crate::number::Real;
use crate::tensor::{ShapeDisplay, TensorType};

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
    /// Whether the running variance is updated with the unbiased batch variance (PyTorch).
    pub unbiased: bool,
}

impl BatchNorm {
    pub(crate) fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [x, scale, bias, mean, var] = take(inputs)?;
        if x.rank() < 2 {
            return Err(ShapeError::Rank {
                operand: "the input",
                expected: "at least 2".into(),
                found: x.shape.clone(),
            });
        }
        for (name, ty) in [("scale", scale), ("bias", bias), ("mean", mean), ("var", var)] {
            if ty.shape != x.shape[1..2] {
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
