//! How many dispatches a training step is, and that merging them changes nothing.

use std::path::Path;

use kiln::train::{Loss, Optimizer, Training};
use kiln::{HostTensor, Model, Options, Target};

use crate::machine::Machine;
use crate::numbers::noise;

fn model(name: &str) -> Model {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name);
    Model::read(&source, &Default::default()).expect("a model of a textbook")
}

fn options(target: &Target, batch: u32, separate: bool) -> Options {
    Options { target: target.clone(), max: [("N".to_owned(), batch)].into(), separate, ..Options::default() }
}

/// Dispatches of a step, beside the kernels that are launched.
#[test]
fn steps_of_textbooks() {
    let cases = [
        ("net.py:Net", Optimizer::sgd(), 64),
        ("fleuret.py:Net", Optimizer::sgd(), 100),
        ("fastai.py:simple_cnn_bn", Optimizer::adam_w(), 256),
        ("resnet.py:resnet18", Optimizer::sgd(), 32),
    ];
    let mut table = String::new();
    for (name, optimizer, batch) in cases {
        let (model, training) = (model(name), Training::new(Loss::cross_entropy(), optimizer));
        for target in [Target::gpu(), Target::lavapipe()] {
            let [merged, kernels] = [false, true].map(|separate| {
                let options = options(&target, batch, separate);
                let compiled = kiln::compile_training(&model.graph, &training, &options).expect("a plan");
                compiled.plan.program("train").map_or(0, |program| program.dispatches.len())
            });
            table += &format!("{name} for {}: {merged} of {kernels}\n", target.name);
        }
    }
    insta::assert_snapshot!(table);
}

/// The states after three steps.
fn trained(machine: &Machine, target: &Target, separate: bool) -> Vec<(String, Vec<f64>)> {
    let model = model("fastai.py:simple_cnn_bn");
    let training = Training::new(Loss::cross_entropy(), Optimizer::adam_w());
    let compiled = kiln::compile_training(&model.graph, &training, &options(target, 6, separate));
    let mut session = machine.load(&compiled.expect("a plan")).expect("a session");
    let number = |x: f32| HostTensor::new([], vec![x]).expect("a number");
    let (lr, momentum) = (number(1e-2), number(0.9));
    for step in 0..3 {
        let x: Vec<f32> = noise(step, 5 * 784).into_iter().map(|x| x as f32).collect();
        let x = HostTensor::new([5, 1, 28, 28], x).expect("a batch");
        let y =
            HostTensor::new([5], (0..5).map(|n| (n * 3 + 1) % 10).collect::<Vec<i32>>()).expect("targets");
        let inputs = [("input", &x), ("target", &y), ("lr", &lr), ("momentum", &momentum)];
        session.run_program("train", &inputs).expect("a step");
    }
    let states: Vec<(usize, String)> =
        session.plan().states().map(|(index, tensor)| (index, tensor.name.clone())).collect();
    let read = |(index, name): (usize, String)| (name, session.read_tensor(index).expect("a state").to_f64());
    states.into_iter().map(read).collect()
}

/// The numbers are the same whether kernels are merged or not, but for multiplications and additions that a driver joins in one
/// of both.
#[test]
fn merged_kernels_compute_the_same() {
    let machine = Machine::open();
    for target in [&Target::portable(), &Target::cpu(), &machine.target] {
        let [merged, separate] = [false, true].map(|separate| trained(&machine, target, separate));
        for ((name, merged), (_, separate)) in merged.iter().zip(&separate) {
            let apart = kiln_graph::compare::apart(merged, separate, 1e-6);
            assert!(apart <= 1e-4, "{name} for {}: {apart}", target.name);
        }
    }
}
