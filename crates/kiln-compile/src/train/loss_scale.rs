//! The scale of the loss, where gradients of activations have 16 bits: large enough that small gradients are no zeros, and
//! small enough that large ones are finite.
//!
//! It follows the rules of PyTorch's `torch.amp.GradScaler`. The loss is multiplied by a state before it is differentiated,
//! and the gradients of parameters, which have 32 bits, are divided by it. Where one of them is not finite, the optimizer's
//! step is passed over and the scale halved; after 2,000 steps in a row that were not, it is doubled.
//!
//! Where gradients of several batches are accumulated, those of all are judged together, when the optimizer would step: if
//! those of one batch are not finite, the step is passed over, and the next one begins anew.

use kiln_graph::ops::{BinaryOp, UnaryOp};
use kiln_graph::{Formula, Graph, GraphError, Made, Tensor, ValueId};

use super::names::{GOOD_STEPS, LOSS_SCALE, OVERFLOWED, SKIPPED};
use super::update::Updates;

/// What the scale begins with.
const FIRST: f32 = 65_536.0;
/// Good steps in a row after which it is doubled.
const INTERVAL: f64 = 2_000.0;
/// Twice that is no float.
const LARGEST: f64 = 1.701_411_834_604_692_3e38;

/// The scale as a state.
#[derive(Clone, Copy)]
pub(super) struct LossScale {
    scale: ValueId,
}

/// What becomes of a step.
pub(super) struct Judged {
    scale: ValueId,
    /// Whether the loss is finite. If not, nothing changes at all.
    loss: ValueId,
    /// Whether the gradients of this batch are finite.
    batch: ValueId,
    /// Whether those of all batches of the step are.
    good: ValueId,
    /// Whether the optimizer would step now.
    due: ValueId,
}

impl LossScale {
    /// As a new state of the graph.
    pub(super) fn new(graph: &mut Graph) -> Result<Self, GraphError> {
        Ok(Self { scale: graph.state(LOSS_SCALE, Tensor::scalar(FIRST))? })
    }

    /// The same in a graph that was made of the one it is in.
    pub(super) fn mapped(self, mut get: impl FnMut(ValueId) -> Made) -> Result<Self, GraphError> {
        Ok(Self { scale: get(self.scale)? })
    }

    /// What is differentiated.
    pub(super) fn scaled(self, graph: &mut Graph, loss: ValueId) -> Made {
        Formula::new(graph, "loss_scale").mul(loss, self.scale)
    }

    /// Brings gradients back to the loss that is not scaled.
    pub(super) fn undo(self, graph: &mut Graph, gradients: &mut [ValueId]) -> Result<(), GraphError> {
        let mut f = Formula::new(graph, "loss_scale");
        let factor = f.unary(UnaryOp::Reciprocal, self.scale)?;
        for gradient in gradients {
            *gradient = f.mul(*gradient, factor)?;
        }
        Ok(())
    }

    /// Judges the gradients of a batch, whose loss is finite if `loss` says so. A step of one batch is due at once.
    pub(super) fn judge(
        self,
        graph: &mut Graph,
        gradients: &[ValueId],
        loss: ValueId,
    ) -> Result<Judged, GraphError> {
        let norm = squared_norm(graph, gradients)?;
        let finite = is_finite(graph, norm)?;
        let batch = Formula::new(graph, "loss_scale").binary(BinaryOp::And, loss, finite)?;
        Ok(Judged { scale: self.scale, loss, batch, good: batch, due: loss })
    }
}

impl Judged {
    /// Whether what does not wait for the optimizer changes.
    pub(super) fn batch(&self) -> ValueId {
        self.batch
    }

    /// Gradients are accumulated until `due`; gives whether the optimizer steps.
    pub(super) fn accumulated(
        &mut self,
        graph: &mut Graph,
        due: ValueId,
        updates: &mut Updates,
    ) -> Result<ValueId, GraphError> {
        let before = graph.state(OVERFLOWED, Tensor::scalar(0f32))?;
        let mut f = Formula::new(graph, "loss_scale");
        let (zero, one) = (f.number(0.0), f.number(1.0));
        let not = f.unary(UnaryOp::Not, self.batch)?;
        let overflows = f.binary(BinaryOp::And, self.loss, not)?;
        let so_far = f.select(overflows, one, before)?;
        self.due = f.binary(BinaryOp::And, self.loss, due)?;
        let after = f.select(self.due, zero, so_far)?;
        updates.all.push((before, after));
        let never = f.binary(BinaryOp::Equal, before, zero)?;
        self.good = f.binary(BinaryOp::And, self.batch, never)?;
        f.binary(BinaryOp::And, self.good, due)
    }

    /// What is left of a sum of gradients: nothing once a step is due, whether it is passed over or not.
    pub(super) fn left(&self, f: &mut Formula<'_>, sum: ValueId, before: ValueId) -> Made {
        let zero = f.number(0.0);
        let kept = f.select(self.batch, sum, before)?;
        f.select(self.due, zero, kept)
    }

    /// Adds the next scale to the updates, and to the results what it is and whether the step is passed over.
    pub(super) fn update(
        self,
        graph: &mut Graph,
        updates: &mut Updates,
        results: &mut Vec<(String, ValueId)>,
    ) -> Result<(), GraphError> {
        let steps = graph.state(GOOD_STEPS, Tensor::scalar(0f32))?;
        let mut f = Formula::new(graph, "loss_scale");
        let (zero, one) = (f.number(0.0), f.number(1.0));
        let (next, interval) = (f.shift(steps, 1.0)?, f.number(INTERVAL));
        let grows = f.binary(BinaryOp::GreaterOrEqual, next, interval)?;
        let (doubled, largest) = (f.scale(self.scale, 2.0)?, f.number(LARGEST));
        let doubled = f.binary(BinaryOp::Min, doubled, largest)?;
        let halved = f.scale(self.scale, 0.5)?;
        let scale = f.select(grows, doubled, self.scale)?;
        let scale = f.select(self.good, scale, halved)?;
        let scale = f.select(self.due, scale, self.scale)?;
        let counted = f.select(grows, zero, next)?;
        let counted = f.select(self.good, counted, zero)?;
        let counted = f.select(self.due, counted, steps)?;
        let not = f.unary(UnaryOp::Not, self.good)?;
        let skipped = f.binary(BinaryOp::And, self.due, not)?;
        let skipped = f.select(skipped, one, zero)?;
        updates.all.extend([(self.scale, scale), (steps, counted)]);
        results.extend([(LOSS_SCALE.to_owned(), scale), (SKIPPED.to_owned(), skipped)]);
        Ok(())
    }
}

/// The sum of the squares of all elements. It is not finite where one of them is not: no square is negative, so none undoes
/// another one.
pub(super) fn squared_norm(graph: &mut Graph, gradients: &[ValueId]) -> Made {
    let mut f = Formula::new(graph, "norm");
    let mut sums = Vec::with_capacity(gradients.len());
    for gradient in gradients {
        let squares = f.mul(*gradient, *gradient)?;
        sums.push(f.total(squares)?);
    }
    f.sum_of(&sums)
}

/// Whether a number is finite.
pub(super) fn is_finite(graph: &mut Graph, number: ValueId) -> Made {
    let mut f = Formula::new(graph, "guard");
    // Looked at by its bits: drivers may assume that comparisons never meet NaN.
    let (nan, infinite) = (f.unary(UnaryOp::IsNan, number)?, f.unary(UnaryOp::IsInf, number)?);
    let wrong = f.binary(BinaryOp::Or, nan, infinite)?;
    f.unary(UnaryOp::Not, wrong)
}
