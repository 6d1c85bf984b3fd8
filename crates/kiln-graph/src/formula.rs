//! Writing formulas as nodes.

use crate::dim::Dim;
use crate::error::{GraphError, ShapeError};
use crate::fold::fold;
use crate::graph::{Graph, ValueId};
use crate::ops::{
    BinaryOp, Cast, Expand, MatMul, Op, Reduce, ReduceKind, Reshape, Size, Slice, SliceAxis, Transpose,
    UnaryOp,
};
use crate::tensor::{DType, Tensor, TensorType};

/// A value, or what is wrong with the graph.
pub type Made = Result<ValueId, GraphError>;

/// A graph that a formula is added to; all its nodes are called `name`.
pub struct Formula<'a> {
    /// The graph.
    pub graph: &'a mut Graph,
    /// The name of the nodes.
    pub name: String,
    /// Whether what follows from small constants is computed at once.
    folds: bool,
}

impl<'a> Formula<'a> {
    /// A formula called `name`.
    pub fn new(graph: &'a mut Graph, name: impl Into<String>) -> Self {
        Self { graph, name: name.into(), folds: false }
    }

    /// A formula called `name` of which whatever follows from small constants alone is computed at once. A front end
    /// needs that, since shapes and sizes may hang on it.
    pub fn folding(graph: &'a mut Graph, name: impl Into<String>) -> Self {
        Self { graph, name: name.into(), folds: true }
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        self.graph.ty(id)
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Vec<Dim> {
        self.graph.ty(id).shape.clone()
    }

    /// That two sizes are equal: the one that stands for both, or nothing if they cannot be; see [`Guards`](crate::Guards).
    pub fn same(&mut self, a: &Dim, b: &Dim) -> Option<Dim> {
        self.graph.assume(&self.name, |_, guards| guards.equal(a, b))
    }

    /// That `a` is at least `b`: whether it can be; see [`Guards`](crate::Guards).
    pub fn at_least(&mut self, a: &Dim, b: &Dim) -> bool {
        self.graph.assume(&self.name, |_, guards| guards.at_least(a, b).then_some(())).is_some()
    }

    /// That `a` differs from `b`: whether it can; see [`Guards`](crate::Guards).
    pub fn differ(&mut self, a: &Dim, b: &Dim) -> bool {
        self.graph.assume(&self.name, |_, guards| guards.differ(a, b).then_some(())).is_some()
    }

    /// Any operator with one output.
    pub fn apply(&mut self, op: Op, inputs: &[ValueId]) -> Made {
        if self.folds
            && let Some(tensor) = fold(self.graph, &op, inputs)
        {
            return Ok(self.graph.constant(self.name.clone(), tensor));
        }
        self.graph.apply1(self.name.clone(), op, inputs)
    }

    /// A number.
    pub fn number(&mut self, value: f64) -> ValueId {
        self.graph.constant(format!("{}.number", self.name), Tensor::scalar(value as f32))
    }

    /// A number of the element type of `like`, rounded to it.
    pub fn number_like(&mut self, value: f64, like: ValueId) -> ValueId {
        let dtype = self.ty(like).dtype;
        self.constant(Tensor::number(value, dtype))
    }

    /// A constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.graph.constant(format!("{}.constant", self.name), tensor)
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

    /// An elementwise function of `x` and a number of its element type.
    pub fn with(&mut self, op: BinaryOp, x: ValueId, number: f64) -> Made {
        let number = self.number_like(number, x);
        self.binary(op, x, number)
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

    /// `-x`
    pub fn neg(&mut self, x: ValueId) -> Made {
        self.unary(UnaryOp::Neg, x)
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

    /// As another element type.
    pub fn cast(&mut self, x: ValueId, to: DType) -> Made {
        if self.ty(x).dtype == to {
            return Ok(x);
        }
        self.apply(Op::Cast(Cast { to }), &[x])
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: ValueId, shape: Vec<Dim>) -> Made {
        if self.graph.ty(x).shape == shape {
            return Ok(x);
        }
        self.apply(Op::Reshape(Reshape { shape }), &[x])
    }

    /// Stretched to a shape.
    pub fn expand(&mut self, x: ValueId, shape: Vec<Dim>) -> Made {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.apply(Op::Expand(Expand { shape }), &[x])
    }

    /// Permuted dimensions.
    pub fn transpose(&mut self, x: ValueId, perm: Vec<usize>) -> Made {
        if perm.is_sorted() {
            return Ok(x);
        }
        self.apply(Op::Transpose(Transpose { perm }), &[x])
    }

    /// Parts of some axes.
    pub fn slice(&mut self, x: ValueId, axes: Vec<SliceAxis>) -> Made {
        if axes.is_empty() {
            return Ok(x);
        }
        self.apply(Op::Slice(Slice { axes }), &[x])
    }

    /// A reduction.
    pub fn reduce(&mut self, kind: ReduceKind, x: ValueId, axes: Vec<usize>, keep_dims: bool) -> Made {
        if axes.is_empty() {
            return Ok(x);
        }
        self.apply(Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
    }

    /// The sum over `axes`, which are left out.
    pub fn sum(&mut self, x: ValueId, axes: Vec<usize>) -> Made {
        self.reduce(ReduceKind::Sum, x, axes, false)
    }

    /// The sum of all elements.
    pub fn total(&mut self, x: ValueId) -> Made {
        let rank = self.ty(x).rank();
        self.sum(x, (0..rank).collect())
    }

    /// A matrix product.
    pub fn matmul(&mut self, op: MatMul, a: ValueId, b: ValueId) -> Made {
        self.apply(Op::MatMul(op), &[a, b])
    }

    /// The sum of some numbers.
    pub fn sum_of(&mut self, numbers: &[ValueId]) -> Made {
        let Some((first, rest)) = numbers.split_first() else { return Ok(self.number(0.0)) };
        rest.iter().try_fold(*first, |sum, number| self.add(sum, *number))
    }

    /// The product of some integers; one for none.
    pub fn product_of(&mut self, integers: &[ValueId]) -> Made {
        let Some((first, rest)) = integers.split_first() else { return Ok(self.constant(Tensor::int(1))) };
        rest.iter().try_fold(*first, |product, integer| self.mul(product, *integer))
    }

    /// That the inputs of the function called `op` contradict each other or its attributes.
    pub(crate) fn mismatch<T>(&self, op: &'static str, message: impl Into<String>) -> Result<T, GraphError> {
        let source = ShapeError::Mismatch(message.into());
        Err(GraphError::Node { node: self.name.clone(), op, source })
    }
}
