//! Targets of any size: the model learns them with mean 0 and deviation 1, and answers in their own units.
//!
//! While it trains, mean and deviation are states beside the model; what leaves a program is scaled back. Once it has
//! learned, they go into its last layer ([`fold`]), so that weights, ONNX files and plans are those of a usual model.

use kiln_graph::ops::BinaryOp;
use kiln_graph::{Def, Dim, Formula, Graph, GraphError, Made, Op, Tensor, ValueId};

/// The state that is the mean of the targets.
pub const TARGET_MEAN: &str = "train.target_mean";
/// The state that is the deviation of the targets.
pub const TARGET_STD: &str = "train.target_std";

/// What targets are scaled by: one number for each element of a sample's target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetScale {
    /// Taken off.
    pub mean: Vec<f32>,
    /// Divided by.
    pub std: Vec<f32>,
}

/// Both as states of a graph.
pub(super) struct Scaled {
    mean: ValueId,
    std: ValueId,
}

impl Scaled {
    /// For targets of the shape of `output`.
    pub(super) fn new(graph: &mut Graph, scale: &TargetScale, output: ValueId) -> Result<Self, GraphError> {
        let shape: Option<Vec<usize>> = graph.ty(output).shape.iter().skip(1).map(Dim::as_usize).collect();
        let shape = shape.filter(|shape| {
            let count = shape.iter().product::<usize>();
            scale.mean.len() == count && scale.std.len() == count
        });
        let shape = shape.ok_or_else(|| {
            GraphError::Unsuitable(format!(
                "targets are scaled by {} numbers, but the model's output is {}",
                scale.mean.len(),
                graph.ty(output)
            ))
        })?;
        let mean = graph.state(TARGET_MEAN, Tensor::f32(shape.clone(), scale.mean.clone())?)?;
        let std = graph.state(TARGET_STD, Tensor::f32(shape, scale.std.clone())?)?;
        Ok(Self { mean, std })
    }

    /// A target as the model learns it.
    pub(super) fn target(&self, graph: &mut Graph, target: ValueId) -> Made {
        let mut f = Formula::new(graph, "scale");
        let apart = f.sub(target, self.mean)?;
        f.div(apart, self.std)
    }

    /// An answer in the units of the targets.
    pub(super) fn answer(&self, graph: &mut Graph, output: ValueId) -> Made {
        let mut f = Formula::new(graph, "scale");
        let wide = f.mul(output, self.std)?;
        f.add(wide, self.mean)
    }
}

/// The model with its last layer scaled, so that it answers in the units of the targets: weights times the deviation,
/// biases times the deviation plus the mean.
pub fn fold(model: &Graph, output: ValueId, scale: &TargetScale) -> Result<Graph, GraphError> {
    let unsuitable = || {
        GraphError::Unsuitable(
            "targets can be scaled where the model ends in a linear layer with a bias, whose weights take the scale".into(),
        )
    };
    let (weight, bias, columns_first) = last_layer(model, output).ok_or_else(unsuitable)?;
    let (Def::State(weights), Def::State(biases)) = (&model.value(weight).def, &model.value(bias).def) else {
        return Err(unsuitable());
    };
    let count = biases.shape().iter().product::<usize>();
    let of = |numbers: &[f32], k: usize| f64::from(numbers[if numbers.len() == 1 { 0 } else { k }]);
    if [scale.mean.len(), scale.std.len()].iter().any(|len| *len != 1 && *len != count) {
        return Err(unsuitable());
    }
    let inner = weights.to_f64().len() / count.max(1);
    let column = |place: usize| if columns_first { place / inner.max(1) } else { place % count };
    let scaled = weights.to_f64().into_iter().enumerate();
    let scaled = scaled.map(|(place, x)| (x * of(&scale.std, column(place))) as f32).collect();
    let shifted = biases.to_f64().into_iter().enumerate();
    let shifted = shifted.map(|(k, x)| (x * of(&scale.std, k) + of(&scale.mean, k)) as f32).collect();
    let mut folded = model.clone();
    folded.set_state(weight, Tensor::f32(weights.shape().to_vec(), scaled)?)?;
    folded.set_state(bias, Tensor::f32(biases.shape().to_vec(), shifted)?)?;
    Ok(folded)
}

/// Weight and bias of the linear layer that makes `output`, and whether a row of the weight belongs to one output.
fn last_layer(model: &Graph, output: ValueId) -> Option<(ValueId, ValueId, bool)> {
    let mut last = output;
    // The same numbers under another shape.
    while let Some(node) = model.producer(last).map(|id| model.node(id))
        && matches!(node.op, Op::Reshape(_))
    {
        last = node.inputs[0];
    }
    let sum = model.producer(last).map(|id| model.node(id))?;
    let (Op::Binary(BinaryOp::Add), [a, b]) = (&sum.op, &sum.inputs[..]) else { return None };
    let is_state = |id: ValueId| matches!(model.value(id).def, Def::State(_));
    let (product, bias) = if is_state(*b) { (*a, *b) } else { (*b, *a) };
    let node = model.producer(product).map(|id| model.node(id))?;
    let (Op::MatMul(op), [_, weight]) = (&node.op, &node.inputs[..]) else { return None };
    // What others read, too, cannot be scaled for one.
    let readers = |id: ValueId| {
        model.nodes().iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count()
    };
    let alone = [*weight, bias].into_iter().all(|id| is_state(id) && readers(id) == 1);
    let fits = model.ty(bias).rank() == 1 && model.ty(*weight).rank() == 2;
    (alone && fits).then_some((*weight, bias, op.transpose_b))
}
