//! Gradients of weights in tiles of a workgroup: products of channels of dy and of x, through workgroup memory, with k over
//! positions.

use super::builder::KernelBuilder;
use super::family::{Demands, Estimate, Family, Knobs, float};
use super::outer_product::{OuterProduct, Sizes, Tiles, operands};
use super::outer_sum::{Partial, parts};
use super::problem::{Problem, ceil_div, count};
use super::workgroup_tile::WorkgroupTile;
use crate::error::CompileError;
use crate::target::{DeviceClass, Target};
use crate::wgsl::template::templates;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "weight_gradient_tile",
    templates: templates!["conv_grad_tile"],
    space,
    demands,
    cost,
    realize,
};

/// How a tile divides the result.
fn tiles(tile: WorkgroupTile, sizes: &Sizes) -> Tiles {
    let vectors = |elements: u32| usize::try_from(elements / 4).unwrap_or(1);
    Tiles::of(sizes, vectors(tile.m), vectors(tile.n))
}

/// How often the loop of a tile runs for each line, or for so many positions.
fn times(tile: WorkgroupTile, positions: i64) -> i64 {
    ceil_div(positions, i64::from(tile.k))
}

/// Loop iterations for each line; where positions are not in lines, at most one for each.
fn per_unit(tile: WorkgroupTile, sizes: &Sizes) -> i64 {
    if sizes.pointwise { 1 } else { tile.iterations(times(tile, sizes.width.0)) }
}

/// How often the loop runs in a part.
fn times_of_part(tile: WorkgroupTile, sizes: &Sizes, parts: i64) -> i64 {
    let units = ceil_div(sizes.units.max(1), parts.max(1));
    if sizes.pointwise { times(tile, units) } else { units.saturating_mul(times(tile, sizes.width.0)) }
}

fn space(problem: &Problem, target: &Target) -> Vec<Knobs> {
    let Some(sizes) = Sizes::of(problem) else { return vec![] };
    if target.class == DeviceClass::Cpu {
        return vec![];
    }
    let wanted = 2 * usize::try_from(target.cores).unwrap_or(1);
    let of_tile = |tile: WorkgroupTile| {
        let partial = Partial {
            tiles: tiles(tile, &sizes).count(&sizes),
            wanted,
            bytes: 16 * sizes.rows * sizes.columns,
            units: sizes.units,
            per_unit: per_unit(tile, &sizes),
        };
        tile.knobs().with("parts", parts(target, &partial))
    };
    WorkgroupTile::of_outer_products().into_iter().map(of_tile).collect()
}

fn demands(problem: &Problem, knobs: &Knobs) -> Demands {
    let (Some(sizes), Some(tile)) = (Sizes::of(problem), WorkgroupTile::of(knobs)) else {
        return Demands::default();
    };
    let units = ceil_div(sizes.units.max(1), knobs.get("parts").max(1));
    Demands {
        operands: operands(problem),
        loop_iterations: units.saturating_mul(per_unit(tile, &sizes)),
        invocations: tile.invocations(),
        workgroup_memory: tile.workgroup_memory(),
        subgroup_size: None,
        ..Demands::default()
    }
}

fn cost(problem: &Problem, knobs: &Knobs, target: &Target) -> Estimate {
    let (Some(sizes), Some(tile)) = (Sizes::of(problem), WorkgroupTile::of(knobs)) else {
        return Estimate::default();
    };
    let parts = knobs.get("parts").max(1);
    let area = [count(sizes.rows / sizes.groups), count(sizes.columns)];
    let products = count(sizes.groups).saturating_mul(parts);
    let estimate = tile.cost(target, area, times_of_part(tile, &sizes, parts), products);
    estimate.added_up(parts, float(parts.saturating_mul(count(32 * sizes.rows * sizes.columns))))
}

fn realize(builder: &mut KernelBuilder<'_, '_>, knobs: &Knobs) -> Result<(), CompileError> {
    let tile = WorkgroupTile::of(knobs).ok_or_else(|| builder.defect("has no tile"))?;
    let product = OuterProduct::of(builder, knobs.get("parts").max(1), |sizes| tiles(tile, sizes))?;
    let OuterProduct { sizes, sum, buffers, total, params, values } = product;
    let workgroups = builder.values.folded(&total);
    let values = minijinja::context! {
        outer => true, biased => false, moved => false, ..tile.template_values(values)
    };
    let kernel = format!("conv_grad_{}", tile.name());
    let elements = 4 * sizes.rows * sizes.columns;
    sum.launch(builder, "conv_grad_tile", kernel, buffers, elements, (params, values, workgroups))
}
