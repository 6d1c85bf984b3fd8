//! Networks whose gradients stop somewhere, or parts of which do not train, beside PyTorch's steps with them
//! (`tests/oracles/training_oracles.py`).

use std::collections::BTreeMap;
use std::path::Path;

use kiln::graph::{EvaluateOptions, Graph, Precision, Tensor, evaluate_with};
use kiln::model::ModelOptions;
use kiln::torch::ImportOptions;
use kiln::train::{Loss, Optimizer, Training};
use kiln::{HostTensor, Model, Options, Session};
use serde_json::Value;

use crate::machine::Machine;
use crate::numbers::{noise, with_weights};

const BATCH: usize = 6;

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/training.json");
    let text = std::fs::read_to_string(path).expect("the file is committed");
    serde_json::from_str(&text).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// A source file as a model, and as it is in training.
fn model(name: &str, source: &str, input: &[f64]) -> (Graph, Training) {
    let folder = std::env::temp_dir().join(format!("kiln-stops-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("net.py");
    std::fs::write(&path, source).expect("a file");
    let shape: Vec<String> = input.iter().map(f64::to_string).collect();
    let inputs = vec![shape.join(",")];
    let options =
        ModelOptions { source: ImportOptions { inputs, ..ImportOptions::default() }, ..Default::default() };
    let mut model = Model::read(&path, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    model.graph = with_weights(model.graph);
    let mut training = Training::new(Loss::Mse, Optimizer::sgd());
    match model.in_training().unwrap_or_else(|e| panic!("{name}: {e}")) {
        Some(in_training) => {
            training.frozen = in_training.frozen;
            training.model = Some(in_training.graph);
        }
        None => training.frozen.clone_from(&model.frozen),
    }
    std::fs::remove_dir_all(&folder).expect("the folder can go");
    (model.graph, training)
}

/// The optimizers of the script, with the learning rate and the momentum of each step.
fn optimizer(name: &str) -> (Optimizer, f32, f32) {
    let weight_decay = 0.1;
    match name {
        "sgd" => {
            (Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay }, 0.05, 0.9)
        }
        "adam" => (Optimizer::Adam { beta2: 0.999, eps: 1e-8, weight_decay }, 0.01, 0.9),
        _ => (Optimizer::AdamW { beta2: 0.999, eps: 1e-8, weight_decay }, 0.01, 0.9),
    }
}

/// A case with the inputs of all its batches.
struct Case<'a> {
    case: &'a Value,
    name: &'a str,
    graph: Graph,
    training: Training,
    lr: f32,
    momentum: f32,
    expected: &'a Value,
}

impl<'a> Case<'a> {
    fn new(case: &'a Value, rule: &str) -> Self {
        let text = |key: &str| case[key].as_str().expect("a string");
        let (graph, training) = model(text("name"), text("source"), &numbers(&case["input"]));
        let (optimizer, lr, momentum) = optimizer(rule);
        let accumulate = case["accumulate"].as_u64().expect("a number") as u32;
        let loss = match text("loss") {
            "mse" => Loss::Mse,
            _ => Loss::CrossEntropy { weights: None, label_smoothing: 0.0, ignore_index: Some(-100) },
        };
        let training = Training { loss, optimizer, accumulate, ..training };
        let expected = &case["optimizers"][rule];
        Self { case, name: text("name"), graph, training, lr, momentum, expected }
    }

    /// Whether the optimizer steps behind batch `k`.
    fn is_step(&self, k: usize) -> bool {
        let steps = numbers(&self.case["batches"]);
        steps.get(k + 1) != Some(&steps[k])
    }

    /// The inputs of batch `k`, by name.
    fn inputs(&self, k: usize) -> Vec<(String, HostTensor)> {
        let values = |seed: usize, count: usize| noise(seed as u64, count).into_iter().map(|x| x as f32);
        let shape: Vec<usize> = numbers(&self.case["input"]).iter().map(|n| *n as usize).collect();
        let shape = [&[BATCH][..], &shape].concat();
        let x: Vec<f32> = values(100 + k, shape.iter().product()).collect();
        let output = self.graph.ty(self.graph.outputs()[0].value).shape[1].as_usize().expect("a number");
        let target = if self.training.loss.has_classes() {
            let classes = noise(200 + k as u64, BATCH).into_iter();
            let mut classes: Vec<i32> = classes.map(|y| ((y + 1.0) / 2.0 * output as f64) as i32).collect();
            let ignored = self.case["ignored"].as_u64().expect("a number") as usize;
            classes.iter_mut().step_by(ignored.max(1)).for_each(|class| *class = -100);
            HostTensor::new([BATCH], classes)
        } else {
            HostTensor::new([BATCH, output], values(200 + k, BATCH * output).collect::<Vec<f32>>())
        };
        let number = |x: f32| HostTensor::new([], vec![x]).expect("a number");
        let input = self.graph.value(self.graph.inputs()[0]).name.clone();
        let mut inputs = vec![
            (input, HostTensor::new(shape, x).expect("as many as the shape says")),
            ("target".into(), target.expect("as many as the shape says")),
            ("lr".into(), number(self.lr)),
            ("momentum".into(), number(self.momentum)),
        ];
        if self.training.accumulate > 1 {
            inputs.push(("update".into(), number(if self.is_step(k) { 1.0 } else { 0.0 })));
        }
        inputs
    }

    /// What is wrong with the losses and the state that a training has come to.
    fn compare(&self, losses: &[f64], states: &BTreeMap<String, Vec<f64>>, most: f64) -> Vec<String> {
        let mut wrong = vec![];
        let mut compare = |what: &str, found: &[f64], wanted: &[f64]| {
            let largest = wanted.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / largest);
            let worst = apart.fold(0.0f64, |m, x| if x.is_nan() { f64::INFINITY } else { m.max(x) });
            if found.len() != wanted.len() || worst > most {
                wrong.push(format!("{}: {what} is off by {worst:.1e}", self.name));
            }
        };
        compare("the loss", losses, &numbers(&self.expected["losses"]));
        for (name, wanted) in self.expected["state"].as_object().expect("states") {
            let found = states.get(name).map(Vec::as_slice).unwrap_or_default();
            compare(name, found, &numbers(wanted));
        }
        wrong
    }
}

