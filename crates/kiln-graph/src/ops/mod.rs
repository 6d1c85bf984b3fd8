//! The core operators.
//!
//! There are few: whatever else a model format knows is written in terms of these where it is imported.
//! Each operator is one file with its attributes, its shape rule and its evaluation; [`Op`] lists them all,
//! and every match over it is exhaustive, so the compiler names the places a new operator has to fill.
//!
//! An operator's gradient is in its file, too, below its evaluation: a rule that, given the node's inputs and outputs
//! and the gradients of its outputs as values of a graph, adds the nodes that make the gradients of its inputs; see
//! [`Adjoint`]. [`Op::gradient`] is one more exhaustive match beside [`Op::infer`] and [`Op::evaluate`].

mod arg_reduce;
mod arg_sort;
mod batch_norm;
mod binary;
mod cast;
mod concat;
mod conv;
mod conv_grad;
mod coordinates;
mod dropout;
mod evaluate;
mod expand;
mod gather;
mod gradient;
mod iota;
mod kind;
mod loop_;
mod matmul;
mod nonzero;
mod pad;
mod pool;
mod pool_grad;
mod random;
mod reduce;
mod reshape;
mod resize;
mod scatter;
mod select;
mod shape_of;
mod size;
mod slice;
mod softmax;
mod stop_gradient;
mod suppress;
mod transpose;
mod unary;

pub use arg_reduce::{ArgKind, ArgReduce};
pub use arg_sort::ArgSort;
pub use batch_norm::{BatchNorm, BatchStatistics};
pub use binary::{BinaryOp, broadcast, broadcast_shapes};
pub use cast::Cast;
pub use concat::Concat;
pub use conv::{Conv, window_output};
pub use conv_grad::ConvGradWeight;
pub use coordinates::ResizedAxis;
pub use dropout::Dropout;
pub use evaluate::Precision;
pub use expand::Expand;
pub use gather::{Gather, GatherElements};
pub use gradient::{Adjoint, Gradients};
pub use iota::Iota;
pub use kind::Kind;
pub use loop_::{Along, Loop};
pub use matmul::MatMul;
pub use nonzero::Nonzero;
pub use pad::{Pad, PadMode};
pub use pool::{Pool, PoolKind};
pub use pool_grad::PoolGrad;
pub use random::{Random, uniform};
pub use reduce::{Reduce, ReduceKind};
pub use reshape::Reshape;
pub use resize::{CoordinateMode, NearestMode, Resize, ResizeMode};
pub use scatter::{Scatter, ScatterReduction};
pub use shape_of::ShapeOf;
pub use size::Size;
pub use slice::{Slice, SliceAxis};
pub use softmax::Softmax;
pub use suppress::Suppress;
pub use transpose::Transpose;
pub use unary::{UnaryOp, erf};

use std::sync::Arc;

use crate::dim::{Bindings, Dim};
use crate::error::{EvalError, ShapeError};
use crate::guards::Guards;
use crate::tensor::TensorType;

