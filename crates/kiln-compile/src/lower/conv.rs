//! Convolution.

use kiln_graph::ops::Conv;
use kiln_graph::{Dim, NodeId, product};
use kiln_plan::Layout;

use super::anchor::{launch, tail};
use super::context::Context;
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;

/// Most loop iterations of an invocation. Mesa's lavapipe stops all loops of an invocation after 65,535 in total,
/// without a word.
pub const MAX_ITERATIONS: i64 = 60_000;

/// Names of the spatial dimensions in kernels, which always have three; missing ones come first and are 1.
const AXES: [&str; 3] = ["d", "h", "w"];

/// Fills up to three spatial dimensions from the front.
pub fn three<T: Clone>(values: &[T], missing: T) -> [T; 3] {
    std::array::from_fn(|i| (i + values.len()).checked_sub(3).map_or(missing.clone(), |j| values[j].clone()))
}

/// Adds three numbers under `prefix_d`, `prefix_h` and `prefix_w`.
pub fn per_axis(params: &mut Params, prefix: &str, values: &[Dim; 3]) {
    for (axis, value) in AXES.iter().zip(values) {
        params.int(format!("{prefix}_{axis}"), value.clone());
    }
}

/// Lowers a convolution with its epilogue.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, conv: &Conv) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let [x, w] = graph.node(node).inputs[..] else {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "needs two inputs".into(),
        });
    };
    let anchor = graph.node(node).outputs[0];
    let (x_shape, w_shape) = (graph.ty(x).shape.clone(), graph.ty(w).shape.clone());
    let rank = x_shape.len();
    let layout = channels_last(rank);
    let rows = ctx.rows(x)?;
    // [taps][input channels of a group][output channels]
    let w_layout = Layout { order: (2..rank).chain([1, 0]).collect(), lanes: 4 };
    let w_placed = ctx.version(w, &w_layout)?;
    let size = |i: usize| w_shape[i].as_usize().unwrap_or(0);
    let (cout, cin) = (size(0), size(1));
    let taps: usize = (2..rank).map(size).product();
    let iterations = i64::try_from(taps.saturating_mul(cin)).unwrap_or(i64::MAX);
    if iterations > MAX_ITERATIONS {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: format!(
                "sums {iterations} products for each output; this kernel sums at most {MAX_ITERATIONS}"
            ),
        });
    }
    let operands = [rows.storage, ctx.placed[w_placed].storage];
    let tail = tail(ctx, group, anchor, &layout, &operands)?;
    let mut params = Params::default();
    let spatial = |v: &[usize]| three(&v.iter().map(|n| Dim::from(*n)).collect::<Vec<_>>(), 1.into());
    let out_shape = graph.ty(anchor).shape.clone();
    per_axis(&mut params, "in", &three(&x_shape[2..], 1.into()));
    per_axis(&mut params, "out", &three(&out_shape[2..], 1.into()));
    per_axis(&mut params, "kernel", &three(&w_shape[2..], 1.into()));
    per_axis(&mut params, "stride", &spatial(&conv.strides));
    per_axis(&mut params, "dilation", &spatial(&conv.dilations));
    per_axis(&mut params, "step", &spatial(&conv.input_dilations));
    let pads: Vec<Dim> = conv.pads.iter().map(|p| p[0].into()).collect();
    per_axis(&mut params, "pad", &three(&pads, 0.into()));
    params.int("x_base", rows.base);
    params.int("x_step", rows.step);
    params.int("group_in", cin);
    params.int("group_out", cout / conv.groups);
    let aligned = conv.groups == 1 || (cout / conv.groups).is_multiple_of(4);
    let dilated = conv.input_dilations.iter().any(|d| *d > 1);
    let flops = product(&out_shape) * iterations.into() * 2.into();
    let kernel = if conv.groups == 1 { "conv_direct" } else { "conv_grouped" };
    let holes = minijinja::context! { aligned, dilated };
    launch(ctx, group, tail, "conv_direct", kernel, &operands, params, holes, flops)
}
