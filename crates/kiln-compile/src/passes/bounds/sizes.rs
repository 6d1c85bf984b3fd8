//! Sizes as values, bounds of sizes, and which elements are those of the value itself.

use kiln_graph::ops::{BinaryOp, Iota, ShapeOf};
use kiln_graph::{Atom, DType, Dim, Formula, GraphError, Made, Node, Op, Tensor, ValueId};

use super::bounder::Bounder;

impl Bounder<'_> {
    /// The largest value of a size, an ordinary dimension.
    pub(super) fn bound(&self, node: &Node, dim: &Dim) -> Result<Dim, GraphError> {
        if !dim.is_counted() {
            return Ok(dim.clone());
        }
        if !grows(dim) {
            return self.refuse(node, format!("the size {dim} gets smaller where more is found"));
        }
        Ok(dim.substitute(&self.bounds))
    }

    /// A size as an int64 without dimensions.
    pub(super) fn size(&mut self, name: &str, dim: &Dim) -> Made {
        if let Some(size) = self.sizes.get(dim) {
            return Ok(*size);
        }
        let mut terms = Vec::new();
        for (atoms, coefficient) in dim.terms() {
            let mut factors = Vec::with_capacity(atoms.len() + 1);
            for atom in atoms {
                factors.push(self.factor(name, atom)?);
            }
            let f = &mut Formula::folding(&mut self.rewriter.graph, name);
            if factors.is_empty() || *coefficient != 1 {
                factors.push(f.constant(Tensor::int(*coefficient)));
            }
            terms.push(f.product_of(&factors)?);
        }
        let f = &mut Formula::folding(&mut self.rewriter.graph, name);
        let size = if terms.is_empty() { f.constant(Tensor::int(0)) } else { f.sum_of(&terms)? };
        self.sizes.insert(dim.clone(), size);
        Ok(size)
    }

    fn factor(&mut self, name: &str, atom: &Atom) -> Made {
        match atom {
            Atom::Count(count) => self.counts.get(count).copied().ok_or_else(|| {
                GraphError::Invalid(format!("`{count}` is used as a size before it is known"))
            }),
            Atom::Symbol(symbol) => {
                let wanted = Dim::symbol(symbol.clone());
                let mut inputs = self.old.inputs().iter();
                let found = inputs.find_map(|id| {
                    self.shape(*id).iter().position(|dim| *dim == wanted).map(|axis| (*id, axis))
                });
                let Some((input, axis)) = found else {
                    return Err(GraphError::Unsuitable(format!(
                        "`{symbol}` is needed as a number, but is not the size of an input by itself"
                    )));
                };
                let input = self.rewriter.get(input)?;
                let f = &mut Formula::folding(&mut self.rewriter.graph, name);
                let size = f.apply(Op::ShapeOf(ShapeOf { start: axis, end: axis + 1 }), &[input])?;
                f.reshape(size, vec![])
            }
            Atom::FloorDiv(dim, divisor) => {
                let dividend = self.size(name, dim)?;
                let f = &mut Formula::folding(&mut self.rewriter.graph, name);
                let divisor = f.constant(Tensor::int(*divisor));
                // Integers are divided towards zero; sizes below zero come from no model.
                f.div(dividend, divisor)
            }
            Atom::Min(a, b) => {
                let (a, b) = (self.size(name, a)?, self.size(name, b)?);
                Formula::folding(&mut self.rewriter.graph, name).binary(BinaryOp::Min, a, b)
            }
        }
    }

    /// Which elements along some axes of an old value are its own, to be broadcast to its shape; nothing where all are.
    pub(super) fn valid(
        &mut self,
        node: &Node,
        id: ValueId,
        axes: &[usize],
    ) -> Result<Option<ValueId>, GraphError> {
        let mut all = None;
        for axis in axes {
            let Some(dim) = self.shape(id).get(*axis).filter(|dim| dim.is_counted()) else { continue };
            let (size, bound) = (self.size(&node.name, dim)?, self.bound(node, dim)?);
            let mut line = vec![Dim::from(1); self.shape(id).len()];
            line[*axis] = bound;
            let f = &mut self.formula(node);
            let place = f.apply(Op::Iota(Iota { dtype: DType::I64, shape: line, axis: *axis }), &[])?;
            let valid = f.binary(BinaryOp::Less, place, size)?;
            all = Some(match all {
                Some(all) => f.binary(BinaryOp::And, all, valid)?,
                None => valid,
            });
        }
        Ok(all)
    }

    /// The new value for an old one, with `fill` in place of what is not its own along some axes.
    pub(super) fn masked(&mut self, node: &Node, id: ValueId, axes: &[usize], fill: &Tensor) -> Made {
        let valid = self.valid(node, id, axes)?;
        let new = self.rewriter.get(id)?;
        let Some(valid) = valid else { return Ok(new) };
        let f = &mut self.formula(node);
        let fill = f.constant(fill.clone());
        f.select(valid, new, fill)
    }
}

/// Whether a size is never smaller for larger counts, all else being the same.
fn grows(dim: &Dim) -> bool {
    dim.terms().iter().all(|(atoms, coefficient)| {
        let counted = |atom: &Atom| match atom {
            Atom::Symbol(_) => false,
            Atom::Count(_) => true,
            Atom::FloorDiv(dim, _) => dim.is_counted(),
            Atom::Min(a, b) => a.is_counted() || b.is_counted(),
        };
        let inner = |atom: &Atom| match atom {
            Atom::Symbol(_) | Atom::Count(_) => true,
            Atom::FloorDiv(dim, _) => grows(dim),
            Atom::Min(a, b) => grows(a) && grows(b),
        };
        !atoms.iter().any(counted) || *coefficient > 0 && atoms.iter().all(inner)
    })
}
