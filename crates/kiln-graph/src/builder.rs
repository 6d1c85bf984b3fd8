//! Building a graph from Rust, in the words of PyTorch.
//!
//! ```
//! use kiln_graph::{Builder, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut b = Builder::new("digits");
//! let x = b.input("image", ["N".into(), 1.into(), 28.into(), 28.into()]);
//! let w = b.parameter("conv.weight", Tensor::f32([8, 1, 5, 5], vec![0.04; 200])?);
//! let x = b.conv2d("conv", x, w, None, 2, 2);
//! let x = b.relu("relu", x);
//! let x = b.max_pool2d("pool", x, 2, 2, 0);
//! let x = b.flatten("flatten", x);
//! let w = b.parameter("fc.weight", Tensor::f32([10, 392], vec![0.01; 3920])?);
//! let x = b.linear("fc", x, w, None);
//! b.output("logits", x);
//! let graph = b.finish()?;
//! assert_eq!(graph.ty(graph.outputs()[0].value).to_string(), "f32[N, 10]");
//! # Ok(())
//! # }
//! ```
//!
//! The first thing that does not fit is remembered and returned by [`Builder::finish`], with the name of its layer;
//! what is built on it is passed over. So a network can be written down without a `?` behind each line.

use crate::dim::{Dim, product};
use crate::error::GraphError;
use crate::graph::{Graph, ValueId};
use crate::ops::{
    BatchNorm, BinaryOp, Conv, Dropout, MatMul, Op, Pool, PoolKind, Reduce, ReduceKind, Reshape, UnaryOp,
};
use crate::tensor::{Tensor, TensorType};

/// Something computed, stored or given; nothing where an earlier layer has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(Option<ValueId>);

/// Builds a graph; see the module's text.
#[derive(Debug)]
pub struct Builder {
    graph: Graph,
    error: Option<GraphError>,
}

