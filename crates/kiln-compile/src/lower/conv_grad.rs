//! Gradients of weights: of convolutions, and of matrix products, which are the same without taps.
//!
//! The sum over all places is split into parts, so that there is work for all of the device however small the weight
//! is; the parts are then summed like any reduction, with the epilogue.

use kiln_graph::ops::{ConvGradWeight, MatMul, ReduceKind};
use kiln_graph::{DType, Dim, Graph, NodeId, ValueId, product};
use kiln_plan::{Access, Storage};

use super::context::{Contents, Context, StorageId, View};
use super::conv::{MAX_ITERATIONS, padding, sizes_per_axis, window};
use super::kernel::{Params, Request, WORKGROUP};
use super::reduce::{Walk, combine};
use super::rows::Rows;
use super::unfold::Unfold;
use crate::error::CompileError;
use crate::fuse::Group;
use crate::target::Strategy;

/// How the outer products are tiled.
struct Tile {
    /// Lanes that own columns; 1 where each invocation is by itself.
    lanes: usize,
    /// Row vectors.
    rows: usize,
    /// Column vectors of a lane.
    columns: usize,
    /// Places at a time.
    places: usize,
}

impl Tile {
    /// Accumulators are `16 * rows * columns` floats; more than 32 vectors make Mesa compile for seconds.
    fn choose(ctx: &Context<'_>, rows: usize, columns: usize, line: Option<usize>) -> Self {
        let Strategy::Broadcast { subgroup_size } = ctx.target.strategy else {
            return Self { lanes: 1, rows: 1, columns: 1, places: 1 };
        };
        let lanes = subgroup_size as usize;
        let rows = [1, 2, 4].into_iter().find(|n| *n >= rows).unwrap_or(8);
        let most = if rows == 1 { 4 } else { 8 / rows };
        // A wide tile loads less, but computes what nobody wants where it covers more than there is.
        let covered = |n: usize| columns.div_ceil(n * lanes) * n;
        let wide = [1, 2].into_iter().find(|n| *n * lanes >= columns).unwrap_or(4).min(most);
        let columns =
            (1..=wide).rev().find(|n| n.is_power_of_two() && covered(*n) * 4 <= covered(1) * 5).unwrap_or(1);
        let places = match line {
            Some(1) => 1,
            Some(2) => 2,
            Some(_) | None => 4,
        };
        Self { lanes, rows, columns, places }
    }
}

/// What the kernels with tiles are told besides how to find `x`.
struct Job<'a> {
    group: &'a Group,
    anchor: ValueId,
    x: Rows,
    dy: Rows,
    /// Rows of the result in all.
    rows: usize,
    /// Groups of channels.
    groups: usize,
    /// Vectors of columns.
    columns: usize,
    /// What is split into parts, lines or places, and the iterations each takes.
    units: Dim,
    per_unit: Dim,
    flops: Dim,
}