/// By the evaluator with double precision, where every case has to agree to six digits.
fn exactly(case: &Case<'_>) -> Vec<String> {
    let name = case.name;
    let step = kiln::train::step(&case.graph, &case.training).unwrap_or_else(|e| panic!("{name}: {e}"));
    let first = step.states().iter().map(|id| match &step.value(*id).def {
        kiln::graph::Def::State(tensor) => (step.value(*id).name.clone(), tensor.clone()),
        _ => panic!("{name}: a state without values"),
    });
    let mut states: BTreeMap<String, Tensor> = first.collect();
    let mut losses = vec![];
    for k in 0..numbers(&case.case["batches"]).len() {
        let given = case.inputs(k).into_iter();
        let inputs: BTreeMap<String, Tensor> =
            given.map(|(name, x)| (name, kiln::from_host(&x).expect("as many as the shape says"))).collect();
        let options = EvaluateOptions { states: states.clone(), ..EvaluateOptions::new(Precision::F64) };
        let done = evaluate_with(&step, &inputs, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        losses.push(done.output("loss").expect("a loss").to_f64()[0]);
        states.extend(done.new_states().iter().cloned());
    }
    let states = states.into_iter().map(|(name, tensor)| (name, tensor.to_f64())).collect();
    case.compare(&losses, &states, 1e-6)
}

#[test]
fn gradients_stop_where_they_do_in_pytorch() {
    let fixture = fixture();
    let only = std::env::var("KILN_ONLY").unwrap_or_default();
    let mut wrong = vec![];
    for case in fixture["cases"].as_array().expect("cases") {
        for rule in case["optimizers"].as_object().expect("optimizers").keys() {
            if format!("{}/{rule}", case["name"].as_str().unwrap_or_default()).contains(&only) {
                wrong.extend(exactly(&Case::new(case, rule)).into_iter().map(|w| format!("{rule}, {w}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// Frozen batch normalization, a detached branch, an unused parameter, padding rows, a rest of micro-batches and labels
/// that do not count in one network, for five steps of the optimizer on the device.
#[test]
fn a_network_with_all_of_it_trains_as_in_pytorch() {
    let device = Machine::open().device;
    let fixture = fixture();
    let cases = fixture["cases"].as_array().expect("cases");
    let all = cases.iter().find(|case| case["name"] == "everything").expect("the case");
    let mut wrong = vec![];
    for rule in ["sgd", "adam", "adamw"] {
        let case = Case::new(all, rule);
        let max = [("N".to_owned(), BATCH as u32)].into();
        let options = Options { target: kiln::target_for(device.capabilities()), max, ..Options::default() };
        let compiled = kiln::compile_training(&case.graph, &case.training, &options)
            .unwrap_or_else(|e| panic!("{rule}: {e}"));
        let mut session = Session::load(&device, &compiled.plan).expect("a plan that loads");
        let mut losses = vec![];
        for k in 0..numbers(&all["batches"]).len() {
            let inputs = case.inputs(k);
            let inputs: Vec<(&str, &HostTensor)> = inputs.iter().map(|(n, x)| (n.as_str(), x)).collect();
            let outputs = session.run_program("train", &inputs).unwrap_or_else(|e| panic!("{rule}: {e}"));
            losses.push(outputs.get("loss").expect("a loss").to_f64()[0]);
        }
        let mut states = BTreeMap::new();
        for name in case.expected["state"].as_object().expect("states").keys() {
            let index =
                session.find_tensor(name).unwrap_or_else(|| panic!("{name} is no tensor of the plan"));
            states.insert(name.clone(), session.read_tensor(index).expect("a state").to_f64());
        }
        wrong.extend(case.compare(&losses, &states, 1e-4).into_iter().map(|w| format!("{rule}, {w}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The gradient of `sum |y - target| / n` for `y = forward(x * p)`, of each element of `p = 1`, and the loss.
fn slopes(name: &str, forward: &str, x: f32, target: f32, seed: u64) -> (Vec<f64>, f64) {
    const COUNT: usize = 4000;
    let source = format!(
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.p = nn.Parameter(torch.ones({COUNT}))\n        self.r = nn.RReLU(0.1, 0.4)\n        self.a = nn.AlphaDropout(0.2)\n        self.c = nn.FeatureAlphaDropout(0.5)\n\n    def forward(self, x):\n        return {forward}\n"
    );
    let (graph, training) = model(name, &source, &[COUNT as f64]);
    let ones = Tensor::f32([COUNT], vec![1.0; COUNT]).expect("as many");
    let mut given = training.model.clone().expect("a model that is random in training");
    let p = given.states()[0];
    given.set_state(p, ones).expect("a state");
    let training = Training { model: Some(given), loss: Loss::L1, seed, ..training };
    let graph = kiln::train::backward(&graph, &training).expect("gradients");
    let full = |value: f32| Tensor::f32([1, COUNT], vec![value; COUNT]).expect("as many");
    let inputs = [("x".to_owned(), full(x)), ("target".to_owned(), full(target))];
    let options = EvaluateOptions::new(Precision::F64);
    let done = evaluate_with(&graph, &inputs.into(), &options).expect("numbers");
    let gradient = done.output("p.grad").expect("a gradient").to_f64();
    let loss = done.output("loss").expect("a loss").to_f64()[0];
    (gradient.into_iter().map(|g| g * COUNT as f64).collect(), loss)
}

#[test]
fn slopes_below_zero_are_random_in_training() {
    for (name, forward, [low, high]) in [
        ("rrelu", "self.r(x * self.p)", [0.1, 0.4]),
        ("rrelu_function", "F.rrelu(x * self.p, 0.2, 0.3, training=self.training)", [0.2, 0.3]),
    ] {
        // y = slope * x is below the target 0.
        let (found, _) = slopes(name, forward, -1.0, 0.0, 1);
        assert!(found.iter().all(|slope| (low..=high).contains(slope)), "{name}");
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let spread = found.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / found.len() as f64;
        // Of a uniform distribution; four deviations of the mean are 0.0055 and 0.0018.
        assert!((mean - (low + high) / 2.0).abs() < 0.02 * (high - low), "{name}: {mean}");
        let wanted = (high - low) * (high - low) / 12.0;
        assert!((spread / wanted - 1.0).abs() < 0.1, "{name}: {spread} instead of {wanted}");
        assert_ne!(found, slopes(name, forward, -1.0, 0.0, 2).0, "{name} with another seed");
        let (above, _) = slopes(name, forward, 1.0, -1.0, 1);
        assert!(above.iter().all(|slope| (slope - 1.0).abs() < 1e-12), "{name} above zero");
    }
}

#[test]
fn alpha_dropout_drops_in_training_as_in_pytorch() {
    let fixture = fixture();
    for (name, forward, p) in [
        ("alpha", "self.a(x * self.p)", "0.2"),
        ("alpha_function", "F.alpha_dropout(x * self.p, 0.9, training=self.training)", "0.9"),
        ("alpha_features", "self.c((x * self.p).view(-1, 1000, 4)).view(-1, 4000)", "0.5"),
    ] {
        let wanted = &fixture["alpha_dropout"][p];
        let [kept, dropped] = ["kept", "dropped"].map(|key| wanted[key].as_f64().expect("a number"));
        // All is above the target -10.
        let (found, loss) = slopes(name, forward, 1.0, -10.0, 3);
        let share = found.iter().filter(|slope| **slope != 0.0).count() as f64 / found.len() as f64;
        let p: f64 = p.parse().expect("a number");
        // Four deviations; of channels of four there are 1000.
        let count = if name == "alpha_features" { 1000.0 } else { 4000.0 };
        assert!((share - (1.0 - p)).abs() < 4.0 * (p * (1.0 - p) / count).sqrt(), "{name}: {share}");
        let mean = share * kept + (1.0 - share) * dropped + 10.0;
        assert!((loss - mean).abs() < 1e-4, "{name}: {loss} instead of {mean}");
        if name == "alpha_features" {
            assert!(found.chunks(4).all(|channel| channel.iter().all(|slope| *slope == channel[0])));
        }
    }
}
