//! Training with activations and their gradients in 16 bits: beside PyTorch, beside differences, and what becomes of the
//! scale of the loss.

use std::collections::BTreeMap;

use kiln::graph::{EvaluateOptions, Graph, Precision as Arithmetic, Tensor, evaluate_with, text};
use kiln::train::{FAILED, GOOD_STEPS, LOSS_SCALE, Loss, OVERFLOWED, Optimizer, SKIPPED, Training};
use kiln::training::Trainer;
use kiln::training::checkpoint::Checkpoint;
use kiln::{HostTensor, Precision};
use serde_json::Value;

use crate::batches::optimizers;
use crate::numbers::{noise, with_weights};
use crate::precision::machine;
use crate::trace::{Followed, follow, norm};
use crate::traces::fixtures;

fn known(file: &str) -> Value {
    let text = std::fs::read_to_string(fixtures().join(file)).expect("committed");
    serde_json::from_str(&text).expect("JSON")
}

fn model(name: &str) -> Graph {
    let path = fixtures().join(name).join("model.onnx");
    kiln::onnx::import(&path, &Default::default()).expect("a model").graph
}

fn in_16_bits(loss: Loss, optimizer: Optimizer) -> Training {
    Training { precision: Precision::F16, ..Training::new(loss, optimizer) }
}