impl Builder {
    /// Starts a graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { graph: Graph::new(name), error: None }
    }

    /// The graph, or the first error.
    pub fn finish(self) -> Result<Graph, GraphError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    fn keep(&mut self, result: Result<ValueId, GraphError>) -> Var {
        match result {
            Ok(id) => Var(Some(id)),
            Err(error) => {
                self.error.get_or_insert(error);
                Var(None)
            }
        }
    }

    /// The type of something, unless it failed.
    pub fn ty(&self, var: Var) -> Option<&TensorType> {
        var.0.map(|id| self.graph.ty(id))
    }

    /// An `f32` input; dimensions are numbers or names.
    pub fn input(&mut self, name: &str, shape: impl IntoIterator<Item = Dim>) -> Var {
        let id = self.graph.input(name, TensorType::f32(shape));
        self.keep(id)
    }

    /// A weight: part of the model's state, which training changes.
    pub fn parameter(&mut self, name: &str, value: Tensor) -> Var {
        let id = self.graph.state(name, value);
        self.keep(id)
    }

    /// A number or array that stays what it is.
    pub fn constant(&mut self, name: &str, value: Tensor) -> Var {
        Var(Some(self.graph.constant(name, value)))
    }

    /// Names a result.
    pub fn output(&mut self, name: &str, var: Var) {
        if let Some(id) = var.0
            && let Err(error) = self.graph.output(name, id)
        {
            self.error.get_or_insert(error);
        }
    }

    /// Any core operator with one output.
    pub fn apply(&mut self, name: &str, op: Op, inputs: &[Var]) -> Var {
        let inputs: Option<Vec<ValueId>> = inputs.iter().map(|var| var.0).collect();
        match inputs {
            Some(inputs) => {
                let id = self.graph.apply1(name, op, &inputs);
                self.keep(id)
            }
            None => Var(None),
        }
    }

    /// Convolution of `[N, C, H, W]` with a weight `[out, C, kh, kw]` and a bias `[out]`.
    pub fn conv2d(
        &mut self,
        name: &str,
        x: Var,
        weight: Var,
        bias: Option<Var>,
        stride: usize,
        padding: i64,
    ) -> Var {
        let conv = Conv { strides: vec![stride; 2], pads: vec![[padding; 2]; 2], ..Conv::new(2) };
        let y = self.apply(name, Op::Conv(conv), &[x, weight]);
        match bias {
            Some(bias) => {
                let channels = self.ty(bias).map_or_else(|| 1.into(), TensorType::elements);
                let shape = vec![1.into(), channels, 1.into(), 1.into()];
                let bias = self.apply(name, Op::Reshape(Reshape { shape }), &[bias]);
                self.apply(name, Op::Binary(BinaryOp::Add), &[y, bias])
            }
            None => y,
        }
    }

    /// Max pooling of `[N, C, H, W]`.
    pub fn max_pool2d(&mut self, name: &str, x: Var, kernel: usize, stride: usize, padding: i64) -> Var {
        let pool = Pool {
            strides: vec![stride; 2],
            pads: vec![[padding; 2]; 2],
            ..Pool::new(PoolKind::Max, vec![kernel; 2])
        };
        self.apply(name, Op::Pool(pool), &[x])
    }

    /// Mean over height and width: `[N, C, H, W]` to `[N, C, 1, 1]`, as `AdaptiveAvgPool2d(1)`.
    pub fn global_avg_pool2d(&mut self, name: &str, x: Var) -> Var {
        let reduce = Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep_dims: true };
        self.apply(name, Op::Reduce(reduce), &[x])
    }

    /// Batch normalization with running statistics, as in `eval()`; all four are `[C]`.
    pub fn batch_norm(&mut self, name: &str, x: Var, [scale, bias, mean, var]: [Var; 4]) -> Var {
        let op = BatchNorm { epsilon: 1e-5, momentum: 0.9, training: false, frozen: false, unbiased: true };
        self.apply(name, Op::BatchNorm(op), &[x, scale, bias, mean, var])
    }

    /// Dropout of a share `ratio` of the elements while the network trains, as `nn.Dropout`.
    pub fn dropout(&mut self, name: &str, x: Var, ratio: f32) -> Var {
        self.apply(name, Op::Dropout(Dropout { ratio, leading: None }), &[x])
    }

    /// Dropout of a share `ratio` of the channels of `[N, C, ...]` while the network trains, as `nn.Dropout1d` to
    /// `nn.Dropout3d`.
    pub fn dropout_channels(&mut self, name: &str, x: Var, ratio: f32) -> Var {
        self.apply(name, Op::Dropout(Dropout { ratio, leading: Some(2) }), &[x])
    }

    /// `x * weight^T + bias` with a weight `[out, in]`, as `nn.Linear`.
    pub fn linear(&mut self, name: &str, x: Var, weight: Var, bias: Option<Var>) -> Var {
        let op = MatMul { transpose_a: false, transpose_b: true };
        let y = self.apply(name, Op::MatMul(op), &[x, weight]);
        match bias {
            Some(bias) => self.apply(name, Op::Binary(BinaryOp::Add), &[y, bias]),
            None => y,
        }
    }

    /// All dimensions but the first as one.
    pub fn flatten(&mut self, name: &str, x: Var) -> Var {
        let Some((first, rest)) = self.ty(x).and_then(|ty| ty.shape.split_first()) else { return Var(None) };
        let shape = vec![first.clone(), product(rest)];
        self.apply(name, Op::Reshape(Reshape { shape }), &[x])
    }

    /// `max(x, 0)`
    pub fn relu(&mut self, name: &str, x: Var) -> Var {
        self.unary(name, UnaryOp::Relu, x)
    }

    /// An elementwise function.
    pub fn unary(&mut self, name: &str, op: UnaryOp, x: Var) -> Var {
        self.apply(name, Op::Unary(op), &[x])
    }

    /// An elementwise function of two operands, with broadcasting.
    pub fn binary(&mut self, name: &str, op: BinaryOp, a: Var, b: Var) -> Var {
        self.apply(name, Op::Binary(op), &[a, b])
    }

    /// `a + b`
    pub fn add(&mut self, name: &str, a: Var, b: Var) -> Var {
        self.binary(name, BinaryOp::Add, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, name: &str, a: Var, b: Var) -> Var {
        self.binary(name, BinaryOp::Mul, a, b)
    }
}
