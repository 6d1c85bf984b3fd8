//! Whole trainings beside PyTorch's usual loop: batches that are accumulated with a rest at the end of an epoch, schedules
//! that count steps of the optimizer, targets that do not count, class weights.

use std::path::{Path, PathBuf};

use kiln::graph::{Data, Tensor};
use kiln::train::{Loss, Optimizer, Training};
use kiln::training::data::{Dataset, IGNORED, Samples, Targets};
use kiln::training::loader::Loader;
use kiln::training::schedule::Schedule;
use kiln::training::{Observer, Settings, Step, TrainError, Trainer};
use serde_json::Value;

use crate::numbers::noise;

const SAMPLES: usize = 10;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures").join(name)
}

fn values(seed: u64, count: usize) -> Vec<f32> {
    noise(seed, count).into_iter().map(|x| x as f32).collect()
}

fn labels(seed: u64, count: usize) -> Vec<i32> {
    noise(seed, count).into_iter().map(|x| ((x + 1.0) / 2.0 * 3.0) as i32).collect()
}

/// What is learned from: the samples of `fit_oracles.py`.
fn data(network: &str, some: bool) -> Dataset {
    let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
    let classes = |shape: &[usize], labels| Targets::Classes { shape: shape.to_vec(), labels, names };
    let (shape, targets) = match network {
        "pixels" => {
            let mut labels = labels(3, SAMPLES * 9);
            for (place, label) in labels.iter_mut().enumerate() {
                if place % 9 < 3 || place / 9 == 2 {
                    *label = IGNORED;
                }
            }
            (vec![2, 3, 3], classes(&[3, 3], labels))
        }
        "columns" => {
            let values = labels(2, SAMPLES).into_iter().map(|x| 7.0 * x as f32).collect();
            (vec![4], Targets::Values { shape: vec![1], values })
        }
        _ => {
            let mut labels = labels(2, SAMPLES);
            for sample in [1, 4, 5, 6, 7, 9].into_iter().filter(|_| some) {
                labels[sample] = IGNORED;
            }
            (vec![4], classes(&[], labels))
        }
    };
    let count = SAMPLES * shape.iter().product::<usize>();
    Dataset { shape, samples: Samples::Floats(values(1, count)), targets }
}

#[derive(Clone)]
struct Case {
    name: &'static str,
    network: &'static str,
    /// Whether only some targets count.
    some: bool,
    loss: Loss,
    adam: bool,
    accumulate: u32,
    schedule: Schedule,
    batch: usize,
}

fn cases() -> Vec<Case> {
    let entropy = |weights: bool, label_smoothing, ignored: bool| Loss::CrossEntropy {
        weights: weights.then(|| vec![0.5, 2.0, 1.0]),
        label_smoothing,
        ignore_index: ignored.then_some(IGNORED),
    };
    let plain = |name| Case {
        name,
        network: "linear",
        some: false,
        loss: Loss::cross_entropy(),
        adam: false,
        accumulate: 1,
        schedule: Schedule::Constant,
        batch: 4,
    };
    let some = |name| Case { some: true, loss: entropy(false, 0.0, true), ..plain(name) };
    let pixels = |name| Case { network: "pixels", loss: entropy(false, 0.0, true), ..plain(name) };
    let step = Schedule::Step { every: 1, gamma: 0.5 };
    vec![
        Case { accumulate: 2, ..plain("rest") },
        Case { accumulate: 2, adam: true, ..plain("rest_adam") },
        Case { accumulate: 5, ..plain("too_few") },
        Case { accumulate: 2, schedule: Schedule::Cosine { min: 0.0 }, ..plain("cosine") },
        Case { accumulate: 2, schedule: step, batch: 3, ..plain("step") },
        some("ignored"),
        Case { accumulate: 2, adam: true, ..some("ignored_accumulate") },
        Case { loss: entropy(true, 0.0, false), ..plain("weights") },
        Case { loss: entropy(true, 0.2, true), ..some("weights_ignored") },
        pixels("pixels"),
        Case { loss: entropy(true, 0.0, true), ..pixels("pixels_weights") },
        Case { network: "columns", loss: Loss::Mse, batch: 3, ..plain("numbers") },
    ]
}

/// The learning rates of all steps.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Observer for Rates {
    fn step(&mut self, step: &Step<'_>) {
        self.0.push(step.lr);
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(items) => items.iter().flat_map(flat).collect(),
        None => vec![value.as_f64().expect("a number")],
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 2e-5 * b.abs().max(1.0)
}

