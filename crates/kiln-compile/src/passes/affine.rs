//! Factors and shifts behind a convolution or matrix product move into its weights and its bias.
//!
//! ```text
//! before: y = conv(x, w)     z = add(y, b)     s = mul(z, k)       r = add(s, c)
//! after:  y = conv(x, w*k)                                         r = add(y, b*k + c)
//! ```
//!
//! With [`decompose`](super::decompose) before it, this is what folds batch normalization. One walk is enough: what a
//! node reads is already in the form `core` or `core + constant`, so each node looks at most two nodes back.

use std::collections::HashSet;

use kiln_graph::ops::{BinaryOp, broadcast_shapes};
use kiln_graph::{Graph, GraphError, NodeId, Op, Rewriter, Tensor, ValueId};

use super::constant;
use super::uses::uses;

/// Folds constant factors and shifts; values that something else reads too are left as they are.
pub fn run(graph: &Graph) -> Result<Graph, GraphError> {
    let uses = uses(graph);
    let mut this = Affine { old: graph, rewriter: Rewriter::new(graph)?, sole: HashSet::new() };
    for (id, node) in graph.node_ids().zip(graph.nodes()) {
        match this.fold(id)? {
            Some(new) => this.rewriter.map(node.outputs[0], new),
            None => this.rewriter.copy(id)?,
        }
        for output in node.outputs.iter().filter(|output| uses[output.index()] == 1) {
            let new = this.rewriter.get(*output)?;
            this.sole.insert(new);
        }
    }
    this.rewriter.finish()
}

struct Affine<'a> {
    old: &'a Graph,
    rewriter: Rewriter<'a>,
    /// New values that are read once: whoever reads them may replace them.
    sole: HashSet<ValueId>,
}

/// A value as `op(value, constant)`.
struct Applied {
    op: BinaryOp,
    value: ValueId,
    constant: Tensor,
    /// Whether the constant is the left operand.
    swapped: bool,
}

