//! Gradients of weights in tiles of a subgroup or an invocation.

use super::builder::{KernelBuilder, WORKGROUP};
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::outer_product::{OuterProduct, Sizes, Tiles, operands};
use super::outer_sum::{Partial, parts};
use super::problem::{Problem, ceil_div, count};
use super::tile::BROADCAST_LANES;
use crate::error::CompileError;
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family =
    Family { name: "weight_gradient", templates: templates!["conv_grad"], space, demands, cost, realize };

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

    fn tiles(self, sizes: &Sizes) -> Tiles {
        Tiles::of(sizes, self.rows, self.lanes * self.columns)
    }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Some(sizes) = Sizes::of(problem) else { return vec![] };
    let lanes = target.subgroup_size.filter(|lanes| BROADCAST_LANES.contains(lanes));
    let broadcast = lanes.and_then(|lanes| usize::try_from(lanes).ok());
    let tiles =
        broadcast.map(|lanes| OuterTile::broadcast(lanes, &sizes)).into_iter().chain([OuterTile::REGISTER]);
    let knobs = tiles.map(|tile| {
        let wanted = match (target.class, tile.lanes) {
            (DeviceClass::Cpu, 1) => 64 * 64,
            (DeviceClass::Cpu, _) => 64,
            (DeviceClass::Gpu, _) => 32_768,
        };
        let partial = Partial {
            tiles: tile.tiles(&sizes).count(&sizes),
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
    let units = ceil_div(sizes.units.max(1), knobs.get("parts").max(1));
    let loop_iterations = units.saturating_mul(sizes.per_unit(knobs.get("places").max(1)));
    let lanes = u32::try_from(tile.lanes).unwrap_or(1);
    let alone = lanes == 1;
    Demands {
        invocations: if alone { u32::try_from(WORKGROUP).unwrap_or(64) } else { lanes },
        subgroup_size: (!alone).then_some(lanes),
        ..Demands::simple(operands(problem), loop_iterations)
    }
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let Some(sizes) = Sizes::of(problem) else { return Estimate::default() };
    let tile = OuterTile::of(knobs);
    let parts = knobs.get("parts").max(1);
    let tiles = count(tile.tiles(&sizes).count(&sizes) * tile.lanes).saturating_mul(parts);
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
    let estimate = Estimate::of(tiles, factor * vectors * positions / float(parts));
    estimate.added_up(parts, float(parts.saturating_mul(count(32 * sizes.rows * sizes.columns))))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let tile = OuterTile::of(knobs);
    let product = OuterProduct::of(builder, knobs.get("parts").max(1), |sizes| tile.tiles(sizes))?;
    let OuterProduct { sizes, sum, buffers, total, params, values } = product;
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
    sum.launch(builder, "conv_grad", kernel, buffers, elements, (params, values, workgroups))
}
