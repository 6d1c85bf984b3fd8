//! Gradients of weights: of convolutions, and of matrix products, which are the same without taps; in tiles of outer
//! products.

use kiln_graph::{Dim, Op, product};

use super::builder::{KernelBuilder, WORKGROUP};
use super::conv::{ConvShapes, admits_im2col, is_vectorized, row_params};
use super::family::{Demands, Estimate, Family, Knobs, OperandLayout, float};
use super::outer_sum::{OuterSum, Partial, parts, tap_strides};
use super::problem::{ConvProblem, Operation, Problem, ceil_div, count};
use super::tile::BROADCAST_LANES;
use crate::error::CompileError;
use crate::target::{DeviceClass, Target};
use crate::wgsl::params::Params;
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "weight_gradient", templates: templates!["conv_grad"], space, demands, cost, realize };

/// The sizes that the tile and the parts depend on.
struct Sizes {
    /// Rows of the result in all.
    rows: usize,
    /// Groups of channels.
    groups: usize,
    /// Vectors of columns.
    columns: usize,
    /// Whether positions are the unit that is split into parts, else lines.
    pointwise: bool,
    /// Output width at the maximum, and whether it is always that.
    width: (i64, bool),
    /// Units at the maximum.
    units: i64,
}

/// Whether a window of one element moves by one over all there is: it has no taps to speak of.
fn is_pointwise(conv: &ConvProblem) -> bool {
    let window = &conv.window;
    window.taps() == 1
        && conv.groups == 1
        && !window.is_dilated()
        && window.strides.iter().all(|s| *s == 1)
        && window.pads.iter().all(|pads| *pads == [0, 0])
}

impl Sizes {
    fn of(problem: &Problem) -> Option<Self> {
        let conv = match &problem.operation {
            Operation::OuterProduct { rows, columns, depth } => {
                let columns = columns.div_ceil(4);
                let (pointwise, width, units) = (true, (1, true), depth.max);
                return Some(Self { rows: *rows, groups: 1, columns, pointwise, width, units });
            }
            Operation::ConvGradWeight(conv) if is_vectorized(conv) => conv,
            _ => return None,
        };
        let conv = if admits_im2col(conv) { &conv.over_taps() } else { conv };
        let pointwise = is_pointwise(conv);
        let y = &conv.window.y;
        let width = y.last().map_or((1, true), |width| (width.max, width.fixed));
        let lines = y.iter().enumerate().filter(|(axis, _)| *axis != 1 && axis + 1 != y.len());
        let lines = lines.fold(1, |all: i64, (_, size)| all.saturating_mul(size.max));
        Some(Self {
            rows: conv.groups * conv.group_out,
            groups: conv.groups,
            columns: conv.window.taps() * conv.group_in.div_ceil(4),
            pointwise,
            width,
            units: if pointwise { lines.saturating_mul(width.0) } else { lines },
        })
    }

    /// Loop iterations of a unit, `places` positions at a time.
    fn per_unit(&self, places: i64) -> i64 {
        if self.pointwise { 1 } else { ceil_div(self.width.0, places).saturating_add(1) }
    }
}

/// The tile of sums of outer products: rows and columns of the weight, and positions that are summed at a time.
#[derive(Clone, Copy)]
struct OuterTile {
    /// Lanes that own columns; 1 where each invocation is by itself.
    lanes: usize,
    /// Row vectors.
    rows: usize,
    /// Column vectors of a lane.
    columns: usize,
    /// Positions at a time.
    places: usize,
}

impl OuterTile {
    /// The tile of one invocation.
    const REGISTER: Self = Self { lanes: 1, rows: 1, columns: 1, places: 1 };

    /// The tile of a subgroup. Accumulators are `16 * rows * columns` floats; more than 32 vectors make Mesa compile for
    /// seconds.
    fn broadcast(lanes: usize, sizes: &Sizes) -> Self {
        let group_rows = (sizes.rows / sizes.groups).div_ceil(4);
        let rows = [1, 2, 4].into_iter().find(|n| *n >= group_rows).unwrap_or(8);
        let most = if rows == 1 { 4 } else { 8 / rows };
        // A wide tile loads less, but computes what is unused where it covers more than there is.
        let covered = |n: usize| sizes.columns.div_ceil(n * lanes) * n;
        let wide = [1, 2].into_iter().find(|n| *n * lanes >= sizes.columns).unwrap_or(4).min(most);
        let columns =
            (1..=wide).rev().find(|n| n.is_power_of_two() && covered(*n) * 4 <= covered(1) * 5).unwrap_or(1);
        let places = match sizes.width {
            (1, true) if !sizes.pointwise => 1,
            (2, true) if !sizes.pointwise => 2,
            _ => 4,
        };
        Self { lanes, rows, columns, places }
    }

