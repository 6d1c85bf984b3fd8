//! Averages of parameters beside PyTorch's, and what is evaluated and kept where there are some.

use kiln::train::{Loss, Optimizer, Training};
use kiln::training::Trainer;
use kiln::{HostTensor, train};
use kiln_graph::Graph;
use serde::Deserialize;

/// What `average_oracles.py` has found.
#[derive(Deserialize)]
struct Known {
    decay: f32,
    lr: f32,
    momentum: f32,
    steps: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
    average_weight: Vec<f64>,
    average_bias: Vec<f64>,
    average_loss: f64,
}

fn linear() -> Graph {
    let text = "graph linear
input %x : f32[N, 3]
state @weight : f32[2, 3] = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75]
state @bias : f32[2] = [0.5, -0.25]
%product = matmul(%x, @weight) transpose_b
%y = add(%product, @bias)
output y = %y
";
    kiln_graph::text::parse(text).expect("a graph")
}

/// Numbers `0, 1, 2, ...` times `factor`, modulo `by`, less `less`, divided by `over`.
fn numbers<const N: usize>(factor: usize, by: usize, less: f32, over: f32) -> Vec<f32> {
    (0..N).map(|n| ((n * factor % by) as f32 - less) / over).collect()
}

fn batch(step: usize) -> [HostTensor; 2] {
    let x = HostTensor::new([4, 3], numbers::<12>(step + 1, 7, 3.0, 4.0)).expect("a batch");
    let target = HostTensor::new([4, 2], numbers::<8>(step + 2, 5, 2.0, 2.0)).expect("targets");
    [x, target]
}

fn state(trainer: &mut Trainer, name: &str) -> Vec<f64> {
    let index = trainer.session().find_tensor(name).unwrap_or_else(|| panic!("no {name}"));
    trainer.session().read_tensor(index).expect("a state").to_f64()
}

fn assert_near(what: &str, found: &[f64], known: &[f64]) {
    assert_eq!(found.len(), known.len(), "{what}");
    for (a, b) in found.iter().zip(known) {
        assert!((a - b).abs() <= 1e-6, "{what}: {a}, not {b}");
    }
}

#[test]
fn averages_are_those_of_pytorch() {
    let text = include_str!("../oracles/fixtures/averages.json");
    let known: Known = serde_json::from_str(text).expect("the oracle");
    let optimizer = Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay: 0.0 };
    let training = Training { ema: Some(known.decay), ..Training::new(Loss::Mse, optimizer) };
    let model = linear();
    let mut trainer = kiln::trainer(&model, &training, 4).expect("a trainer");
    let number = |x: f32| HostTensor::new([], vec![x]).expect("a number");
    let (lr, momentum) = (number(known.lr), number(known.momentum));
    for step in 0..known.steps {
        let [x, target] = batch(step);
        let inputs = [("x", &x), ("target", &target), ("lr", &lr), ("momentum", &momentum)];
        trainer.session().run_program("train", &inputs).expect("a step");
    }
    assert_near("weight", &state(&mut trainer, "weight"), &known.weight);
    assert_near("bias", &state(&mut trainer, "bias"), &known.bias);
    assert_near("average of weight", &state(&mut trainer, "weight.ema"), &known.average_weight);
    assert_near("average of bias", &state(&mut trainer, "bias.ema"), &known.average_bias);

    // The averages are what is evaluated, and what is kept.
    let x = HostTensor::new([4, 3], numbers::<12>(1, 7, 3.0, 4.0)).expect("a batch");
    let target = HostTensor::new([4, 2], numbers::<8>(1, 5, 2.0, 2.0)).expect("targets");
    let inputs = [("x", &x), ("target", &target)];
    let outputs = trainer.session().run_program("evaluate", &inputs).expect("an evaluation");
    assert_near("loss", &outputs.get("loss").expect("a loss").to_f64(), &[known.average_loss]);
    let trained = kiln::trained(&mut trainer, &model).expect("a model");
    for (id, known) in trained.states().iter().zip([known.average_weight, known.average_bias]) {
        let kiln_graph::Def::State(first) = &trained.value(*id).def else { panic!("a state") };
        assert_near("what is kept", &first.to_f64(), &known);
    }
}

/// Parameters that stay as they are have no average, and a step that is split has none at all.
#[test]
fn what_has_no_average() {
    let frozen = Training {
        ema: Some(0.9),
        frozen: vec!["bias".into()],
        ..Training::new(Loss::Mse, Optimizer::sgd())
    };
    let step = train::step(&linear(), &frozen).expect("a step");
    let names: Vec<&str> = step.states().iter().map(|id| step.value(*id).name.as_str()).collect();
    assert!(names.contains(&"weight.ema") && !names.contains(&"bias.ema"), "{names:?}");
    let programs = train::programs(&linear(), &frozen).expect("programs");
    let (_, evaluate) = programs.iter().find(|(name, _)| *name == "evaluate").expect("a program");
    let names: Vec<&str> = evaluate.states().iter().map(|id| evaluate.value(*id).name.as_str()).collect();
    assert_eq!(names, ["weight.ema", "bias"]);
    let split = Training { split: true, ..frozen };
    let error = train::programs(&linear(), &split).expect_err("no averages").to_string();
    assert!(error.contains("`ema`"), "{error}");
}
