//! What gradient rules are written with.
//!
//! A rule adds nodes to a graph in which the node it belongs to is already, and gives for each input the value that
//! is the gradient with respect to it: `None` where nothing arrives (the input has no influence that could be
//! differentiated, an index for example). Rules prefer the node's outputs to its inputs where both would do, so that
//! what has been fused into one kernel need not be kept apart.

use super::{BinaryOp, Expand, MatMul, Op, Reduce, ReduceKind, Reshape, Size, Transpose, UnaryOp};
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::{Data, Tensor, TensorType};

/// The gradient with respect to each input of a node.
pub type Gradients = Result<Vec<Option<ValueId>>, GraphError>;

/// A node seen from behind: its values, what has arrived for its outputs, and the graph to add to.
pub struct Adjoint<'a> {
    /// The graph that the node is in and that grows.
    pub graph: &'a mut Graph,
    name: String,
    op: &'static str,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    arrived: &'a [Option<ValueId>],
    wanted: &'a [bool],
}

impl<'a> Adjoint<'a> {
    /// The node `node` of `graph`, for whose outputs the gradients `arrived` are known and whose inputs are `wanted`.
    pub fn new(
        graph: &'a mut Graph,
        node: NodeId,
        arrived: &'a [Option<ValueId>],
        wanted: &'a [bool],
    ) -> Self {
        let this = graph.node(node);
        let (name, op) = (format!("{}.grad", this.name), this.op.name());
        let (inputs, outputs) = (this.inputs.clone(), this.outputs.clone());
        Self { graph, name, op, inputs, outputs, arrived, wanted }
    }

    /// What the nodes of the gradient are called: the node's name and `.grad`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Input `i` of the node.
    pub fn input(&self, i: usize) -> ValueId {
        self.inputs[i]
    }

    /// All inputs.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Output `i` of the node.
    pub fn output(&self, i: usize) -> ValueId {
        self.outputs[i]
    }

    /// Whether somebody wants the gradient with respect to input `i`.
    pub fn wants(&self, i: usize) -> bool {
        self.wanted.get(i).copied().unwrap_or(false)
    }

    /// The gradient with respect to the first output; an error if another output is what the loss depends on.
    pub fn dy(&self) -> Result<ValueId, GraphError> {
        match self.arrived {
            [Some(dy), rest @ ..] if rest.iter().all(Option::is_none) => Ok(*dy),
            _ => Err(self.none("only its first output can be differentiated")),
        }
    }

    /// The error that there is no gradient, and why.
    pub fn none(&self, reason: impl Into<String>) -> GraphError {
        let node = self.name.trim_end_matches(".grad").to_owned();
        GraphError::NoGradient { node, op: self.op, reason: reason.into() }
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        self.graph.ty(id)
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Vec<Dim> {
        self.graph.ty(id).shape.clone()
    }

    /// Applies an operator with one output.
    pub fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        self.graph.apply1(self.name.clone(), op, inputs)
    }

    /// An elementwise function of one operand.
    pub fn unary(&mut self, op: UnaryOp, x: ValueId) -> Result<ValueId, GraphError> {
        self.apply(Op::Unary(op), &[x])
    }

