//! QuantizeLinear and DequantizeLinear.

use kiln_graph::{Node, Tensor};

use super::forms::Linear;
use super::node::{Result, wide};
use super::writer::{Writer, int};

/// Writes a conversion whose result is that of `last`.
pub(super) fn write(w: &mut Writer<'_>, last: &Node, op_type: &str, linear: &Linear) -> Result {
    let outputs: Vec<String> = last.outputs.iter().map(|id| w.name(*id).to_owned()).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut inputs =
        vec![w.name(linear.x).to_owned(), w.constant(&format!("{}.scale", last.name), &linear.scale)];
    if let Some(zero) = &linear.zero {
        inputs.push(w.constant(&format!("{}.zero_point", last.name), zero));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let axis = linear.axis.map(|axis| int("axis", wide(axis)));
    w.node(&last.name, op_type, &inputs, &outputs, axis.into_iter().collect());
    Ok(())
}

/// Writes known integers and what they stand for, which is the result; scales belong to the dimension `axis` if there are
/// several.
pub(super) fn known(
    w: &mut Writer<'_>,
    base: &str,
    integers: &Tensor,
    scale: &Tensor,
    axis: usize,
) -> String {
    let integers = w.constant(&format!("{base}.quantized"), integers);
    let attributes = if scale.shape().is_empty() { vec![] } else { vec![int("axis", wide(axis))] };
    let scale = w.constant(&format!("{base}.scale"), scale);
    w.inner(base, "DequantizeLinear", &[&integers, &scale], attributes)
}
