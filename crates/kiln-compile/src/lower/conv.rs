//! Convolution.

use kiln_graph::ops::Conv;
use kiln_graph::{Dim, NodeId, ValueId, product};
use kiln_plan::Layout;

use super::anchor::{Biased, biased_tail, launch, launch_on, tail};
use super::context::{Context, StorageId};
use super::kernel::Params;
use super::pack::PanelShape;
use super::rows::Rows;
use super::tile::Tile;
use super::unfold::Unfold;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::layout::channels_last;
use crate::target::Strategy;

/// Most loop iterations of an invocation. Mesa's lavapipe stops all loops of an invocation after 65,535 in total,
/// without a word.
pub const MAX_ITERATIONS: i64 = 60_000;

/// Names of the spatial dimensions in kernels, which always have three; missing ones come first and are 1.
pub const AXES: [&str; 3] = ["d", "h", "w"];

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

/// Adds what all kernels with a window take: the spatial sizes of the input and the output, both `[N, C, ...]`, and
/// the window's own.
pub fn window(
    params: &mut Params,
    shapes: [&[Dim]; 2],
    kernel: &[usize],
    strides: &[usize],
    dilations: &[usize],
) {
    for (name, shape) in ["in", "out"].into_iter().zip(shapes) {
        per_axis(params, name, &three(&shape[2..], 1.into()));
    }
    for (name, sizes) in [("kernel", kernel), ("stride", strides), ("dilation", dilations)] {
        sizes_per_axis(params, name, sizes);
    }
}

/// Adds a size for each of up to three spatial dimensions.
pub fn sizes_per_axis(params: &mut Params, name: &str, sizes: &[usize]) {
    let sizes: Vec<Dim> = sizes.iter().map(|size| (*size).into()).collect();
    per_axis(params, name, &three(&sizes, 1.into()));
}

/// Adds the padding before (`side` 0) or after (1) each spatial dimension.
pub fn padding(params: &mut Params, name: &str, pads: &[[i64; 2]], side: usize) {
    let pads: Vec<Dim> = pads.iter().map(|pads| pads[side].into()).collect();
    per_axis(params, name, &three(&pads, 0.into()));
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
    let w_shape = graph.ty(w).static_shape().unwrap_or_default();
    let out_shape = graph.ty(anchor).shape.clone();
    let places = product(out_shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim));
    let x_shape = graph.ty(x).shape.clone();
    if let (Some(unfold), Some(width)) =
        (Unfold::of(conv, x, w_shape[1], &w_shape[2..]), out_shape.last().filter(|_| w_shape[0] > 1))
    {
        let conv = Unfold::conv(conv);
        let rows = ctx.unfolded(&unfold, width)?;
        let x_shape = unfold.shape(&x_shape, width);
        let tile = Tile::choose(ctx, &places, w_shape[0].div_ceil(4));
        let (last, rank) = (w_shape[w_shape.len() - 1], w_shape.len());
        let mut w_shape = w_shape;
        (w_shape[1], w_shape[rank - 1]) = (last, 1);
        let job = Job { group, conv: &conv, w, anchor, rows, x_shape, w_shape, out_shape, unfolded: true };
        return tiled(ctx, job, tile, &places);
    }
    let rows = ctx.rows(x)?;
    let job = Job { group, conv, w, anchor, rows, x_shape, w_shape, out_shape, unfolded: false };
    let group_out = job.w_shape[0] / conv.groups;
    let by_vectors = conv.groups == 1 || job.w_shape[1].is_multiple_of(4) && group_out.is_multiple_of(4);
    if job.is_depthwise() {
        return depthwise(ctx, job);
    }
    if !by_vectors {
        return direct(ctx, job);
    }
    let tile = Tile::choose(ctx, &places, group_out.div_ceil(4));
    tiled(ctx, job, tile, &places)
}

