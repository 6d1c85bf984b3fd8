//! The batches and optimizers of the trainings that PyTorch has done (`tests/oracles/trace_oracles.py`).

use kiln::HostTensor;
use kiln::graph::{Dim, Graph};
use kiln::train::{Optimizer, Training};

use crate::numbers::noise;

pub(crate) const BATCH: usize = 8;

/// The batch of a step: inputs, and classes or numbers.
pub(crate) fn batch(graph: &Graph, training: &Training, step: u64) -> (HostTensor, HostTensor) {
    let sizes = |id| -> Vec<usize> { graph.ty(id).shape[1..].iter().filter_map(Dim::as_usize).collect() };
    let numbers = |seed: u64, shape: &[usize]| {
        let count = BATCH * shape.iter().product::<usize>();
        let values: Vec<f32> = noise(seed, count).into_iter().map(|x| x as f32).collect();
        HostTensor::new([&[BATCH][..], shape].concat(), values).expect("as many as the shape says")
    };
    let output = sizes(graph.outputs()[0].value);
    let x = numbers(100 + step, &sizes(graph.inputs()[0]));
    if !training.loss.has_classes() {
        return (x, numbers(200 + step, &output));
    }
    let classes = output[0] as f64;
    let y = noise(200 + step, BATCH).into_iter().map(|y| ((y + 1.0) / 2.0 * classes) as i32);
    (x, HostTensor::new([BATCH], y.collect::<Vec<i32>>()).expect("as many as the shape says"))
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
