//! Integer tensors whose elements follow from shapes.
//!
//! Exporters write `x.view(x.size(0), -1)` as a chain of `Shape`, `Gather`, `Concat` and `Reshape`. The elements such
//! a chain computes are dimensions, known exactly although the batch is a symbol. They are tracked as the graph is
//! built, so that the builder can ask for the shape a `Reshape` is to have.

use crate::dim::Dim;
use crate::graph::{Graph, Value, ValueId};
use crate::ops::{BinaryOp, Op, ReduceKind};
use crate::tensor::{DType, Data, Tensor, TensorType};

/// Longer tensors are no shapes.
const MAX_LENGTH: usize = 64;

/// The contents of a constant.
pub(crate) fn of_tensor(tensor: &Tensor) -> Option<Vec<Dim>> {
    if tensor.len() > MAX_LENGTH || !matches!(tensor.dtype(), DType::I64 | DType::I32) {
        return None;
    }
    Some(tensor.to_ints()?.into_iter().map(Dim::from).collect())
}

/// The tensor of type `ty` that has these contents, if they are numbers.
pub(crate) fn tensor(contents: &[Dim], ty: &TensorType) -> Option<Tensor> {
    let numbers: Vec<i64> = contents.iter().map(Dim::as_const).collect::<Option<_>>()?;
    let data = match ty.dtype {
        DType::I64 => Data::I64(numbers),
        DType::I32 => Data::I32(numbers.into_iter().map(|n| i32::try_from(n).ok()).collect::<Option<_>>()?),
        DType::F32
        | DType::F16
        | DType::F64
        | DType::U8
        | DType::I8
        | DType::U16
        | DType::I16
        | DType::U32
        | DType::Bool => return None,
    };
    Tensor::new(ty.static_shape()?, data).ok()
}

impl Value {
    /// The elements, where they follow from shapes and are numbers, though what they are computed from may be symbolic.
    pub fn known(&self) -> Option<Tensor> {
        tensor(self.contents.as_ref()?, &self.ty)
    }
}

/// The contents of the first output of `op`, where the operator is one of those found in shape computations.
pub(crate) fn of_node(graph: &Graph, op: &Op, inputs: &[ValueId]) -> Option<Vec<Dim>> {
    let of = |i: usize| inputs.get(i).and_then(|id| graph.value(*id).contents.clone());
    let rank = |i: usize| inputs.get(i).map(|id| graph.ty(*id).rank());
    let contents = match op {
        Op::ShapeOf(op) => graph.ty(*inputs.first()?).shape.get(op.start..op.end)?.to_vec(),
        Op::Reshape(_) | Op::StopGradient => of(0)?,
        Op::Cast(cast) if matches!(cast.to, DType::I64 | DType::I32) => of(0)?,
        Op::Expand(expand) => {
            let n = crate::dim::product(&expand.shape).as_usize().filter(|n| *n <= MAX_LENGTH)?;
            match of(0)?.as_slice() {
                [one] => vec![one.clone(); n],
                all if all.len() == n => all.to_vec(),
                _ => return None,
            }
        }
        Op::Concat(_) if rank(0) == Some(1) => {
            (0..inputs.len()).map(of).collect::<Option<Vec<_>>>()?.concat()
        }
        Op::Gather(_) if rank(0) == Some(1) => {
            let from = of(0)?;
            let size = i64::try_from(from.len()).ok()?;
            of(1)?
                .iter()
                .map(|index| {
                    let index = index.as_const()?;
                    let index = if index < 0 { index + size } else { index };
                    from.get(usize::try_from(index).ok()?).cloned()
                })
                .collect::<Option<_>>()?
        }
        Op::Slice(slice) if rank(0) == Some(1) => {
            let from = of(0)?;
            let [cut] = slice.axes.as_slice() else { return Some(from) };
            let (start, length) = (cut.start.as_const()?, cut.length.as_const()?);
            (0..length)
                .map(|i| from.get(usize::try_from(start + i * cut.step).ok()?).cloned())
                .collect::<Option<_>>()?
        }
        Op::Binary(op) => {
            let (a, b) = (of(0)?, of(1)?);
            let n = a.len().max(b.len());
            let pick =
                |v: &[Dim], i: usize| if v.len() == 1 { v.first().cloned() } else { v.get(i).cloned() };
            (0..n).map(|i| binary(*op, &pick(&a, i)?, &pick(&b, i)?)).collect::<Option<_>>()?
        }
        Op::Reduce(reduce) if reduce.kind == ReduceKind::Prod && rank(0) == Some(1) => {
            vec![crate::dim::product(&of(0)?)]
        }
        Op::Conv(_)
        | Op::Pool(_)
        | Op::MatMul(_)
        | Op::BatchNorm(_)
        | Op::Softmax(_)
        | Op::Unary(_)
        | Op::Select
        | Op::Cast(_)
        | Op::Reduce(_)
        | Op::ArgReduce(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::Scatter(_)
        | Op::ArgSort(_)
        | Op::Resize(_)
        | Op::Iota(_)
        | Op::Size(_)
        | Op::Random(_)
        | Op::Dropout(_)
        | Op::ConvGradWeight(_)
        | Op::PoolGrad(_)
        | Op::Loop(_) => return None,
    };
    (contents.len() <= MAX_LENGTH).then_some(contents)
}

fn binary(op: BinaryOp, a: &Dim, b: &Dim) -> Option<Dim> {
    match op {
        BinaryOp::Add => Some(a.clone() + b.clone()),
        BinaryOp::Sub => Some(a.clone() - b.clone()),
        BinaryOp::Mul => Some(a * b),
        BinaryOp::Div => {
            if let (Some(a), Some(b)) = (a.as_const(), b.as_const()) {
                return a.checked_div(b).map(Dim::from);
            }
            // Truncation equals the floor for sizes, which are not negative.
            let exact = a.exact_div(b);
            exact.or_else(|| b.as_const().filter(|b| *b > 0).map(|b| a.floor_div(b)))
        }
        BinaryOp::Min | BinaryOp::Max | BinaryOp::ClampMin | BinaryOp::ClampMax => {
            let left = (a.clone() - b.clone()).as_const()? >= 0;
            Some(if left == matches!(op, BinaryOp::Max | BinaryOp::ClampMin) { a.clone() } else { b.clone() })
        }
        BinaryOp::Pow
        | BinaryOp::Mod
        | BinaryOp::Rem
        | BinaryOp::Equal
        | BinaryOp::Less
        | BinaryOp::LessOrEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterOrEqual
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => None,
    }
}
