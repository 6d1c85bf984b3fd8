//! Training steps with everything that can be asked of them: losses against PyTorch, steps on the device against the
//! evaluator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln::graph::{DType, Data, EvaluateOptions, Graph, Precision, Tensor, TensorType, evaluate_with};
use kiln::plan::Role;
use kiln::train::{FAILED, Loss, Optimizer, Training};
use kiln::{Device, Options, test_data};
use serde_json::Value;

use crate::machine::{Machine, load};
use crate::numbers::noise;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures")
}

/// The losses of the script `loss_oracles.py`, with their targets.
fn losses() -> Vec<(&'static str, Loss, Data)> {
    let weights = || Some(vec![0.5, 2.0, 1.0]);
    let entropy = |weights, label_smoothing, ignore_index| Loss::CrossEntropy {
        weights,
        label_smoothing,
        ignore_index,
    };
    let classes = || Data::I32(vec![2, 0, 1, 1]);
    let ignoring = || Data::I32(vec![2, -1, 1, 0]);
    let others = || Data::F64(noise(3, 12));
    let zeros = || Data::F64(vec![0.0; 12]);
    let zero_or_one = Data::F64(noise(3, 12).into_iter().map(|x| if x > 0.0 { 1.0 } else { 0.0 }).collect());
    vec![
        ("cross_entropy", Loss::cross_entropy(), classes()),
        ("cross_entropy_weights", entropy(weights(), 0.0, None), classes()),
        ("cross_entropy_smoothing", entropy(None, 0.1, None), classes()),
        ("cross_entropy_ignore", entropy(None, 0.0, Some(-1)), ignoring()),
        ("cross_entropy_all", entropy(weights(), 0.2, Some(-1)), ignoring()),
        ("nll", Loss::Nll { weights: None, ignore_index: None }, classes()),
        ("nll_all", Loss::Nll { weights: weights(), ignore_index: Some(-1) }, ignoring()),
        ("mse", Loss::Mse, others()),
        ("l1", Loss::L1, others()),
        ("smooth_l1", Loss::SmoothL1 { beta: 1.0 }, others()),
        ("smooth_l1_beta", Loss::SmoothL1 { beta: 0.3 }, others()),
        ("l1_bends", Loss::L1, zeros()),
        ("smooth_l1_bends", Loss::SmoothL1 { beta: 1.0 }, zeros()),
        ("smooth_l1_beta_bends", Loss::SmoothL1 { beta: 0.5 }, zeros()),
        ("smooth_l1_zero_bends", Loss::SmoothL1 { beta: 0.0 }, zeros()),
        ("bce", Loss::BceWithLogits, zero_or_one),
    ]
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
}

#[test]
fn losses_are_those_of_pytorch() {
    let text = std::fs::read_to_string(fixtures().join("losses.json")).expect("committed");
    let known: Value = serde_json::from_str(&text).expect("JSON");
    let losses = losses();
    assert_eq!(known.as_object().map(serde_json::Map::len), Some(losses.len()));
    for (name, loss, target) in losses {
        let mut graph = Graph::new(name);
        let x = graph.input("x", TensorType::f32([4.into(), 3.into()])).expect("an input");
        let target_type = loss.target(graph.ty(x)).expect("a type");
        let shape: Vec<usize> = target_type.static_shape().expect("numbers");
        let y = graph.input("target", target_type).expect("an input");
        let value = loss.build(&mut graph, x, y).expect("a loss");
        graph.output("loss", value).expect("an output");
        let graph = kiln::differentiate::differentiate(&graph, "loss", &["x"]).expect("a gradient");
        let x = Tensor::new([4, 3], Data::F64(numbers(&known[name]["input"]))).expect("twelve");
        let target = Tensor::new(shape, target).expect("as many as the shape says");
        let inputs = BTreeMap::from([("x".to_owned(), x), ("target".to_owned(), target)]);
        let found = evaluate_with(&graph, &inputs, &EvaluateOptions::new(Precision::F64)).expect("numbers");
        let wanted =
            [vec![known[name]["loss"].as_f64().expect("a number")], numbers(&known[name]["gradient"])];
        for ((_, found), wanted) in found.outputs().iter().zip(wanted) {
            for (a, b) in found.to_f64().iter().zip(wanted) {
                // Settings are f32.
                assert!((a - b).abs() <= 1e-7, "{name}: {a} instead of {b}");
            }
        }
    }
}