/// A core operator with its attributes. Input order is documented at each attribute struct.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution in 1 to 3 dimensions.
    Conv(Conv),
    /// Max and average pooling in 1 to 3 dimensions.
    Pool(Pool),
    /// Matrix product with batch dimensions.
    MatMul(MatMul),
    /// Batch normalization.
    BatchNorm(BatchNorm),
    /// Softmax or its logarithm along an axis.
    Softmax(Softmax),
    /// Elementwise function of one operand.
    Unary(UnaryOp),
    /// Elementwise function of two operands, with broadcasting.
    Binary(BinaryOp),
    /// Elementwise choice `condition ? a : b`, with broadcasting.
    Select,
    /// Conversion to another element type.
    Cast(Cast),
    /// Reduction over axes.
    Reduce(Reduce),
    /// Index of the largest or smallest element along an axis.
    ArgReduce(ArgReduce),
    /// The same elements under another shape.
    Reshape(Reshape),
    /// Broadcast to a shape.
    Expand(Expand),
    /// Permutation of dimensions.
    Transpose(Transpose),
    /// Strided part of a tensor.
    Slice(Slice),
    /// Concatenation along an axis.
    Concat(Concat),
    /// Padding.
    Pad(Pad),
    /// Selection along an axis by indices.
    Gather(Gather),
    /// Elementwise selection along an axis by indices.
    GatherElements(GatherElements),
    /// Elements changed along an axis by indices.
    Scatter(Scatter),
    /// Indices that sort along an axis.
    ArgSort(ArgSort),
    /// Positions of elements that are not zero.
    Nonzero(Nonzero),
    /// Which boxes non-maximum suppression keeps.
    Suppress(Suppress),
    /// Interpolation to another spatial size.
    Resize(Resize),
    /// The dimensions of a value as an int64 tensor.
    ShapeOf(ShapeOf),
    /// Index along an axis.
    Iota(Iota),
    /// A size as a number.
    Size(Size),
    /// Random numbers.
    Random(Random),
    /// Dropout; in inference the identity.
    Dropout(Dropout),
    /// The identity that no gradient passes.
    StopGradient,
    /// Gradient of a convolution with respect to its weight.
    ConvGradWeight(ConvGradWeight),
    /// Gradient of a pooling.
    PoolGrad(PoolGrad),
    /// A graph that is run once for each step.
    Loop(Loop),
}

