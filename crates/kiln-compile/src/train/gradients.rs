//! What is done to gradients before the optimizer sees them.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Formula, Graph, GraphError, Tensor, TensorType, ValueId};

use super::loss_scale::{Judged, squared_norm};
use super::names::UPDATE;
use super::update::Updates;

/// Adds up gradients, each divided by `count`, until [`UPDATE`] says that the optimizer steps; only then does what follows
/// change, and the sums begin anew. This is PyTorch's loop
///
/// ```python
/// (loss / count).backward()
/// if (i + 1) % count == 0 or i + 1 == len(loader):
///     optimizer.step()
///     optimizer.zero_grad()
/// ```
pub(super) fn accumulate(
    graph: &mut Graph,
    count: u32,
    parameters: &[ValueId],
    gradients: &mut [ValueId],
    updates: &mut Updates,
    mut judged: Option<&mut Judged>,
) -> Result<(), GraphError> {
    if count <= 1 {
        return Ok(());
    }
    let update = graph.input(UPDATE, TensorType::f32([]))?;
    let mut f = Formula::new(graph, "accumulate");
    let zero = f.number(0.0);
    let due = f.binary(BinaryOp::Greater, update, zero)?;
    let steps = match &mut judged {
        Some(judged) => judged.accumulated(graph, due, updates)?,
        None => f.binary(BinaryOp::And, updates.condition, due)?,
    };
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        let name = format!("{}.accumulated", graph.value(*parameter).name);
        let shape = graph.ty(*parameter).static_shape().unwrap_or_default();
        let zeros = vec![0f32; shape.iter().product()];
        let zeros = Tensor::f32(shape, zeros)?;
        let kept = graph.state(name, zeros)?;
        let mut f = Formula::new(graph, "accumulate");
        let part = f.scale(*gradient, 1.0 / f64::from(count))?;
        let sum = f.add(kept, part)?;
        match &judged {
            Some(judged) => {
                let left = judged.left(&mut f, sum, kept)?;
                updates.all.push((kept, left));
            }
            None => {
                let left = f.select(due, zero, sum)?;
                updates.push(&mut f, kept, left)?;
            }
        }
        *gradient = sum;
    }
    updates.condition = steps;
    Ok(())
}

/// Scales gradients such that their norm is at most `most` (`torch.nn.utils.clip_grad_norm_`); gives the norm before.
pub(super) fn clip(graph: &mut Graph, most: f32, gradients: &mut [ValueId]) -> Result<ValueId, GraphError> {
    let sum = squared_norm(graph, gradients)?;
    let mut f = Formula::new(graph, "clip");
    let norm = f.unary(UnaryOp::Sqrt, sum)?;
    let above = f.shift(norm, 1e-6)?;
    let most = f.number(f64::from(most));
    let one = f.number(1.0);
    let factor = f.div(most, above)?;
    let factor = f.binary(BinaryOp::Min, factor, one)?;
    for gradient in gradients.iter_mut() {
        *gradient = f.mul(*gradient, factor)?;
    }
    Ok(norm)
}