/// How far the device is from the evaluator, which computes in 64 bits.
fn difference(expected: &Tensor, found: &Tensor) -> test_data::Difference {
    let expected = Tensor::of_numbers(expected.shape().to_vec(), &expected.to_f64(), found.dtype());
    test_data::difference(&expected.expect("as many as there were"), found).expect("the same type")
}

/// Runs three steps on the device and on the evaluator; all states have to agree.
fn compare(what: &str, model: &Graph, training: &Training, device: &Device) {
    compare_batches(what, model, training, device, 5);
}

pub(crate) fn compare_batches(what: &str, model: &Graph, training: &Training, device: &Device, batch: usize) {
    let step = kiln::train::step(model, training).unwrap_or_else(|e| panic!("{what}: {e}"));
    let max = [("N".to_owned(), batch as u32)].into();
    let options = Options { target: kiln::target_for(device.capabilities()), max, ..Options::default() };
    let compiled =
        kiln::compile_training(model, training, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut session = load(device, &compiled.plan).expect("a plan that loads");
    let mut states = BTreeMap::new();
    for turn in 0..3u64 {
        let mut inputs = BTreeMap::new();
        for (n, id) in (0u64..).zip(step.inputs()) {
            let (name, ty) = (step.value(*id).name.clone(), step.ty(*id));
            let shape: Vec<usize> = ty.shape.iter().map(|dim| dim.as_usize().unwrap_or(batch)).collect();
            // A draw without an input of a ReLU that is zero but for rounding, where a step of the device may be another one.
            let drawn = noise(2000 * turn + n, shape.iter().product());
            let tensor = match (name.as_str(), ty.dtype) {
                ("lr", _) => Tensor::scalar(0.05),
                ("momentum", _) => Tensor::scalar(0.9),
                // Gathered, stepped, and a step of what is left.
                ("update", _) => Tensor::scalar(f32::from(u8::from(turn > 0))),
                (_, DType::I32) => {
                    let classes = drawn.into_iter().map(|x| ((x + 1.0) * 1.0) as i32).collect();
                    Tensor::new(shape, Data::I32(classes)).expect("as many")
                }
                _ => Tensor::f32(shape, drawn.into_iter().map(|x| x as f32).collect()).expect("as many"),
            };
            inputs.insert(name, tensor);
        }
        let options = EvaluateOptions { states: states.clone(), ..EvaluateOptions::new(Precision::F64) };
        let expected = evaluate_with(&step, &inputs, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
        states.extend(expected.new_states().iter().cloned());
        let host: Vec<_> =
            inputs.iter().map(|(name, t)| (name.as_str(), kiln::to_host(t).expect("a tensor"))).collect();
        let host: Vec<_> = host.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let outputs = session.run_program("train", &host).unwrap_or_else(|e| panic!("{what}: {e}"));
        for (name, expected) in expected.outputs() {
            let found = kiln::from_host(outputs.get(name).expect("an output")).expect("a tensor");
            let difference = difference(expected, &found);
            assert!(
                difference.absolute.min(difference.relative) <= 1e-4,
                "{what}, step {turn}: {name} differs by {difference:?}"
            );
        }
    }
    for (name, expected) in &states {
        let index = session.find_tensor(name).unwrap_or_else(|| panic!("{what}: {name} is not in the plan"));
        let found = kiln::from_host(&session.read_tensor(index).expect("a state")).expect("a tensor");
        let difference = difference(expected, &found);
        assert!(
            difference.absolute.min(difference.relative) <= 1e-4,
            "{what}: {name} differs by {difference:?}"
        );
    }
}

pub(crate) fn model(name: &str) -> Graph {
    let path = fixtures().join(name).join("model.onnx");
    kiln::onnx::import(&path, &Default::default()).expect("a model").graph
}

/// `model` with dropout behind some of its layers.
pub(crate) fn with_dropout(model: &Graph) -> Graph {
    use kiln::graph::ops::{Dropout, UnaryOp};
    use kiln::graph::{Op, Rewriter};
    let mut rewriter = Rewriter::new(model).expect("a graph");
    let mut leading = [Some(2), None].into_iter().cycle();
    for id in model.node_ids() {
        rewriter.copy(id).expect("a copy");
        let node = model.node(id);
        if node.op == Op::Unary(UnaryOp::Relu) || node.op == Op::Unary(UnaryOp::Tanh) {
            let made = rewriter.get(node.outputs[0]).expect("made");
            let rank = rewriter.graph.ty(made).rank();
            let leading = leading.next().flatten().filter(|leading| rank > *leading);
            let op = Op::Dropout(Dropout { ratio: 0.4, leading });
            let dropped = rewriter.graph.apply1("dropout", op, &[made]).expect("dropout");
            rewriter.map(node.outputs[0], dropped);
        }
    }
    rewriter.finish().expect("a graph")
}

#[test]
fn steps_are_those_of_the_evaluator() {
    let device = Machine::open().device;
    let net = model("net");
    let plain = || Training::new(Loss::cross_entropy(), Optimizer::sgd());
    let momentum = Optimizer::Sgd { momentum: true, dampening: 0.1, nesterov: false, weight_decay: 0.01 };
    compare("dropout", &with_dropout(&net), &Training { seed: 7 << 33 | 5, ..plain() }, &device);
    compare("accumulation", &net, &Training { accumulate: 2, optimizer: momentum, ..plain() }, &device);
    compare("clipping", &net, &Training { clip_norm: Some(0.05), ..plain() }, &device);
    compare("averages", &net, &Training { ema: Some(0.9), accumulate: 2, ..plain() }, &device);
    compare("penalties", &net, &Training { l1: 1e-3, l2: 1e-2, ..plain() }, &device);
    let frozen = Training { frozen: vec!["conv*".into(), "fc1.bias".into()], ..plain() };
    compare("freezing", &net, &frozen, &device);
    let normalized = model("fastai_simple_cnn_bn-preserve");
    let frozen = Training { frozen: vec!["*.running_*".into(), "3.*".into()], ..plain() };
    compare("frozen statistics", &normalized, &frozen, &device);
    compare(
        "shared blocks",
        &model("net_res_deep-preserve"),
        &Training { accumulate: 2, ..plain() },
        &device,
    );
    compare("other losses", &net, &Training { loss: Loss::SmoothL1 { beta: 0.5 }, ..plain() }, &device);
    // So many images that their rows are sorted by place where much is padding.
    compare_batches("many images", &model("fleuret_mnist"), &plain(), &device, 37);
    compare("binary", &net, &Training { loss: Loss::BceWithLogits, ..plain() }, &device);
}

/// Frozen parameters and their moments are not there to be changed.
#[test]
fn frozen_parameters_stay() {
    let net = model("net");
    let training =
        Training { frozen: vec!["conv*".into()], ..Training::new(Loss::cross_entropy(), Optimizer::adam()) };
    let step = kiln::train::step(&net, &training).expect("a step");
    let changed: Vec<&str> =
        step.updates().iter().map(|update| step.value(update.state).name.as_str()).collect();
    assert!(changed.contains(&"fc1.weight") && changed.contains(&"fc1.weight.exp_avg"));
    assert!(!changed.iter().any(|name| name.starts_with("conv")), "{changed:?}");
    let all = Training { frozen: vec!["*".into()], ..training };
    let error = kiln::train::step(&net, &all).expect_err("nothing is left to train").to_string();
    assert!(error.contains("frozen by *") && error.contains("conv1.weight"), "{error}");
}

/// A step whose loss is not finite changes nothing.
#[test]
fn an_exploding_step_changes_nothing() {
    let net = model("net");
    let training = Training::new(Loss::Mse, Optimizer::adam());
    let mut trainer = kiln::trainer(&net, &training, 2).expect("a trainer");
    let number = |x: f32| kiln::HostTensor::new([], vec![x]).expect("a number");
    let (lr, momentum) = (number(0.1), number(0.9));
    let x = kiln::HostTensor::new([2, 3, 32, 32], vec![0.5f32; 6144]).expect("a batch");
    let states = |trainer: &mut kiln::training::Trainer| {
        let indices: Vec<usize> = trainer.session().plan().states().map(|(index, _)| index).collect();
        let read =
            indices.into_iter().map(|index| trainer.session().read_tensor(index).expect("a state").to_f64());
        read.collect::<Vec<_>>()
    };
    let failed = trainer.session().plan().states().position(|(_, tensor)| tensor.name == FAILED);
    let failed = failed.expect("a state that says whether a step has failed");
    let mut before = states(&mut trainer);
    for wrong in [f32::NAN, f32::INFINITY, 1e30] {
        let y = kiln::HostTensor::new([2, 2], vec![wrong; 4]).expect("targets");
        let inputs = [("input", &x), ("target", &y), ("lr", &lr), ("momentum", &momentum)];
        let outputs = trainer.session().run_program("train", &inputs).expect("a step");
        assert!(!outputs.get("loss").expect("a loss").to_f64()[0].is_finite());
        // All that changes is that it says so.
        before[failed] = vec![1.0];
        assert!(states(&mut trainer) == before, "{wrong} has changed something");
    }
    let y = kiln::HostTensor::new([2, 2], vec![1f32; 4]).expect("targets");
    let inputs = [("input", &x), ("target", &y), ("lr", &lr), ("momentum", &momentum)];
    // Steps that were started before anybody has seen the loss change nothing, either.
    let outputs = trainer.session().run_program("train", &inputs).expect("a step");
    assert!(outputs.get("loss").expect("a loss").to_f64()[0].is_finite());
    assert!(states(&mut trainer) == before, "a step behind one that has failed has changed something");
    let (index, _) = trainer.session().plan().states().nth(failed).expect("the state");
    trainer.session().write_tensor(index, &number(0.0)).expect("the state is set back");
    trainer.session().run_program("train", &inputs).expect("a step");
    assert!(states(&mut trainer) != before);
}

/// What a host that knows no names feeds a step by.
#[test]
fn inputs_of_a_training_plan_have_roles() {
    let model = fixtures().join("net/model.onnx");
    let graph = kiln::onnx::import(&model, &Default::default()).expect("a model").graph;
    let options = Options { max: [("N".to_owned(), 2)].into(), ..Options::default() };
    let roles_with = |optimizer: Optimizer, accumulate: u32| {
        let training = Training { accumulate, ..Training::new(Loss::cross_entropy(), optimizer) };
        let plan = kiln::compile_training(&graph, &training, &options).expect("a plan").plan;
        ["inference", "evaluate", "train"].map(|name| plan.program(name).expect("a program").roles.clone())
    };
    let (data, target, lr) = (Role::Data, Role::Target, Role::LearningRate);
    let [inference, evaluate, train] = roles_with(Optimizer::sgd(), 1);
    assert_eq!((inference, evaluate, train), (vec![data], vec![data, target], vec![data, target, lr]));
    let [_, _, train] = roles_with(Optimizer::rms_prop(), 1);
    assert_eq!(train, [data, target, lr]);
    let sgd = Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay: 0.0 };
    let [_, _, train] = roles_with(sgd, 2);
    assert_eq!(train.iter().filter(|role| **role == Role::Momentum).count(), 1, "{train:?}");
    assert_eq!(train.iter().filter(|role| **role == Role::Update).count(), 1, "{train:?}");
    let [_, _, train] = roles_with(Optimizer::adam_w(), 1);
    assert_eq!(train, [data, target, lr, Role::Beta1]);
}

/// A step of `step_oracles.py`, which has exported it and let ONNX Runtime run it five times.
#[derive(serde::Deserialize)]
struct Steps {
    model: String,
    optimizer: String,
    losses: Vec<f64>,
    states: BTreeMap<String, Known>,
}

#[derive(serde::Deserialize)]
struct Known {
    first: Vec<f64>,
    absolute: f64,
}

/// The exported step trains another engine as the plan trains the device.
#[test]
fn exported_steps_train_onnx_runtime_alike() {
    let text = std::fs::read_to_string(fixtures().join("steps.json")).expect("the oracle");
    let all: Vec<Steps> = serde_json::from_str(&text).expect("the oracle's form");
    assert_eq!(all.len(), 4);
    for Steps { model: name, optimizer, losses, states } in all {
        let what = format!("{name} with {optimizer}");
        let (optimizer, lr) = match optimizer.as_str() {
            "sgd" => (Optimizer::sgd(), 0.05),
            _ => (Optimizer::adam(), 0.002),
        };
        let network = model(&name);
        let training = Training::new(Loss::cross_entropy(), optimizer);
        let mut trainer = kiln::trainer(&network, &training, 4).expect("a trainer");
        let number = |x: f32| kiln::HostTensor::new([], vec![x]).expect("a number");
        let (lr, kept) = (number(lr), number(0.9));
        let target = kiln::HostTensor::new([4], vec![0i32, 1, 0, 1]).expect("targets");
        for (step, expected) in losses.iter().enumerate() {
            let pixel = |i: usize| ((i * 37 + step * 101) % 255) as f64 / 255.0 - 0.5;
            let x = (0..4 * 3 * 32 * 32).map(|i| pixel(i) as f32).collect::<Vec<_>>();
            let x = kiln::HostTensor::new([4, 3, 32, 32], x).expect("a batch");
            let all =
                [("input", &x), ("target", &target), ("lr", &lr), ("momentum", &kept), ("beta1", &kept)];
            let wanted = training_inputs(&mut trainer);
            let inputs: Vec<_> =
                all.into_iter().filter(|(name, _)| wanted.iter().any(|w| w == name)).collect();
            let outputs = trainer.session().run_program("train", &inputs).expect("a step");
            let found = outputs.get("loss").expect("a loss").to_f64()[0];
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs(),
                "{what}, step {step}: {found}, not {expected}"
            );
        }
        for (state, known) in &states {
            let index = trainer.session().find_tensor(state).unwrap_or_else(|| panic!("{what}: no {state}"));
            let found = trainer.session().read_tensor(index).expect("a state").to_f64();
            let absolute: f64 = found.iter().map(|x| x.abs()).sum();
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * b.abs().max(0.1);
            assert!(near(absolute, known.absolute), "{what}: {state} is {absolute}, not {}", known.absolute);
            for (a, b) in found.iter().zip(&known.first) {
                assert!(near(*a, *b), "{what}: {state} has {a}, not {b}");
            }
        }
    }
}

