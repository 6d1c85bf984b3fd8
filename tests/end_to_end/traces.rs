//! Steps of training beside PyTorch's, from the same weights on the same batches.

use std::path::{Path, PathBuf};

use kiln::train::{Loss, Optimizer, Training};
use serde_json::Value;

use crate::machine::Machine;
use crate::trace::{Followed, follow};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures")
}

/// The optimizers of the script, with the learning rate and the momentum of each step.
pub(crate) fn optimizers() -> Vec<(&'static str, Optimizer, f32, f32)> {
    let sgd = |momentum, dampening, nesterov, weight_decay| Optimizer::Sgd {
        momentum,
        dampening,
        nesterov,
        weight_decay,
    };
    let Optimizer::RmsProp { alpha, eps, .. } = Optimizer::rms_prop() else { return vec![] };
    let centered = Optimizer::RmsProp { alpha, eps, weight_decay: 0.01, momentum: true, centered: true };
    let Optimizer::Adagrad { initial_accumulator_value, eps, .. } = Optimizer::adagrad() else {
        return vec![];
    };
    let adagrad = Optimizer::Adagrad { lr_decay: 0.1, initial_accumulator_value, eps, weight_decay: 0.0 };
    vec![
        ("sgd", Optimizer::sgd(), 0.02, 0.0),
        ("momentum", sgd(true, 0.0, false, 0.01), 0.02, 0.9),
        ("dampened", sgd(true, 0.3, false, 0.0), 0.02, 0.8),
        ("nesterov", sgd(true, 0.0, true, 0.0), 0.02, 0.9),
        ("adam", Optimizer::Adam { beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }, 0.001, 0.9),
        ("adamw", Optimizer::adam_w(), 0.001, 0.9),
        ("rmsprop", Optimizer::rms_prop(), 0.0005, 0.0),
        ("rmsprop_centered", centered, 0.0005, 0.5),
        ("adagrad", adagrad, 0.005, 0.0),
    ]
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
