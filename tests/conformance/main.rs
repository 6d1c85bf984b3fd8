//! ONNX's published backend tests, each through import, compiler, plan file and runtime on the device that is there.
//!
//! `scripts/onnx-suite` lays the tests out as files; without them, the tests here say so and pass.
//! `tests/onnx-expectations.toml` lists what is not expected to pass, and why.

mod case;
mod expectations;
#[path = "../machine.rs"]
mod machine;
#[path = "../skip.rs"]
mod skip;
mod suite;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Outcome, Runner, Verdict};
use expectations::Expectations;
use suite::Case;

/// Runs cases on as many threads as there are processors; they share the device.
fn run(cases: &[Case]) -> BTreeMap<String, Verdict> {
    let runner = Runner::new();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = runner.run(case);
                    verdicts.lock().expect("no thread panics").insert(case.key(), verdict);
                }
            });
        }
    });
    verdicts.into_inner().expect("no thread panics")
}

/// Runs the cases and compares with what is expected of them.
fn check(cases: &[Case]) -> BTreeMap<String, Verdict> {
    let expectations = Expectations::read();
    let verdicts = run(cases);
    let mut wrong = String::new();
    let mut failures = String::new();
    for (case, Verdict { outcome, .. }) in &verdicts {
        if let Some(message) = expectations.contradiction(case, outcome) {
            let _ = writeln!(wrong, "{case}: {message}");
        }
        if let Outcome::Failed(message) = outcome {
            let _ = writeln!(failures, "{case}\t{}", message.replace('\n', " "));
        }
    }
    let passed = verdicts.values().filter(|verdict| verdict.outcome == Outcome::Passed).count();
    println!("{passed} of {} cases pass", verdicts.len());
    let report = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx-failures.tsv");
    std::fs::write(&report, failures).expect("a report can be written");
    let count = wrong.lines().count();
    assert!(
        wrong.is_empty(),
        "{count} cases are not as tests/onnx-expectations.toml says (all failures: {}):\n{wrong}",
        report.display()
    );
    verdicts
}

/// One case of each operator: for every day.
#[test]
fn one_case_of_each_operator() {
    let Some(cases) = suite::cases() else { return };
    let mut seen = std::collections::BTreeSet::new();
    let quick: Vec<Case> =
        cases.into_iter().filter(|case| case.kind == "node" && seen.insert(case.operator.clone())).collect();
    check(&quick);
}

#[test]
#[ignore = "minutes; `scripts/conformance` runs it"]
fn every_case() {
    let Some(cases) = suite::cases() else { return };
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.key().contains(&only)).collect();
    let verdicts = check(&cases);
    if only.is_empty() {
        table::check(&cases, &verdicts);
    }
}
