//! Steps of training beside PyTorch's, from the same weights on the same batches.

use std::path::{Path, PathBuf};

use kiln::train::{Loss, Training};
use serde_json::Value;

use crate::batches::optimizers;
use crate::machine::Machine;
use crate::trace::{Followed, follow};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures")
}

#[test]
fn training_is_as_in_pytorch() {
    let device = Machine::open().device;
    let mut traces: Vec<PathBuf> = std::fs::read_dir(fixtures().join("traces"))
        .expect("the fixtures are committed")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    traces.sort();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    for path in traces {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let trace: Value = serde_json::from_str(&text).expect("JSON");
        let traced = trace["optimizers"].as_object().expect("optimizers");
        for optimizer in optimizers().into_iter().filter(|(name, ..)| traced.contains_key(*name)) {
            if !format!("{name}/{}", optimizer.0).contains(&only) {
                continue;
            }
            let (rule, optimizer, lr, momentum) = optimizer;
            let file = fixtures().join(&name).join("model.onnx");
            let graph = kiln::onnx::import(&file, &Default::default()).expect("a model").graph;
            let followed = Followed {
                name: &name,
                graph: &graph,
                training: Training::new(Loss::cross_entropy(), optimizer),
                lr,
                momentum,
                expected: &trace["optimizers"][rule],
                gradients: &trace["gradients"],
            };
            for (apart, what) in follow(&followed, &device) {
                println!("{name} {rule}: {what} {apart:.1e}");
                if apart > 1e-4 {
                    wrong.push(format!("{name}, {rule}: {what} is off by {apart:.1e}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}
