//! Training from the command line: what comes of it, and that nothing is lost when it is killed.

mod data;
mod faults;
mod folders;
mod quantize;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/mlp/model.onnx")
}

/// Whether the memory of the device may hold 16-bit floats.
fn has_halves() -> bool {
    kiln::default_device().is_ok_and(|device| device.shader_f16)
}

fn kiln(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env("KILN_CACHE", "");
    command
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    kiln(arguments, folder).output().expect("the command")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(model(), folder.join("net.onnx")).expect("a model");
    folder
}

/// The header of a safetensors file, and its elements.
fn header(file: &[u8]) -> (serde_json::Value, &[u8]) {
    let (length, rest) = file.split_first_chunk().expect("a length");
    let length = usize::try_from(u64::from_le_bytes(*length)).expect("a short header");
    let (header, elements) = rest.split_at(length);
    (serde_json::from_slice(header).expect("JSON"), elements)
}

const TRAIN: &[&str] = &[
    "train",
    "net.onnx",
    "--from-scratch",
    "--data",
    "digits:640",
    "--batch",
    "32",
    "--optimizer",
    "adam",
    "--augment",
    "affine:degrees=10",
    "--checkpoint-every",
    "3",
];

#[test]
fn training_leaves_what_it_promises() {
    let folder = folder("trained");
    let written = ["--trace", "trace.json", "--tensorboard", "events"];
    let output = run(&[TRAIN, &["--epochs", "2", "-o", "out"], &written].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let trace = std::fs::read(folder.join("trace.json")).expect("a timeline");
    let trace: serde_json::Value = serde_json::from_slice(&trace).expect("JSON");
    let on = |track: u64, name: &str| {
        let events = trace["traceEvents"].as_array().expect("events").iter();
        events
            .filter(|event| event["tid"] == track && event["ph"] == "X")
            .filter(|e| e["name"].as_str().is_some_and(|n| n.contains(name)))
            .count()
    };
    assert!(on(1, "step") > 20 && on(1, "evaluation") == 2, "{trace}");
    // Kernels of the device, where it can time them.
    assert!(on(2, "loss") > 0 || error.contains("the timeline has no kernels"), "{error}");
    let events = std::fs::read_dir(folder.join("events")).expect("a folder").next().expect("a file");
    let events = std::fs::read(events.expect("a file").path()).expect("events");
    let count = |tag: &[u8]| events.windows(tag.len()).filter(|window| *window == tag).count();
    assert!(count(b"loss/step") > 20 && count(b"accuracy/validation") == 2, "{}", events.len());
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        table.contains("valid. loss") && table.lines().any(|line| line.trim_start().starts_with("2  ")),
        "{table}"
    );
    for file in
        ["weights.safetensors", "model.onnx", "model.kplan", "history.csv", "history.jsonl", "recipe.toml"]
    {
        assert!(folder.join("out").join(file).is_file(), "{file} is missing");
    }
    // What was trained is what is evaluated, from any of the files, without a word of how samples were normalized.
    let history = std::fs::read_to_string(folder.join("out/history.jsonl")).expect("a history");
    let last: serde_json::Value =
        serde_json::from_str(history.lines().last().expect("a line")).expect("JSON");
    let accuracy = last["validation"]["accuracy"].as_f64().expect("an accuracy");
    let all: [&[&str]; 4] = [
        &["out/model.onnx", "--data", "digits:640"],
        &["out/model.kplan", "--data", "digits:640"],
        &["net.onnx", "--weights", "out/weights.safetensors", "--data", "digits:640"],
        &["out/recipe.toml", "--weights", "out/weights.safetensors"],
    ];
    for arguments in all {
        let output = run(&[&["eval", "--json"], arguments].concat(), &folder);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        assert!(!error.contains("note:"), "{arguments:?}: {error}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["scores"]["accuracy"].as_f64(), Some(accuracy), "{arguments:?}");
    }
    let report = std::fs::read_to_string(folder.join("out/report.html")).expect("a report");
    for part in
        ["optimizer", "adam", "Training samples", "Confusion matrix", "validation accuracy", "precision"]
    {
        assert!(report.contains(part), "{part} is missing in the report");
    }
    // A number of the confusion matrix leads to pictures that are there, and no column of two classes is shown for ten.
    for link in report.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(report.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
    }
    assert!(!report.contains("<th>AUC</th>"));
    // Flags go before it, and that they differ is said.
    let other = ["eval", "out/model.onnx", "--data", "digits:640", "--mean", "0.9"];
    let error = run(&other, &folder).stderr;
    assert!(String::from_utf8_lossy(&error).contains("where the model says --mean"));
    // Classes have names, which plan and recipe know.
    let digit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digit.png");
    let digit = digit.to_str().expect("a path");
    for model in [&["out/model.kplan"][..], &["out/recipe.toml", "--weights", "out/weights.safetensors"]] {
        let output = run(&[&["run"], model, &[digit]].concat(), &folder);
        let table = String::from_utf8_lossy(&output.stdout);
        assert!(table.contains("probability") && !table.contains("class 3"), "{model:?}: {table}");
    }
    // An earlier training is not written over.
    let second = run(&[TRAIN, &["--epochs", "2", "-o", "out"]].concat(), &folder);
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(
        !second.status.success() && error.contains("--resume") && error.contains("--overwrite"),
        "{error}"
    );
}

/// The weights of a training that was killed again and again are those of one that was not.
#[test]
fn nothing_is_lost_when_it_is_killed() {
    killed("killed", &[]);
}

/// Seven steps of three batches in an epoch, the last of two.
#[test]
fn nothing_is_lost_when_it_is_killed_while_it_accumulates() {
    killed("killed-accumulating", &["--accumulate", "3", "--schedule", "one-cycle"]);
}

/// The loss scale is a state like any other.
#[test]
fn nothing_is_lost_when_it_is_killed_in_16_bits() {
    if has_halves() {
        killed("killed-in-16-bits", &["--precision", "f16", "--accumulate", "2"]);
    }
}

fn killed(name: &str, flags: &[&str]) {
    let folder = folder(name);
    let undisturbed = run(&[TRAIN, flags, &["--epochs", "3", "-o", "whole"]].concat(), &folder);
    assert!(undisturbed.status.success(), "{}", String::from_utf8_lossy(&undisturbed.stderr));
    let checkpoints = folder.join("broken/checkpoints");
    let newest = || {
        let entries = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("step-")).max()
    };
    std::fs::create_dir_all(&checkpoints).expect("a folder");
    // Killed five times, each time when it has come a step further, and then some more.
    for kill in 0..6 {
        let arguments = [TRAIN, flags, &["--epochs", "3", "-o", "broken", "--resume"]].concat();
        let mut child =
            kiln(&arguments, &folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a child");
        if kill == 5 {
            assert!(child.wait().expect("a child").success());
            break;
        }
        let before = newest();
        while newest() == before {
            assert!(child.try_wait().expect("a child").is_none(), "the training ended before kill {kill}");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(2 * kill));
        child.kill().and_then(|()| child.wait()).expect("a dead child");
    }
    let weights = |name: &str| std::fs::read(folder.join(name).join("weights.safetensors")).expect("weights");
    assert!(weights("whole") == weights("broken"), "the weights are others");
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let folder = folder("another");
    let output = run(&[TRAIN, &["--epochs", "1", "-o", "out"]].concat(), &folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/fleuret_mnist/model.onnx");
    std::fs::copy(other, folder.join("net.onnx")).expect("a model");
    let output = run(&[TRAIN, &["--epochs", "1", "-o", "out", "--resume"]].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("belongs to another model") && error.contains("conv1.weight"), "{error}");
    assert!(error.contains("is not in the model"), "{error}");
}

/// A loss that is not finite stops the training and says where; what was reached is kept.
#[test]
fn a_loss_that_explodes_is_explained() {
    let folder = folder("exploded");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mlp.py:Regression");
    let model = models.to_str().expect("a path");
    // Squares of numbers of thousands that grow a hundredfold with each step.
    let flags = ["--data", "waves", "--epochs", "20", "--lr", "100", "-o", "out"];
    let output = run(&[&["train", model], &flags[..]].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let said = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("the loss is") && said.contains("learning rate") && said.contains("not finite"),
        "{error}"
    );
}

/// A model whose scores are all 0, so that its losses can be reckoned by hand; `n` says how many there are.
const ZERO: &str = "\
import torch.nn as nn

class Zero(nn.Module):
    def __init__(self, n=1):
        super().__init__()
        self.fc = nn.Linear(1, n)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        return self.fc(x)
";

/// What `kiln` says of a column of targets, on both streams, without the breaks of lines.
fn said(verb: &[&str], targets: &str, outputs: &str, flags: &str, folder: &Path) -> String {
    let rows = targets.split_whitespace().enumerate().map(|(n, target)| format!("{n},{target}\n"));
    std::fs::write(folder.join("t.csv"), format!("x,y\n{}", rows.collect::<String>())).expect("a table");
    std::fs::write(folder.join("zero.py"), ZERO).expect("a model");
    let arg = format!("n={outputs}");
    let model = ["zero.py:Zero", "--input", "1", "--arg", &arg, "--data", "csv:t.csv", "--no-normalize"];
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let output = run(&[verb, &model, &flags[..]].concat(), folder);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace(['│', '×', '╰', '─', '▶'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a column of numbers means follows from the loss and the model. Of scores that are 0, the squares' mean is that of
/// the targets' squares, cross-entropy the logarithm of the number of classes, and that of 0 and 1 ln 2.
#[test]
fn targets_are_what_the_loss_compares_with() {
    let folder = folder("targets");
    for (targets, outputs, flags, words) in [
        ("3 5 7 0", "1", "--loss mse", "loss 20.75000"),
        ("3 5 7 0", "1", "--loss l1", "loss 3.75000"),
        ("3 5 7 0", "1", "--loss smooth-l1", "loss 3.37500"),
        ("3 5 7 0", "1", "", "loss 20.75000"),
        ("-1 1 1", "1", "", "loss 1.00000"),
        ("0.5 1 2", "1", "", "loss 1.75000"),
        ("0 1 1", "1", "", "loss 0.69315 accuracy 33.33 % (1 of 3)"),
        ("0 1 1", "1", "--loss mse", "loss 0.66667"),
        ("up down", "1", "", "loss 0.69315 accuracy 50.00 % (1 of 2)"),
        ("0 1 2", "3", "", "loss 1.09861 accuracy 33.33 % (1 of 3)"),
        ("1 2 3", "3", "", "loss 1.09861 accuracy 33.33 % (1 of 3)"),
        ("1 2 3", "3", "--loss mse", "loss 0.33333 accuracy 33.33 % (1 of 3)"),
        ("0 1 2 255", "3", "--ignore-index 255", "loss 1.09861 accuracy 33.33 % (1 of 3)"),
        ("-100 0 1 2", "3", "--ignore-index -100", "loss 1.09861 accuracy 33.33 % (1 of 3)"),
        (
            "0 0 1 2 -1",
            "3",
            "--ignore-index -1 --class-weights 1,2,3 --batch 2",
            "loss 1.09861 accuracy 50.00 % (2 of 4)",
        ),
        ("1 0 0 2", "3", "--ignore-index 0", "loss 1.09861 accuracy 0.00 % (0 of 2)"),
        (
            "0 1 2 255",
            "3",
            "",
            "data has 4 (0, 1, 2, 255); if 255 marks what does not count, `--ignore-index 255`",
        ),
        ("255 255", "3", "--ignore-index 255", "no target counts"),
        ("0 1 2", "1", "--loss bce", "bce compares a score with 0 and 1, but a target is 2; `--loss mse`"),
        ("0.5 1.5", "1", "--loss bce", "a target is 1.5"),
        ("a b c", "1", "", "one output, which tells two classes apart, but the data has 3 (a, b, c)"),
        ("0.5 1", "3", "--loss cross-entropy", "the data set has numbers; `mse` would fit"),
        (
            "1 2",
            "1",
            "--loss mse --ignore-index 1",
            "--ignore-index is for cross-entropy and nll, but the loss is mse",
        ),
        (
            "1 2",
            "1",
            "--class-weights 1,2",
            "--class-weights is for cross-entropy and nll, but the loss is mse",
        ),
    ] {
        let said = said(&["eval"], targets, outputs, flags, &folder);
        assert!(said.contains(words), "{targets}, {outputs}, {flags}: {said}");
    }
}

/// Too few batches for a step still make one, and the summary says what is compared.
#[test]
fn a_rest_is_learned_from() {
    let folder = folder("rest");
    let train =
        |flags: &str| said(&["train"], "0 0 0 1 1 2", "3", &format!("{flags} --overwrite -o out"), &folder);
    let output = train("--batch 6 --accumulate 2 --lr 6 --epochs 1");
    assert!(output.contains("cross-entropy over 3 classes: 0, 1, 2"), "{output}");
    // The gradients of the biases are 1/3 minus the share of the class, 3, 2 and 1 of 6; half of them is a rest's.
    let path = folder.join("out/weights.safetensors");
    let weights = kiln::torch::state_dict::StateDict::read(&path).expect("weights");
    let bias = weights.get("fc.bias").expect("a bias").to_f64();
    for (found, wanted) in bias.iter().zip([0.5, 0.0, -0.5]) {
        assert!((found - wanted).abs() < 1e-5, "{bias:?}");
    }
    let output = train("--accumulate 0");
    assert!(output.contains("should be a whole number of at least 1"), "{output}");
    let output = train("--epochs 1 --ignore-index 0");
    assert!(output.contains("3 of 6 targets do not count"), "{output}");
}

/// What a command says, on both streams, without the breaks of lines.
fn words(arguments: &str, folder: &Path) -> String {
    let output = run(&arguments.split_whitespace().collect::<Vec<_>>(), folder);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace(['│', '×', '╰', '─', '▶', '┬', '╭', '·'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Nobody has to say how large a sample is where the data says it; what a flag says holds.
#[test]
fn the_data_says_what_goes_in() {
    let folder = folder("shapes");
    let source = "\
import torch.nn as nn

def conv():
    return nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))

# kiln: --input 1,8,8
def other():
    return conv()

def row():
    return nn.Sequential(nn.Linear(784, 10))

# kiln: --input 784
def comment():
    return nn.Sequential(nn.Linear(784, 10))

def colours():
    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(4, 10))
";
    std::fs::write(folder.join("nets.py"), source).expect("a file");
    let dumped = words("dump nets.py:conv --input 1,H,W --format onnx -o sizes.onnx", &folder);
    assert!(folder.join("sizes.onnx").is_file(), "{dumped}");
    for (model, flags, said) in [
        ("nets.py:conv", "", "samples 10 loss"),
        ("nets.py:other", "", "samples 10 loss"),
        ("nets.py:row", "", "samples 10 loss"),
        ("nets.py:comment", "", "samples 10 loss"),
        ("sizes.onnx", "", "samples 10 loss"),
        ("nets.py:conv", "--augment crop:size=20", "samples 10 loss"),
        ("sizes.onnx", "--augment crop:size=[12,16]", "samples 10 loss"),
        (
            "nets.py:conv",
            "--input 1,8,8",
            "the model expects samples of shape [1, 8, 8], but those of the data set are [1, 28, 28]",
        ),
        ("nets.py:colours", "", "channel"),
        ("nets.py:conv", "--augment crop:size=40", "a crop of 40 x 40 is larger than the images, 28 x 28"),
    ] {
        let found = words(&format!("eval {model} --data digits:20 {flags}"), &folder);
        assert!(found.contains(said), "{model} {flags}: {found}");
    }
    let trained = words(
        "train nets.py:conv --data digits:200,noise=0.1,test=120 --augment resized-crop:size=16,scale=[0.5,1] --classes 7,3 \
         -o out",
        &folder,
    );
    assert!(trained.contains("cross-entropy over 2 classes: 7, 3") && trained.contains("F1"), "{trained}");
    let found = words("lr-find nets.py:conv --data digits:200 --batch 20 --steps 20", &folder);
    assert!(found.contains("valley at") && found.contains("steepest descent at"), "{found}");
}

/// Targets of any size are learned as numbers near 1; what is written answers in their units.
#[test]
fn scaled_targets_are_answered_in_their_units() {
    let folder = folder("scaled");
    let rows: String =
        (0..40).map(|n| format!("{},{}\n", n as f32 / 20.0 - 1.0, 1000.0 + 50.5 * n as f32)).collect();
    std::fs::write(folder.join("t.csv"), format!("x,y\n{rows}")).expect("a table");
    std::fs::write(folder.join("zero.py"), ZERO).expect("a model");
    let common = "zero.py:Zero --data csv:t.csv --batch 8 --lr 0.1 --epochs 40 --overwrite -o out";
    let trained = words(&format!("train {common} --scale-targets"), &folder);
    let loss = |text: &str| -> f64 {
        let number = text.split_once("loss ").and_then(|(_, rest)| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    };
    // The table begins with the loss of a model that knows nothing, in the units of the targets.
    let history = std::fs::read_to_string(folder.join("out/history.csv")).expect("a history");
    let first: f64 =
        history.lines().nth(1).and_then(|line| line.split(',').nth(1)?.parse().ok()).expect("a loss");
    assert!((1e4..1e6).contains(&first), "{first} {trained}");
    for model in [
        "out/model.onnx",
        "zero.py:Zero --weights out/weights.pt",
        "zero.py:Zero --weights out/weights.safetensors",
    ] {
        let found = words(&format!("eval {model} --data csv:t.csv --mean 0 --std 1"), &folder);
        let recipe = std::fs::read_to_string(folder.join("out/recipe.toml")).expect("a recipe");
        assert!(recipe.contains("scale-targets = true"), "{recipe}");
        let number = |name: &str| {
            let line = recipe.lines().find(|line| line.starts_with(name)).expect("computed");
            line.split(['[', ']']).nth(1).expect("a list").to_owned()
        };
        let normalized = words(
            &format!("eval {model} --data csv:t.csv --mean {} --std {}", number("mean"), number("std")),
            &folder,
        );
        assert!(loss(&normalized) < 1.0, "{model}: {normalized}, unnormalized {found}");
    }
    std::fs::write(folder.join("c.csv"), "x,y\n1,up\n2,down\n").expect("a table");
    let found = words("train zero.py:Zero -o other --data csv:c.csv --arg n=2 --scale-targets", &folder);
    assert!(
        found.contains("--scale-targets is for targets that are numbers, but these are classes"),
        "{found}"
    );
}

/// An ONNX file does not say which of its initializers are weights: the summary does, and flags change it.
#[test]
fn what_normalizes_the_input_is_no_parameter() {
    let folder = folder("normalizes");
    let source = "\
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.5]).view(1, 1, 1))
        self.std = nn.Parameter(torch.tensor([0.25]).view(1, 1, 1))
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(((x - self.mean) / self.std).flatten(1))
";
    std::fs::write(folder.join("net.py"), source).expect("a file");
    let dumped = words("dump net.py:Net --input 1,28,28 --format onnx -o n.onnx", &folder);
    assert!(folder.join("n.onnx").is_file(), "{dumped}");
    let train = |model: &str, flags: &str| {
        words(&format!("train {model} --data digits:40 --lr 0.5 --overwrite -o out {flags}"), &folder)
    };
    let moved = |name: &str| {
        let path = folder.join("out/weights.safetensors");
        let weights = kiln::torch::state_dict::StateDict::read(&path).expect("weights");
        let first = if name == "mean" { 0.5 } else { 0.25 };
        weights.get(name).expect("a state").to_f64()[0] != first
    };
    let said = train("n.onnx", "");
    let summary = "trained: `fc.weight`, `fc.bias`; not trained: `mean`, `std` (normalize the input)";
    assert!(said.contains(summary) && said.contains("7,850 parameters"), "{said}");
    assert!(!moved("mean") && !moved("std"));
    let said = train("n.onnx", "--unfreeze mean");
    assert!(said.contains("not trained: `std` (normalize the input)") && moved("mean"), "{said}");
    let said = train("n.onnx", "--freeze fc.bias");
    assert!(said.contains("not trained: `mean`, `std` (normalize the input), `fc.bias` (frozen)"), "{said}");
    // Source says what is a parameter.
    let said = train("net.py:Net", "");
    assert!(!said.contains("not trained") && moved("mean"), "{said}");
}

/// Small inputs that were once refused or not learned from; what is said of each now.
#[test]
fn small_inputs() {
    let folder = folder("small");
    let case = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name).display().to_string()
    };
    for (verb, name, flags, said) in [
        (
            "train",
            "accumulate_rest",
            "npz:d.npz --no-normalize --batch 6 --accumulate 2 --lr 1",
            "cross-entropy over 3 classes: 0, 1, 2",
        ),
        (
            "eval",
            "accumulate_rest",
            "npz:d.npz --no-normalize --weights out/weights.safetensors",
            "samples 6 loss 0.0",
        ),
        (
            "train",
            "ignore_index",
            "npz:d.npz --no-normalize --ignore-index 255",
            "1 of 6 targets do not count",
        ),
        (
            "train",
            "ignore_index",
            "npz:d100.npz --no-normalize --ignore-index -100",
            "1 of 6 targets do not count",
        ),
        (
            "train",
            "folder_class_named_train",
            "folder:data --arg n=3",
            "cross-entropy over 3 classes: bus, car, train",
        ),
    ] {
        let place = case(name);
        let flags = flags.replacen(':', &format!(":{place}/"), 1);
        let out = if verb == "train" { "--overwrite -o out" } else { "" };
        let found = words(&format!("{verb} {place}/net.py:Net --data {flags} {out}"), &folder);
        assert!(found.contains(said), "{name}: {found}");
    }
    // Batches of four, dropout and a loss that hardly falls: noise is not the steepest descent.
    for seed in 0..4 {
        let place = case("lr_find_steepest");
        let found = words(
            &format!("lr-find {place}/net.py:Net --data npz:{place}/d.npz --batch 4 --seed {seed} --json"),
            &folder,
        );
        let number = |name: &str| -> f64 {
            let (_, rest) = found.split_once(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("{found}"));
            let end = rest.find([',', ' ', '}']).unwrap_or(rest.len());
            rest[..end].parse().unwrap_or_else(|_| panic!("{name}: {rest}"))
        };
        let (valley, steepest) = (number("valley"), number("steepest"));
        assert!((1e-3..1.0).contains(&valley), "seed {seed}: {valley:e}");
        assert!((1e-4..1.0).contains(&steepest), "seed {seed}: {steepest:e}");
    }
}
