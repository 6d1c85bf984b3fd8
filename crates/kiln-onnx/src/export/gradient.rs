//! The operators of backward graphs in terms of ONNX, which has none of its own for them.

use kiln_graph::ops::{ConvGradWeight, Pool, PoolGrad, PoolKind};
use kiln_graph::{Data, Dim, Node, Tensor, product};

use super::conv::{PlainInput, plain_input};
use super::node::{Result, begins_then_ends, pool_attributes, refuse, sizes, wide};
use super::writer::{Writer, int, ints};

/// The gradient of a convolution's weight is a convolution with images and channels swapped, stride and dilation
/// swapped: `dw` as `[in, out, kernel...]`, and something behind it where the last windows did not reach the end.
pub(super) fn conv_weight(
    w: &mut Writer<'_>,
    node: &Node,
    op: &ConvGradWeight,
    inputs: &[&str],
    outputs: &[&str],
) -> Result {
    let name = node.name.as_str();
    let (graph, conv) = (w.graph, &op.conv);
    let PlainInput { x, pads, sizes: x_sizes } = plain_input(w, node, conv, inputs[0])?;
    let (x_shape, dy_shape) = (&graph.ty(node.inputs[0]).shape, &graph.ty(node.inputs[1]).shape);
    let rank = x_shape.len();
    let spatial: Vec<usize> = (2..rank).collect();
    let (groups, cin) = (conv.groups, x_shape[1].as_usize().unwrap_or(0) / conv.groups);
    // x: [N, groups, in, ..] to [in, groups * N, ..]
    let split = [&[x_shape[0].clone(), groups.into(), cin.into()], &x_sizes[..]].concat();
    let split = sizes(w, node, &split)?;
    let x = w.inner(name, "Reshape", &[&x, &split], vec![]);
    let perm = [2, 1, 0].into_iter().chain(spatial.iter().map(|axis| axis + 1));
    let x = w.inner(name, "Transpose", &[&x], vec![ints("perm", perm.map(wide))]);
    let images = &x_shape[0] * &Dim::from(groups);
    let merged = sizes(w, node, &[&[cin.into(), images], &x_sizes[..]].concat())?;
    let x = w.inner(name, "Reshape", &[&x, &merged], vec![]);
    let swap = || [1, 0].into_iter().chain(spatial.iter().copied()).map(wide);
    let dy = w.inner(name, "Transpose", &[inputs[1]], vec![ints("perm", swap())]);
    let attributes = vec![
        ints("strides", conv.dilations.iter().map(|n| wide(*n))),
        ints("pads", begins_then_ends(&pads)),
        ints("dilations", conv.strides.iter().map(|n| wide(*n))),
        int("group", wide(groups)),
    ];
    let known = dy_shape[2..].iter().all(|dim| dim.as_const().is_some());
    if !known {
        return refuse(node, "the size of its output is a symbol");
    }
    let dw = w.inner(name, "Conv", &[&x, &dy], attributes);
    let dw = w.inner(name, "Transpose", &[&dw], vec![ints("perm", swap())]);
    let (starts, axes) =
        (w.ints(name, spatial.iter().map(|_| 0)), w.ints(name, spatial.iter().map(|a| wide(*a))));
    let ends = w.ints(name, op.kernel.iter().map(|k| wide(*k)));
    w.node(name, "Slice", &[&dw, &starts, &ends, &axes], outputs, vec![]);
    Ok(())
}

