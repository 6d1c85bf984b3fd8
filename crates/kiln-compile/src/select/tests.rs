//! Estimates as rankings.

use kiln_plan::Storage;

use super::choose::{Preferences, choose};
use super::cost::time;
use crate::kernels::problem::{EpilogueSummary, OperandKind, Operation, Problem, Size, Source, ceil_div};
use crate::kernels::table::TABLE;
use crate::kernels::tile::{Products, Tile};
use crate::target::Target;

/// One product of 64 terms.
fn products(tile: Tile, rows: i64, columns: i64) -> Products {
    Products { count: 1, rows, columns, terms: 64, times: tile.times(16) }
}

/// The cheapest tile on lavapipe follows the rule that was found by measuring: few columns are left to single
/// invocations; as many row vectors as the rows fill, and two column vectors unless they cover a quarter more columns
/// than one does.
#[test]
fn the_cheapest_tile_is_the_measured_one() {
    let target = Target::lavapipe();
    for (rows, columns) in (1..150).flat_map(|rows| (1..70).map(move |columns| (rows, columns))) {
        let cost = |tile: &Tile| time(&tile.cost(&target, &products(*tile, rows, columns)), &target);
        let best = Tile::all(&target, false).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        let row_vectors = match rows {
            17.. => 4,
            9..=16 => 2,
            _ => 1,
        };
        let covered = |vectors: i64| ceil_div(columns, 8 * vectors) * vectors;
        let column_vectors = if covered(2) * 4 > covered(1) * 5 { 1 } else { 2 };
        let measured = if columns <= 2 {
            Tile::Register { rows: 8, vectors: 2 }
        } else {
            Tile::Broadcast { lanes: 8, row_vectors, column_vectors }
        };
        assert_eq!(best, Some(measured), "{rows} rows and {columns} columns");
    }
}

/// On a GPU it is a tile of a workgroup, however small the product; a large one where there are many, small ones where the
/// cores would have nothing else to do.
#[test]
fn the_cheapest_tile_on_a_gpu_is_a_workgroups() {
    let target = Target::gpu_subgroups();
    for (rows, columns) in [(1, 1), (1, 5000), (3, 2), (64, 16), (100_000, 1), (100_000, 4), (8, 20_000)] {
        let cost = |tile: &Tile| time(&tile.cost(&target, &products(*tile, rows, columns)), &target);
        let best = Tile::all(&target, false).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        assert!(matches!(best, Some(Tile::Workgroup(_))), "{rows} rows and {columns} columns");
    }
    let target = Target { cores: 46, ..Target::gpu() };
    let best = |rows, columns| {
        let cost = |tile: &Tile| time(&tile.cost(&target, &products(*tile, rows, columns)), &target);
        let all = Tile::all(&target, false).into_iter();
        let admitted = all.filter(|tile| tile.demands(vec![], 1).workgroup_memory <= 16 << 10);
        admitted.min_by(|a, b| cost(a).total_cmp(&cost(b))).map(|tile| (tile.rows(), 4 * tile.columns()))
    };
    assert_eq!(best(100_000, 64), Some((128, 128)));
    assert_eq!(best(100_000, 8), Some((256, 32)));
    assert_eq!(best(100_000, 4), Some((128, 16)));
    // 14x14 positions of one image, 256 channels: 32 tiles instead of four of 128x128.
    assert_eq!(best(196, 64), Some((64, 32)));
}

/// On a GPU whose workgroup memory is memory like any other, it is a tile in registers: a large one where there are enough, a
/// small one for few rows.
#[test]
fn the_cheapest_tile_without_workgroup_memory_is_an_invocations() {
    let target = Target { own_workgroup_memory: false, cores: 10, ..Target::gpu() };
    let best = |rows, columns| {
        let cost = |tile: &Tile| time(&tile.cost(&target, &products(*tile, rows, columns)), &target);
        Tile::all(&target, false).into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))
    };
    assert_eq!(best(100_000, 64), Some(Tile::Register { rows: 8, vectors: 2 }));
    assert_eq!(best(196, 16), Some(Tile::Register { rows: 4, vectors: 1 }));
    assert_eq!(best(100_000, 1), Some(Tile::Register { rows: 8, vectors: 1 }));
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
            operands: vec![OperandKind { element: Storage::F32, source: Source::Computed, bytes: None }],
            result: Storage::I32,
            epilogue: EpilogueSummary::default(),
        };
        let chosen = choose(TABLE, "sort", problem, &Target::lavapipe(), &Preferences::default());
        let chosen = chosen.map(|selection| selection.choice().family);
        assert_eq!(chosen, Ok(measured), "{lines} lines of {length}");
    }
}
