//! Interpolation to another spatial size.

use kiln_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeMode};
use kiln_graph::{NodeId, product};

use super::anchor::{launch, tail};
use super::context::Context;
use super::conv::{per_axis, three};
use super::kernel::Params;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;

/// Lowers nearest and linear interpolation of spatial dimensions.
pub fn lower(ctx: &mut Context<'_>, group: &Group, node: NodeId, op: &Resize) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (x, anchor) = (graph.node(node).inputs[0], graph.node(node).outputs[0]);
    let (x_shape, out_shape) = (graph.ty(x).shape.clone(), graph.ty(anchor).shape.clone());
    let rank = x_shape.len();
    if !(3..=5).contains(&rank) || x_shape[..2] != out_shape[..2] {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "resizes batch or channels; only spatial dimensions can be resized on the device".into(),
        });
    }
    let layout = channels_last(rank);
    let rows = ctx.rows(x)?;
    let operands = [rows.storage];
    let tail = tail(ctx, group, anchor, &layout, &operands)?;
    let mut params = Params::default();
    rows.vectors(&mut params);
    per_axis(&mut params, "in", &three(&x_shape[2..], 1.into()));
    per_axis(&mut params, "out", &three(&out_shape[2..], 1.into()));
    if let Some(scales) = &op.scales {
        for (axis, scale) in ["d", "h", "w"].iter().zip(three(&scales[2..], 1.0)) {
            params.float(format!("scale_{axis}"), scale);
        }
    }
    let linear = op.mode == ResizeMode::Linear;
    let nearest = match op.mode {
        ResizeMode::Linear => "",
        ResizeMode::Nearest(NearestMode::RoundPreferFloor) => "ceil(at - 0.5)",
        ResizeMode::Nearest(NearestMode::RoundPreferCeil) => "floor(at + 0.5)",
        ResizeMode::Nearest(NearestMode::Floor) => "floor(at)",
        ResizeMode::Nearest(NearestMode::Ceil) => "ceil(at)",
    };
    let coordinates = match op.coordinates {
        CoordinateMode::HalfPixel => "(f32(place) + 0.5) / scale - 0.5",
        CoordinateMode::PytorchHalfPixel => "select(0.0, (f32(place) + 0.5) / scale - 0.5, to > 1)",
        CoordinateMode::AlignCorners => "f32(place * (size - 1)) / f32(max(to - 1, 1))",
        CoordinateMode::Asymmetric => "f32(place) / scale",
    };
    let flops = product(&out_shape) * (if linear { 14 } else { 0 }).into();
    let holes = minijinja::context! { linear, nearest, coordinates, scales => op.scales.is_some() };
    let kernel = if linear { "resize_linear" } else { "resize_nearest" };
    launch(ctx, group, tail, "resize", kernel, &operands, params, holes, flops)
}
