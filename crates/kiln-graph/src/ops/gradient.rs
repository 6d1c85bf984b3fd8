//! The interface for gradient rules.
//!
//! A rule adds nodes to a graph in which the node it belongs to is already, and gives for each input the value that
//! is the gradient with respect to it: `None` where nothing arrives (the input has no influence that could be
//! differentiated, an index for example). Rules prefer the node's outputs to its inputs where both would do, so that
//! what has been fused into one kernel need not be kept apart.

use std::ops::{Deref, DerefMut};

use super::{MatMul, Op, ReduceKind, Size};
use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::formula::Formula;
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::{Data, Tensor};

/// The gradient with respect to each input of a node.
pub type Gradients = Result<Vec<Option<ValueId>>, GraphError>;

/// A node seen from behind: its values, what has arrived for its outputs, and the formula that is added to its graph,
/// whose nodes are called after the node and `.grad`.
pub struct Adjoint<'a> {
    formula: Formula<'a>,
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
        Self { formula: Formula::new(graph, name), op, inputs, outputs, arrived, wanted }
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

    /// Whether the gradient with respect to input `i` is needed.
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

    /// A number of the element type of `like`, without dimensions.
    pub fn number(&mut self, value: f64, like: ValueId) -> Result<ValueId, GraphError> {
        let dtype = self.ty(like).dtype;
        let data = match dtype {
            crate::DType::F64 => Data::F64(vec![value]),
            crate::DType::F16 => Data::F16(vec![half::f16::from_f64(value)]),
            crate::DType::F32 => Data::F32(vec![value as f32]),
            crate::DType::I32 => Data::I32(vec![value as i32]),
            crate::DType::I64 => Data::I64(vec![value as i64]),
            crate::DType::U8
            | crate::DType::I8
            | crate::DType::U16
            | crate::DType::I16
            | crate::DType::U32
            | crate::DType::Bool => {
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
        self.cast(size, to)
    }

    /// A constant tensor of the element type of `like`.
    pub fn constant(
        &mut self,
        shape: Vec<usize>,
        data: Vec<f64>,
        like: ValueId,
    ) -> Result<ValueId, GraphError> {
        let tensor = Tensor::of_len(shape, Data::F32(data.into_iter().map(|x| x as f32).collect()));
        let name = self.name.clone();
        let constant = self.graph.constant(name, tensor);
        let to = self.ty(like).dtype;
        self.cast(constant, to)
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

impl<'a> Deref for Adjoint<'a> {
    type Target = Formula<'a>;

    fn deref(&self) -> &Formula<'a> {
        &self.formula
    }
}

impl DerefMut for Adjoint<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.formula
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
            Op::Scatter(op) => op.gradient(at),
            Op::Resize(op) => op.gradient(at),
            Op::Dropout(_) => Ok(vec![Some(at.dy()?)]),
            Op::StopGradient => super::stop_gradient::gradient(at),
            Op::Loop(op) => op.gradient(at),
            // Indices and sizes do not change when the elements do a little.
            Op::ArgReduce(_)
            | Op::ArgSort(_)
            | Op::Nonzero(_)
            | Op::Suppress(_)
            | Op::ShapeOf(_)
            | Op::Iota(_)
            | Op::Size(_)
            | Op::Random(_) => Ok(vec![None; at.inputs().len()]),
            Op::ConvGradWeight(_) | Op::PoolGrad(_) => {
                Err(at.none("it is a gradient itself, and second derivatives are not supported"))
            }
        }
    }
}