    /// An elementwise function of two operands.
    pub fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply(Op::Binary(op), &[a, b])
    }

    /// `a + b`
    pub fn add(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`
    pub fn div(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.binary(BinaryOp::Div, a, b)
    }

    /// `-x`
    pub fn neg(&mut self, x: ValueId) -> Result<ValueId, GraphError> {
        self.unary(UnaryOp::Neg, x)
    }

    /// `condition ? a : b`
    pub fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply(Op::Select, &[condition, a, b])
    }

    /// A number of the element type of `like`, without dimensions.
    pub fn number(&mut self, value: f64, like: ValueId) -> Result<ValueId, GraphError> {
        let dtype = self.ty(like).dtype;
        let data = match dtype {
            crate::DType::F64 => Data::F64(vec![value]),
            crate::DType::F16 => Data::F16(vec![half::f16::from_f64(value)]),
            crate::DType::F32 => Data::F32(vec![value as f32]),
            crate::DType::I32 => Data::I32(vec![value as i32]),
            crate::DType::I64 => Data::I64(vec![value as i64]),
            crate::DType::U8 | crate::DType::Bool => {
                return Err(self.none(format!("numbers of type {dtype} have no gradient")));
            }
        };
        Ok(self.graph.constant(format!("{value}"), Tensor::of_len([], data)))
    }

    /// A size as a number of the element type of `like`.
    pub fn size(&mut self, dim: Dim, like: ValueId) -> Result<ValueId, GraphError> {
        if let Some(n) = dim.as_const() {
            return self.number(n as f64, like);
        }
        let size = self.apply(Op::Size(Size { dim }), &[])?;
        let to = self.ty(like).dtype;
        if to == crate::DType::F32 { Ok(size) } else { self.apply(Op::Cast(super::Cast { to }), &[size]) }
    }

    /// A constant tensor of the element type of `like`.
    pub fn constant(
        &mut self,
        shape: Vec<usize>,
        data: Vec<f64>,
        like: ValueId,
    ) -> Result<ValueId, GraphError> {
        let tensor = Tensor::of_len(shape, Data::F32(data.into_iter().map(|x| x as f32).collect()));
        let constant = self.graph.constant(self.name.clone(), tensor);
        let to = self.ty(like).dtype;
        if to == crate::DType::F32 {
            return Ok(constant);
        }
        self.apply(Op::Cast(super::Cast { to }), &[constant])
    }

    /// Another shape of the same size.
    pub fn reshape(&mut self, x: ValueId, shape: Vec<Dim>) -> Result<ValueId, GraphError> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.apply(Op::Reshape(Reshape { shape }), &[x])
    }

    /// Stretched to a shape.
    pub fn expand(&mut self, x: ValueId, shape: Vec<Dim>) -> Result<ValueId, GraphError> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.apply(Op::Expand(Expand { shape }), &[x])
    }

    /// Permuted dimensions.
    pub fn transpose(&mut self, x: ValueId, perm: Vec<usize>) -> Result<ValueId, GraphError> {
        if perm.is_sorted() {
            return Ok(x);
        }
        self.apply(Op::Transpose(Transpose { perm }), &[x])
    }

    /// A reduction.
    pub fn reduce(
        &mut self,
        kind: ReduceKind,
        x: ValueId,
        axes: Vec<usize>,
        keep_dims: bool,
    ) -> Result<ValueId, GraphError> {
        if axes.is_empty() {
            return Ok(x);
        }
        self.apply(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
    }

    /// A matrix product.
    pub fn matmul(&mut self, op: MatMul, a: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply(Op::MatMul(op), &[a, b])
    }

    /// The gradient with respect to something of `shape` that was stretched to the shape of `x`: the sum over all
    /// places each element went to.
    pub fn sum_to(&mut self, x: ValueId, shape: &[Dim]) -> Result<ValueId, GraphError> {
        let from = self.shape(x);
        let missing = from.len() - shape.len();
        let stretched = |axis: &usize| *axis < missing || shape[axis - missing].is(1) && !from[*axis].is(1);
        let axes: Vec<usize> = (0..from.len()).filter(stretched).collect();
        let sum = self.reduce(ReduceKind::Sum, x, axes, true)?;
        self.reshape(sum, shape.to_vec())
    }

    /// `matrix` `[new, old]` applied along one axis of `x`, whose size there is `old`.
    pub fn along_axis(
        &mut self,
        x: ValueId,
        axis: usize,
        new: usize,
        matrix: ValueId,
    ) -> Result<ValueId, GraphError> {
        let shape = self.shape(x);
        let (before, after) = (product(&shape[..axis]), product(&shape[axis + 1..]));
        let stack = self.reshape(x, vec![before, shape[axis].clone(), after])?;
        let y = self.matmul(MatMul::default(), matrix, stack)?;
        let mut shape = shape;
        shape[axis] = new.into();
        self.reshape(y, shape)
    }
}

impl Op {
    /// The gradients with respect to the inputs of a node with this operator, as nodes added to its graph.
    pub fn gradient(&self, at: &mut Adjoint<'_>) -> Gradients {
        match self {
            Op::Conv(op) => op.gradient(at),
            Op::Pool(op) => op.gradient(at),
            Op::MatMul(op) => op.gradient(at),
            Op::BatchNorm(op) => op.gradient(at),
            Op::Softmax(op) => op.gradient(at),
            Op::Unary(op) => op.gradient(at),
            Op::Binary(op) => op.gradient(at),
            Op::Select => super::select::gradient(at),
            Op::Cast(op) => op.gradient(at),
            Op::Reduce(op) => op.gradient(at),
            Op::Reshape(op) => op.gradient(at),
            Op::Expand(op) => op.gradient(at),
            Op::Transpose(op) => op.gradient(at),
            Op::Slice(op) => op.gradient(at),
            Op::Concat(op) => op.gradient(at),
            Op::Pad(op) => op.gradient(at),
            Op::Gather(op) => op.gradient(at),
            Op::GatherElements(op) => op.gradient(at),
            Op::Resize(op) => op.gradient(at),
            Op::Dropout(_) => Ok(vec![Some(at.dy()?)]),
            // Indices and sizes do not change when the elements do a little.
            Op::ArgReduce(_) | Op::ShapeOf(_) | Op::Iota(_) | Op::Size(_) | Op::Random(_) => {
                Ok(vec![None; at.inputs().len()])
            }
            Op::ConvGradWeight(_) | Op::PoolGrad(_) => {
                Err(at.none("it is a gradient itself, and second derivatives are not supported"))
            }
        }
    }
}