    fn of(knobs: &Knobs) -> Self {
        let [lanes, rows, columns, places] =
            ["lanes", "row_vectors", "column_vectors", "places"].map(|name| knobs.count(name).max(1));
        Self { lanes, rows, columns, places }
    }

    fn knobs(self) -> Knobs {
        Knobs::new([
            ("lanes", count(self.lanes)),
            ("row_vectors", count(self.rows)),
            ("column_vectors", count(self.columns)),
            ("places", count(self.places)),
        ])
    }

    /// Tiles of rows of a group, and tiles of columns.
    fn tiles(self, sizes: &Sizes) -> (usize, usize) {
        let group_rows = (sizes.rows / sizes.groups).div_ceil(4);
        (group_rows.div_ceil(self.rows), sizes.columns.div_ceil(self.lanes * self.columns))
    }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Some(sizes) = Sizes::of(problem) else { return vec![] };
    let lanes = target.subgroup_size.filter(|lanes| BROADCAST_LANES.contains(lanes));
    let broadcast = lanes.and_then(|lanes| usize::try_from(lanes).ok());
    let tiles =
        broadcast.map(|lanes| OuterTile::broadcast(lanes, &sizes)).into_iter().chain([OuterTile::REGISTER]);
    let knobs = tiles.map(|tile| {
        let (group_tiles, column_tiles) = tile.tiles(&sizes);
        let wanted = match (target.class, tile.lanes) {
            (DeviceClass::Cpu, 1) => 64 * 64,
            (DeviceClass::Cpu, _) => 64,
            (DeviceClass::Gpu, _) => 32_768,
        };
        let partial = Partial {
            tiles: group_tiles * sizes.groups * column_tiles,
            wanted,
            bytes: 16 * sizes.rows * sizes.columns,
            units: sizes.units,
            per_unit: sizes.per_unit(count(tile.places)),
        };
        tile.knobs().with("parts", parts(target, &partial))
    });
    knobs.collect()
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let Some(sizes) = Sizes::of(problem) else { return Demands::default() };
    let tile = OuterTile::of(knobs);
    let operands = match &problem.operation {
        Operation::ConvGradWeight(conv) if admits_im2col(conv) => {
            vec![OperandLayout::PartialIm2col, OperandLayout::ChannelRows]
        }
        Operation::ConvGradWeight(_) => vec![OperandLayout::ChannelRows; 2],
        _ => vec![OperandLayout::MatrixRows; 2],
    };
    let units = ceil_div(sizes.units.max(1), knobs.get("parts").max(1));
    let loop_iterations = units.saturating_mul(sizes.per_unit(knobs.get("places").max(1)));
    let lanes = u32::try_from(tile.lanes).unwrap_or(1);
    let alone = lanes == 1;
    Demands {
        invocations: if alone { u32::try_from(WORKGROUP).unwrap_or(64) } else { lanes },
        subgroup_size: (!alone).then_some(lanes),
        ..Demands::simple(operands, loop_iterations)
    }
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Some(sizes) = Sizes::of(problem) else { return Estimate::default() };
    let tile = OuterTile::of(knobs);
    let (group_tiles, column_tiles) = tile.tiles(&sizes);
    let parts = knobs.get("parts").max(1);
    let tiles = count(group_tiles * sizes.groups * column_tiles * tile.lanes).saturating_mul(parts);
    let positions = float(sizes.units) * float(if sizes.pointwise { 1 } else { sizes.width.0 });
    let vectors = float(count(4 * tile.rows * tile.columns));
    let factor = match (target.class, tile.lanes) {
        // By itself an invocation gathers two vectors for four multiply-adds.
        (DeviceClass::Cpu, 1) => 16.0,
        (DeviceClass::Gpu, 1) => 4.0,
        (DeviceClass::Cpu, _) => 1.0,
        // Broadcasts leave one subgroup to a workgroup.
        (DeviceClass::Gpu, _) => 6.0,
    };
    let mut estimate = Estimate::of(tiles, factor * vectors * positions / float(parts));
    estimate.launches += 1;
    estimate.bytes += float(parts.saturating_mul(count(32 * sizes.rows * sizes.columns)));
    estimate
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let node = builder.anchor()?;
    if !matches!(node.op, Op::ConvGradWeight(_)) {
        return outer_product(builder, knobs);
    }
    let shapes = ConvShapes::of(builder)?;
    let im2col = matches!(&builder.problem.operation, Operation::ConvGradWeight(conv) if admits_im2col(conv));
    let shapes = if im2col { shapes.over_taps() } else { shapes };
    let Some(sizes) = Sizes::of(builder.problem) else { return Err(builder.defect("has no tiles")) };
    let mut params = shapes.params();
    let depth = shapes.w[1].div_ceil(4);
    params.int("depth", depth);
    // [row][taps][channels of x]
    let (step, rank) = (4 * depth, shapes.w.len());
    let mut strides = vec![Dim::from(step * shapes.taps()), 1.into()];
    strides.extend(tap_strides(&shapes.w[2..], step));
    let mut order: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    if im2col {
        // What were channels here is the last axis of the weight.
        strides.swap(1, rank - 1);
        order = (0..rank).collect();
    }
    let positions = shapes.positions();
    let y = shapes.y.iter().enumerate();
    let lines = product(y.filter(|(a, _)| *a != 1 && *a + 1 != shapes.y.len()).map(|(_, d)| d));
    let units = if sizes.pointwise { positions } else { lines };
    let sum = OuterSum { units, flops: shapes.flops(), strides, order, parts: knobs.get("parts").max(1) };
    let values = minijinja::context! {
        deep => shapes.x.len() == 5, meets_zeros => shapes.is_dilated(), pointwise => sizes.pointwise
    };
    launch(builder, &sizes, knobs, sum, params, values)
}

