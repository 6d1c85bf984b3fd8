//! Whether estimates rank kernels as the device does: for each problem of the networks among the fixtures, and of steps of
//! training, how far the first choice of the estimate is from the fastest of the eight best estimates.
//!
//! `cargo bench -p kiln-cnn --bench ranking [-- NAME]`, where NAME is a part of a network's name; on another driver with
//! `VK_DRIVER_FILES`. `benches/README.md` has the tables.

use std::path::{Path, PathBuf};

use kiln::train::{Loss, Optimizer, Training};
use kiln::tune::{Compile, Contest, Settings, target_of, tune};
use kiln::{Compiled, Device, DeviceOptions, Error, Model, Options, Records};

/// The first choice is good enough within this.
const NEAR: f64 = 1.3;
/// Batches of inference, and of a step.
const BATCHES: [u32; 2] = [1, 64];

fn networks(wanted: Option<&str>) -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures");
    let entries = std::fs::read_dir(fixtures).expect("the fixtures").flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join("model.onnx")).collect();
    found.retain(|path| path.exists() && wanted.is_none_or(|part| path.to_string_lossy().contains(part)));
    found.sort();
    found
}

fn main() {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let capabilities = kiln::default_device().expect("a device");
    let device = Device::open(&DeviceOptions::from_env(), &kiln::requirements_of(&capabilities)).expect("it");
    let (target, _) = target_of(&capabilities);
    println!("{} ({})\n", capabilities.name, capabilities.driver_info);
    println!("| problem | candidates | first choice us | fastest us | times | fastest |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    let mut records = Records::default();
    let mut behind = Vec::new();
    for path in networks(wanted.as_deref()) {
        let Ok(model) = Model::read(&path, &Default::default()) else { continue };
        let symbols: Vec<String> = model.graph.symbols().iter().map(ToString::to_string).collect();
        for batch in BATCHES {
            let mut options = Options { target: target.clone(), ..Options::default() };
            options.max = symbols.iter().map(|symbol| (symbol.clone(), batch)).collect();
            let step = Training::new(Loss::cross_entropy(), Optimizer::adam());
            let inference =
                |options: &Options| -> Result<Compiled, Error> { Ok(kiln::compile(&model.graph, options)?) };
            let training = |options: &Options| -> Result<Compiled, Error> {
                Ok(kiln::compile_training(&model.graph, &step, options)?)
            };
            let programs: [(&Compile<'_>, &str); 2] = [(&inference, "inference"), (&training, "train")];
            for (compile, program) in programs.into_iter().take(if batch == 1 { 1 } else { 2 }) {
                options.preferences.records = records.clone();
                let settings = Settings { seconds: 3600.0, candidates: 8 };
                let Ok(tuning) = tune(&device, compile, &options, program, &settings, &mut ()) else {
                    continue;
                };
                tuning.apply(&mut records);
                behind.extend(tuning.contests.iter().filter_map(row));
            }
        }
    }
    let near = behind.iter().filter(|times| **times <= NEAR).count();
    let worst = behind.iter().copied().fold(1.0, f64::max);
    println!(
        "\n{near} of {} first choices are within {NEAR} times the fastest, the worst is {worst:.2}",
        behind.len()
    );
}

/// Prints a problem, and gives how far its first choice is behind.
fn row(contest: &Contest) -> Option<f64> {
    let behind = contest.behind()?;
    let timed = || contest.entries.iter().filter_map(|entry| Some((entry.seconds()?, &entry.choice)));
    let (best, fastest) = timed().min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    println!(
        "| {} | {} | {:.1} | {:.1} | {behind:.2} | {} |",
        contest.key,
        timed().count(),
        best * behind * 1e6,
        best * 1e6,
        if behind > NEAR { fastest } else { "" }
    );
    Some(behind)
}
