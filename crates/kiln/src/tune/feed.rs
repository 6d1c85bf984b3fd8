//! Inputs for what is only measured: floats of either sign below one, the same in each run, and zeros of all other types,
//! which are valid as indices, as classes and as a learning rate.

use std::collections::BTreeMap;

use kiln_compile::host_dtype;
use kiln_graph::{Bindings, Graph, Tensor};
use kiln_plan::{Plan, Program};
use kiln_runtime::{DType, Data, HostTensor, RuntimeError, f16};

use crate::{Error, from_host, graph::GraphError};

/// Inputs by name.
pub(super) type Feed = Vec<(String, HostTensor)>;

/// The inputs as a session takes them.
pub(super) fn borrowed(feed: &Feed) -> Vec<(&str, &HostTensor)> {
    feed.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

/// Inputs of a program, as large as it has memory for.
pub(super) fn of_program(plan: &Plan, program: &Program) -> Result<Feed, RuntimeError> {
    let largest: Vec<i64> = plan.symbols.iter().map(|symbol| i64::from(symbol.max)).collect();
    let tensors = program.inputs.iter().filter_map(|input| plan.tensors.get(*input)).enumerate();
    let made = |(n, tensor): (usize, &kiln_plan::Tensor)| {
        let size = |dim: &kiln_plan::Expr| usize::try_from(dim.eval(&largest)).unwrap_or(0);
        let shape: Vec<usize> = tensor.shape.iter().map(size).collect();
        Ok((tensor.name.clone(), made_up(n, tensor.dtype, shape)?))
    };
    tensors.map(made).collect()
}

/// Inputs of a graph, for given values of its symbols; the same for an evaluator.
pub(super) fn of_graph(graph: &Graph, symbols: &Bindings) -> Result<(Feed, BTreeMap<String, Tensor>), Error> {
    let mut feed = Feed::new();
    let mut tensors = BTreeMap::new();
    for (n, id) in graph.inputs().iter().enumerate() {
        let value = graph.value(*id);
        let size = |dim: &kiln_graph::Dim| {
            let size = dim.eval(symbols).ok().and_then(|size| usize::try_from(size).ok());
            size.unwrap_or(0)
        };
        let shape: Vec<usize> = value.ty.shape.iter().map(size).collect();
        let made = made_up(n, host_dtype(value.ty.dtype), shape)?;
        tensors.insert(value.name.clone(), from_host(&made).map_err(GraphError::from)?);
        feed.push((value.name.clone(), made));
    }
    Ok((feed, tensors))
}

fn made_up(input: usize, dtype: DType, shape: Vec<usize>) -> Result<HostTensor, RuntimeError> {
    let count = shape.iter().product();
    // A number without dimensions is a learning rate, a momentum: what it multiplies stays as it is.
    let numbers = || (0..count).map(|n| if shape.is_empty() { 0.0 } else { noise(input, n) });
    let data: Data = match dtype {
        DType::F32 => numbers().map(|x| x as f32).collect::<Vec<f32>>().into(),
        DType::F16 => numbers().map(f16::from_f64).collect::<Vec<f16>>().into(),
        DType::F64 => numbers().collect::<Vec<f64>>().into(),
        _ => return Ok(HostTensor::zeros(dtype, shape)),
    };
    HostTensor::new(shape, data)
}

/// A number from -1 to 1 that follows from its place (SplitMix64's finalizer, Steele et al. 2014).
fn noise(input: usize, place: usize) -> f64 {
    let mut z = (input as u64) << 40 ^ (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