/// The gradient of a largest element is added where the pooling says it was. That of an average is a convolution of
/// its shares, with zeros between them.
pub(super) fn pool(
    w: &mut Writer<'_>,
    node: &Node,
    op: &PoolGrad,
    inputs: &[&str],
    outputs: &[&str],
) -> Result {
    let name = node.name.as_str();
    let flat = w.ints(&format!("{name}.shape"), [-1]);
    let shape = sizes(w, node, &op.shape)?;
    let zero = Tensor::new([1], Data::F32(vec![0.0])).or_else(|e| refuse(node, e.to_string()))?;
    let (op_type, attributes) = pool_attributes(&op.pool);
    match op.pool.kind {
        PoolKind::Max => {
            let indices = w.fresh(&format!("{name}.indices"));
            let unused = w.fresh(&format!("{name}.largest"));
            w.node(name, op_type, &[inputs[1]], &[&unused, &indices], attributes);
            let indices = w.inner(name, "Reshape", &[&indices, &flat], vec![]);
            let dy = w.inner(name, "Reshape", &[inputs[0], &flat], vec![]);
            let zero = w.constant(&format!("{name}.zero"), &zero);
            let count = sizes(w, node, &[product(&op.shape)])?;
            let zeros = w.inner(name, "Expand", &[&zero, &count], vec![]);
            let add = vec![int("axis", 0), super::writer::string("reduction", "add")];
            let sums = w.inner(name, "ScatterElements", &[&zeros, &indices, &dy], add);
            w.node(name, "Reshape", &[&sums, &shape], outputs, vec![]);
            Ok(())
        }
        PoolKind::Average { count_include_pad } => {
            let dy_shape = &w.graph.ty(node.inputs[0]).shape;
            let known = |shape: &[Dim]| shape.iter().map(Dim::as_usize).collect::<Option<Vec<usize>>>();
            let (Some(inputs_size), Some(windows), Some(channels)) =
                (known(&op.shape[2..]), known(&dy_shape[2..]), op.shape[1].as_usize())
            else {
                return refuse(node, "a size of its input or output is a symbol");
            };
            let counts = counts(&op.pool, &inputs_size, &windows, count_include_pad);
            let shape = [&[1, 1], &windows[..]].concat();
            let counts = Tensor::f32(shape, counts).or_else(|e| refuse(node, e.to_string()))?;
            let counts = w.constant(&format!("{name}.counts"), &counts);
            let shares = w.inner(name, "Div", &[inputs[0], &counts], vec![]);
            let shape = [&[channels, 1], &op.pool.kernel[..]].concat();
            let ones = vec![1.0; shape.iter().product()];
            let ones = Tensor::f32(shape, ones).or_else(|e| refuse(node, e.to_string()))?;
            let ones = w.constant(&format!("{name}.ones"), &ones);
            let attributes = vec![
                ints("strides", op.pool.strides.iter().map(|n| wide(*n))),
                ints("dilations", op.pool.dilations.iter().map(|n| wide(*n))),
                int("group", wide(channels)),
            ];
            let all = w.inner(name, "ConvTranspose", &[&shares, &ones], attributes);
            // The gradient of padding is dropped; positions that no window reaches get zero.
            let mut pads = vec![[0, 0]; 2];
            for axis in 0..windows.len() {
                let reach = op.pool.dilations[axis] * (op.pool.kernel[axis] - 1) + 1;
                let full = wide((windows[axis] - 1) * op.pool.strides[axis] + reach);
                let before = op.pool.pads[axis][0];
                pads.push([-before, wide(inputs_size[axis]) + before - full]);
            }
            let pads = w.ints(name, begins_then_ends(&pads));
            w.node(name, "Pad", &[&all, &pads], outputs, vec![]);
            Ok(())
        }
    }
}

/// How many elements each window counts, row-major.
fn counts(pool: &Pool, inputs: &[usize], windows: &[usize], include_pad: bool) -> Vec<f32> {
    let mut counts = vec![1.0f32];
    for axis in 0..windows.len() {
        let [before, after] = if include_pad { pool.pads[axis] } else { [0, 0] };
        let (low, high) = (-before, wide(inputs[axis]) + after);
        #[allow(clippy::as_conversions, reason = "kernels have far fewer than 2^24 elements")]
        let of = |window: usize| {
            let begin = wide(window * pool.strides[axis]) - pool.pads[axis][0];
            let taps = (0..pool.kernel[axis]).map(|tap| begin + wide(tap * pool.dilations[axis]));
            taps.filter(|place| (low..high).contains(place)).count().max(1) as f32
        };
        counts = counts.iter().flat_map(|outer| (0..windows[axis]).map(move |n| outer * of(n))).collect();
    }
    counts
}
