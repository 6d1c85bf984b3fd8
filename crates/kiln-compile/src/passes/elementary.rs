//! Operators whose kernels are written for 32-bit floats, in elementary ones where they compute with something else: products
//! of matrices of doubles and of integers other than i32, softmax of doubles. These are rare and small.
//!
//! ```text
//! before: y = matmul(a: i64[M, K], b: i64[K, N])
//! after:  p = mul(reshape(a): i64[M, 1, K], reshape(transpose(b)): i64[1, N, K])
//!         y = reduce_sum(p) over K
//! ```

use kiln_graph::ops::{MatMul, ReduceKind, Softmax, UnaryOp};
use kiln_graph::{DType, Formula, Graph, GraphError, Made, Op, Rewriter, ValueId};

/// Writes what has no kernel for its element type in operators that have.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let mut rewriter = Rewriter::new(graph)?;
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        let dtype = graph.ty(node.outputs[0]).dtype;
        if let Op::MatMul(op) = &node.op
            && !matches!(dtype, DType::F32 | DType::F16 | DType::I32)
        {
            let inputs = rewriter.inputs(id)?;
            let mut f = Formula::new(&mut rewriter.graph, &node.name);
            let made = sum_of_products(&mut f, op, inputs[0], inputs[1])?;
            rewriter.map(node.outputs[0], made);
        } else if let Op::Softmax(op) = &node.op
            && dtype == DType::F64
        {
            let inputs = rewriter.inputs(id)?;
            let mut f = Formula::new(&mut rewriter.graph, &node.name);
            let made = softmax(&mut f, op, inputs[0])?;
            rewriter.map(node.outputs[0], made);
        } else {
            rewriter.copy(id)?;
        }
    }
    rewriter.finish()
}

fn sum_of_products(f: &mut Formula<'_>, op: &MatMul, a: ValueId, b: ValueId) -> Made {
    // Both with K last: a [.., M, 1, K], b [.., 1, N, K].
    let a = if op.transpose_a { swapped(f, a)? } else { a };
    let b = if op.transpose_b { b } else { swapped(f, b)? };
    let mut left = f.shape(a);
    left.insert(left.len() - 1, 1.into());
    let mut right = f.shape(b);
    right.insert(right.len() - 2, 1.into());
    let (a, b) = (f.reshape(a, left)?, f.reshape(b, right)?);
    let products = f.mul(a, b)?;
    let last = f.ty(products).rank() - 1;
    f.sum(products, vec![last])
}

/// `exp(x - m) / sum(exp(x - m))` with the largest element `m`, or its logarithm.
fn softmax(f: &mut Formula<'_>, op: &Softmax, x: ValueId) -> Made {
    let largest = f.reduce(ReduceKind::Max, x, vec![op.axis], true)?;
    let below = f.sub(x, largest)?;
    let exp = f.unary(UnaryOp::Exp, below)?;
    let sum = f.reduce(ReduceKind::Sum, exp, vec![op.axis], true)?;
    if op.log {
        let log = f.unary(UnaryOp::Log, sum)?;
        return f.sub(below, log);
    }
    f.div(exp, sum)
}

/// The last two dimensions swapped.
fn swapped(f: &mut Formula<'_>, x: ValueId) -> Made {
    let rank = f.ty(x).rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    f.transpose(x, perm)
}
