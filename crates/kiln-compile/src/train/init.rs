//! Weights to begin with.

use kiln_graph::ops::{BinaryOp, uniform};
use kiln_graph::{Def, Graph, GraphError, Node, Op, Tensor, ValueId};

/// What a state is for, as far as its first values depend on it.
enum Role {
    /// A weight or bias whose layer sums so many products for each output.
    Layer(usize),
    /// All elements the same.
    Filled(f32),
}

/// Gives all parameters the first values that PyTorch gives those of new layers, drawn from `seed`: weights and biases
/// of convolutions and linear layers uniform within `1 / sqrt(fan_in)` (He's initialization with `a = sqrt(5)`, which
/// is what `nn.Linear.reset_parameters` does), those of batch normalization 1 and 0, its statistics 0 and 1. States
/// that are nothing of this stay as they are.
pub fn initialize(model: &Graph, seed: u64) -> Result<Graph, GraphError> {
    let mut roles: Vec<Option<Role>> = model.values().iter().map(|_| None).collect();
    for node in model.nodes() {
        if let Op::BatchNorm(_) = &node.op {
            for (input, value) in node.inputs[1..].iter().zip([1.0, 0.0, 0.0, 1.0]) {
                roles[input.index()] = Some(Role::Filled(value));
            }
        }
        let Some(fan_in) = fan_in(model, node) else { continue };
        let is_state = |id: ValueId| matches!(model.value(id).def, Def::State(_));
        if is_state(node.inputs[1]) {
            roles[node.inputs[1].index()] = Some(Role::Layer(fan_in));
        }
        for reader in model.nodes().iter().filter(|other| other.inputs.contains(&node.outputs[0])) {
            if reader.op != Op::Binary(BinaryOp::Add) {
                continue;
            }
            for input in &reader.inputs {
                // A convolution's bias comes through a reshape.
                let through = model.producer(*input).map(|id| model.node(id));
                let source = match through {
                    Some(node) if matches!(node.op, Op::Reshape(_)) => node.inputs[0],
                    Some(_) | None => *input,
                };
                if is_state(source) && roles[source.index()].is_none() {
                    roles[source.index()] = Some(Role::Layer(fan_in));
                }
            }
        }
    }
    rewritten(model, seed, &roles)
}

/// How many products a layer sums for each output, if the node is a layer and its weight's shape is known.
fn fan_in(model: &Graph, node: &Node) -> Option<usize> {
    let weight = || model.ty(*node.inputs.get(1)?).static_shape();
    if let Op::Conv(_) = &node.op {
        Some(weight()?[1..].iter().product())
    } else if let Op::MatMul(op) = &node.op {
        let shape = weight()?;
        let [.., rows, columns] = shape[..] else { return Some(1) };
        Some(if op.transpose_b { columns } else { rows })
    } else {
        None
    }
}

fn rewritten(model: &Graph, seed: u64, roles: &[Option<Role>]) -> Result<Graph, GraphError> {
    let mut new = model.clone();
    for (number, id) in model.states().iter().enumerate() {
        let value = model.value(*id);
        let (Some(role), Some(shape)) = (&roles[id.index()], value.ty.static_shape()) else { continue };
        let count = shape.iter().product();
        let data = match role {
            Role::Filled(value) => vec![*value; count],
            Role::Layer(fan_in) => {
                let bound = 1.0 / (*fan_in.max(&1) as f32).sqrt();
                // The last word keeps these apart from the numbers of `Random` for the same seed.
                let key = [seed as u32, (seed >> 32) as u32];
                uniform(key, [number as u32, 0, 1], count).map(|x| (2.0 * x - 1.0) * bound).collect()
            }
        };
        let tensor = Tensor::f32(shape, data)?;
        new.set_state(*id, tensor)?;
    }
    Ok(new)
}