/// A convolution to be lowered.
struct Job<'a> {
    group: &'a Group,
    conv: &'a Conv,
    w: ValueId,
    anchor: ValueId,
    rows: Rows,
    /// `[N, C, spatial...]`
    x_shape: Vec<Dim>,
    /// `[out channels, in channels of a group, spatial...]`
    w_shape: Vec<usize>,
    /// `[N, C, spatial...]`
    out_shape: Vec<Dim>,
    /// Whether the channels are taps along the width, see [`Unfold`].
    unfolded: bool,
}

impl Job<'_> {
    fn taps(&self) -> usize {
        self.w_shape[2..].iter().product()
    }

    fn flops(&self) -> Dim {
        product(&self.out_shape) * (2 * self.taps() * self.w_shape[1]).into()
    }

    fn dilated(&self) -> bool {
        self.conv.input_dilations.iter().any(|d| *d > 1)
    }

    /// Whether the products with the zeros between input elements can be left out.
    fn is_phased(&self) -> bool {
        self.dilated() && self.conv.strides.iter().chain(&self.conv.dilations).all(|n| *n == 1)
    }

    /// Whether most products would be with padding, so that it pays to sort rows such that those can be left out.
    fn meets_padding(&self, ctx: &Context<'_>, tile: Tile) -> bool {
        let plain = self.conv.strides.iter().chain(&self.conv.dilations).all(|n| *n == 1);
        let mut share = 1.0;
        for axis in 0..self.conv.strides.len() {
            let (Some(size), Some(out)) =
                (self.x_shape[axis + 2].as_usize(), self.out_shape[axis + 2].as_usize())
            else {
                return false;
            };
            let (step, kernel) = (self.conv.input_dilations[axis], self.w_shape[axis + 2]);
            let before = usize::try_from(self.conv.pads[axis][0]).unwrap_or(0);
            let end = (size - 1) * step + 1;
            let meets = |place: &usize| (before..before + end).contains(place);
            let met = (0..out).map(|o| (o..o + kernel).filter(meets).count()).sum::<usize>();
            share *= met as f64 / (out * kernel).max(1) as f64;
        }
        // Several images in a row, and not so many places that they leave the caches.
        let images = ctx.largest(&self.x_shape[0]);
        plain && tile != Tile::Workgroup && share < 0.6 && images >= tile.rows()
    }

    /// Tiles of rows where each phase has its own, and what kernels need to know of phases.
    fn phases(&self, tile: Tile) -> (Dim, Params) {
        let steps = three(&self.conv.input_dilations, 1);
        let count: usize = steps.iter().product();
        let out = three(&self.out_shape[2..], 1.into());
        let size = |n: usize| i64::try_from(n).unwrap_or(1);
        let sizes: [Dim; 3] = std::array::from_fn(|axis| out[axis].ceil_div(size(steps[axis])));
        let rows = &product(&sizes) * &self.out_shape[0];
        let tiles = rows.ceil_div(tile.rows());
        let mut params = Params::default();
        per_axis(&mut params, "phase", &sizes);
        params.int("images", self.out_shape[0].clone());
        params.uint("phases", count);
        params.uint("phase_rows", rows);
        params.uint("phase_tiles", tiles.clone());
        (tiles * count.into(), params)
    }

    /// Whether the depthwise kernel can do it: one input and one output channel a group, over a plane or a line, with
    /// a window whose width is few enough loads.
    fn is_depthwise(&self) -> bool {
        let last = |v: &[usize]| v.last().copied().unwrap_or(1);
        self.w_shape[1] == 1
            && self.w_shape[0] == self.conv.groups
            && self.x_shape.len() <= 4
            && !self.dilated()
            && last(&self.conv.dilations) == 1
            && last(&self.w_shape) <= 7
            && last(&self.conv.strides) <= 2
    }

    /// The sizes that all kernels need.
    fn sizes(&self) -> Params {
        let mut params = Params::default();
        let conv = self.conv;
        let shapes = [&self.x_shape[..], &self.out_shape[..]];
        window(&mut params, shapes, &self.w_shape[2..], &conv.strides, &conv.dilations);
        sizes_per_axis(&mut params, "step", &conv.input_dilations);
        padding(&mut params, "pad", &conv.pads, 0);
        params
    }

    fn check_iterations(&self, count: usize) -> Result<(), CompileError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count <= MAX_ITERATIONS {
            return Ok(());
        }
        Err(CompileError::Unsupported {
            node: self.group.name.clone(),
            message: format!(
                "takes {count} steps for each output; this kernel takes at most {MAX_ITERATIONS}"
            ),
        })
    }
}

