//! Counting along an axis.

use kiln_graph::ops::{Iota, Nonzero};
use kiln_graph::{DType, Data, Dim, Node, Tensor};

use super::node::{Result, refuse, sizes, wide};
use super::writer::{Writer, int};
use crate::tensor::data_type_of;

/// More numbers than these are not written down, but counted by the model.
const MOST_WRITTEN: usize = 1 << 12;

pub(super) fn iota(w: &mut Writer<'_>, node: &Node, op: &Iota, outputs: &[&str]) -> Result {
    let sizes: Option<Vec<usize>> = op.shape.iter().map(Dim::as_usize).collect();
    let Some(sizes) = sizes else {
        return counted(w, node, op, outputs);
    };
    let count = sizes.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
    if count.is_none_or(|count| count > MOST_WRITTEN) {
        return spread(w, node, op, &sizes, outputs);
    }
    let before: usize = sizes[..op.axis].iter().product();
    let after: usize = sizes[op.axis + 1..].iter().product();
    let line = (0..sizes[op.axis]).flat_map(|i| std::iter::repeat_n(wide(i), after)).collect::<Vec<_>>();
    let numbers: Vec<i64> = (0..before).flat_map(|_| line.iter().copied()).collect();
    let tensor = Tensor::new(sizes, Data::I64(numbers)).or_else(|e| refuse(node, e.to_string()))?;
    let constant = w.constant(&format!("{}.numbers", node.name), &tensor);
    let to = vec![int("to", data_type_of(op.dtype).into())];
    let op_type = if op.dtype == DType::I64 { "Identity" } else { "Cast" };
    w.node(&node.name, op_type, &[&constant], outputs, if op.dtype == DType::I64 { vec![] } else { to });
    Ok(())
}

/// Counts along one axis, and repeats that along the others.
fn spread(w: &mut Writer<'_>, node: &Node, op: &Iota, sizes: &[usize], outputs: &[&str]) -> Result {
    let name = node.name.as_str();
    let limit = number(w, node, "limit", wide(sizes[op.axis]));
    let numbers = range(w, node, &limit);
    let line = (0..sizes.len()).map(|axis| if axis == op.axis { wide(sizes[axis]) } else { 1 });
    let line = w.ints(&format!("{name}.line"), line);
    let numbers = w.inner(name, "Reshape", &[&numbers, &line], vec![]);
    let shape = w.ints(&format!("{name}.shape"), sizes.iter().map(|size| wide(*size)));
    let numbers = w.inner(name, "Expand", &[&numbers, &shape], vec![]);
    w.node(name, "Cast", &[&numbers], outputs, vec![int("to", data_type_of(op.dtype).into())]);
    Ok(())
}

/// Counts to a size that is known only when the model runs, and repeats that along the other axes.
fn counted(w: &mut Writer<'_>, node: &Node, op: &Iota, outputs: &[&str]) -> Result {
    let name = node.name.as_str();
    let size = sizes(w, node, &op.shape[op.axis..=op.axis])?;
    let axes = w.ints(&format!("{name}.axes"), [0]);
    let limit = w.inner(name, "Squeeze", &[&size, &axes], vec![]);
    let mut numbers = range(w, node, &limit);
    if op.shape.len() > 1 {
        let mut line = vec![Dim::from(1); op.shape.len()];
        line[op.axis] = op.shape[op.axis].clone();
        for (operator, shape) in [("Reshape", &line), ("Expand", &op.shape)] {
            let shape = sizes(w, node, shape)?;
            numbers = w.inner(name, operator, &[&numbers, &shape], vec![]);
        }
    }
    w.node(name, "Cast", &[&numbers], outputs, vec![int("to", data_type_of(op.dtype).into())]);
    Ok(())
}

/// 0, 1, .. below `limit`.
pub(super) fn range(w: &mut Writer<'_>, node: &Node, limit: &str) -> String {
    let start = number(w, node, "start", 0);
    let step = number(w, node, "step", 1);
    w.inner(&node.name, "Range", &[&start, limit, &step], vec![])
}

fn number(w: &mut Writer<'_>, node: &Node, what: &str, number: i64) -> String {
    w.constant(&format!("{}.{what}", node.name), &Tensor::int(number))
}

/// Positions in a tensor of one dimension, which NonZero gives as `[1, count]`.
pub(super) fn nonzero(
    w: &mut Writer<'_>,
    node: &Node,
    op: &Nonzero,
    inputs: &[&str],
    outputs: &[&str],
) -> Result<()> {
    if op.count().is_none() {
        return refuse(node, "ONNX has no positions of elements up to a bound");
    }
    let all = w.ints(&format!("{}.flat", node.name), [-1]);
    let flat = w.inner(&node.name, "Reshape", &[inputs[0], &all], vec![]);
    let found = w.inner(&node.name, "NonZero", &[&flat], vec![]);
    w.node(&node.name, "Reshape", &[&found, &all], outputs, vec![]);
    Ok(())
}