impl Op {
    /// The name in the text form and in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(_) => "conv",
            Op::Pool(p) => p.kind.name(),
            Op::MatMul(_) => "matmul",
            Op::BatchNorm(_) => "batch_norm",
            Op::Softmax(s) => s.name(),
            Op::Unary(u) => u.name(),
            Op::Binary(b) => b.name(),
            Op::Select => "select",
            Op::Cast(_) => "cast",
            Op::Reduce(r) => r.kind.name(),
            Op::ArgReduce(a) => a.kind.name(),
            Op::Reshape(_) => "reshape",
            Op::Expand(_) => "expand",
            Op::Transpose(_) => "transpose",
            Op::Slice(_) => "slice",
            Op::Concat(_) => "concat",
            Op::Pad(_) => "pad",
            Op::Gather(_) => "gather",
            Op::GatherElements(_) => "gather_elements",
            Op::Scatter(_) => "scatter",
            Op::ArgSort(_) => "arg_sort",
            Op::Nonzero(_) => "nonzero",
            Op::Suppress(_) => "suppress",
            Op::Resize(_) => "resize",
            Op::ShapeOf(_) => "shape_of",
            Op::Iota(_) => "iota",
            Op::Size(_) => "size",
            Op::Random(_) => "random",
            Op::Dropout(_) => "dropout",
            Op::StopGradient => "stop_gradient",
            Op::ConvGradWeight(_) => "conv_grad_weight",
            Op::PoolGrad(op) => op.name(),
            Op::Loop(_) => "loop",
        }
    }

    /// The name of the count that a node with this operator defines: how many elements it finds in its data.
    pub fn count(&self) -> Option<&Arc<str>> {
        if let Op::Nonzero(op) = self { op.count() } else { None }
    }

    /// The types of the outputs for inputs of the given types, if they follow whatever the symbols are.
    pub fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        self.infer_with(inputs, &mut Guards::default())
    }

    /// The types of the outputs for inputs of the given types. Sizes that have to agree, and of which that is not known,
    /// are left to `guards`.
    pub fn infer_with(
        &self,
        inputs: &[&TensorType],
        guards: &mut Guards,
    ) -> Result<Vec<TensorType>, ShapeError> {
        match self {
            Op::Conv(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Pool(op) => op.infer(inputs).map(|t| vec![t]),
            Op::MatMul(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::BatchNorm(op) => op.infer(inputs, guards),
            Op::Softmax(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Unary(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Binary(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Select => select::infer(inputs, guards).map(|t| vec![t]),
            Op::Cast(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Reduce(op) => op.infer(inputs).map(|t| vec![t]),
            Op::ArgReduce(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Reshape(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Expand(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Transpose(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Slice(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Concat(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Pad(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Gather(op) => op.infer(inputs).map(|t| vec![t]),
            Op::GatherElements(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Scatter(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::ArgSort(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Nonzero(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Suppress(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Resize(op) => op.infer(inputs).map(|t| vec![t]),
            Op::ShapeOf(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Iota(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Size(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Random(op) => op.infer(inputs).map(|t| vec![t]),
            Op::Dropout(op) => op.infer(inputs).map(|t| vec![t]),
            Op::StopGradient => stop_gradient::infer(inputs, guards).map(|t| vec![t]),
            Op::ConvGradWeight(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::PoolGrad(op) => op.infer(inputs, guards).map(|t| vec![t]),
            Op::Loop(op) => op.infer(inputs, guards),
        }
    }

    /// The operator with numbers in place of the symbols in its attributes.
    pub fn bind(&self, symbols: &Bindings) -> Result<Op, EvalError> {
        match self {
            Op::Loop(op) => op.bind(symbols).map(Op::Loop),
            _ => self.map_dims(|dim| dim.eval(symbols).map(Dim::from)).map_err(EvalError::UnboundSymbol),
        }
    }

    /// The operator with other sizes in its attributes.
    pub fn map_dims<E>(&self, dim: impl Fn(&Dim) -> Result<Dim, E>) -> Result<Op, E> {
        let shape = |shape: &[Dim]| shape.iter().map(&dim).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Op::Reshape(op) => Op::Reshape(Reshape { shape: shape(&op.shape)? }),
            Op::Expand(op) => Op::Expand(Expand { shape: shape(&op.shape)? }),
            Op::Resize(op) => Op::Resize(Resize { shape: shape(&op.shape)?, ..op.clone() }),
            Op::Iota(op) => Op::Iota(Iota { shape: shape(&op.shape)?, ..op.clone() }),
            Op::Size(op) => Op::Size(Size { dim: dim(&op.dim)? }),
            Op::Nonzero(op) => Op::Nonzero(Nonzero { size: dim(&op.size)? }),
            Op::Random(op) => Op::Random(Random { shape: shape(&op.shape)?, ..op.clone() }),
            Op::PoolGrad(op) => Op::PoolGrad(PoolGrad { shape: shape(&op.shape)?, ..op.clone() }),
            Op::Slice(op) => {
                let cut = |cut: &SliceAxis| {
                    Ok(SliceAxis { start: dim(&cut.start)?, length: dim(&cut.length)?, ..cut.clone() })
                };
                Op::Slice(Slice { axes: op.axes.iter().map(cut).collect::<Result<_, E>>()? })
            }
            Op::Loop(op) => Op::Loop(op.map_dims(&dim)?),
            Op::Conv(_)
            | Op::Pool(_)
            | Op::MatMul(_)
            | Op::BatchNorm(_)
            | Op::Softmax(_)
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast(_)
            | Op::Reduce(_)
            | Op::ArgReduce(_)
            | Op::Transpose(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Gather(_)
            | Op::GatherElements(_)
            | Op::Scatter(_)
            | Op::ArgSort(_)
            | Op::Suppress(_)
            | Op::Dropout(_)
            | Op::StopGradient
            | Op::ConvGradWeight(_)
            | Op::ShapeOf(_) => self.clone(),
        })
    }
}

/// Checks the number of inputs and hands them out as an array.
pub(crate) fn take<'a, const N: usize>(inputs: &[&'a TensorType]) -> Result<[&'a TensorType; N], ShapeError> {
    <[&TensorType; N]>::try_from(inputs)
        .map_err(|_| ShapeError::InputCount { expected: N.to_string(), found: inputs.len() })
}

/// Checks that `axis` is a dimension of a value of `rank` dimensions.
pub(crate) fn check_axis(name: &'static str, axis: usize, rank: usize) -> Result<(), ShapeError> {
    if axis < rank {
        return Ok(());
    }
    Err(ShapeError::Attribute {
        name,
        message: format!("axis {axis} is out of range for an input of {rank} dimensions"),
    })
}