/// Lowers the gradient of a convolution's weight with its epilogue.
pub fn lower(
    ctx: &mut Context<'_>,
    group: &Group,
    node: NodeId,
    op: &ConvGradWeight,
) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let [x, dy] = graph.node(node).inputs[..] else {
        return Err(CompileError::Unsupported {
            node: group.name.clone(),
            message: "needs two inputs".into(),
        });
    };
    let anchor = graph.node(node).outputs[0];
    let w_shape = graph.ty(anchor).static_shape().unwrap_or_default();
    let y_shape = graph.ty(dy).shape.clone();
    let unfold = Unfold::of(&op.conv, x, w_shape[1], &op.kernel);
    let (op, x_rows, x_shape, w_shape) = match (&unfold, y_shape.last()) {
        (Some(unfold), Some(width)) => {
            let mut kernel = op.kernel.clone();
            let last = kernel.len() - 1;
            let mut w_shape = w_shape;
            w_shape[1] = std::mem::replace(&mut kernel[last], 1);
            let rows = ctx.unfolded(unfold, width)?;
            let shape = unfold.shape(&graph.ty(x).shape, width);
            (&ConvGradWeight { conv: Unfold::conv(&op.conv), kernel }, rows, shape, w_shape)
        }
        _ => (op, ctx.rows(x)?, graph.ty(x).shape.clone(), w_shape),
    };
    let conv = &op.conv;
    let taps: usize = op.kernel.iter().product();
    let (cout, cin, groups) = (w_shape[0], w_shape[1], conv.groups);
    let job = Job {
        group,
        anchor,
        x: x_rows,
        dy: ctx.rows(dy)?,
        rows: cout,
        groups,
        columns: taps * cin.div_ceil(4),
        units: product(
            y_shape.iter().enumerate().filter(|(a, _)| *a != 1 && *a + 1 != y_shape.len()).map(|(_, d)| d),
        ),
        per_unit: 1.into(),
        flops: product(&y_shape) * (2 * taps * cin).into(),
    };
    let mut params = Params::default();
    window(&mut params, [&x_shape, &y_shape], &op.kernel, &conv.strides, &conv.dilations);
    sizes_per_axis(&mut params, "step", &conv.input_dilations);
    padding(&mut params, "pad", &conv.pads, 0);
    let dilated = conv.input_dilations.iter().any(|d| *d > 1);
    let by_vectors = groups == 1 || cin.is_multiple_of(4) && (cout / groups).is_multiple_of(4);
    if !by_vectors {
        return direct(ctx, job, params, &w_shape, &y_shape, dilated);
    }
    // A window of one element that moves by one over all there is has no taps to speak of.
    let flat = taps == 1
        && groups == 1
        && x_shape[2..] == y_shape[2..]
        && conv.strides.iter().all(|s| *s == 1)
        && conv.pads.iter().all(|pads| *pads == [0, 0]);
    let width = y_shape.last().cloned().unwrap_or_default();
    let tile = Tile::choose(
        ctx,
        (cout / groups).div_ceil(4),
        job.columns,
        if flat { None } else { width.as_usize() },
    );
    let job = if flat {
        Job { units: &job.units * &width, ..job }
    } else {
        Job { per_unit: width.ceil_div(tile.places as i64) + 1.into(), ..job }
    };
    params.int("depth", cin.div_ceil(4));
    // [row][taps][channels of x]
    let step = 4 * cin.div_ceil(4);
    let mut strides = vec![Dim::from(step * taps), 1.into()];
    strides.extend(tap_strides(&op.kernel, step));
    let mut order: Vec<usize> = [0].into_iter().chain(2..w_shape.len()).chain([1]).collect();
    if unfold.is_some() {
        // What were channels here is the last axis of the weight.
        let last = strides.len() - 1;
        strides.swap(1, last);
        order = (0..w_shape.len()).collect();
    }
    let holes = minijinja::context! { deep => x_shape.len() == 5, dilated, flat };
    tiled(ctx, &job, tile, params, holes, strides, order)
}

/// Distances of neighbouring taps, each axis, if the last one's are `step` apart.
fn tap_strides(kernel: &[usize], step: usize) -> Vec<Dim> {
    (0..kernel.len()).map(|axis| (kernel[axis + 1..].iter().product::<usize>() * step).into()).collect()
}

/// Whether a matrix product sums over many rows of both operands, as the gradient of a linear layer's weight does.
pub fn is_outer(graph: &Graph, node: NodeId, op: &MatMul) -> bool {
    let node = graph.node(node);
    let single = |id: &ValueId| {
        let shape = &graph.ty(*id).shape;
        shape[..shape.len() - 2].iter().all(|dim| dim.is(1)) && graph.ty(*id).dtype == DType::F32
    };
    let shape = &graph.ty(node.outputs[0]).shape;
    let known = shape[shape.len() - 2..].iter().all(|dim| dim.as_usize().is_some());
    op.transpose_a && !op.transpose_b && known && node.inputs.iter().all(single)
}

