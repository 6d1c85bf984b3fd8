//! Estimates as rankings.

use kiln_plan::Storage;

use super::choose::{Preferences, choose};
use super::cost::time;
use super::enumerate::{Candidate, Refusal, candidates};
use crate::kernels::problem::{
    ConvProblem, EpilogueSummary, OperandKind, Operation, Problem, Size, Source, Window, ceil_div,
};
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

/// A 3x3 convolution of `size` by `size` positions, with as many channels in as out.
fn window(batch: i64, size: i64, channels: usize) -> Problem {
    let fixed = |max| Size { max, fixed: true, multiple: 1 };
    let shape = vec![fixed(batch), fixed(i64::try_from(channels).unwrap_or(0)), fixed(size), fixed(size)];
    let window = Window {
        x: shape.clone(),
        y: shape,
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads: vec![[1, 1], [1, 1]],
        input_dilations: vec![1, 1],
    };
    let operand = |source| OperandKind { element: Storage::F32, source, bytes: None };
    Problem {
        operation: Operation::Conv(ConvProblem {
            window,
            groups: 1,
            group_in: channels,
            group_out: channels,
        }),
        operands: vec![operand(Source::Computed), operand(Source::Constant)],
        result: Storage::F32,
        epilogue: EpilogueSummary::default(),
    }
}

/// The family that is chosen for a 3x3 convolution, and the results of a tile along an axis, are those that were measured to be
/// faster on lavapipe, where it is not about the same.
#[test]
fn the_cheapest_window_is_the_measured_one() {
    for (batch, size, channels, family, results) in [
        (1, 112, 32, "winograd", 4),
        (1, 56, 64, "winograd", 4),
        (1, 28, 128, "winograd", 4),
        (1, 14, 256, "winograd", 4),
        (1, 7, 512, "winograd", 2),
        (1, 4, 512, "implicit_gemm", 0),
        (1, 56, 16, "implicit_gemm", 0),
    ] {
        let problem = window(batch, size, channels);
        let chosen = choose(TABLE, "conv", problem, &Target::lavapipe(), &Preferences::default());
        let chosen =
            chosen.map(|selection| (selection.choice().family, selection.choice().knobs.get("results")));
        assert_eq!(chosen, Ok((family, results)), "{batch} images of {size}x{size}, {channels} channels");
    }
}

/// Sums of other products are refused where a caller wants the operator's own, and buffers that cannot be bound in any case.
#[test]
fn refused_windows() {
    let refusals = |problem: &Problem, precise: bool| {
        let all = candidates(TABLE, problem, &Target::gpu(), precise);
        let of_family = |candidate: &Candidate| candidate.choice.family == "winograd";
        all.into_iter().filter(of_family).map(|candidate| candidate.refusal).collect::<Vec<_>>()
    };
    let usual = window(1, 56, 64);
    assert!(refusals(&usual, false).contains(&None));
    let precise = refusals(&usual, true);
    assert!(!precise.is_empty() && precise.iter().all(|refusal| *refusal == Some(Refusal::Rearranged)));
    let precise = Preferences { precise: Some(true), ..Preferences::default() };
    let chosen = choose(TABLE, "conv", usual, &Target::gpu(), &precise);
    assert_eq!(chosen.map(|selection| selection.choice().family), Ok("implicit_gemm"));
    let too_large = refusals(&window(1, 1024, 64), false);
    let is_binding = |refusal: &Option<Refusal>| matches!(refusal, Some(Refusal::Binding { .. }));
    assert!(!too_large.is_empty() && too_large.iter().filter(|r| r.is_none()).count() == 0);
    assert!(too_large.iter().any(is_binding));
}