/// `[taps...][input channels of a group][output channels]`.
pub fn weight_layout(rank: usize) -> Layout {
    Layout { order: (2..rank).chain([1, 0]).collect(), lanes: 4 }
}

/// One output vector an invocation.
fn direct(ctx: &mut Context<'_>, job: Job<'_>) -> Result<(), CompileError> {
    let rank = job.x_shape.len();
    job.check_iterations(job.taps().saturating_mul(job.w_shape[1]))?;
    let w_placed = ctx.version(job.w, &weight_layout(rank))?;
    let operands = [job.rows.storage, ctx.placed[w_placed].storage];
    let tail = tail(ctx, job.group, job.anchor, &channels_last(rank), &operands)?;
    let mut params = job.sizes();
    params.int("x_base", job.rows.base.clone());
    params.int("x_step", job.rows.step.clone());
    let (group_in, group_out) = (job.w_shape[1], job.w_shape[0] / job.conv.groups);
    params.int("group_in", group_in);
    params.int("group_out", group_out);
    let aligned = job.conv.groups == 1 || group_out.is_multiple_of(4);
    let holes = minijinja::context! { aligned, dilated => job.dilated() };
    launch(ctx, job.group, tail, "conv_direct", "conv_direct", &operands, params, holes, job.flops())
}

/// A run of output vectors along the width an invocation.
fn depthwise(ctx: &mut Context<'_>, job: Job<'_>) -> Result<(), CompileError> {
    // Neighbours that share their loads: more where loads are what costs, fewer where invocations are wanted.
    let run = match ctx.target.strategy {
        Strategy::Broadcast { .. } | Strategy::RegisterTile => 8,
        Strategy::WorkgroupTile => 4,
    };
    let rank = job.x_shape.len();
    let w_placed = ctx.version(job.w, &weight_layout(rank))?;
    let own = [job.rows.storage, ctx.placed[w_placed].storage];
    let Biased { tail, rest, bias, operands } =
        biased_tail(ctx, job.group, job.anchor, 1, &channels_last(rank), &own)?;
    let mut params = job.sizes();
    job.rows.vectors(&mut params);
    let spatial = three(&job.out_shape[2..], 1.into());
    let runs_w = spatial[2].ceil_div(run);
    let runs = &(&job.out_shape[0] * &spatial[1]) * &runs_w;
    params.uint("runs", runs.clone());
    params.int("runs_w", runs_w);
    let width = job.w_shape.last().copied().unwrap_or(1);
    let stride = job.conv.strides.last().copied().unwrap_or(1);
    let holes = minijinja::context! { R => run, K => width, S => stride, biased => bias.is_some() };
    let grid = ctx.grid(&(&runs * &tail.space.inner()));
    let name = format!("conv_depthwise_{width}_stride_{stride}");
    launch_on(ctx, &rest, tail, "conv_depthwise", &name, &operands, params, holes, job.flops(), grid)
}

/// Loops of up to so many steps over channels are merged with those over the width of the window.
const SHORT: usize = 2;