/// Lowers `a^T b` for `a [K, M]` and `b [K, N]`, summing over K: the gradient of a linear layer's weight.
pub fn lower_product(ctx: &mut Context<'_>, group: &Group, node: NodeId) -> Result<(), CompileError> {
    let graph = ctx.graph;
    let (a, b) = (graph.node(node).inputs[0], graph.node(node).inputs[1]);
    let anchor = graph.node(node).outputs[0];
    let rank = graph.ty(anchor).rank();
    let shape = graph.ty(anchor).shape.clone();
    let (rows, columns) = (shape[rank - 2].as_usize().unwrap_or(0), shape[rank - 1].as_usize().unwrap_or(0));
    // The operands may differ in how many ones are in front.
    let places = graph.ty(a).shape[graph.ty(a).rank() - 2].clone();
    let job = Job {
        group,
        anchor,
        x: ctx.matrix_rows(b)?,
        dy: ctx.matrix_rows(a)?,
        rows,
        groups: 1,
        columns: columns.div_ceil(4),
        flops: &places * &Dim::from(2 * rows * columns),
        units: places,
        per_unit: 1.into(),
    };
    let tile = Tile::choose(ctx, rows.div_ceil(4), job.columns, None);
    let mut strides = vec![Dim::from(0); rank];
    strides[rank - 2] = (4 * columns.div_ceil(4)).into();
    strides[rank - 1] = 1.into();
    let holes = minijinja::context! { deep => false, dilated => false, flat => true };
    tiled(ctx, &job, tile, Params::default(), holes, strides, (0..rank).collect())
}

/// Most iterations of a part: rounding errors of longer sums add up.
const LONGEST: i64 = 2048;

/// How many parts `units` are split into, such that there are about `wanted` tiles in all, if they do not take too much
/// memory, and no part takes too many iterations.
fn parts(ctx: &Context<'_>, job: &Job<'_>, tiles: usize) -> i64 {
    const MOST_BYTES: usize = 32 << 20;
    let wanted = match ctx.target.strategy {
        Strategy::Broadcast { .. } => 64,
        Strategy::RegisterTile => 64 * WORKGROUP as usize,
        Strategy::WorkgroupTile => 32_768,
    };
    let bytes = 16 * job.rows * job.columns;
    let units = ctx.largest(&job.units).max(1);
    let whole = ctx.largest(&(&job.units * &job.per_unit));
    let needed = whole / (MAX_ITERATIONS - 1) + 1;
    let accurate = usize::try_from(whole / LONGEST + 1).unwrap_or(1);
    let affordable = MOST_BYTES / bytes.max(1);
    let useful = wanted.div_ceil(tiles.max(1)).max(accurate).min(affordable).max(1);
    i64::try_from(useful).unwrap_or(1).max(needed).min(units)
}

fn tiled(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    tile: Tile,
    mut params: Params,
    holes: minijinja::Value,
    strides: Vec<Dim>,
    order: Vec<usize>,
) -> Result<(), CompileError> {
    let group_rows = (job.rows / job.groups).div_ceil(4);
    let group_tiles = group_rows.div_ceil(tile.rows);
    let column_tiles = job.columns.div_ceil(tile.lanes * tile.columns);
    let tiles = group_tiles * job.groups * column_tiles;
    let count = parts(ctx, job, tiles);
    let part = units_of_a_part(ctx, job, count);
    job.x.vectors_as("x", &mut params);
    job.dy.vectors_as("dy", &mut params);
    params.int("part", part.clone());
    params.int("lines", job.units.clone());
    params.int("places", job.units.clone());
    params.uint("tiles", tiles * usize::try_from(count).unwrap_or(1));
    params.uint("row_tiles", group_tiles * job.groups);
    params.uint("column_tiles", column_tiles);
    params.uint("group_tiles", group_tiles);
    params.uint("group_rows", group_rows);
    params.uint("rows", job.rows);
    params.uint("columns", job.columns);
    let elements = Dim::from(4 * job.rows * job.columns) * count.into();
    let to = parts_memory(ctx, job, &elements);
    let alone = tile.lanes == 1;
    let total = Dim::from(tiles) * count.into();
    let workgroups = if alone { ctx.grid(&total) } else { ctx.fold(&total) };
    ctx.request(Request {
        template: "conv_grad",
        kernel: format!("conv_grad_{}x{}", 4 * tile.rows, 4 * tile.columns * tile.lanes),
        name: &job.group.name,
        holes: minijinja::context! { S => tile.lanes, rt => tile.rows, q => tile.columns, u => tile.places, alone, ..holes },
        bindings: vec![(job.x.storage, Access::Read), (job.dy.storage, Access::Read), (to, Access::ReadWrite)],
        params,
        workgroups,
        writes: vec![],
        flops: job.flops.clone(),
    })?;
    sum(ctx, job, to, count, 4 * job.rows * job.columns, strides, order)
}