/// A network of `fit.py`, and how it is trained.
fn trainer(case: &Case, first: &Value) -> Trainer {
    let data = data(case.network, case.some);
    let shape: Vec<String> = data.shape.iter().map(ToString::to_string).collect();
    let source = kiln::torch::ImportOptions { inputs: vec![shape.join(",")], ..Default::default() };
    let path = PathBuf::from(format!("{}:{}", fixture("fit.py").display(), case.network));
    let options = kiln::ModelOptions { source, ..Default::default() };
    let mut model = kiln::Model::read(&path, &options).expect("a model").graph;
    for id in model.states().to_vec() {
        let first = flat(&first[&model.value(id).name]);
        let sizes = model.ty(id).static_shape().expect("numbers");
        let first = Data::F32(first.into_iter().map(|x| x as f32).collect());
        model.set_state(id, Tensor::new(sizes, first).expect("as many")).expect("the same type");
    }
    let optimizer = match case.adam {
        true => Optimizer::adam(),
        false => Optimizer::Sgd { momentum: true, dampening: 0.0, nesterov: false, weight_decay: 0.01 },
    };
    let training = Training { accumulate: case.accumulate, ..Training::new(case.loss.clone(), optimizer) };
    kiln::trainer(&model, &training, SAMPLES as u32).expect("a trainer")
}

fn known() -> Value {
    let text = std::fs::read_to_string(fixture("fit.json")).expect("committed");
    serde_json::from_str(&text).expect("JSON")
}

/// Some of which have batches of other sizes behind others in one submission.
#[test]
fn trainings_are_pytorchs() {
    let (known, cases) = (known(), cases());
    assert_eq!(known.as_object().map(serde_json::Map::len), Some(cases.len()));
    for (case, steps) in cases.into_iter().flat_map(|case| [1, 3].map(|steps| (case.clone(), steps))) {
        let (name, known) = (case.name, &known[case.name]);
        let data = data(case.network, case.some);
        let mut trainer = trainer(&case, &known["first"]);
        let loader = |batch| Loader::new(data.clone(), trainer.interface(), batch);
        let (train, others) = (loader(case.batch), [1, 3, 4, 10].map(loader));
        let lr = if case.adam { 0.05 } else { 0.1 };
        let settings = Settings {
            epochs: 3,
            lr,
            schedule: case.schedule,
            steps_per_submit: Some(steps),
            ..Settings::default()
        };
        let mut rates = Rates::default();
        trainer.fit(&train, None, &settings, &mut rates).unwrap_or_else(|e| panic!("{name}: {e}"));
        let wanted = flat(&known["rates"]);
        assert_eq!(rates.0.len(), wanted.len(), "{name}: as many steps of the optimizer");
        assert!(rates.0.iter().zip(&wanted).all(|(a, b)| near(*a, *b)), "{name}: {:?}, {wanted:?}", rates.0);
        assert_eq!(trainer.progress.step, wanted.len() as u64, "{name}");
        for (state, wanted) in known["last"].as_object().expect("states") {
            let index = trainer.session().find_tensor(state).expect("a state");
            let found = trainer.session().read_tensor(index).expect("a state").to_f64();
            for (a, b) in found.iter().zip(flat(wanted)) {
                assert!(near(*a, b), "{name}: {state} has {a} instead of {b}");
            }
        }
        // However the samples are parted, the loss and what was right are those of all together.
        for loader in others {
            let found = trainer.evaluate(&loader).expect("an evaluation");
            let (loss, wanted) = (found.scores.loss, known["loss"].as_f64().expect("a number"));
            assert!(near(loss, wanted), "{name}, batches of {}: {loss} instead of {wanted}", loader.batch);
            let counts = found.confusion.map(|confusion| (confusion.right(), confusion.total()));
            let wanted = known["right"].as_u64().zip(known["counted"].as_u64());
            assert_eq!(counts, wanted, "{name}, batches of {}", loader.batch);
        }
    }
}

/// Whatever is submitted together, a step that explodes is named by its number, and those behind it change nothing.
#[test]
fn steps_of_one_submission_fail_one_by_one() {
    let case = cases().into_iter().find(|case| case.name == "numbers").expect("a case");
    let known = known();
    let mut found = Vec::new();
    for steps in [1, 2, 7] {
        let mut trainer = trainer(&case, &known["numbers"]["first"]);
        let train = Loader::new(data(case.network, case.some), trainer.interface(), 1);
        let settings = Settings { epochs: 40, lr: 1e3, steps_per_submit: Some(steps), ..Settings::default() };
        let mut rates = Rates::default();
        let error = trainer.fit(&train, None, &settings, &mut rates).expect_err("it explodes");
        let TrainError::NotFinite { step, epoch, .. } = error else { panic!("{error}") };
        assert_eq!(rates.0.len() as u64 + 1, step, "those before it were looked at");
        let names: Vec<usize> = trainer.session().plan().states().map(|(index, _)| index).collect();
        let states = names.into_iter().map(|index| trainer.session().read_tensor(index).expect("a state"));
        let bits = states.flat_map(|tensor| tensor.to_f64()).map(f64::to_bits).collect::<Vec<_>>();
        found.push((step, epoch, bits));
    }
    assert!(found[0].0 > 3, "not at once: {}", found[0].0);
    assert!(
        found.iter().all(|other| *other == found[0]),
        "other steps: {:?}",
        found.iter().map(|f| f.0).collect::<Vec<_>>()
    );
}
