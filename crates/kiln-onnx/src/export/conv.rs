//! Convolutions and matrix products with their bias.

use kiln_graph::ops::Conv;
use kiln_graph::{Dim, Node, Op};

use super::forms::{Bias, Product};
use super::node::{Result, begins_then_ends, new_shape, refuse, wide};
use super::quantized;
use super::turned::Turned;
use super::writer::{Writer, int, ints};

/// Writes a product whose results are those of `last`, which adds its bias.
pub(super) fn product(w: &mut Writer<'_>, last: &Node, product: &Product) -> Result {
    let graph = w.graph;
    let node = graph.node(product.node);
    let outputs: Vec<String> = last.outputs.iter().map(|id| w.name(*id).to_owned()).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let bias = product.bias.as_ref().map(|bias| match bias {
        Bias::Value(id) => w.name(*id).to_owned(),
        Bias::Known(tensor) => w.constant(&format!("{}.bias", node.name), tensor),
        Bias::Quantized { integers, scale } => {
            quantized::known(w, &format!("{}.bias", node.name), integers, scale, 0)
        }
    });
    let mut inputs: Vec<String> = node.inputs.iter().map(|id| w.name(*id).to_owned()).collect();
    inputs.extend(bias);
    if let (Op::Conv(op), Some(turned)) = (&node.op, &product.turned) {
        return transposed(w, node, op, turned, inputs, &outputs);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    if let Op::Conv(op) = &node.op {
        return write(w, node, op, &inputs, &outputs);
    }
    let Op::MatMul(op) = &node.op else { return refuse(node, "it is no product") };
    let transposed = [("transA", op.transpose_a), ("transB", op.transpose_b)];
    let attributes = transposed.map(|(name, transposed)| int(name, i64::from(transposed))).to_vec();
    w.node(&node.name, "Gemm", &inputs, &outputs, attributes);
    Ok(())
}

fn transposed(
    w: &mut Writer<'_>,
    node: &Node,
    op: &Conv,
    turned: &Turned,
    mut inputs: Vec<String>,
    outputs: &[&str],
) -> Result {
    let name = node.name.as_str();
    let base = format!("{name}.weight");
    inputs[1] = match &turned.scale {
        Some(scale) => quantized::known(w, &base, &turned.weight, scale, 1),
        None => w.constant(&base, &turned.weight),
    };
    let kernel = turned.weight.shape().iter().skip(2);
    let attributes = vec![
        ints("kernel_shape", kernel.map(|n| wide(*n))),
        ints("strides", op.input_dilations.iter().map(|n| wide(*n))),
        ints("pads", begins_then_ends(&turned.pads)),
        ints("output_padding", turned.output_padding.iter().copied()),
        ints("dilations", op.dilations.iter().map(|n| wide(*n))),
        int("group", wide(op.groups)),
    ];
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    w.node(name, "ConvTranspose", &inputs, outputs, attributes);
    Ok(())
}

/// Writes a convolution; a third input is its bias.
pub(super) fn write(w: &mut Writer<'_>, node: &Node, op: &Conv, inputs: &[&str], outputs: &[&str]) -> Result {
    let name = node.name.as_str();
    let graph = w.graph;
    if !graph.ty(node.inputs[0]).dtype.is_float() {
        return refuse(node, "ONNX's convolutions are of floats or of integers of 8 bits, not of 32");
    }
    let PlainInput { x, pads, .. } = plain_input(w, node, op, inputs[0])?;
    let kernel = graph.ty(node.inputs[1]).shape[2..].iter().filter_map(Dim::as_const).collect::<Vec<_>>();
    let attributes = vec![
        ints("kernel_shape", kernel),
        ints("strides", op.strides.iter().map(|n| wide(*n))),
        ints("pads", begins_then_ends(&pads)),
        ints("dilations", op.dilations.iter().map(|n| wide(*n))),
        int("group", wide(op.groups)),
    ];
    w.node(name, "Conv", &[&[&*x], &inputs[1..]].concat(), outputs, attributes);
    Ok(())
}

/// The input of a convolution such that ONNX's `Conv` can read it.
pub(super) struct PlainInput {
    /// The tensor.
    pub x: String,
    /// The rest of the padding.
    pub pads: Vec<[i64; 2]>,
    /// The spatial sizes of the tensor.
    pub sizes: Vec<Dim>,
}

/// Brings the input of a convolution to what ONNX can say: no zeros between elements, no padding below zero.
pub(super) fn plain_input(w: &mut Writer<'_>, node: &Node, op: &Conv, x: &str) -> Result<PlainInput> {
    let mut x = x.to_owned();
    let mut sizes = w.graph.ty(node.inputs[0]).shape[2..].to_vec();
    if op.input_dilations.iter().any(|d| *d > 1) {
        x = spread(w, node, op, &x)?;
        for (size, dilation) in sizes.iter_mut().zip(&op.input_dilations) {
            *size = (size.clone() - 1.into()) * wide(*dilation).into() + 1.into();
        }
    }
    let mut pads = op.pads.clone();
    if pads.iter().flatten().any(|p| *p < 0) {
        // Only `Pad` can take something off.
        for (size, pads) in sizes.iter_mut().zip(&pads) {
            *size = size.clone() + (pads[0] + pads[1]).into();
        }
        let all: Vec<[i64; 2]> = [[0, 0], [0, 0]].into_iter().chain(pads).collect();
        let amounts = w.ints(&format!("{}.pads", node.name), begins_then_ends(&all));
        x = w.inner(&node.name, "Pad", &[&x, &amounts], vec![]);
        pads = vec![[0, 0]; op.spatial()];
    }
    Ok(PlainInput { x, pads, sizes })
}

/// Puts zeros between the elements of a convolution's input: each spatial dimension gets one of zeros beside it, is
/// merged with it, and loses the zeros behind the last element.
fn spread(w: &mut Writer<'_>, node: &Node, op: &Conv, x: &str) -> Result<String> {
    let name = node.name.as_str();
    let shape = w.graph.ty(node.inputs[0]).shape.clone();
    let mut x = x.to_owned();
    let mut now = shape.clone();
    for (i, dilation) in op.input_dilations.iter().enumerate().filter(|(_, d)| **d > 1) {
        let axis = i + 2;
        let rank = now.len();
        let axes = w.ints(&format!("{name}.axes"), [wide(axis + 1)]);
        x = w.inner(name, "Unsqueeze", &[&x, &axes], vec![]);
        let mut pads = vec![[0, 0]; rank + 1];
        pads[axis + 1] = [0, wide(*dilation) - 1];
        let amounts = w.ints(&format!("{name}.pads"), begins_then_ends(&pads));
        x = w.inner(name, "Pad", &[&x, &amounts], vec![]);
        let from = now.clone();
        now[axis] = &now[axis] * &Dim::from(*dilation);
        let sizes = new_shape(node, &from[..axis], &now)?;
        let sizes = w.ints(&format!("{name}.shape"), sizes);
        x = w.inner(name, "Reshape", &[&x, &sizes], vec![]);
        now[axis] = now[axis].clone() - (wide(*dilation) - 1).into();
        let (start, end) = (w.ints(name, [0]), w.ints(name, [1 - wide(*dilation)]));
        let axes = w.ints(name, [wide(axis)]);
        x = w.inner(name, "Slice", &[&x, &start, &end, &axes], vec![]);
    }
    Ok(x)
}
