//! Products of quantized numbers are products of whole numbers: scales move behind them.
//!
//! ```text
//! before: a = mul(cast(x: i32): f32, s)    b = mul(cast(w: i32): f32, t)    y = conv(a, b)
//! after:  p = conv(cast(x): f32, w: f32)   y = mul(p, s * t)
//!
//! before: y = conv(x: i32, w: i32)
//! after:  p = conv(cast(x): f32, w: f32)   y = cast(p): i32
//! ```
//!
//! A weight that is whole numbers of 8 bits is stored as such (`memory/packed.rs`), and 32-bit floats are what kernels are
//! fastest with. They are exact in any order as long as no sum of some of the products can leave 2^24, which follows from the
//! weight and from the range of what it multiplies; products that might are made of i32.

use std::collections::HashMap;

use kiln_graph::ops::{BinaryOp, Cast};
use kiln_graph::{
    Bindings, DType, Def, Formula, Graph, GraphError, Node, Op, Precision, Rewriter, Tensor, ValueId,
};

use super::constant::holds_bytes;

/// 32-bit floats hold all whole numbers up to here.
const EXACT: f64 = 16_777_216.0;

/// And 32-bit integers up to here.
const LARGEST: f64 = 2_147_483_647.0;

/// How many nodes back values are followed.
const DEPTH: usize = 16;

/// Makes products of quantized numbers products of whole ones.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    // Of integers that are a float's, the float.
    let mut floats: HashMap<ValueId, ValueId> = HashMap::new();
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let inputs = rewriter.inputs(id)?;
        if let (Op::Conv(_) | Op::MatMul(_), &[a, b]) = (&node.op, &inputs[..])
            && let Some(product) = Product::of(&rewriter.graph, node, a, b)
        {
            let result = product.write(&mut rewriter.graph, node, &mut floats)?;
            rewriter.map(node.outputs[0], result);
        } else if let (Op::Cast(Cast { to: DType::F32 }), [x]) = (&node.op, &inputs[..])
            && let Some(float) = floats.get(x)
        {
            rewriter.map(node.outputs[0], *float);
        } else {
            rewriter.copy(id)?;
        }
    }
    rewriter.finish()
}

/// A product of whole numbers.
struct Product {
    /// What varies, in i32.
    x: ValueId,
    /// The weight, whole numbers.
    weight: Tensor,
    /// What a product of floats is multiplied with.
    scale: Option<Tensor>,
    /// Whether 32-bit floats are exact.
    exact: bool,
}

impl Product {
    /// Of a node, whose inputs are `a` and `b` now.
    fn of(graph: &Graph, node: &Node, a: ValueId, b: ValueId) -> Option<Self> {
        let (x, weight, scale) = if graph.ty(a).dtype == DType::I32 {
            (a, known(graph, b, DEPTH)?, None)
        } else {
            let (left, right) = (Scaled::of(graph, a)?, Scaled::of(graph, b)?);
            let weight = known(graph, right.whole, DEPTH)?;
            (
                left.whole,
                weight,
                Some(scale_of_product(node, weight_shape(graph, b)?, left.scale, right.scale)?),
            )
        };
        let sums = largest_sum(node, &weight, range(graph, x, DEPTH)?)?;
        let exact = sums <= EXACT;
        // Where nothing is won, it stays as it is.
        let wins = holds_bytes(&weight) || exact;
        (sums <= LARGEST && wins && (exact || scale.is_some())).then_some(Self { x, weight, scale, exact })
    }

    fn write(
        self,
        graph: &mut Graph,
        node: &Node,
        floats: &mut HashMap<ValueId, ValueId>,
    ) -> Result<ValueId, GraphError> {
        let mut f = Formula::new(graph, &node.name);
        let dtype = if self.exact { DType::F32 } else { DType::I32 };
        let x = f.cast(self.x, dtype)?;
        let numbers = Tensor::of_numbers(self.weight.shape(), &self.weight.to_f64(), dtype)
            .map_err(|error| GraphError::Invalid(error.to_string()))?;
        let weight = f.graph.constant(format!("{}.weight", node.name), numbers);
        let sums = f.apply(node.op.clone(), &[x, weight])?;
        let Some(scale) = self.scale else {
            let whole = f.cast(sums, DType::I32)?;
            floats.insert(whole, sums);
            return Ok(whole);
        };
        let sums = f.cast(sums, DType::F32)?;
        let scale = f.graph.constant(format!("{}.scale", node.name), scale);
        f.mul(sums, scale)
    }
}

/// A value that is integers times constants.
struct Scaled {
    whole: ValueId,
    scale: Tensor,
}

