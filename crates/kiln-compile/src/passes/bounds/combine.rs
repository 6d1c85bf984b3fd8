//! What goes along an axis of which the data decide the size reads neutral elements behind those of the value.

use kiln_graph::ops::{ArgKind, ArgReduce, ArgSort, BinaryOp, MatMul, Reduce, ReduceKind, Softmax};
use kiln_graph::{DType, GraphError, Made, Node, Op, Tensor, ValueId, product};

use super::bounder::Bounder;

/// The least number of a type, or the largest.
fn end_of(dtype: DType, least: bool) -> Tensor {
    let (low, high) = dtype.integer_range().unwrap_or((0, 1));
    if dtype == DType::I64 {
        return Tensor::int(if least { low } else { high });
    }
    #[allow(clippy::as_conversions, reason = "other integers are exact")]
    let ends = if dtype.is_float() { (f64::NEG_INFINITY, f64::INFINITY) } else { (low as f64, high as f64) };
    Tensor::number(if least { ends.0 } else { ends.1 }, dtype)
}

impl Bounder<'_> {
    fn dtype(&self, id: ValueId) -> DType {
        self.old.ty(id).dtype
    }

    pub(super) fn reduce(&mut self, node: &Node, op: &Reduce) -> Made {
        let x = node.inputs[0];
        let dtype = self.dtype(x);
        let along = op.axes.iter().any(|axis| self.shape(x)[*axis].is_counted());
        let fill = match op.kind {
            ReduceKind::Variance if along => {
                return self.refuse(node, "has no form for sizes that the data decide");
            }
            ReduceKind::Variance => Tensor::number(0.0, dtype),
            ReduceKind::Sum | ReduceKind::Mean => Tensor::number(0.0, dtype),
            ReduceKind::Prod => Tensor::number(1.0, dtype),
            ReduceKind::Max | ReduceKind::MaxFirst => end_of(dtype, true),
            ReduceKind::Min | ReduceKind::MinFirst => end_of(dtype, false),
        };
        let masked = self.masked(node, x, &op.axes, &fill)?;
        if op.kind != ReduceKind::Mean || !along {
            return self.formula(node).apply(Op::Reduce(op.clone()), &[masked]);
        }
        let count = product(op.axes.iter().map(|axis| &self.shape(x)[*axis]));
        let count = self.size(&node.name, &count)?;
        let f = &mut self.formula(node);
        let sum = f.reduce(ReduceKind::Sum, masked, op.axes.clone(), op.keep_dims)?;
        let count = f.cast(count, dtype)?;
        f.div(sum, count)
    }

    pub(super) fn arg_reduce(&mut self, node: &Node, op: &ArgReduce) -> Made {
        let x = node.inputs[0];
        if op.select_last_index && self.shape(x)[op.axis].is_counted() {
            return self.refuse(
                node,
                "the last of equal elements is asked for, but the data decide how many there are",
            );
        }
        let fill = end_of(self.dtype(x), op.kind == ArgKind::Max);
        let masked = self.masked(node, x, &[op.axis], &fill)?;
        self.formula(node).apply(Op::ArgReduce(op.clone()), &[masked])
    }

    pub(super) fn softmax(&mut self, node: &Node, op: &Softmax) -> Made {
        let x = node.inputs[0];
        let masked = self.masked(node, x, &[op.axis], &end_of(self.dtype(x), true))?;
        self.formula(node).apply(Op::Softmax(op.clone()), &[masked])
    }

    /// What is not of the value is sorted behind all of it: sorting is stable, and a NaN is the largest.
    pub(super) fn arg_sort(&mut self, node: &Node, op: &ArgSort) -> Made {
        let x = node.inputs[0];
        let dtype = self.dtype(x);
        let fill = match (op.descending, dtype.is_float()) {
            (true, _) => end_of(dtype, true),
            (false, true) => Tensor::number(f64::NAN, dtype),
            (false, false) => end_of(dtype, false),
        };
        let masked = self.masked(node, x, &[op.axis], &fill)?;
        self.formula(node).apply(Op::ArgSort(op.clone()), &[masked])
    }

    pub(super) fn matmul(&mut self, node: &Node, op: &MatMul) -> Made {
        let mut operands = Vec::with_capacity(2);
        for (id, last) in node.inputs.iter().zip([!op.transpose_a, op.transpose_b]) {
            let rank = self.shape(*id).len();
            let inner = if last { rank - 1 } else { rank - 2 };
            // What it is multiplied with may be infinite or no number, so both are masked.
            operands.push(self.masked(node, *id, &[inner], &Tensor::number(0.0, self.dtype(*id)))?);
        }
        self.formula(node).matmul(op.clone(), operands[0], operands[1])
    }

    pub(super) fn suppress(&mut self, node: &Node) -> Result<ValueId, GraphError> {
        let alive = node.inputs[1];
        let valid = self.valid(node, alive, &self.counted_axes(alive))?;
        let (boxes, mut new) = (self.rewriter.get(node.inputs[0])?, self.rewriter.get(alive)?);
        let f = &mut self.formula(node);
        if let Some(valid) = valid {
            new = f.binary(BinaryOp::And, new, valid)?;
        }
        f.apply(node.op.clone(), &[boxes, new])
    }
}
