//! Other forms of a graph mean the same: its text, and the ONNX file it is exported to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::graph::{Precision, Tensor, evaluate, text};
use kiln::test_data;

fn models() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures");
    let mut folders = Vec::new();
    for parent in [fixtures.clone(), fixtures.join("ops"), fixtures.join("detection")] {
        let entries = std::fs::read_dir(parent).expect("the fixtures are committed");
        folders.extend(entries.map(|entry| entry.expect("a readable folder").path()));
    }
    folders.retain(|folder| folder.join("model.onnx").is_file());
    folders.sort();
    folders
}

fn import(folder: &Path) -> Option<kiln::Graph> {
    kiln::onnx::import(&folder.join("model.onnx"), &Default::default()).ok().map(|imported| imported.graph)
}

#[test]
fn a_graph_is_its_text() {
    let mut seen = 0;
    for folder in models() {
        let Some(graph) = import(&folder) else { continue };
        let text = graph.with_data().to_string();
        let again = text::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        assert_eq!(again.nodes(), graph.nodes(), "{}", folder.display());
        assert_eq!(again.with_data().to_string(), text, "{}", folder.display());
        seen += 1;
    }
    assert!(seen > 300);
}

#[test]
fn what_is_exported_means_the_same() {
    let mut seen = 0;
    for folder in models() {
        let Some(graph) = import(&folder) else { continue };
        let name = folder.display();
        let file = kiln::onnx::export(&graph).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = kiln::onnx::import_bytes(&file, None, &Default::default());
        let again = again.unwrap_or_else(|e| panic!("{name}: {e}")).graph;
        let sets =
            test_data::Folder::open(&folder).and_then(|data| data.data_sets(&graph)).expect("known answers");
        let inputs: BTreeMap<String, Tensor> = sets[0].inputs.iter().cloned().collect();
        let answers =
            |graph| evaluate(graph, &inputs, Precision::F32).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (before, after) = (answers(&graph), answers(&again));
        for ((output, a), (_, b)) in before.outputs().iter().zip(after.outputs()) {
            let difference = test_data::difference(a, b).unwrap_or_else(|| panic!("{name}: {output}"));
            assert!(difference.relative <= 1e-6, "{name}: {output} differs by {:e}", difference.relative);
        }
        seen += 1;
    }
    assert!(seen > 300);
}
