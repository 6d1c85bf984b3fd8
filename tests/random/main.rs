//! Graphs that nobody would think of: drawn at random over all core operators and odd shapes, small and far from where
//! rounding decides, so that every way of computing them has to agree.
//!
//! A test draws the same few hundred graphs every day. `KILN_RANDOM=5000` draws so many, `KILN_RANDOM_SEED=7` draws
//! others. What fails is made as small as it gets, and written to a file as text; once its cause is found, that text
//! goes to `found.rs`.

mod cut;
mod device;
mod dice;
mod found;
mod gradients;
mod halves;
mod jumps;
#[path = "../machine.rs"]
mod machine;
mod passes;
mod recipe;
mod sketch;
mod steps;
mod training;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use device::Devices;
use recipe::{Case, recipes};

/// A number from the environment.
fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name)
        .ok()
        .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Draws `usual` graphs, or as many as the environment says.
fn draw(what: &str, usual: u32, smooth: bool, check: impl Fn(&Case) -> Result<(), String>) {
    let config = Config {
        cases: setting("KILN_RANDOM", usual),
        failure_persistence: None,
        max_shrink_iters: setting("KILN_RANDOM_SHRINK", 100),
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&setting("KILN_RANDOM_SEED", 1).to_le_bytes());
    // Each test draws its own.
    seed[4..].iter_mut().zip(what.bytes()).for_each(|(place, byte)| *place = byte);
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let nodes = std::cell::Cell::new(0);
    let result = runner.run(&recipes(), |recipe| {
        let case = recipe.case(smooth);
        nodes.set(nodes.get() + case.graph.nodes().len());
        check(&case).map_err(TestCaseError::fail)
    });
    println!("{what}: {} nodes", nodes.get());
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, recipe)) => {
            let fails = |case: &Case| catch_unwind(AssertUnwindSafe(|| check(case).is_err())).unwrap_or(true);
            let graph = cut::down(recipe.case(smooth), fails).graph;
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("random-{what}.txt"));
            std::fs::write(&file, graph.with_data().to_string()).expect("a file can be written");
            panic!("{what}: {reason}\n{graph}\nwith all data: {}", file.display());
        }
        Err(TestError::Abort(reason)) => panic!("{what}: {reason}"),
    }
}

#[test]
fn compiled_is_evaluated() {
    let devices = Devices::new();
    draw("compiled", 100, false, |case| devices.check(case));
    println!("refused: {:#?}", devices.refused());
}

#[test]
fn passes_keep_the_meaning() {
    draw("passes", 400, false, passes::check);
}

#[test]
fn gradients_are_those_of_differences() {
    draw("gradients", 300, true, |case| match gradients::differentiated(case)? {
        Some((case, sources)) => gradients::check(&case, &sources),
        None => Ok(()),
    });
}

#[test]
fn gradients_compiled_are_evaluated() {
    let devices = Devices::new();
    draw("compiled gradients", 40, true, |case| match gradients::differentiated(case)? {
        Some((case, _)) => devices.check(&case),
        None => Ok(()),
    });
    println!("refused: {:#?}", devices.refused());
}

#[test]
fn training_steps_are_evaluated_ones() {
    let devices = Devices::new();
    draw("training", 40, true, |case| training::check(&devices, case));
    println!("refused: {:#?}", devices.refused());
}

#[test]
fn halves_compiled_are_evaluated() {
    let devices = Devices::of_halves();
    // Most graphs are not steady.
    draw("halves", 250, false, |case| {
        let halved = Some(case).filter(|case| halves::is_steady(case)).and_then(halves::of);
        halved.map_or(Ok(()), |case| devices.check(&case))
    });
    println!("refused: {:#?}", devices.refused());
}

#[test]
fn what_is_kept_in_16_bits_is_rounded_as_evaluated() {
    let Some(devices) = Devices::keeping_halves() else { return };
    let tried = std::cell::Cell::new(0);
    // Most graphs are not steady, or have nothing to keep.
    draw("kept in halves", 400, false, |case| {
        let kept = Some(case).filter(|case| halves::is_steady(case)).and_then(halves::kept);
        kept.map_or(Ok(()), |case| {
            tried.set(tried.get() + 1);
            devices.check(&case)
        })
    });
    println!("refused: {:#?}", devices.refused());
    assert!(tried.get() > 0, "no graph has anything to keep");
}

#[test]
fn gradients_of_halves_are_evaluated() {
    let devices = Devices::of_halves();
    draw("gradients of halves", 150, true, |case| {
        if !halves::is_steady(case) {
            return Ok(());
        }
        let halved = gradients::differentiated(case)?.and_then(|(case, _)| halves::of(&case));
        halved.map_or(Ok(()), |case| devices.check(&case))
    });
    println!("refused: {:#?}", devices.refused());
}

#[test]
fn training_steps_of_halves_are_evaluated_ones() {
    let devices = Devices::of_halves();
    draw("training of halves", 150, true, |case| match halves::is_steady(case) {
        true => training::check_halves(&devices, case),
        false => Ok(()),
    });
    println!("refused: {:#?}", devices.refused());
}
