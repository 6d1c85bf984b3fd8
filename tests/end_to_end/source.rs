//! The networks in `models/`, read from their source, beside what PyTorch computes with the same files: outputs,
//! gradients, five steps of training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::graph::{Graph, Tensor};
use kiln::torch::{ImportOptions, Imported};
use kiln::train::{Loss, Optimizer, Training};
use kiln::{Device, DeviceOptions, HostTensor, Options, Session};
use serde_json::Value;

use crate::noise::noise;
use crate::trace::{Followed, apart, follow, follow_exactly};

/// What single relus that rounding switches may do to the training of a deep network; the same training with double
/// precision has to agree to six digits.
const DEEP: f64 = 5e-3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The formula of `tests/oracles/source_oracles.py` for the weights of a tensor.
fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let splitmix = |z: u64| {
        let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let first = u64::from(crc32fast::hash(name.as_bytes())) << 32;
    let fan_in: usize = shape.iter().skip(1).product();
    let scale = |u: f64| {
        if shape.len() > 1 {
            u * (3.0 / fan_in as f64).sqrt() * 1.2
        } else if name.ends_with("running_var") {
            1.0 + 0.5 * u
        } else if name.ends_with("running_mean") {
            0.2 * u
        } else if name.ends_with("weight") {
            1.0 + 0.3 * u
        } else {
            0.1 * u
        }
    };
    let count: usize = shape.iter().product();
    let u = (0..count as u64).map(|i| (splitmix(first + i) >> 40) as f64 / f64::from(1u32 << 23) - 1.0);
    u.map(|u| scale(u) as f32).collect()
}

fn with_weights(mut graph: Graph) -> Graph {
    for id in graph.states().to_vec() {
        let shape = graph.ty(id).static_shape().expect("numbers");
        let values = weights(&graph.value(id).name, &shape);
        graph.set_state(id, Tensor::f32(shape, values).expect("as many as the shape says")).expect("a state");
    }
    graph
}

