//! Every committed oracle, imported and evaluated on the host: what an operator means, without compiler or device.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_graph::{Graph, Precision, Tensor, compare, evaluate};
use kiln_onnx::{ImportOptions, import, read_tensor_pb};

/// Where outputs may differ from the oracle, relative to the oracle's largest magnitude.
const TOLERANCE: f64 = 1e-4;

/// Cases that cannot be imported, with the words of the error.
const EXPECTED: &[(&str, &str)] = &[];

pub(crate) fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures").join(name)
}

/// The folders in `parent` that hold a model, by name.
pub(crate) fn models_in(parent: &Path) -> BTreeMap<String, PathBuf> {
    std::fs::read_dir(parent)
        .unwrap_or_else(|e| panic!("{}: {e}", parent.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("model.onnx").is_file())
        .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path))
        .collect()
}

/// The files `input_0.pb`, `input_1.pb`, .. of a data set, or those of its outputs.
pub(crate) fn tensors(set: &Path, what: &str) -> Result<Vec<Tensor>, String> {
    (0..)
        .map(|i| set.join(format!("{what}_{i}.pb")))
        .take_while(|path| path.is_file())
        .map(|path| {
            let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
            read_tensor_pb(&bytes).map_err(|e| e.to_string())
        })
        .collect()
}

/// The inputs of a data set by the names the graph gives them.
pub(crate) fn inputs(graph: &Graph, set: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    let tensors = tensors(set, "input")?;
    if tensors.len() != graph.inputs().len() {
        return Err(format!("{} inputs stored, {} wanted", tensors.len(), graph.inputs().len()));
    }
    Ok(graph.inputs().iter().map(|id| graph.value(*id).name.clone()).zip(tensors).collect())
}

/// The largest difference, relative to the largest finite magnitude of what is expected.
pub(crate) fn difference(expected: &Tensor, found: &Tensor) -> Result<f64, String> {
    if expected.ty() != found.ty() {
        return Err(format!("is {}, but should be {}", found.ty(), expected.ty()));
    }
    let (expected, found) = (expected.to_f64(), found.to_f64());
    Ok(compare::apart(&expected, &found, 1e-30))
}

/// Evaluates all data sets of a model; how many there are and the worst difference, or what went wrong.
fn run(folder: &Path) -> Result<(usize, f64), String> {
    let imported =
        import(&folder.join("model.onnx"), &ImportOptions::default()).map_err(|e| e.to_string())?;
    let graph = imported.graph;
    let (mut sets, mut worst) = (0, 0f64);
    loop {
        let set = folder.join(format!("test_data_set_{sets}"));
        if !set.is_dir() {
            return Ok((sets, worst));
        }
        let evaluation =
            evaluate(&graph, &inputs(&graph, &set)?, Precision::F32).map_err(|e| e.to_string())?;
        let expected = tensors(&set, "output")?;
        if expected.is_empty() || expected.len() != evaluation.outputs().len() {
            return Err(format!("{} outputs stored, {} made", expected.len(), evaluation.outputs().len()));
        }
        for (expected, (name, found)) in expected.iter().zip(evaluation.outputs()) {
            worst = worst.max(difference(expected, found).map_err(|e| format!("{name} {e}"))?);
        }
        sets += 1;
    }
}

/// Runs all models in a folder, each of which has to have at least `sets` data sets.
fn check(parent: &Path, sets: usize, at_least: usize) {
    let models = models_in(parent);
    assert!(models.len() >= at_least, "{} models in {}", models.len(), parent.display());
    let mut failures = Vec::new();
    for (name, folder) in models {
        let expected = EXPECTED.iter().find(|(case, _)| *case == name).map(|(_, words)| *words);
        match (run(&folder), expected) {
            (Ok((found, worst)), None) if found >= sets && worst <= TOLERANCE => {}
            (Ok((found, worst)), None) => {
                failures.push(format!("{name}: {found} data sets, off by {worst:.1e}"));
            }
            (Ok(_), Some(words)) => failures.push(format!("{name}: passes, but was to fail with {words:?}")),
            (Err(message), Some(words)) if message.contains(words) => {}
            (Err(message), _) => failures.push(format!("{name}: {message}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn operators() {
    check(&fixtures("ops"), 1, 350);
}

/// Batches of one and of three.
#[test]
fn networks() {
    check(&fixtures(""), 2, 17);
}

/// The networks that are too large to commit; `tests/oracles/make_oracles.py --all -o FOLDER` makes them. They are
/// only imported here: on the host they would take minutes.
#[test]
fn large_networks_are_imported() {
    let Some(folder) = std::env::var_os("KILN_ORACLES") else {
        println!("skipped: KILN_ORACLES does not name a folder made by tests/oracles/make_oracles.py --all");
        return;
    };
    let models = models_in(Path::new(&folder));
    assert!(!models.is_empty(), "no models in {}", Path::new(&folder).display());
    let failures: Vec<String> = models
        .iter()
        .filter_map(|(name, path)| match import(&path.join("model.onnx"), &ImportOptions::default()) {
            Err(error) => Some(format!("{name}: {error}")),
            Ok(imported) if imported.graph.states().is_empty() => Some(format!("{name}: has no weights")),
            Ok(_) => None,
        })
        .collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