/// `a^T b` for `a [K, M]` and `b [K, N]`, summing over K.
fn outer_product(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let Some(sizes) = Sizes::of(builder.problem) else { return Err(builder.defect("has no tiles")) };
    let node = builder.anchor()?;
    let (a, rank) = (builder.shape(node.inputs[0]), builder.shape(node.outputs[0]).len());
    let mut strides = vec![Dim::from(0); rank];
    strides[rank - 2] = (4 * sizes.columns).into();
    strides[rank - 1] = 1.into();
    // The operands may differ in how many ones are in front.
    let places = a[a.len() - 2].clone();
    let columns = builder.shape(node.outputs[0])[rank - 1].clone();
    let flops = &places * &(columns * (2 * sizes.rows).into());
    let order = (0..rank).collect();
    let sum = OuterSum { units: places, flops, strides, order, parts: knobs.get("parts").max(1) };
    let values = minijinja::context! { deep => false, meets_zeros => false, pointwise => true };
    launch(builder, &sizes, knobs, sum, Params::default(), values)
}

fn launch(
    builder: &mut KernelBuilder<'_, '_>,
    sizes: &Sizes,
    knobs: &Knobs,
    sum: OuterSum,
    mut params: Params,
    values: minijinja::Value,
) -> Result<(), CompileError> {
    let tile = OuterTile::of(knobs);
    // Of a product the rows of the result are those of the left operand.
    let outer = matches!(builder.problem.operation, Operation::OuterProduct { .. });
    let (x, dy) =
        if outer { (builder.rows(1)?, builder.rows(0)?) } else { (builder.rows(0)?, builder.rows(1)?) };
    let group_rows = (sizes.rows / sizes.groups).div_ceil(4);
    let (group_tiles, column_tiles) = tile.tiles(sizes);
    let row_tiles = group_tiles * sizes.groups;
    let total = Dim::from(row_tiles * column_tiles) * sum.parts.into();
    row_params("x", &x, &mut params)?;
    row_params("dy", &dy, &mut params)?;
    params.int("part", sum.units_of_a_part(builder.values));
    params.int("lines", sum.units.clone());
    params.int("places", sum.units.clone());
    params.uint("tiles", total.clone());
    params.uint("row_tiles", row_tiles);
    params.uint("column_tiles", column_tiles);
    params.uint("group_tiles", group_tiles);
    params.uint("group_rows", group_rows);
    params.uint("rows", sizes.rows);
    params.uint("columns", sizes.columns);
    let single_lane = tile.lanes == 1;
    let workgroups = if single_lane { builder.grid(&total) } else { builder.values.folded(&total) };
    let values = minijinja::context! {
        lanes => tile.lanes,
        row_vectors => tile.rows,
        column_vectors => tile.columns,
        places => tile.places,
        single_lane,
        ..values
    };
    let kernel = format!("conv_grad_{}x{}", 4 * tile.rows, 4 * tile.columns * tile.lanes);
    let elements = 4 * sizes.rows * sizes.columns;
    sum.launch(builder, "conv_grad", kernel, [x.buffer, dy.buffer], elements, (params, values, workgroups))
}
