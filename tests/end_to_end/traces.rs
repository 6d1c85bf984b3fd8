//! Steps of training beside PyTorch's, from the same weights on the same batches.

use std::path::{Path, PathBuf};

use kiln::train::{Loss, Optimizer, Training};
use kiln::{Device, DeviceOptions, HostTensor, Options, Session};
use serde_json::Value;

use crate::noise::noise;

const BATCH: usize = 8;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures")
}

/// The optimizers of the script, with the learning rate and the momentum of each step.
fn optimizers() -> Vec<(&'static str, Optimizer, f32, f32)> {
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

/// Gradients that are smaller than this are zero: the bias in front of a batch normalization has no influence.
const NOTHING: f64 = 1e-12;

fn norm(summary: &Value) -> f64 {
    summary["norm"].as_f64().expect("a number")
}

/// How far some elements and the norm of a tensor are from a summary, relative to the largest there, or to `least`.
fn apart(found: &HostTensor, summary: &Value, least: f64) -> f64 {
    let values = found.to_f64();
    let every = summary["every"].as_u64().expect("a number") as usize;
    let wanted: Vec<f64> =
        summary["elements"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let wanted_norm = self::norm(summary);
    let largest = wanted.iter().fold(least, |m, x| m.max(x.abs()));
    assert_eq!(values.len().div_ceil(every), wanted.len());
    let elements = values.iter().step_by(every).zip(&wanted).map(|(a, b)| (a - b).abs() / largest);
    let worst = elements.fold((norm - wanted_norm).abs() / wanted_norm.max(least), f64::max);
    if worst.is_nan() { f64::INFINITY } else { worst }
}

/// Trains the model in `folder` for as many steps as `trace` has; what is farthest from it, of losses, gradients and
/// states.
fn follow(
    folder: &Path,
    trace: &Value,
    device: &Device,
    optimizer: &(&str, Optimizer, f32, f32),
) -> [(f64, String); 3] {
    let (name, optimizer, lr, momentum) = optimizer;
    let graph = kiln::onnx::import(&folder.join("model.onnx"), &Default::default()).expect("a model").graph;
    let training =
        Training { show_gradients: true, ..Training::new(Loss::cross_entropy(), optimizer.clone()) };
    let capabilities = device.capabilities();
    let max = [("N".to_owned(), BATCH as u32)].into();
    let options = Options { target: kiln::target_for(capabilities), max };
    let compiled =
        kiln::compile_training(&graph, &training, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut session = Session::load(device, &compiled.plan).expect("a plan that loads");
    let input = graph.ty(graph.inputs()[0]);
    let shape: Vec<usize> = input.shape[1..].iter().filter_map(kiln::graph::Dim::as_usize).collect();
    let size: usize = shape.iter().product();
    let input_name = graph.value(graph.inputs()[0]).name.clone();
    let classes = graph.ty(graph.outputs()[0].value).shape[1].as_usize().expect("a number") as f64;
    let lr = HostTensor::new([], vec![*lr]).expect("a number");
    let momentum = HostTensor::new([], vec![*momentum]).expect("a number");
    let expected = &trace["optimizers"][*name];
    let gradients = trace["gradients"].as_object().expect("gradients");
    let mut worst: [(f64, String); 3] = Default::default();
    let mut note = |which: usize, apart: f64, what: String| {
        if apart > worst[which].0 {
            worst[which] = (apart, what);
        }
    };
    for (step, wanted) in expected["losses"].as_array().expect("losses").iter().enumerate() {
        let x = noise(100 + step as u64, BATCH * size).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        let x = HostTensor::new([&[BATCH][..], &shape[..]].concat(), x).expect("as many as the shape says");
        let y = noise(200 + step as u64, BATCH).into_iter().map(|y| ((y + 1.0) / 2.0 * classes) as i32);
        let y = HostTensor::new([BATCH], y.collect::<Vec<i32>>()).expect("as many as the shape says");
        let mut inputs = vec![(input_name.as_str(), &x), ("target", &y), ("lr", &lr)];
        if training.optimizer.has_momentum() {
            inputs.push(("momentum", &momentum));
        }
        let outputs = session.run_program("train", &inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
        let loss = outputs.get("loss").expect("a loss").to_f64()[0];
        let wanted = wanted.as_f64().expect("a number");
        note(0, (loss - wanted).abs() / wanted.abs(), format!("loss of step {step}"));
        if step == 0 {
            let largest = gradients.values().map(norm).fold(0.0, f64::max);
            for (parameter, summary) in gradients {
                let gradient = outputs.get(&format!("{parameter}.grad")).unwrap_or_else(|e| panic!("{e}"));
                note(1, apart(gradient, summary, 1e-3 * largest), format!("gradient of {parameter}"));
            }
        }
    }
    let drifts = !matches!(optimizer, Optimizer::Sgd { .. })
        && gradients.values().any(|gradient| norm(gradient) < NOTHING);
    for (state, summary) in expected["state"].as_object().expect("states") {
        // What optimizers that divide a gradient by its size make of rounding errors is chance, and the means of what
        // that is added to follow it.
        let without_influence = gradients.get(state).is_some_and(|gradient| norm(gradient) < NOTHING);
        if without_influence || drifts && state.ends_with("running_mean") {
            continue;
        }
        let index = session.find_tensor(state).unwrap_or_else(|| panic!("{state} is no tensor of the plan"));
        let found = session.read_tensor(index).expect("a state");
        note(2, apart(&found, summary, 1e-6), state.clone());
    }
    worst
}

#[test]
fn training_is_as_in_pytorch() {
    let capabilities =
        kiln::default_device().expect("a Vulkan driver; `apt-get install mesa-vulkan-drivers` has one");
    let device =
        Device::open(&DeviceOptions::from_env(), &kiln::requirements_of(&capabilities)).expect("a device");
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
            for (apart, what) in follow(&fixtures().join(&name), &trace, &device, &optimizer) {
                println!("{name} {}: {what} {apart:.1e}", optimizer.0);
                if apart > 1e-4 {
                    wrong.push(format!("{name}, {}: {what} is off by {apart:.1e}", optimizer.0));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}