/// A value as Python writes it.
fn python(value: &Value) -> String {
    match value {
        Value::Bool(b) => if *b { "True" } else { "False" }.into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}

fn import(case: &Value, args: &str) -> Imported {
    let model = case["model"].as_str().expect("a model");
    let (file, name) = model.split_once(':').expect("a file and a name");
    let args = case[args].as_object().expect("arguments");
    let input: Vec<String> =
        case["input"].as_array().expect("a shape").iter().map(Value::to_string).collect();
    let options = ImportOptions {
        model: Some(name.into()),
        args: args.iter().map(|(name, value)| format!("{name}={}", python(value))).collect(),
        inputs: vec![input.join(",")],
        ..ImportOptions::default()
    };
    let path = root().join("models").join(file);
    kiln::torch::import(&path, &options).unwrap_or_else(|e| panic!("{}", e.report()))
}

/// The names of the state dict with their shapes, aliases among them.
fn keys(imported: &Imported) -> BTreeMap<String, Vec<u64>> {
    let graph = &imported.graph;
    let shape = |name: &str| {
        let id = graph.states().iter().find(|id| graph.value(**id).name == name).expect("a state");
        graph.ty(*id).static_shape().expect("numbers").into_iter().map(|n| n as u64).collect()
    };
    let own = graph.states().iter().map(|id| graph.value(*id).name.clone());
    let own = own.map(|name| (name.clone(), shape(&name)));
    own.chain(imported.names.aliases.iter().map(|(alias, name)| (alias.clone(), shape(name)))).collect()
}

fn outputs_apart(case: &Value, graph: &Graph, device: &Device) -> f64 {
    let options =
        Options { target: kiln::target_for(device.capabilities()), max: [("N".to_owned(), 3)].into() };
    let compiled = kiln::compile(graph, &options).unwrap_or_else(|e| panic!("{e}"));
    let mut session = Session::load(device, &compiled.plan).expect("a plan that loads");
    let input = graph.inputs()[0];
    let mut shape = vec![3];
    shape.extend(graph.ty(input).shape[1..].iter().filter_map(kiln::graph::Dim::as_usize));
    let values: Vec<f32> = noise(7, shape.iter().product()).into_iter().map(|x| x as f32).collect();
    let x = HostTensor::new(shape, values).expect("as many as the shape says");
    let outputs = session.run(&[(graph.value(input).name.as_str(), &x)]).unwrap_or_else(|e| panic!("{e}"));
    apart(outputs.get("output").expect("an output"), &case["output"], 1e-6)
}

/// What is wrong with a case.
fn check(name: &str, case: &Value, device: &Device) -> Vec<String> {
    let mut wrong = vec![];
    let imported = import(case, "args");
    let parameters = {
        let training = Training::new(Loss::cross_entropy(), Optimizer::sgd());
        let names = training.parameters(&imported.graph);
        let states = imported.graph.states().iter().map(|id| imported.graph.value(*id));
        let own = states.filter(|value| names.contains(&value.name));
        own.filter_map(|value| value.ty.elements().as_usize()).sum::<usize>() as u64
    };
    if Some(parameters) != case["parameters"].as_u64() {
        wrong.push(format!("{name} has {parameters} parameters, not {}", case["parameters"]));
    }
    let wanted: BTreeMap<String, Vec<u64>> = serde_json::from_value(case["keys"].clone()).expect("keys");
    if keys(&imported) != wanted {
        wrong.push(format!("{name} has other keys than PyTorch: {:?}", keys(&imported)));
    }
    let tolerance = case["tolerance"].as_f64().expect("a number");
    let off = outputs_apart(case, &with_weights(imported.graph), device);
    println!("{name}: output {off:.1e}");
    if off > 1e-4 {
        wrong.push(format!("{name}: the output is off by {off:.1e}"));
    }
    let is_deep = name == "resnet50";
    let number = |key: &str| case[key].as_f64().expect("a number") as f32;
    let graph = with_weights(import(case, "trace_args").graph);
    for (rule, expected) in case["optimizers"].as_object().expect("optimizers") {
        let (optimizer, lr, momentum) = match rule.as_str() {
            "momentum" => {
                let weight_decay = number("weight_decay");
                let sgd = Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay };
                (sgd, number("lr"), number("momentum_value"))
            }
            _ => (Optimizer::Adam { beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }, 0.001, 0.9),
        };
        let loss = if case["loss"] == "mse" { Loss::Mse } else { Loss::cross_entropy() };
        let training = Training::new(loss, optimizer);
        let gradients = &case["gradients"];
        let followed = Followed { name, graph: &graph, training, lr, momentum, expected, gradients };
        if is_deep {
            for (apart, what) in follow_exactly(&followed) {
                println!("{name} {rule}, exactly: {what} {apart:.1e}");
                if apart > 1e-6 {
                    wrong.push(format!("{name}, {rule}, exactly: {what} is off by {apart:.1e}"));
                }
            }
        }
        for (apart, what) in follow(&followed, device) {
            println!("{name} {rule}: {what} {apart:.1e}");
            if apart > if is_deep { DEEP } else { tolerance } {
                wrong.push(format!("{name}, {rule}: {what} is off by {apart:.1e}"));
            }
        }
    }
    wrong
}

#[test]
fn models_compute_and_train_as_in_pytorch() {
    let capabilities =
        kiln::default_device().expect("a Vulkan driver; `apt-get install mesa-vulkan-drivers` has one");
    let device =
        Device::open(&DeviceOptions::from_env(), &kiln::requirements_of(&capabilities)).expect("a device");
    let folder = root().join("tests/oracles/fixtures/source");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the fixtures are committed")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    cases.sort();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let mut wrong = vec![];
    for path in cases {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let case =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("a readable file")).expect("JSON");
        wrong.extend(check(&name, &case, &device));
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}