impl Scaled {
    fn of(graph: &Graph, id: ValueId) -> Option<Self> {
        let node = graph.node(graph.producer(id)?);
        let (Op::Binary(BinaryOp::Mul), &[a, b]) = (&node.op, &node.inputs[..]) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(numbers, scale)| {
            let cast = graph.node(graph.producer(numbers)?);
            let whole = *cast.inputs.first()?;
            let from_integers = matches!(cast.op, Op::Cast(_)) && graph.ty(whole).dtype == DType::I32;
            let same_shape = graph.ty(numbers).shape == graph.ty(id).shape;
            (from_integers && same_shape && graph.ty(id).dtype == DType::F32)
                .then_some(())
                .and_then(|()| Some(Self { whole, scale: known(graph, scale, DEPTH)? }))
        })
    }
}

fn weight_shape(graph: &Graph, id: ValueId) -> Option<Vec<usize>> {
    graph.ty(id).static_shape()
}

/// The axis of a product's weight whose indices are channels or columns of the result.
fn output_axis(node: &Node, rank: usize) -> Option<usize> {
    match &node.op {
        Op::Conv(_) => Some(0),
        Op::MatMul(op) => rank.checked_sub(if op.transpose_b { 2 } else { 1 }),
        _ => None,
    }
}

/// The product of scales such that it broadcasts against the result; one of `a` and one or one for each output of the
/// weight.
fn scale_of_product(node: &Node, weight: Vec<usize>, a: Tensor, b: Tensor) -> Option<Tensor> {
    let [of_a] = a.to_f64()[..] else { return None };
    let outputs = b.len();
    if outputs > 1 {
        let axis = output_axis(node, weight.len())?;
        let missing = weight.len().checked_sub(b.shape().len())?;
        let own = axis.checked_sub(missing)?;
        if b.shape().get(own) != Some(&outputs) {
            return None;
        }
    }
    let shape = match &node.op {
        _ if outputs == 1 => vec![],
        Op::Conv(op) => [vec![outputs], vec![1; op.spatial()]].concat(),
        _ => vec![outputs],
    };
    let products: Vec<f64> = b.to_f64().into_iter().map(|of_b| of_a * of_b).collect();
    Tensor::of_numbers(shape, &products, DType::F32).ok()
}

/// The largest magnitude of any sum of some products of an output, where what is multiplied with the weight is in a range:
/// of all that are positive, or of all that are negative.
fn largest_sum(node: &Node, weight: &Tensor, (low, high): (i64, i64)) -> Option<f64> {
    let shape = weight.shape();
    let axis = output_axis(node, shape.len())?;
    let outputs = *shape.get(axis)?;
    let inner: usize = shape.get(axis + 1..)?.iter().product();
    let (low, high) = (low as f64, high as f64);
    // Matrices of a batch are added up as if they were one.
    let mut sums = vec![(0f64, 0f64); outputs];
    for (i, value) in weight.to_f64().into_iter().enumerate() {
        let (negative, positive) = &mut sums[i / inner.max(1) % outputs.max(1)];
        *negative += (value * low).min(value * high).min(0.0);
        *positive += (value * low).max(value * high).max(0.0);
    }
    Some(sums.into_iter().fold(0.0, |most, (negative, positive)| most.max(-negative).max(positive)))
}

/// A value that follows from constants alone.
fn known(graph: &Graph, id: ValueId, depth: usize) -> Option<Tensor> {
    if let Def::Constant(tensor) = &graph.value(id).def {
        return Some(tensor.clone());
    }
    let node = graph.node(graph.producer(id)?);
    let moves = matches!(
        node.op,
        Op::Cast(_) | Op::Binary(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::Slice(_)
    );
    if !moves || depth == 0 {
        return None;
    }
    let inputs = node.inputs.iter().map(|id| known(graph, *id, depth - 1)).collect::<Option<Vec<_>>>()?;
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let [result] = node.op.evaluate(&inputs, Precision::F32, &Bindings::new()).ok()?.try_into().ok()?;
    Some(result)
}

/// Smallest and largest value of integers of at most 16 bits, and of what differences of such can be.
fn range(graph: &Graph, id: ValueId, depth: usize) -> Option<(i64, i64)> {
    let dtype = graph.ty(id).dtype;
    if matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16 | DType::Bool) {
        return dtype.integer_range();
    }
    if let Def::Constant(tensor) = &graph.value(id).def {
        let numbers = tensor.to_ints()?;
        return Some((*numbers.iter().min()?, *numbers.iter().max()?));
    }
    let node = graph.node(graph.producer(id)?);
    let depth = depth.checked_sub(1)?;
    let of = |n: usize| range(graph, *node.inputs.get(n)?, depth);
    match &node.op {
        Op::Cast(_) if graph.ty(node.inputs[0]).dtype.is_float() || dtype != DType::I32 => None,
        Op::Cast(_) | Op::Reshape(_) | Op::Transpose(_) | Op::Expand(_) | Op::Slice(_) => of(0),
        Op::Binary(BinaryOp::Sub) => {
            let (a, b) = (of(0)?, of(1)?);
            Some((a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?))
        }
        _ => None,
    }
}
