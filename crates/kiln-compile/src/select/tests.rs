//! Estimates as rankings.

use super::cost::time;
use crate::kernels::problem::ceil_div;
use crate::kernels::tile::Tile;
use crate::target::Target;

/// The cheapest tile on lavapipe follows the rule that was found by measuring: few columns are left to single
/// invocations; as many row vectors as the rows fill, and two column vectors unless they cover a quarter more columns
/// than one does.
#[test]
fn the_cheapest_tile_is_the_measured_one() {
    let target = Target::lavapipe();
    for (rows, columns) in (1..150).flat_map(|rows| (1..70).map(move |columns| (rows, columns))) {
        let cost = |tile: &Tile| time(&tile.cost(&target, rows, columns, 64), &target);
        let best = Tile::all(&target).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        let row_vectors = match rows {
            17.. => 4,
            9..=16 => 2,
            _ => 1,
        };
        let covered = |vectors: i64| ceil_div(columns, 8 * vectors) * vectors;
        let column_vectors = if covered(2) * 4 > covered(1) * 5 { 1 } else { 2 };
        let measured = if columns <= 2 {
            Tile::Register
        } else {
            Tile::Broadcast { lanes: 8, row_vectors, column_vectors }
        };
        assert_eq!(best, Some(measured), "{rows} rows and {columns} columns");
    }
}

/// On a GPU it is the tile of a workgroup, however small the product.
#[test]
fn the_cheapest_tile_on_a_gpu_is_a_workgroups() {
    let target = Target::gpu_subgroups();
    for (rows, columns) in [(1, 1), (1, 5000), (3, 2), (64, 16), (100_000, 1), (100_000, 4), (8, 20_000)] {
        let cost = |tile: &Tile| time(&tile.cost(&target, rows, columns, 64), &target);
        let best = Tile::all(&target).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        assert_eq!(best, Some(Tile::Workgroup), "{rows} rows and {columns} columns");
    }
}
