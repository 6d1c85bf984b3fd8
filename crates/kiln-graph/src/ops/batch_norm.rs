//! Batch normalization.

use super::take;
use crate::error::ShapeError;
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
}