/// Rounding to 16 bits moves losses and gradients; where PyTorch rounds at the same places, they move with it. After a step
/// or two, which of two neighbours a number is rounded to is chance.
#[test]
fn training_is_as_in_pytorch_where_it_rounds() {
    let Some(machine) = machine() else { return };
    let traces = known("precision.json");
    let mut wrong = Vec::new();
    for (name, rounded) in traces["traces"].as_object().expect("traces") {
        let exact = known(&format!("traces/{name}.json"));
        // What is left of a gradient that is zero is rounding alone.
        let has_influence = |parameter: &str| norm(&exact["gradients"][parameter]) > 1e-12;
        let graph = model(name);
        let traced = rounded["optimizers"].as_object().expect("optimizers");
        for (rule, optimizer, lr, momentum) in optimizers() {
            if !traced.contains_key(rule) {
                continue;
            }
            let apart = |trace: &Value| {
                let training = in_16_bits(Loss::cross_entropy(), optimizer.clone());
                let mut gradients = trace["gradients"].clone();
                if let Some(gradients) = gradients.as_object_mut() {
                    gradients.retain(|parameter, _| has_influence(parameter));
                }
                let (expected, gradients) = (&trace["optimizers"][rule], &gradients);
                let followed = Followed { name, graph: &graph, training, lr, momentum, expected, gradients };
                follow(&followed, &machine.device)
            };
            let ([loss, gradient, _], [_, exact, _]) = (apart(rounded), apart(&exact));
            println!("{name} {rule}: {loss:?}, {gradient:?}, without rounding {exact:?}");
            if loss.0 > 2e-3 {
                wrong.push(format!("{name}, {rule}: {} is off by {:.1e}", loss.1, loss.0));
            }
            if gradient.0 > 2e-3 || gradient.0 > exact.0 / 5.0 {
                wrong.push(format!("{name}, {rule}: {} is off by {:.1e}", gradient.1, gradient.0));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// What PyTorch's `GradScaler` makes of steps of which some overflow: the target decides how large a gradient is on its way
/// back.
#[test]
fn the_loss_is_scaled_by_the_rules_of_pytorch() {
    let source = "graph net\ninput %x : f32[1, 1]\nstate @w : f32[1, 1] = [1]\nstate @v : f32[1, 1] = [100]\n\
                  %h = matmul(%x, @w)\n%y = matmul(%h, @v)\noutput y = %y";
    let graph = text::parse(source).expect("a graph");
    let training = Training { frozen: vec!["v".into()], ..in_16_bits(Loss::Mse, Optimizer::sgd()) };
    let step = kiln::train::step(&graph, &training).expect("a step");
    let all = known("precision.json");
    for (name, case) in all["loss_scale"].as_object().expect("cases") {
        let count = case["steps"].as_u64().expect("a number");
        let overflows: Vec<u64> =
            case["overflows"].as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        let runs = case["scales"].as_array().expect("a list").iter().flat_map(|run| {
            let length = run[1].as_u64().expect("a number") as usize;
            std::iter::repeat_n(run[0].as_f64().expect("a number"), length)
        });
        let mut states: BTreeMap<String, Tensor> = BTreeMap::new();
        for (n, wanted) in (0..count).zip(runs) {
            let target = if overflows.contains(&n) { 1e15 } else { 1.0 };
            let one = |x: f32| Tensor::f32([1, 1], vec![x]).expect("a number");
            let inputs = BTreeMap::from([
                ("x".to_owned(), one(0.01)),
                ("target".to_owned(), one(target)),
                ("lr".to_owned(), Tensor::scalar(0f32)),
            ]);
            let options = EvaluateOptions { states, ..EvaluateOptions::new(Arithmetic::F32) };
            let done = evaluate_with(&step, &inputs, &options).unwrap_or_else(|e| panic!("{e}"));
            let number = |name: &str| done.output(name).expect("an output").to_f64()[0];
            assert_eq!(number(SKIPPED) > 0.0, overflows.contains(&n), "{name}: step {n}");
            assert_eq!(number(LOSS_SCALE), wanted, "{name}: the scale after step {n}");
            states = done.new_states().iter().cloned().collect();
        }
        assert_eq!(states[GOOD_STEPS].to_f64()[0], case["good_steps"].as_f64().expect("a number"), "{name}");
    }
}

/// A trainer with what it needs for a step.
struct Steps {
    trainer: Trainer,
    momentum: bool,
    accumulates: bool,
    x: HostTensor,
    shape: [usize; 2],
}

impl Steps {
    fn new(name: &str, training: &Training) -> Self {
        let graph = model(name);
        let trainer = kiln::trainer(&graph, training, 2).expect("a trainer");
        let x = noise(1, 2 * 3 * 32 * 32).into_iter().map(|x| x as f32).collect::<Vec<_>>();
        let x = HostTensor::new([2, 3, 32, 32], x).expect("as many");
        let (momentum, accumulates) = (training.optimizer.has_momentum(), training.accumulate > 1);
        Self { trainer, momentum, accumulates, x, shape: [2, 2] }
    }

    /// Runs a step with such targets; gives the loss, and whether the optimizer's step was passed over.
    fn step(&mut self, target: f32, update: bool) -> (f64, bool) {
        let number = |x: f32| HostTensor::new([], vec![x]).expect("a number");
        let y = HostTensor::new(self.shape, vec![target; 4]).expect("as many");
        let (lr, momentum, update) = (number(0.01), number(0.9), number(f32::from(u8::from(update))));
        let mut inputs = vec![("input", &self.x), ("target", &y), ("lr", &lr)];
        if self.momentum {
            inputs.push(("momentum", &momentum));
        }
        if self.accumulates {
            inputs.push(("update", &update));
        }
        let outputs = self.trainer.session().run_program("train", &inputs).expect("a step");
        let number = |name: &str| outputs.get(name).expect("an output").to_f64()[0];
        (number("loss"), number(SKIPPED) > 0.0)
    }

    /// Lets steps change states again after one whose loss was not finite.
    fn go_on(&mut self) {
        let session = self.trainer.session();
        let failed = session.plan().states().find(|(_, tensor)| tensor.name == FAILED);
        let (index, _) = failed.expect("a state that says whether a step has failed");
        session.write_tensor(index, &HostTensor::new([], vec![0f32]).expect("a number")).expect("written");
    }

    fn states(&mut self) -> BTreeMap<String, Vec<f64>> {
        let session = self.trainer.session();
        let all: Vec<(usize, String)> =
            session.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
        let read =
            |(index, name): (usize, String)| (name, session.read_tensor(index).expect("a state").to_f64());
        all.into_iter().map(read).collect()
    }
}

/// The states that differ.
fn changed(before: &BTreeMap<String, Vec<f64>>, after: &BTreeMap<String, Vec<f64>>) -> Vec<String> {
    let changed = before.iter().filter(|(name, values)| after[*name] != **values);
    changed.map(|(name, _)| name.clone()).collect()
}

/// Gradients overflow, the loss does not.
const OVERFLOWING: f32 = 1e15;

#[test]
fn a_step_that_overflows_changes_nothing_but_the_scale() {
    if machine().is_none() {
        return;
    }
    let mut steps = Steps::new("net_batch_norm-preserve", &in_16_bits(Loss::Mse, Optimizer::adam()));
    assert_eq!(steps.states()[LOSS_SCALE], [65_536.0]);
    let (loss, skipped) = steps.step(1.0, true);
    assert!(loss.is_finite() && !skipped);
    let before = steps.states();
    assert_eq!(before[GOOD_STEPS], [1.0]);
    for scale in [32_768.0, 16_384.0] {
        let (loss, skipped) = steps.step(OVERFLOWING, true);
        assert!(loss.is_finite() && skipped, "{loss}");
        let after = steps.states();
        assert_eq!(changed(&before, &after), [GOOD_STEPS, LOSS_SCALE]);
        assert_eq!((&after[LOSS_SCALE][..], &after[GOOD_STEPS][..]), (&[scale][..], &[0.0][..]));
    }
    // A loss that is not finite is another matter: not even the scale changes.
    let before = steps.states();
    for wrong in [f32::NAN, f32::INFINITY, 1e30] {
        assert!(!steps.step(wrong, true).0.is_finite());
        assert_eq!(changed(&before, &steps.states()), [FAILED]);
    }
    steps.go_on();
    assert!(!steps.step(1.0, true).1);
    let after = changed(&before, &steps.states());
    assert!(after.iter().any(|name| name == "conv1.weight"), "{after:?}");
}

/// PyTorch judges the gradients of all batches of a step together.
#[test]
fn a_batch_that_overflows_spoils_what_is_accumulated_with_it() {
    if machine().is_none() {
        return;
    }
    let training = Training { accumulate: 2, ..in_16_bits(Loss::Mse, Optimizer::sgd()) };
    let weights = |states: &BTreeMap<String, Vec<f64>>| {
        let own = states.iter().filter(|(name, _)| name.ends_with(".weight") || name.ends_with(".bias"));
        own.map(|(name, values)| (name.clone(), values.clone())).collect::<BTreeMap<_, _>>()
    };
    // The first or the second of two batches overflows.
    for targets in [[OVERFLOWING, 1.0], [1.0, OVERFLOWING]] {
        let mut steps = Steps::new("net", &training);
        let first = steps.states();
        assert!(!steps.step(targets[0], false).1, "nothing is passed over before a step is due");
        let between = steps.states();
        assert_eq!(between[OVERFLOWED], [f64::from(u8::from(targets[0] == OVERFLOWING))]);
        assert_eq!(between[LOSS_SCALE], [65_536.0]);
        assert!(steps.step(targets[1], true).1);
        let after = steps.states();
        assert_eq!(changed(&first, &after), [LOSS_SCALE]);
        assert_eq!(after[LOSS_SCALE], [32_768.0]);
        // The next two make a step as if there had been none before.
        let mut alone = Steps::new("net", &training);
        for steps in [&mut steps, &mut alone] {
            assert!(!steps.step(0.5, false).1);
            assert!(!steps.step(-1.0, true).1);
        }
        let (found, wanted) = (weights(&steps.states()), weights(&alone.states()));
        assert!(!changed(&first, &found_in(&first, &found)).is_empty(), "the step has changed nothing");
        for (name, wanted) in &wanted {
            let apart = kiln::graph::compare::apart(wanted, &found[name], 1e-3);
            assert!(apart < 1e-4, "{name} is off by {apart:.1e}");
        }
    }
}

/// All of `first`, with the values of `found` where it has some.
fn found_in(
    first: &BTreeMap<String, Vec<f64>>,
    found: &BTreeMap<String, Vec<f64>>,
) -> BTreeMap<String, Vec<f64>> {
    first.iter().map(|(name, values)| (name.clone(), found.get(name).unwrap_or(values).clone())).collect()
}

/// The scale and what goes with it resume with all else.
#[test]
fn a_checkpoint_has_the_scale() {
    if machine().is_none() {
        return;
    }
    let training = in_16_bits(Loss::Mse, Optimizer::sgd());
    let path = std::env::temp_dir().join(format!("kiln-mixed-{}.safetensors", std::process::id()));
    let mut steps = Steps::new("net", &training);
    for target in [1.0, OVERFLOWING, 1.0, 1.0] {
        steps.step(target, true);
    }
    steps.trainer.save_as(&path).expect("a checkpoint");
    let mut resumed = Steps::new("net", &training);
    let checkpoint = Checkpoint::read(&path).expect("the checkpoint");
    checkpoint.restore(resumed.trainer.session()).expect("the same states");
    std::fs::remove_file(&path).expect("removed");
    let states = resumed.states();
    assert_eq!((&states[LOSS_SCALE][..], &states[GOOD_STEPS][..]), (&[32_768.0][..], &[2.0][..]));
    assert_eq!(steps.step(0.5, true), resumed.step(0.5, true));
    assert_eq!(steps.states(), resumed.states());
}

/// Layers whose gradients read what lies in memory in many ways, and no maximum, of which rounding could choose another one.
fn mixture() -> Graph {
    let source = "graph mixture\ninput %x : f32[N, 3, 8, 8]\nstate @a : f32[8, 3, 3, 3] = fill(0)\n\
                  state @b : f32[8, 8, 3, 3] = fill(0)\nstate @c : f32[8, 1, 1] = fill(0)\n\
                  state @l : f32[256, 4] = fill(0)\n%c = conv(%x, @a) pads=[[1, 1], [1, 1]]\n%s = sigmoid(%c)\n\
                  %h = mul(%c, %s)\n%d = conv(%h, @b) pads=[[1, 1], [1, 1]]\n%e = add(%d, @c)\n%t = tanh(%e)\n\
                  %r = add(%t, %h)\n%p = avg_pool(%r) kernel=[2, 2] strides=[2, 2]\n\
                  %q = avg_pool(%h) kernel=[2, 2] strides=[2, 2]\n%k = concat(%p, %q) axis=1\n\
                  %f = reshape(%k) shape=[N, 256]\n%y = matmul(%f, @l)\noutput y = %y\n";
    with_weights(text::parse(source).unwrap_or_else(|e| panic!("{e}")))
}

/// Gradients with roundings on both ways against differences of the exact loss, each along one direction for each parameter.
#[test]
fn gradients_are_near_those_of_differences() {
    // Rounding also switches units of a relu that are next to zero.
    let networks = [
        ("mixture", 2e-2),
        ("fastai_simple_cnn", 5e-2),
        ("fastai_simple_cnn_bn-preserve", 5e-2),
        ("mlp", 5e-2),
    ];
    for (name, tolerance) in networks {
        let graph = if name == "mixture" { mixture() } else { model(name) };
        let training = in_16_bits(Loss::cross_entropy(), Optimizer::sgd());
        let rounded = kiln::train::backward(&graph, &training).expect("gradients");
        let exact = Training { precision: Precision::F32, ..training.clone() };
        let exact = kiln::train::backward(&graph, &exact).expect("a loss");
        let mut inputs = BTreeMap::new();
        for id in exact.inputs() {
            let (name, ty) = (exact.value(*id).name.clone(), exact.ty(*id));
            let shape: Vec<usize> = ty.shape.iter().map(|dim| dim.as_usize().unwrap_or(4)).collect();
            let drawn = noise(3, shape.iter().product());
            let tensor = if name == "target" {
                let classes = drawn.iter().map(|x| i32::from(*x > 0.0)).collect();
                Tensor::new(shape, kiln::graph::Data::I32(classes))
            } else {
                Tensor::f32(shape, drawn.into_iter().map(|x| x as f32).collect())
            };
            inputs.insert(name, tensor.expect("as many"));
        }
        let done = evaluate_with(&rounded, &inputs, &EvaluateOptions::new(Arithmetic::F32));
        let done = done.unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut tried = 0;
        for (seed, id) in (50u64..).zip(exact.states()) {
            let parameter = &exact.value(*id).name;
            let Some(gradient) = done.output(&format!("{parameter}.grad")) else { continue };
            let kiln::graph::Def::State(first) = &exact.value(*id).def else { continue };
            let (values, gradient) = (first.to_f64(), gradient.to_f64());
            let direction = noise(seed, values.len());
            let loss = |step: f64| {
                let moved: Vec<f64> = values.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                let moved = Tensor::new(first.shape().to_vec(), kiln::graph::Data::F64(moved));
                let states = BTreeMap::from([(parameter.clone(), moved.expect("as many"))]);
                let options = EvaluateOptions { states, ..EvaluateOptions::new(Arithmetic::F64) };
                let done = evaluate_with(&exact, &inputs, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
                done.output("loss").expect("a loss").to_f64()[0]
            };
            let difference = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            // What a direction by chance has of a gradient. Of one that is zero, in front of a batch normalization, there is
            // what rounding has made.
            let size: f64 = gradient.iter().zip(&direction).map(|(g, d)| (g * d).powi(2)).sum::<f64>().sqrt();
            let off = (along - difference).abs() / (size + 5e-3);
            assert!(
                off < tolerance,
                "{name}: {parameter}: {along} instead of {difference}, off by {off:.1e}"
            );
            tried += 1;
        }
        assert!(tried >= 4, "{name} has only {tried} gradients");
    }
}
