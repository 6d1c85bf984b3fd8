//! Training from the command line: what comes of it, and that nothing is lost when it is killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/mlp/model.onnx")
}

fn kiln(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
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
    let output = run(&[TRAIN, &["--epochs", "2", "-o", "out"]].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
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
    // What was trained is what is evaluated, from either file.
    let data = ["--data", "digits:640", "--mean"];
    let recipe = std::fs::read_to_string(folder.join("out/recipe.toml")).expect("a recipe");
    let number = |name: &str| {
        let line = recipe.lines().find(|line| line.starts_with(name)).expect("computed");
        line.split(['[', ']']).nth(1).expect("a list").to_owned()
    };
    let (mean, std) = (number("mean"), number("std"));
    let given = [&data[..], &[&mean, "--std", &std]].concat();
    let trained = run(&[&["eval", "out/model.onnx"], &given[..]].concat(), &folder);
    let again =
        run(&[&["eval", "net.onnx", "--weights", "out/weights.safetensors"], &given[..]].concat(), &folder);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    assert_eq!(trained.stdout, again.stdout);
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
    let folder = folder("killed");
    let undisturbed = run(&[TRAIN, &["--epochs", "3", "-o", "whole"]].concat(), &folder);
    assert!(undisturbed.status.success(), "{}", String::from_utf8_lossy(&undisturbed.stderr));
    let checkpoints = folder.join("broken/checkpoints");
    let newest = || {
        let entries = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("step-")).max()
    };
    // Killed five times, each time when it has come a step further, and then some more.
    for kill in 0..6 {
        let arguments = [TRAIN, &["--epochs", "3", "-o", "broken", "--resume"]].concat();
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
    assert!(error.contains("is nothing that the model has"), "{error}");
}

/// A loss that is not finite stops the training and says where; what was reached is kept.
#[test]
fn a_loss_that_explodes_is_explained() {
    let folder = folder("exploded");
    let output = run(&[TRAIN, &["--epochs", "2", "-o", "out", "--lr", "1e30"]].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let said = error.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("the loss is") && said.contains("learning rate") && said.contains("not finite"),
        "{error}"
    );
}