impl Affine<'_> {
    fn fold(&mut self, id: NodeId) -> Result<Option<ValueId>, GraphError> {
        let node = self.old.node(id);
        let Op::Binary(op) = node.op else { return Ok(None) };
        let inputs = self.rewriter.inputs(id)?;
        let Some(applied) = self.applied(op, &inputs) else { return Ok(None) };
        let Applied { value, constant, swapped, .. } = applied;
        let name = &node.name;
        if op == BinaryOp::Add {
            self.shift(name, value, &constant)
        } else if op == BinaryOp::Mul {
            self.scale(name, value, &constant)
        } else if op == BinaryOp::Div && !swapped {
            let Some(inverse) = constant::map(&constant, f64::recip) else { return Ok(None) };
            self.scale(name, value, &inverse)
        } else if op == BinaryOp::Sub && !swapped {
            // Exactly the same, and one form fewer for what follows.
            let Some(negative) = constant::map(&constant, |v| -v) else { return Ok(None) };
            self.shift_or_add(name, value, negative)
        } else if op == BinaryOp::Sub {
            let minus = constant::floats(constant.dtype(), &[], [-1.0].into_iter());
            let Some(minus) = minus else { return Ok(None) };
            match self.scale(name, value, &minus)? {
                Some(negated) => self.shift_or_add(name, negated, constant),
                None => Ok(None),
            }
        } else {
            Ok(None)
        }
    }

    /// `value * by`, if what makes `value` can take the factor in.
    fn scale(&mut self, name: &str, value: ValueId, by: &Tensor) -> Result<Option<ValueId>, GraphError> {
        let graph = &self.rewriter.graph;
        let ty = graph.ty(value);
        let by_shape = by.ty().shape;
        if !self.sole.contains(&value)
            || by.dtype() != ty.dtype
            || broadcast_shapes(&ty.shape, &by_shape).as_ref() != Ok(&ty.shape)
            || by.to_f64().iter().any(|v| !v.is_finite())
        {
            return Ok(None);
        }
        let Some(producer) = graph.producer(value).map(|id| graph.node(id)) else { return Ok(None) };
        // The dimension that the weight has a factor for, in the output and in the weight.
        let axes = if let Op::Conv(_) = producer.op {
            Some((1, 0))
        } else if let Op::MatMul(op) = &producer.op {
            let rank = graph.ty(producer.inputs[1]).rank();
            Some((ty.rank() - 1, if op.transpose_b { rank - 2 } else { rank - 1 }))
        } else {
            None
        };
        if let Some((output_axis, weight_axis)) = axes {
            let scaled = graph.as_constant(producer.inputs[1]).and_then(|weight| {
                if constant::bytes_from(weight).is_some() {
                    return None;
                }
                let factors = constant::along_axis(by, ty.rank(), output_axis)?;
                constant::scale_axis(weight, weight_axis, &factors)
            });
            let Some(scaled) = scaled else { return Ok(None) };
            let (op, own_name) = (producer.op.clone(), producer.name.clone());
            let (x, weight_name) = (producer.inputs[0], graph.value(producer.inputs[1]).name.clone());
            let weight = self.rewriter.graph.constant(weight_name, scaled);
            return self.made(own_name, op, &[x, weight]).map(Some);
        }
        let Some(inner) = self.applied_of(value) else { return Ok(None) };
        let Some(product) = constant::combine(&inner.constant, by, |a, b| a * b) else { return Ok(None) };
        if inner.op == BinaryOp::Mul {
            self.binary(name, BinaryOp::Mul, inner.value, product).map(Some)
        } else if inner.op == BinaryOp::Add {
            let Some(scaled) = self.scale(name, inner.value, by)? else { return Ok(None) };
            self.binary(name, BinaryOp::Add, scaled, product).map(Some)
        } else {
            Ok(None)
        }
    }

    /// `value + by`, if `value` is itself a sum with a constant.
    fn shift(&mut self, name: &str, value: ValueId, by: &Tensor) -> Result<Option<ValueId>, GraphError> {
        if !self.sole.contains(&value) {
            return Ok(None);
        }
        let Some(inner) = self.applied_of(value).filter(|inner| inner.op == BinaryOp::Add) else {
            return Ok(None);
        };
        let Some(sum) = constant::combine(&inner.constant, by, |a, b| a + b) else { return Ok(None) };
        self.binary(name, BinaryOp::Add, inner.value, sum).map(Some)
    }

    fn shift_or_add(
        &mut self,
        name: &str,
        value: ValueId,
        by: Tensor,
    ) -> Result<Option<ValueId>, GraphError> {
        match self.shift(name, value, &by)? {
            Some(shifted) => Ok(Some(shifted)),
            None => self.binary(name, BinaryOp::Add, value, by).map(Some),
        }
    }

    fn applied_of(&self, value: ValueId) -> Option<Applied> {
        let graph = &self.rewriter.graph;
        let node = graph.node(graph.producer(value)?);
        let Op::Binary(op) = node.op else { return None };
        self.applied(op, &node.inputs)
    }

    fn applied(&self, op: BinaryOp, inputs: &[ValueId]) -> Option<Applied> {
        let &[a, b] = inputs else { return None };
        let graph = &self.rewriter.graph;
        if !graph.ty(a).dtype.is_float() {
            return None;
        }
        match (graph.as_constant(a), graph.as_constant(b)) {
            (None, Some(constant)) => {
                Some(Applied { op, value: a, constant: constant.clone(), swapped: false })
            }
            (Some(constant), None) => {
                Some(Applied { op, value: b, constant: constant.clone(), swapped: true })
            }
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    fn binary(
        &mut self,
        name: &str,
        op: BinaryOp,
        value: ValueId,
        constant: Tensor,
    ) -> Result<ValueId, GraphError> {
        let role = if op == BinaryOp::Mul { "scale" } else { "shift" };
        let constant = self.rewriter.graph.constant(format!("{name}.{role}"), constant);
        self.made(name.to_owned(), Op::Binary(op), &[value, constant])
    }

    fn made(&mut self, name: String, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let value = self.rewriter.graph.apply1(name, op, inputs)?;
        self.sole.insert(value);
        Ok(value)
    }
}
