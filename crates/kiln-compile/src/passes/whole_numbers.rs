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

use kiln_graph::ops::Cast;
use kiln_graph::{DType, Formula, Graph, GraphError, Node, Op, Rewriter, Tensor, ValueId};

use super::constant::bytes_from;
use super::dequantized::{Activation, Weight, known, outputs, range};

/// 32-bit floats hold all whole numbers up to here.
const EXACT: f64 = 16_777_216.0;

/// And 32-bit integers up to here.
const LARGEST: f64 = 2_147_483_647.0;

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
        let axis = output_axis(&node.op, graph.ty(b).rank())?;
        let (x, weight, scale) = if graph.ty(a).dtype == DType::I32 {
            (a, known(graph, b)?, None)
        } else {
            let x = Activation::of(graph, a)?;
            let weight = Weight::of(graph, b, axis)?;
            (x.whole, weight.whole, Some(scale_of_product(&node.op, x.scale, &weight.scales)?))
        };
        let sums = largest_sum(&weight, axis, range(graph, x)?);
        let exact = sums <= EXACT;
        // Where nothing is won, it stays as it is.
        let wins = bytes_from(&weight).is_some() || exact;
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

/// The axis of a product's weight whose indices are channels or columns of the result.
fn output_axis(op: &Op, rank: usize) -> Option<usize> {
    if let Op::Conv(_) = op {
        Some(0)
    } else if let Op::MatMul(op) = op {
        rank.checked_sub(if op.transpose_b { 2 } else { 1 })
    } else {
        None
    }
}

/// The product of scales such that it broadcasts against the result.
fn scale_of_product(op: &Op, of_x: f64, of_outputs: &[f64]) -> Option<Tensor> {
    let products: Vec<f64> = of_outputs.iter().map(|scale| of_x * scale).collect();
    // One that overflows would make infinities of zeros, and a tiny one is rounded.
    if !products.iter().all(|product| (*product as f32).is_normal()) {
        return None;
    }
    let outputs = products.len();
    let behind = if let Op::Conv(op) = op { op.spatial() } else { 0 };
    let shape = if outputs == 1 { vec![] } else { [vec![outputs], vec![1; behind]].concat() };
    Tensor::of_numbers(shape, &products, DType::F32).ok()
}

/// The largest magnitude of any sum of some products of an output, where what is multiplied with the weight is in a range:
/// of all that are positive, or of all that are negative.
fn largest_sum(weight: &Tensor, axis: usize, (low, high): (i64, i64)) -> f64 {
    let (low, high) = (low as f64, high as f64);
    // Matrices of a batch are added up as if they were one.
    let mut sums = vec![(0f64, 0f64); weight.shape().get(axis).copied().unwrap_or(1)];
    for (output, value) in outputs(weight.shape(), axis).zip(weight.to_f64()) {
        let (negative, positive) = &mut sums[output];
        *negative += (value * low).min(value * high).min(0.0);
        *positive += (value * low).max(value * high).max(0.0);
    }
    sums.into_iter().fold(0.0, |most, (negative, positive)| most.max(-negative).max(positive))
}
