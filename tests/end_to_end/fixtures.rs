//! Every committed oracle, through the plan on the device that is there.

use std::path::{Path, PathBuf};

use kiln::test_data::{self, DataSet, Difference};
use kiln::{Options, Target};

use crate::machine::{Machine, answers, text};

/// Where outputs may differ from the oracle, relative to the oracle's largest magnitude.
const TOLERANCE: f64 = 1e-4;

/// Cases that are not expected to pass, with the words of the error.
const EXPECTED: &[(&str, &str)] = &[];

/// The same for devices without 64-bit arithmetic.
const WITHOUT_64_BITS: &[(&str, &str)] = &[
    ("cast_double_to_float", "f64, which the device cannot compute"),
    ("cast_float_to_int64", "i64, which the device cannot compute"),
    ("mul_int64", "i64, which the device cannot compute"),
    // A state that grows by one in each step, from any number on.
    ("scan_mixed", "i64, which the device cannot compute"),
];

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures").join(name)
}

/// Runs all data sets of a model from one plan; the worst difference, or what went wrong.
pub(crate) fn run(path: &Path, machine: &Machine) -> Result<Difference, String> {
    let graph = kiln::onnx::import(&path.join("model.onnx"), &Default::default()).map_err(text)?.graph;
    let sets: Vec<DataSet> =
        test_data::Folder::open(path).and_then(|data| data.data_sets(&graph)).map_err(text)?;
    let max = test_data::largest_symbols(&graph, &sets).map_err(text)?;
    let options = Options { target: machine.target.clone(), max, ..Options::default() };
    let mut session = machine.load(&kiln::compile(&graph, &options).map_err(text)?)?;
    let mut worst = Difference { absolute: 0.0, relative: 0.0 };
    for set in &sets {
        let answers = answers(&mut session, set.inputs.iter().map(|(name, tensor)| (name, tensor)))?;
        for (name, expected) in &set.outputs {
            let found = answers.get(name).ok_or_else(|| format!("there is no output `{name}`"))?;
            let difference = test_data::difference(expected, found)
                .ok_or_else(|| format!("{name} is {}, but should be {}", found.ty(), expected.ty()))?;
            worst.absolute = worst.absolute.max(difference.absolute);
            worst.relative = worst.relative.max(difference.relative);
        }
    }
    Ok(worst)
}

/// The models in a folder with their names; of the names that contain KILN_ONLY, if that is set.
pub(crate) fn models(parent: &Path) -> Vec<(String, PathBuf)> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(parent)
        .expect("the fixtures are committed")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("model.onnx").is_file())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    cases.into_iter().map(|path| (name(&path), path)).filter(|(name, _)| name.contains(&only)).collect()
}

/// Runs all models in a folder; the names of those that are not as they should be, with what happened.
fn failures(parent: &Path, target: Option<Target>) -> Vec<String> {
    let own = Machine::open();
    let machine = Machine { target: target.unwrap_or(own.target), ..own };
    let target = &machine.target;
    let mut failures = Vec::new();
    for (name, case) in models(parent) {
        let without = if target.int64 && target.float64 { &[][..] } else { WITHOUT_64_BITS };
        let expected = EXPECTED.iter().chain(without).find(|(case, _)| *case == name);
        let expected = expected.map(|(_, words)| *words);
        match (run(&case, &machine).map(|worst| worst.relative), expected) {
            (Ok(worst), None) if worst <= TOLERANCE => {}
            (Ok(worst), None) => failures.push(format!("{name}: off by {worst:.1e}")),
            (Ok(_), Some(words)) => failures.push(format!("{name}: passes, but was to fail with {words:?}")),
            (Err(message), Some(words)) if message.contains(words) => {}
            (Err(message), _) => failures.push(format!("{name}: {message}")),
        }
    }
    failures
}

fn check(parent: &Path, target: Option<Target>) {
    let failures = failures(parent, target);
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn operators() {
    check(&folder("ops"), None);
}

/// Loops of a symbolic number of steps, or of many; one plan for all sizes.
#[test]
fn loops() {
    check(&folder("loops"), None);
}

#[test]
fn loops_as_on_a_gpu() {
    check(&folder("loops"), Some(Target::default()));
}

/// What detectors end in: the data decide sizes.
#[test]
fn detection() {
    check(&folder("detection"), None);
}

#[test]
fn detection_as_on_a_gpu() {
    check(&folder("detection"), Some(Target::default()));
}

#[test]
fn networks() {
    check(&folder(""), None);
}

/// The kernels for GPUs, which any device can run.
#[test]
fn operators_as_on_a_gpu() {
    check(&folder("ops"), Some(Target::default()));
}

#[test]
fn networks_as_on_a_gpu() {
    check(&folder(""), Some(Target::default()));
}

/// The kernels for CPU adapters without subgroups.
#[test]
fn networks_as_without_subgroups() {
    check(&folder(""), Some(Target::cpu()));
}

/// The networks that are too large to commit; `tests/oracles/make_oracles.py --all -o FOLDER` makes them.
#[test]
fn large_networks() {
    match std::env::var_os("KILN_ORACLES") {
        Some(folder) => check(Path::new(&folder), None),
        None => println!(
            "skipped: KILN_ORACLES does not name a folder made by tests/oracles/make_oracles.py --all"
        ),
    }
}
