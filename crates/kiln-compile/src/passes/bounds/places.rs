//! What moves elements by their places: places count from what a value has, not from what holds it.

use kiln_graph::ops::{BinaryOp, Concat, Gather, Iota, Pad, PadMode, Scatter, Slice, SliceAxis};
use kiln_graph::{DType, Dim, GraphError, Made, Node, Op, Tensor, ValueId};

use super::bounder::Bounder;

impl Bounder<'_> {
    /// Indices along an axis of the old value `x`, from the front, and within what holds it: those behind the elements of a
    /// value are of no use, but may be anything.
    fn counted_from_front(&mut self, node: &Node, indices: ValueId, x: ValueId, axis: usize) -> Made {
        let dim = &self.shape(x)[axis];
        let size = self.size(&node.name, dim)?;
        let at = self.rewriter.get(indices)?;
        let f = &mut self.formula(node);
        let size = f.cast(size, f.ty(at).dtype)?;
        let behind = f.add(at, size)?;
        let negative = f.with(BinaryOp::Less, at, 0.0)?;
        let at = f.select(negative, behind, at)?;
        self.within(node, at, &self.bound(node, dim)?)
    }

    /// Places moved into what holds a value, so many elements.
    fn within(&mut self, node: &Node, at: ValueId, held: &Dim) -> Made {
        let last = self.size(&node.name, &(held.clone() - 1.into()))?;
        let f = &mut self.formula(node);
        let at = f.with(BinaryOp::Max, at, 0.0)?;
        let last = f.cast(last, f.ty(at).dtype)?;
        f.binary(BinaryOp::Min, at, last)
    }

    /// `gather` or `gather_elements`.
    pub(super) fn gather(&mut self, node: &Node, axis: usize) -> Made {
        let (x, indices) = (node.inputs[0], node.inputs[1]);
        let new = self.rewriter.get(x)?;
        let at = if self.shape(x)[axis].is_counted() || self.counted(indices) {
            self.counted_from_front(node, indices, x, axis)?
        } else {
            self.rewriter.get(indices)?
        };
        self.formula(node).apply(node.op.clone(), &[new, at])
    }

    /// Indices that are not of the value write to a line behind all others, which is taken away again.
    pub(super) fn scatter(&mut self, node: &Node, op: &Scatter) -> Made {
        let (x, indices, updates) = (node.inputs[0], node.inputs[1], node.inputs[2]);
        let dim = &self.shape(x)[op.axis];
        let at = self.counted_from_front(node, indices, x, op.axis)?;
        let valid = self.valid(node, indices, &self.counted_axes(indices))?;
        let bound = self.bound(node, dim)?;
        let beyond = self.size(&node.name, &bound)?;
        let (data, updates) = (self.rewriter.get(x)?, self.rewriter.get(updates)?);
        let f = &mut self.formula(node);
        let Some(valid) = valid else {
            return f.apply(Op::Scatter(op.clone()), &[data, at, updates]);
        };
        let dtype = f.ty(at).dtype;
        let beyond = f.cast(beyond, dtype)?;
        let at = f.select(valid, at, beyond)?;
        let mut pads = vec![[0, 0]; f.ty(data).rank()];
        pads[op.axis] = [0, 1];
        let wider = f.apply(Op::Pad(Pad { pads, mode: PadMode::Constant(0.0) }), &[data])?;
        let changed = f.apply(Op::Scatter(op.clone()), &[wider, at, updates])?;
        f.slice(changed, vec![SliceAxis { axis: op.axis, start: 0.into(), length: bound, step: 1 }])
    }

    pub(super) fn slice(&mut self, node: &Node, op: &Slice) -> Made {
        let x = node.inputs[0];
        let mut new = self.rewriter.get(x)?;
        let mut cuts = Vec::new();
        for cut in &op.axes {
            let length = self.bound(node, &cut.length)?;
            let ahead = cut.step > 0 || !self.shape(x)[cut.axis].is_counted();
            if ahead && !cut.start.is_counted() {
                cuts.push(SliceAxis { length, ..cut.clone() });
                continue;
            }
            // Where it starts is known only when it runs.
            let start = self.size(&node.name, &cut.start)?;
            let f = &mut self.formula(node);
            let steps = f.apply(Op::Iota(Iota { dtype: DType::I64, shape: vec![length], axis: 0 }), &[])?;
            let step = f.constant(Tensor::int(cut.step));
            let steps = f.mul(steps, step)?;
            let at = f.add(start, steps)?;
            let at = self.within(node, at, &self.bound(node, &self.shape(x)[cut.axis])?)?;
            new = self.formula(node).apply(Op::Gather(Gather { axis: cut.axis }), &[new, at])?;
        }
        self.formula(node).slice(new, cuts)
    }

    /// Along an axis of which the data decide the size, parts follow each other where the one before ends.
    pub(super) fn concat(&mut self, node: &Node, op: &Concat) -> Made {
        let mut parts = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            parts.push(self.rewriter.get(*id)?);
        }
        let whole = self.formula(node).apply(Op::Concat(op.clone()), &parts)?;
        let sizes: Vec<&Dim> = node.inputs.iter().map(|id| &self.shape(*id)[op.axis]).collect();
        let Some((_, before)) = sizes.split_last() else { return Ok(whole) };
        if before.iter().all(|dim| !dim.is_counted()) {
            return Ok(whole);
        }
        let at = self.places_of_parts(node, before, &self.rewriter.graph.ty(whole).shape[op.axis].clone())?;
        self.formula(node).apply(Op::Gather(Gather { axis: op.axis }), &[whole, at])
    }

    /// For each place in a concatenation, where its element is among parts that are as long as their bounds.
    fn places_of_parts(&mut self, node: &Node, before: &[&Dim], length: &Dim) -> Result<ValueId, GraphError> {
        let whole = Op::Iota(Iota { dtype: DType::I64, shape: vec![length.clone()], axis: 0 });
        let place = self.formula(node).apply(whole, &[])?;
        let mut at = place;
        let (mut end, mut held) = (Dim::from(0), Dim::from(0));
        for dim in before {
            end = end + (*dim).clone();
            held = held + self.bound(node, dim)?;
            let (end, missing) = (self.size(&node.name, &end)?, held.clone() - end.clone());
            let missing = self.size(&node.name, &missing)?;
            let f = &mut self.formula(node);
            let moved = f.add(place, missing)?;
            let behind = f.binary(BinaryOp::GreaterOrEqual, place, end)?;
            at = f.select(behind, moved, at)?;
        }
        self.within(node, at, length)
    }
}
