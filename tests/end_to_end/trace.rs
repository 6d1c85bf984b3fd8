//! Following a training that PyTorch has done: the same weights, the same batches, the same rule.

use std::collections::BTreeMap;

use kiln::graph::{EvaluateOptions, Graph, Precision, Tensor, compare, evaluate_with};
use kiln::train::{Optimizer, Training};
use kiln::{Device, HostTensor, Options};
use serde_json::Value;

use crate::batches::{BATCH, batch};
use crate::machine::load;

/// Gradients that are smaller than this are zero: the bias in front of a batch normalization has no influence.
const NOTHING: f64 = 1e-12;

pub(crate) fn norm(summary: &Value) -> f64 {
    summary["norm"].as_f64().expect("a number")
}

/// How far some elements and the norm of a tensor are from a summary, relative to the largest there, or to `least`.
pub(crate) fn apart(found: &HostTensor, summary: &Value, least: f64) -> f64 {
    let values = found.to_f64();
    let every = summary["every"].as_u64().expect("a number") as usize;
    let wanted: Vec<f64> =
        summary["elements"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let wanted_norm = self::norm(summary);
    assert_eq!(values.len().div_ceil(every), wanted.len());
    let elements: Vec<f64> = values.iter().copied().step_by(every).collect();
    compare::apart(&wanted, &elements, least).max(compare::apart(&[wanted_norm], &[norm], least))
}

/// A model with the training that is to be followed.
pub(crate) struct Followed<'a> {
    /// What messages call it.
    pub name: &'a str,
    pub graph: &'a Graph,
    /// Loss and rule.
    pub training: Training,
    pub lr: f32,
    pub momentum: f32,
    /// What PyTorch has come to: losses and states.
    pub expected: &'a Value,
    /// The gradients of the first step, as PyTorch has them.
    pub gradients: &'a Value,
}

/// Trains for as many steps as PyTorch has; what is farthest from it, of losses, gradients and states.
pub(crate) fn follow(followed: &Followed<'_>, device: &Device) -> [(f64, String); 3] {
    let Followed { name, graph, training, .. } = followed;
    let training = Training { show_gradients: true, ..training.clone() };
    let max = [("N".to_owned(), BATCH as u32)].into();
    let options = Options { target: kiln::target_for(device.capabilities()), max, ..Options::default() };
    let compiled =
        kiln::compile_training(graph, &training, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut session = load(device, &compiled.plan).expect("a plan that loads");
    let input = graph.value(graph.inputs()[0]).name.clone();
    let lr = HostTensor::new([], vec![followed.lr]).expect("a number");
    let momentum = HostTensor::new([], vec![followed.momentum]).expect("a number");
    let gradients = followed.gradients.as_object().expect("gradients");
    let mut worst: [(f64, String); 3] = Default::default();
    let mut note = |which: usize, apart: f64, what: String| {
        if apart > worst[which].0 {
            worst[which] = (apart, what);
        }
    };
    for (step, wanted) in followed.expected["losses"].as_array().expect("losses").iter().enumerate() {
        let (x, y) = batch(graph, &followed.training, step as u64);
        let mut inputs = vec![(input.as_str(), &x), ("target", &y), ("lr", &lr)];
        if training.optimizer.has_momentum() {
            inputs.push(("momentum", &momentum));
        }
        let outputs = session.run_program("train", &inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
        let loss = outputs.get("loss").expect("a loss").to_f64()[0];
        let wanted = wanted.as_f64().expect("a number");
        note(0, compare::apart(&[wanted], &[loss], 0.0), format!("loss of step {step}"));
        if step == 0 {
            let largest = gradients.values().map(norm).fold(0.0, f64::max);
            for (parameter, summary) in gradients {
                let gradient = outputs.get(&format!("{parameter}.grad")).unwrap_or_else(|e| panic!("{e}"));
                note(1, apart(gradient, summary, 1e-3 * largest), format!("gradient of {parameter}"));
            }
        }
    }
    let drifts = !matches!(training.optimizer, Optimizer::Sgd { .. })
        && gradients.values().any(|gradient| norm(gradient) < NOTHING);
    for (state, summary) in followed.expected["state"].as_object().expect("states") {
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

/// As [`follow`], by the reference evaluation of the step's graph with double precision: a deep network with relus has
/// units so near zero that rounding switches them, and only without it two trainings stay together.
pub(crate) fn follow_exactly(followed: &Followed<'_>) -> [(f64, String); 3] {
    let training = Training { show_gradients: true, ..followed.training.clone() };
    let step = kiln::train::step(followed.graph, &training).unwrap_or_else(|e| panic!("{e}"));
    let number = |value: f32| Tensor::scalar(value);
    let mut states: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut worst: [(f64, String); 3] = Default::default();
    let mut note = |which: usize, apart: f64, what: String| {
        if apart > worst[which].0 {
            worst[which] = (apart, what);
        }
    };
    let input = followed.graph.value(followed.graph.inputs()[0]).name.clone();
    for (n, wanted) in followed.expected["losses"].as_array().expect("losses").iter().enumerate() {
        let (x, y) = batch(followed.graph, &followed.training, n as u64);
        let given = |tensor: &HostTensor| kiln::from_host(tensor).expect("as many as the shape says");
        let inputs = [
            (input.clone(), given(&x)),
            ("target".into(), given(&y)),
            ("lr".into(), number(followed.lr)),
            ("momentum".into(), number(followed.momentum)),
        ];
        let options = EvaluateOptions { states: states.clone(), ..EvaluateOptions::new(Precision::F64) };
        let done = evaluate_with(&step, &inputs.into(), &options).unwrap_or_else(|e| panic!("{e}"));
        let output = |name: &str| kiln::to_host(done.output(name).expect("an output")).expect("a tensor");
        let wanted = wanted.as_f64().expect("a number");
        note(0, compare::apart(&[wanted], &output("loss").to_f64(), 0.0), format!("loss of step {n}"));
        if n == 0 {
            let gradients = followed.gradients.as_object().expect("gradients");
            let largest = gradients.values().map(norm).fold(0.0, f64::max);
            for (parameter, summary) in gradients {
                let found = output(&format!("{parameter}.grad"));
                note(1, apart(&found, summary, 1e-3 * largest), format!("gradient of {parameter}"));
            }
        }
        states.extend(done.new_states().iter().cloned());
    }
    for (state, summary) in followed.expected["state"].as_object().expect("states") {
        let found = kiln::to_host(&states[state]).expect("a tensor");
        note(2, apart(&found, summary, 1e-6), state.clone());
    }
    worst
}
