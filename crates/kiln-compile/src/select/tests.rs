//! Estimates as rankings.

use kiln_plan::Storage;

use super::choose::{Preferences, choose};
use super::cost::time;
use crate::kernels::problem::{EpilogueSummary, OperandKind, Operation, Problem, Size, Source, ceil_div};
use crate::kernels::table::TABLE;
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

/// The family that is chosen for a sort of 32-bit floats is the one that was measured to be faster on lavapipe.
#[test]
fn the_cheapest_sort_is_the_measured_one() {
    for (lines, length, measured) in [
        (1, 64, "arg_sort"),
        (1, 256, "arg_sort"),
        (256, 64, "arg_sort"),
        (1, 1024, "arg_sort_radix"),
        (1, 4096, "arg_sort_radix"),
        (16, 1024, "arg_sort_radix"),
        (256, 256, "arg_sort_radix"),
        (1000, 1000, "arg_sort_radix"),
        (1, 1_000_000, "arg_sort_radix"),
    ] {
        let length = Size { max: length, fixed: true, multiple: 1 };
        let problem = Problem {
            operation: Operation::ArgSort { length, lines, rank: 2, bits: 32 },
            operands: vec![OperandKind { element: Storage::F32, source: Source::Computed }],
            result: Storage::I32,
            epilogue: EpilogueSummary::default(),
        };
        let chosen = choose(TABLE, "sort", problem, &Target::lavapipe(), &Preferences::default());
        let chosen = chosen.map(|selection| selection.choice().family);
        assert_eq!(chosen, Ok(measured), "{lines} lines of {length}");
    }
}
