//! Losses with class numbers as their targets.

use crate::error::GraphError;
use crate::formula::{Formula, Made};
use crate::graph::ValueId;
use crate::ops::{BinaryOp, Gather, GatherElements, Op};
use crate::tensor::DType;

/// How the losses of all places become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// They do not.
    None,
    /// Their sum.
    Sum,
    /// Their mean, weighted as they are.
    Mean,
}

/// Negative log likelihood: `-w[y] * log[y]` for logarithms of probabilities `log [N, C, d...]` and classes
/// `y [N, d...]`, with weights `w [C]` if there are any. Where the class is `ignored` the loss is zero, and the mean is
/// taken over the others.
pub fn nll(
    f: &mut Formula<'_>,
    log: ValueId,
    target: ValueId,
    weights: Option<ValueId>,
    ignored: Option<i64>,
    reduction: Reduction,
) -> Made {
    let (shape, mut expected) = (f.shape(target), f.shape(log));
    if expected.len() < 2 || {
        expected.remove(1);
        expected != shape
    } {
        return mismatch(f, log, target);
    }
    let dtype = f.ty(log).dtype;
    let zero = f.number_like(0.0, log);
    let skipped = match ignored {
        // A class that the type does not hold is none.
        Some(class) if f.ty(target).dtype == DType::I32 && i32::try_from(class).is_err() => None,
        #[allow(clippy::as_conversions, reason = "classes are far below 2^53")]
        Some(class) => Some(f.with(BinaryOp::Equal, target, class as f64)?),
        None => None,
    };
    // An ignored class need not exist.
    let class = match skipped {
        Some(skipped) => {
            let first = f.number_like(0.0, target);
            f.select(skipped, first, target)?
        }
        None => target,
    };
    let mut column = shape.clone();
    column.insert(1, 1.into());
    let index = f.reshape(class, column)?;
    let picked = f.apply(Op::GatherElements(GatherElements { axis: 1 }), &[log, index])?;
    let picked = f.reshape(picked, shape.clone())?;
    let mut losses = f.neg(picked)?;
    let mut counts = None;
    if let Some(weights) = weights {
        let own = f.apply(Op::Gather(Gather { axis: 0 }), &[weights, class])?;
        losses = f.mul(losses, own)?;
        counts = Some(own);
    }
    if let Some(skipped) = skipped {
        losses = f.select(skipped, zero, losses)?;
        let one = f.number_like(1.0, log);
        counts = Some(f.select(skipped, zero, counts.unwrap_or(one))?);
    }
    match reduction {
        Reduction::None => Ok(losses),
        Reduction::Sum => f.total(losses),
        Reduction::Mean => {
            let sum = f.total(losses)?;
            let count = match counts {
                Some(counts) => f.total(counts)?,
                None => {
                    let count = f.ty(losses).elements();
                    let count = f.size(count)?;
                    f.cast(count, dtype)?
                }
            };
            f.div(sum, count)
        }
    }
}

fn mismatch(f: &Formula<'_>, log: ValueId, target: ValueId) -> Result<ValueId, GraphError> {
    let message =
        format!("{} should be classes for {} (without its second dimension)", f.ty(target), f.ty(log));
    f.mismatch("nll", message)
}
