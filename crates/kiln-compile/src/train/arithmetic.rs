//! Writing formulas as nodes.

use kiln_graph::ops::{BinaryOp, Cast, Reduce, ReduceKind, Reshape, Size, UnaryOp};
use kiln_graph::{DType, Dim, Graph, GraphError, Op, Tensor, ValueId};

/// A value, or what is wrong with the graph.
pub type Made = Result<ValueId, GraphError>;

/// A graph that a formula is added to; all its nodes are called `name`.
pub struct Formula<'a> {
    /// The graph.
    pub graph: &'a mut Graph,
    /// What the nodes are called.
    pub name: String,
}

impl<'a> Formula<'a> {
    /// A formula called `name`.
    pub fn new(graph: &'a mut Graph, name: impl Into<String>) -> Self {
        Self { graph, name: name.into() }
    }

    /// Any operator with one output.
    pub fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Made {
        self.graph.apply1(self.name.clone(), op, inputs)
    }

    /// A number.
    pub fn number(&mut self, value: f64) -> ValueId {
        self.graph.constant(format!("{}.number", self.name), Tensor::scalar(value as f32))
    }

    /// A size as a number.
    pub fn size(&mut self, dim: Dim) -> Made {
        self.apply(Op::Size(Size { dim }), &[])
    }

    /// An elementwise function.
    pub fn unary(&mut self, op: UnaryOp, x: ValueId) -> Made {
        self.apply(Op::Unary(op), &[x])
    }

    /// An elementwise function of two operands, with broadcasting.
    pub fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> Made {
        self.apply(Op::Binary(op), &[a, b])
    }

    /// `a + b`
    pub fn add(&mut self, a: ValueId, b: ValueId) -> Made {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> Made {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> Made {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`
    pub fn div(&mut self, a: ValueId, b: ValueId) -> Made {
        self.binary(BinaryOp::Div, a, b)
    }

    /// `x * factor`
    pub fn scale(&mut self, x: ValueId, factor: f64) -> Made {
        if factor == 1.0 {
            return Ok(x);
        }
        let factor = self.number(factor);
        self.mul(x, factor)
    }

    /// `x + term`
    pub fn shift(&mut self, x: ValueId, term: f64) -> Made {
        let term = self.number(term);
        self.add(x, term)
    }

    /// `1 - x`
    pub fn one_minus(&mut self, x: ValueId) -> Made {
        let one = self.number(1.0);
        self.sub(one, x)
    }

    /// `condition ? a : b`
    pub fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Made {
        self.apply(Op::Select, &[condition, a, b])
    }

    /// As `f32`.
    pub fn float(&mut self, x: ValueId) -> Made {
        self.apply(Op::Cast(Cast { to: DType::F32 }), &[x])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: ValueId, shape: Vec<Dim>) -> Made {
        if self.graph.ty(x).shape == shape {
            return Ok(x);
        }
        self.apply(Op::Reshape(Reshape { shape }), &[x])
    }

    /// The sum over `axes`.
    pub fn sum(&mut self, x: ValueId, axes: Vec<usize>) -> Made {
        self.apply(Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false }), &[x])
    }

    /// The sum of all elements.
    pub fn total(&mut self, x: ValueId) -> Made {
        let rank = self.graph.ty(x).rank();
        if rank == 0 { Ok(x) } else { self.sum(x, (0..rank).collect()) }
    }

    /// The sum of some numbers.
    pub fn sum_of(&mut self, numbers: &[ValueId]) -> Made {
        let Some((first, rest)) = numbers.split_first() else { return Ok(self.number(0.0)) };
        rest.iter().try_fold(*first, |sum, number| self.add(sum, *number))
    }
}
