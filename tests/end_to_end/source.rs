//! The networks in `models/`, read from their source, beside what PyTorch computes with the same files: outputs,
//! gradients, five steps of training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::graph::Graph;
use kiln::torch::{ImportOptions, Imported};
use kiln::train::{Loss, Optimizer, Training};
use kiln::training::Interface;
use kiln::training::data::Source;
use kiln::training::loader::Loader;
use kiln::training::normalize::Normalize;
use kiln::{Device, HostTensor, Model, Options, Session};
use serde_json::Value;

use crate::machine::{Machine, load};
use crate::numbers::{noise, with_weights};
use crate::skip::skipped;
use crate::trace::{Followed, apart, follow, follow_exactly};

/// What single relus that rounding switches may do to the training of a network; the same training with double precision
/// has to agree to six digits then.
const DEEP: f64 = 5e-3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
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
    let options = Options {
        target: kiln::target_for(device.capabilities()),
        max: [("N".to_owned(), 3)].into(),
        ..Options::default()
    };
    let compiled = kiln::compile(graph, &options).unwrap_or_else(|e| panic!("{e}"));
    let mut session = load(device, &compiled.plan).expect("a plan that loads");
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
        let found = follow(&followed, device);
        let [losses, gradients, states] = &found;
        // The first gradients have no training behind them in which a relu could have switched.
        let switched = gradients.0 <= tolerance && losses.0.max(states.0) > tolerance;
        if is_deep || switched {
            for (apart, what) in follow_exactly(&followed) {
                println!("{name} {rule}, exactly: {what} {apart:.1e}");
                if apart > 1e-6 {
                    wrong.push(format!("{name}, {rule}, exactly: {what} is off by {apart:.1e}"));
                }
            }
        }
        for (apart, what) in found {
            println!("{name} {rule}: {what} {apart:.1e}");
            if apart > if is_deep || switched { DEEP } else { tolerance } {
                wrong.push(format!("{name}, {rule}: {what} is off by {apart:.1e}"));
            }
        }
    }
    wrong
}

#[test]
fn models_compute_and_train_as_in_pytorch() {
    let device = Machine::open().device;
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

/// The book's network with the book's weights, over its birds and airplanes: PyTorch takes 1,762 of the 2,000 for what
/// they are. The images are JPEG files, which decoders round differently.
#[test]
fn the_books_weights_know_birds_from_airplanes() {
    let data = std::env::var_os("KILN_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let (weights, pictures) = (data.join("dlwpt/birds_vs_airplanes.pt"), data.join("cifar2"));
    if !weights.is_file() || !pictures.is_dir() {
        skipped(&format!(
            "`{}` has no dlwpt/ and cifar2/; KILN_DATA says where data sets are",
            data.display()
        ));
        return;
    }
    let mut model = Model::read(&root().join("models/net.py:Net"), &Default::default()).expect("a model");
    model.load_weights(&weights, false).expect("weights that fit");
    let training = Training::new(Loss::cross_entropy(), Optimizer::sgd());
    let graph = kiln::train::evaluation(&model.graph, &training).expect("a graph");
    let capabilities = kiln::default_device().expect("a device");
    let options = Options {
        target: kiln::target_for(&capabilities),
        max: [("N".to_owned(), 100)].into(),
        ..Options::default()
    };
    let compiled = kiln::compile_programs(&[("evaluate", &graph)], &options).expect("a plan");
    let mut session = Session::open(&compiled.plan).expect("a device");
    let interface = Interface::of(&session, "evaluate", None).expect("a program that evaluates");
    let splits = Source::Folder(pictures).load(&Default::default()).expect("pictures");
    let normalize = Normalize { mean: vec![0.4915, 0.4823, 0.4468], std: vec![0.2470, 0.2435, 0.2616] };
    let test = splits.test.expect("pictures for testing");
    let loader = Loader { normalize, ..Loader::new(test, &interface, 100) };
    let found = kiln::training::evaluate(&mut session, &interface, &loader).expect("an evaluation");
    let confusion = found.confusion.expect("classes");
    let right: u64 = (0..2).map(|class| confusion.count(class, class)).sum();
    println!("{right} of {} are right", confusion.total());
    assert_eq!(confusion.total(), 2000);
    assert!((1760..=1764).contains(&right), "{right} are right, 1762 in PyTorch");
}

/// `self.training` asks which program is meant: the two differ where the source says so, and share their weights.
#[test]
fn a_model_may_compute_something_else_in_training() {
    let folder = std::env::temp_dir().join(format!("kiln-in-training-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("net.py");
    let source = "\
import torch.nn as nn

# kiln: --input 4
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        if self.training:
            x = 2 * x
        return self.fc(x)
";
    std::fs::write(&path, source).expect("a file");
    let model = Model::read(&path, &Default::default()).expect("a model");
    let in_training = model.in_training().expect("a graph").expect("another graph").graph;
    assert_eq!(in_training.nodes().len(), model.graph.nodes().len() + 1);
    let training = Training { model: Some(in_training), ..Training::new(Loss::Mse, Optimizer::sgd()) };
    let programs = kiln::train::programs(&model.graph, &training).expect("programs");
    let multiplies = |name: &str| {
        let (_, graph) = programs.iter().find(|(other, _)| *other == name).expect("a program");
        graph.nodes().iter().any(|node| node.name == "mul")
    };
    assert!(multiplies("train") && !multiplies("inference") && !multiplies("evaluate"));
    std::fs::remove_dir_all(&folder).expect("the folder can go");
}