/// As a matrix product, in tiles.
fn tiled(ctx: &mut Context<'_>, job: Job<'_>, tile: Tile, rows: &Dim) -> Result<(), CompileError> {
    let rank = job.x_shape.len();
    let depth = job.w_shape[1].div_ceil(4);
    // Steps along k, and those of the loops around them.
    let steps = job.taps().saturating_mul(depth + 2);
    let iterations = tile.iterations(&steps.into());
    job.check_iterations(iterations.as_usize().unwrap_or(usize::MAX))?;
    let columns = job.w_shape[0] / job.conv.groups;
    let column_tiles = columns.div_ceil(4).div_ceil(usize::try_from(tile.columns()).unwrap_or(1));
    let right = right(ctx, &job, tile, column_tiles)?;
    let own = [job.rows.storage, right.storage];
    let Biased { tail, rest, bias, operands } =
        biased_tail(ctx, job.group, job.anchor, 1, &channels_last(rank), &own)?;
    let mut params = job.sizes();
    job.rows.vectors(&mut params);
    params.uint("rows", rows.clone());
    params.uint("column_tiles", column_tiles);
    params.uint("group_columns", columns.div_ceil(4));
    params.int("depth", depth);
    params.uint("w_part", right.part);
    params.uint("w_tile", right.tile);
    params.uint("w_step", right.step);
    params.uint("w_depth", right.depth);
    let deep = rank == 5;
    // One loop instead of two pays where the inner one would be short; its checks are made at every step.
    let flat = depth <= SHORT
        && !job.dilated()
        && job.conv.groups == 1
        && job.conv.dilations.last().is_none_or(|d| *d == 1)
        && (depth == 1 || right.depth == 4 * depth)
        && job.rows.step == Dim::from(4 * depth);
    let by_image = job.meets_padding(ctx, tile);
    let phases = if job.is_phased() || by_image { Some(job.phases(tile)) } else { None };
    let phased = phases.is_some();
    let row_tiles = match phases {
        Some((row_tiles, own)) => {
            params.extend(own);
            row_tiles
        }
        None => rows.ceil_div(tile.rows()),
    };
    let (dilated, biased) = (job.dilated(), bias.is_some());
    let flat = flat && !phased;
    let (any, some) = tile.any();
    let (some_h, some_w) = (some("h_", " >= 0"), some("inside_", ""));
    let holes = tile.holes(minijinja::context! {
        deep, dilated, phased, by_image, biased, flat, any, some_h, some_w
    });
    let grid = tile.grid(ctx, &row_tiles, (column_tiles * job.conv.groups).into());
    let name = format!("conv_{}", tile.name());
    let template = if tile == Tile::Workgroup { "conv_tile" } else { "conv_broadcast" };
    launch_on(ctx, &rest, tail, template, &name, &operands, params, holes, job.flops(), grid)
}

/// The weights as the right matrix of a product; strides in vectors of four.
struct Right {
    storage: StorageId,
    part: usize,
    tile: usize,
    step: usize,
    /// Rows of a tap. Those that are missing to four meet zeros on the left.
    depth: usize,
}

fn right(ctx: &mut Context<'_>, job: &Job<'_>, tile: Tile, tiles: usize) -> Result<Right, CompileError> {
    let rank = job.x_shape.len();
    let width = usize::try_from(tile.columns()).unwrap_or(1);
    let graph = ctx.graph;
    let Some(tensor) = graph.as_constant(job.w) else {
        let placed = ctx.version(job.w, &weight_layout(rank))?;
        let columns = job.w_shape[0].div_ceil(4);
        let part = columns / job.conv.groups;
        return Ok(Right {
            storage: ctx.placed[placed].storage,
            part,
            tile: width,
            step: columns,
            depth: job.w_shape[1],
        });
    };
    // Taps that became channels are the last axis by themselves.
    let k_axes = if job.unfolded { (2..rank).collect() } else { (2..rank).chain([1]).collect() };
    let shape = PanelShape { parts: job.conv.groups, column_axis: 0, k_axes, tile };
    let panels = ctx.panels(job.w, tensor, &shape)?;
    let [panels] = &panels[..] else {
        return Err(CompileError::TooLarge {
            tensor: graph.value(job.w).name.clone(),
            bytes: ctx.element(job.w)?.size() * tensor.len() as u64,
            limit: ctx.target.max_storage_buffer_binding_size,
            hint: String::new(),
        });
    };
    let panel = shape.depth(tensor.shape()) * width;
    let depth = job.w_shape[1].next_multiple_of(4);
    Ok(Right { storage: panels.storage, part: tiles * panel, tile: panel, step: width, depth })
}