/// Names of what a step is given.
fn training_inputs(trainer: &mut kiln::training::Trainer) -> Vec<String> {
    let plan = trainer.session().plan();
    let inputs = plan.program("train").map(|program| program.inputs.clone()).unwrap_or_default();
    inputs.iter().map(|index| plan.tensors[*index].name.clone()).collect()
}

/// A step in two programs, between which the gradients are the host's, is the step in one.
#[test]
fn a_split_step_is_a_whole_one() {
    let net = with_dropout(&model("fastai_simple_cnn_bn-preserve"));
    let device = Machine::open().device;
    let training = Training {
        clip_norm: Some(0.5),
        l2: 1e-3,
        ..Training::new(Loss::cross_entropy(), Optimizer::adam())
    };
    let max = net.symbols().iter().map(|symbol| (symbol.to_string(), 4)).collect();
    let options = Options { max, ..Options::default() };
    let load = |split| {
        let training = Training { split, ..training.clone() };
        let plan = kiln::compile_training(&net, &training, &options).expect("a plan").plan;
        kiln::Session::load(&device, &plan).expect("a session")
    };
    let (mut whole, mut split) = (load(false), load(true));
    let tensor = |index: usize| whole.plan().tensors[index].clone();
    let program = whole.plan().program("train").expect("a program");
    let input = program.inputs.iter().map(|index| tensor(*index)).find(|tensor| tensor.shape.len() == 4);
    let input = input.expect("an input of images");
    let shape = input.shape_at(&[4]).expect("its shape");
    let count = shape.iter().product::<usize>();
    let pixels: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = kiln::HostTensor::new(shape, pixels).expect("a batch");
    let y = kiln::HostTensor::new([4], vec![1i32, 0, 1, 1]).expect("targets");
    let number = |x: f32| kiln::HostTensor::new([], vec![x]).expect("a number");
    let (lr, momentum) = (number(1e-2), number(0.9));
    for _ in 0..2 {
        let batch = [(&*input.name, &x), ("target", &y)];
        let rates = [("lr", &lr), ("momentum", &momentum)];
        let one = whole.run_program("train", &[batch, rates].concat()).expect("a step");
        let two = split.run_program("gradients", &batch).expect("gradients");
        let row = two.get("gradients").expect("a row").clone();
        assert_eq!(one.get("loss").expect("a loss"), two.get("loss").expect("a loss"));
        let [.., _, weight] = row.as_f32().expect("numbers") else { panic!("no row") };
        assert_eq!(*weight, 4.0);
        let done =
            split.run_program("apply", &[&[("gradients", &row)], &rates[..]].concat()).expect("a step");
        assert_eq!(done.get("finite").expect("whether it is finite").to_f64(), [1.0]);
    }
    let states: Vec<(usize, String)> =
        split.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
    assert!(states.iter().any(|(_, name)| name.ends_with("exp_avg_sq")));
    for (index, name) in states {
        let own = whole.plan().state(&name).map(|(index, _)| index).expect("the same states");
        let (one, two) =
            (whole.read_tensor(own).expect("a state"), split.read_tensor(index).expect("a state"));
        for (one, two) in one.to_f64().into_iter().zip(two.to_f64()) {
            assert!((one - two).abs() <= 1e-5 * (1.0 + one.abs()), "{name}: {one} {two}");
        }
    }
    let refused = Training { split: true, accumulate: 2, ..training };
    let error = kiln::compile_training(&net, &refused, &options).expect_err("nothing is accumulated");
    assert!(error.to_string().contains("accumulates nothing"), "{error}");
}