/// Memory for all parts.
fn parts_memory(ctx: &mut Context<'_>, job: &Job<'_>, elements: &Dim) -> StorageId {
    let name = format!("{} (parts)", job.group.name);
    ctx.allocate(&name, Storage::F32, elements, Contents::Activation)
}

/// As many units as a part has, at least one.
fn units_of_a_part(ctx: &Context<'_>, job: &Job<'_>, count: i64) -> Dim {
    if ctx.largest(&job.units) == count { 1.into() } else { job.units.ceil_div(count) }
}

/// The sum of the parts, and the epilogue.
fn sum(
    ctx: &mut Context<'_>,
    job: &Job<'_>,
    parts: StorageId,
    count: i64,
    elements: usize,
    strides: Vec<Dim>,
    order: Vec<usize>,
) -> Result<(), CompileError> {
    let view = View { storage: parts, element: Storage::F32, base: 0.into(), strides, zero_lanes: true };
    let loops = vec![(Dim::from(count), Dim::from(elements))];
    let walk = Walk { view, order, loops, count: count.into(), kind: ReduceKind::Sum, flops: count.into() };
    combine(ctx, job.group, job.anchor, walk)
}

/// One element, or four channels that are groups of their own, an invocation.
fn direct(
    ctx: &mut Context<'_>,
    job: Job<'_>,
    mut params: Params,
    w_shape: &[usize],
    y_shape: &[Dim],
    dilated: bool,
) -> Result<(), CompileError> {
    let vectors = w_shape[0] == job.groups && w_shape[1] == 1;
    let taps: usize = w_shape[2..].iter().product();
    let places = product(y_shape.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| dim));
    let rows = if vectors { job.rows.div_ceil(4) } else { job.rows };
    let columns = if vectors { 1 } else { taps * w_shape[1] };
    let elements = if vectors { taps * rows } else { rows * columns };
    let job = Job { units: places.clone(), columns: columns.div_ceil(4), ..job };
    let count = parts(ctx, &job, elements.div_ceil(64));
    if vectors {
        job.x.vectors_as("x", &mut params);
        job.dy.vectors_as("dy", &mut params);
    } else {
        for (name, rows) in [("x", &job.x), ("dy", &job.dy)] {
            params.int(format!("{name}_base"), rows.base.clone());
            params.int(format!("{name}_step"), rows.step.clone());
        }
    }
    params.int("part", units_of_a_part(ctx, &job, count));
    params.int("places", places);
    params.int("rows", rows);
    params.int("taps", taps);
    params.int("columns", columns);
    params.int("depth", w_shape[1]);
    params.int("group_rows", job.rows / job.groups);
    let total = Dim::from(elements) * count.into();
    params.uint("count", total.clone());
    let width = if vectors { 4 } else { 1 };
    let to = parts_memory(ctx, &job, &(&total * &Dim::from(width)));
    let workgroups = ctx.grid(&total);
    ctx.request(Request {
        template: "conv_grad_direct",
        kernel: if vectors { "conv_grad_depthwise".into() } else { "conv_grad_direct".into() },
        name: &job.group.name,
        holes: minijinja::context! { vectors, dilated },
        bindings: vec![
            (job.x.storage, Access::Read),
            (job.dy.storage, Access::Read),
            (to, Access::ReadWrite),
        ],
        params,
        workgroups,
        writes: vec![],
        flops: job.flops.clone(),
    })?;
    let rank = w_shape.len();
    if vectors {
        // [taps][channels]
        let mut strides = vec![Dim::from(1), 1.into()];
        strides.extend(tap_strides(&w_shape[2..], 4 * rows));
        let order = [1].into_iter().chain(2..rank).chain([0]).collect();
        return sum(ctx, &job, to, count, width * elements, strides, order);
    }
    // [rows][taps][channels of x]
    let mut strides = vec![Dim::from(columns), 1.into()];
    strides.extend(tap_strides(&w_shape[2..], w_shape[1]));
    let order = [0].into_iter().chain(2..rank).chain([1]).collect();
    sum(ctx, &job, to, count, elements, strides, order)
}
