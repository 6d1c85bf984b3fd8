//! Reshapes where the data decide a size: elements in row-major order stay where they are only if nothing is behind some of them.

use kiln_graph::ops::Reshape;
use kiln_graph::{Dim, Made, Node, Op, ShapeDisplay, product};

use super::bounder::Bounder;

/// Whether the elements of a value are the first ones, in row-major order, of what holds them: before the axis whose size the
/// data decide there is no other, and behind it sizes are known.
pub(super) fn is_beginning(shape: &[Dim]) -> bool {
    let mut rest = shape.iter().filter(|dim| !dim.is(1));
    rest.next().is_none_or(|_| rest.all(|dim| !dim.is_counted()))
}

/// The dimensions of two shapes of as many elements in groups that belong together.
fn groups<'a>(from: &'a [Dim], to: &'a [Dim]) -> Vec<(&'a [Dim], &'a [Dim])> {
    let (mut groups, mut rest) = (Vec::new(), (from, to));
    while !rest.0.is_empty() || !rest.1.is_empty() {
        let mut taken = (rest.0.len().min(1), rest.1.len().min(1));
        loop {
            let (a, b) = (product(&rest.0[..taken.0]), product(&rest.1[..taken.1]));
            let more = (taken.0 < rest.0.len(), taken.1 < rest.1.len());
            if a == b || more == (false, false) {
                break;
            }
            // A side that divides the other is not complete; where neither does, none is.
            let (left, right) = (b.exact_div(&a).is_some() && more.0, a.exact_div(&b).is_some() && more.1);
            let both = !left && !right;
            taken.0 += usize::from(more.0 && (left || both));
            taken.1 += usize::from(more.1 && (!left && right || both));
        }
        let (a, b) = (rest.0.split_at(taken.0), rest.1.split_at(taken.1));
        groups.push((a.0, b.0));
        rest = (a.1, b.1);
    }
    groups
}

impl Bounder<'_> {
    pub(super) fn reshape(&mut self, node: &Node, op: &Reshape) -> Made {
        let (from, to) = (self.shape(node.inputs[0]), &op.shape);
        let keeps = |(a, b): &(&[Dim], &[Dim])| a == b || is_beginning(a) && is_beginning(b);
        if !groups(from, to).iter().all(keeps) {
            let (from, to) = (ShapeDisplay(from), ShapeDisplay(to));
            return self
                .refuse(node, format!("elements of {from} cannot become {to} where the data decide a size"));
        }
        let shape = to.iter().map(|dim| self.bound(node, dim)).collect::<Result<_, _>>()?;
        let x = self.rewriter.get(node.inputs[0])?;
        self.formula(node).apply(Op::Reshape(Reshape { shape }), &[x])
    }
}

#[cfg(test)]
mod tests {
    use crate::passes::bounds::reshape::{groups, is_beginning};
    use kiln_graph::Dim;

    fn dims(text: &str) -> Vec<Dim> {
        text.split_whitespace().map(|dim| dim.parse().expect("a dimension")).collect()
    }

    #[test]
    fn dimensions_that_belong_together() {
        for (from, to, expected) in [
            ("count(n)", "1 count(n)", &[(1, 2)][..]),
            ("2 count(n) 4", "2 4*count(n)", &[(1, 1), (2, 1)]),
            ("count(n) 4 N", "4*count(n) N", &[(2, 1), (1, 1)]),
            ("count(n) 6", "count(n) 2 3", &[(1, 1), (1, 2)]),
            ("6 count(n)", "2 3 count(n)", &[(1, 2), (1, 1)]),
            ("count(n) 1", "count(n)", &[(1, 1), (1, 0)]),
            ("2 count(n) 3", "3 count(n) 2", &[(3, 3)]),
        ] {
            let (from, to) = (dims(from), dims(to));
            let found: Vec<_> = groups(&from, &to).iter().map(|(a, b)| (a.len(), b.len())).collect();
            assert_eq!(found, expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_is_a_beginning() {
        for (shape, is) in [
            ("", true),
            ("count(n)", true),
            ("1 count(n) 4 N", true),
            ("1 4*count(n)", true),
            ("2 3", true),
            ("2 count(n)", false),
            ("N count(n)", false),
            ("count(n) count(m)", false),
        ] {
            assert_eq!(is_beginning(&dims(shape)), is, "{shape}");
        }
    }
}
