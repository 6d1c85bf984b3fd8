//! Reshape.

use super::gradient::{Adjoint, Gradients};
use super::take;
use crate::dim::{Dim, product};
use crate::error::ShapeError;
use crate::guards::Guards;
use crate::tensor::{ShapeDisplay, TensorType};

/// The same elements, in row-major order, under another shape of the same size.
///
/// ONNX's and PyTorch's `-1` and `0` are resolved when the graph is built; see [`Reshape::resolve`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape {
    /// The new shape.
    pub shape: Vec<Dim>,
}

impl Reshape {
    /// Resolves one `-1` in `shape` such that the size is that of `from`, whatever the symbols are.
    pub fn resolve(from: &[Dim], shape: &[Dim]) -> Result<Self, ShapeError> {
        Self::resolve_with(from, shape, &mut Guards::default())
    }

    /// Resolves one `-1` in `shape` such that the size is that of `from`. That a division leaves nothing is left to `guards`.
    pub fn resolve_with(from: &[Dim], shape: &[Dim], guards: &mut Guards) -> Result<Self, ShapeError> {
        let mut shape = shape.to_vec();
        let holes: Vec<usize> = (0..shape.len()).filter(|i| shape[*i].is(-1)).collect();
        if let [hole] = holes[..] {
            shape[hole] = 1.into();
            let (total, rest) = (product(from), product(&shape));
            shape[hole] = quotient(&total, &rest, guards).ok_or_else(|| {
                ShapeError::Mismatch(format!(
                    "cannot view {} ({total} elements) in rows of {rest}: the size is not a multiple of it",
                    ShapeDisplay(from),
                ))
            })?;
        } else if holes.len() > 1 {
            return Err(ShapeError::Attribute {
                name: "shape",
                message: "only one dimension may be -1".into(),
            });
        }
        Ok(Self { shape })
    }

    pub(crate) fn infer(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<TensorType, ShapeError> {
        let [x] = take(inputs)?;
        if guards.equal(&x.elements(), &product(&self.shape)).is_none() {
            return Err(ShapeError::Mismatch(format!(
                "cannot reshape {} ({} elements) to {} ({} elements)",
                ShapeDisplay(&x.shape),
                x.elements(),
                ShapeDisplay(&self.shape),
                product(&self.shape),
            )));
        }
        Ok(TensorType::new(x.dtype, self.shape.iter().cloned()))
    }
}

/// `total / rest`, where that leaves nothing. Factors that both have cancel; a number that is left of `rest` has to divide
/// what is left of `total`.
fn quotient(total: &Dim, rest: &Dim, guards: &mut Guards) -> Option<Dim> {
    if rest.is(0) {
        return None;
    }
    if let Some(exact) = total.exact_div(rest) {
        return Some(exact);
    }
    let symbolic = rest.primitive();
    let number = rest.exact_div(&symbolic)?.as_const().filter(|number| *number > 0)?;
    let left = total.exact_div(&symbolic)?;
    let divided = left.floor_div(number);
    guards.equal(&left, &(&divided * &number.into())).map(|_| divided)
}

impl Reshape {
    /// The other way.
    pub(crate) fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        let (dy, shape) = (at.dy()?, at.shape(at.input(0)));
        Ok(vec![Some(at.reshape(dy, shape)?)])
    }
}
