//! Transposed convolutions, which are convolutions of an input with zeros between its elements, as ONNX has them.

use kiln_graph::ops::Conv;
use kiln_graph::{Graph, Node, NodeId, Op, Tensor};

use super::forms::dequantize;

/// A weight `[channels in, channels out / groups, ...]` and attributes.
pub(super) struct Turned {
    /// The weight, or its integers.
    pub weight: Tensor,
    /// What an integer stands for: one scale, or one for each channel of the result.
    pub scale: Option<Tensor>,
    /// Zeros that are cropped from the result.
    pub pads: Vec<[i64; 2]>,
    /// Elements added at the end of the result.
    pub output_padding: Vec<i64>,
}

/// A convolution as a transposed one, if it is one whose weight is known; nodes that make the weight go to `parts`.
pub(super) fn turned(graph: &Graph, op: &Conv, node: &Node, parts: &mut Vec<NodeId>) -> Option<Turned> {
    let is_transposed = op.input_dilations.iter().any(|step| *step > 1) && op.strides.iter().all(|n| *n == 1);
    let &[_, weight] = &node.inputs[..] else { return None };
    let shape = graph.ty(weight).static_shape()?;
    if !is_transposed || !graph.ty(weight).dtype.is_float() {
        return None;
    }
    let (mut pads, mut output_padding) = (Vec::new(), Vec::new());
    for (i, [begin, end]) in op.pads.iter().enumerate() {
        let reach = i64::try_from(op.dilations[i].checked_mul(shape[i + 2].checked_sub(1)?)?).ok()?;
        let (begin, end) = (reach.checked_sub(*begin)?, reach.checked_sub(*end)?);
        let added = (-end).max(0);
        if begin < 0 || added >= i64::try_from(op.input_dilations[i]).ok()? {
            return None;
        }
        pads.push([begin, end.max(0)]);
        output_padding.push(added);
    }
    if let Some(tensor) = graph.as_constant(weight) {
        let weight = around(tensor, op.groups)?;
        return Some(Turned { weight, scale: None, pads, output_padding });
    }
    let number = graph.producer(weight)?;
    let Op::Binary(_) = graph.node(number).op else { return None };
    let mut own = Vec::new();
    let linear = dequantize(graph, graph.node(number), &mut own)?;
    // Scales of several groups have no axis of their own there.
    let per_output = linear.axis == Some(0) && op.groups == 1;
    if linear.zero.is_some() || !(linear.axis.is_none() || per_output) {
        return None;
    }
    let weight = around(graph.as_constant(linear.x)?, op.groups)?;
    parts.push(number);
    parts.extend(own);
    Some(Turned { weight, scale: Some(linear.scale), pads, output_padding })
}

/// `[out, in / groups, ...]` as `[in, out / groups, ...]` with kernels turned around.
fn around(tensor: &Tensor, groups: usize) -> Option<Tensor> {
    let &[channels_out, ins, ref kernel @ ..] = tensor.shape() else { return None };
    let (outs, window) = (channels_out.checked_div(groups)?, kernel.iter().product::<usize>());
    let numbers = tensor.to_f64();
    let mut made = vec![0.0; numbers.len()];
    for (i, number) in numbers.into_iter().enumerate() {
        let (place, i) = (i % window, i / window);
        let (channel_in, i) = (i % ins, i / ins);
        let (channel_out, group) = (i % outs, i / outs);
        made[((group * ins + channel_in) * outs + channel_out) * window + window - 1 - place] = number;
    }
    let shape = [&[ins * groups, outs][..], kernel].concat();
    Tensor::of_numbers(shape, &made, tensor.dtype()).ok()
}
