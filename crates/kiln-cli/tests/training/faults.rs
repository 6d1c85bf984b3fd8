//! Nothing is lost, whatever operation on a file fails or is the last one of the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{folder, header, kiln, run};

const NET: &str = "import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)
";

/// Two epochs of two steps; validation, so that there is a best one.
const TRAIN: &[&str] = &[
    "train",
    "net.py:Net",
    "--data",
    "moons:40,test=20",
    "--batch",
    "20",
    "--lr",
    "0.5",
    "--checkpoint-every",
    "1",
    "--keep",
    "2",
    "-o",
    "out",
];

/// What is left of a training, but for times. Of a checkpoint, the elements count: its progress has times.
fn contents(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str| std::fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut all = BTreeMap::new();
    for name in ["weights.safetensors", "weights.pt", "model.onnx", "model.kplan", "recipe.toml", "loss.svg"]
    {
        all.insert(name.to_owned(), read(name));
    }
    let history = String::from_utf8(read("history.csv")).expect("text");
    let without_seconds =
        history.lines().filter_map(|line| Some(line.rsplit_once(',')?.0)).collect::<Vec<_>>();
    all.insert("history.csv".into(), without_seconds.join("\n").into_bytes());
    for name in ["best", "step-00000003", "step-00000004"] {
        let bytes = read(&format!("checkpoints/{name}.safetensors"));
        all.insert(name.to_owned(), header(&bytes).1.to_vec());
    }
    all.insert("losses.f32".to_owned(), read("checkpoints/losses.f32"));
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Files that are neither those before nor those behind the training that was to go on.
fn torn(out: &Path, before: &Path, behind: &Path) -> Vec<String> {
    // Other files say how long something took, or grow.
    let names = ["weights.safetensors", "weights.pt", "model.onnx", "model.kplan"];
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).ok();
    let is_torn = |name: &&str| {
        let now = read(out, name);
        now.is_none() || (now != read(before, name) && now != read(behind, name))
    };
    names.into_iter().filter(is_torn).map(String::from).collect()
}

fn temporaries(out: &Path) -> Vec<PathBuf> {
    let folders = [out.to_owned(), out.join("checkpoints")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect()
}

/// A training of one epoch that lies there, and the same with two.
struct Example {
    root: PathBuf,
    before: PathBuf,
    behind: PathBuf,
    expected: BTreeMap<String, Vec<u8>>,
    operations: u64,
}

fn example(name: &str) -> Example {
    let root = folder(name);
    std::fs::write(root.join("net.py"), NET).expect("a model");
    let done = |flags: &[&str]| {
        let output = run(&[TRAIN, flags].concat(), &root);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    done(&["--epochs", "1"]);
    copy(&root.join("out"), &root.join("before"));
    let count = root.join("count");
    let output = kiln(&[TRAIN, &["--epochs", "2", "--resume"]].concat(), &root)
        .env("KILN_FAILPOINT", format!("count:{}", count.display()))
        .output()
        .expect("the command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(root.join("out"), root.join("behind")).expect("renamed");
    let operations = std::fs::read_to_string(count).expect("a count").parse().expect("a number");
    let (before, behind) = (root.join("before"), root.join("behind"));
    Example { expected: contents(&behind), before, behind, root, operations }
}

/// Lets each `every`-th operation fail in one of the ways of `KILN_FAILPOINT`; then the training goes on.
fn every_operation(way: &str, every: u64) {
    let example = example(&format!("faults-{way}"));
    assert!(example.operations > 50, "{} operations", example.operations);
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (example, next) = (&example, &next);
            scope.spawn(move || {
                loop {
                    let operation = next.fetch_add(every, Ordering::Relaxed);
                    if operation > example.operations {
                        return;
                    }
                    one_operation(example, way, operation, worker);
                }
            });
        }
    });
}

fn one_operation(example: &Example, way: &str, operation: u64, worker: u32) {
    let root = example.root.join(format!("worker-{worker}"));
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("net.py"), NET).expect("a model");
    copy(&example.before, &root.join("out"));
    let arguments = [TRAIN, &["--epochs", "2", "--resume"]].concat();
    let point = format!("{way}:{operation}");
    let first = kiln(&arguments, &root).env("KILN_FAILPOINT", &point).output().expect("the command");
    let said = String::from_utf8_lossy(&first.stderr);
    let out = root.join("out");
    assert!(!said.contains("panicked"), "{point}: {said}");
    let torn = torn(&out, &example.before, &example.behind);
    assert!(torn.is_empty(), "{point} tears {torn:?}: {said}");
    if !first.status.success() && way == "fail" {
        assert!(said.contains("cannot write"), "{point}: {said}");
        assert!(temporaries(&out).len() <= 1, "{point} leaves {:?}", temporaries(&out));
    }
    if !first.status.success() {
        let second = run(&arguments, &root);
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(second.status.success(), "{point}, then: {said}");
        assert!(temporaries(&out).is_empty(), "{point} leaves {:?}", temporaries(&out));
    }
    // The paths in the recipe are those of the folder.
    let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*root.to_string_lossy(), "");
    for (name, found) in contents(&out) {
        let expected = &example.expected[&name];
        let same = found == *expected
            || (name == "recipe.toml"
                && own(&found)
                    == String::from_utf8_lossy(expected).replace(&*example.root.to_string_lossy(), ""));
        assert!(same, "{point}: {name} is another than in a training that nothing happened to");
    }
}

#[test]
fn an_operation_that_fails_loses_nothing() {
    every_operation("fail", 1);
}

#[test]
fn a_full_disk_loses_nothing() {
    every_operation("full", 4);
}

#[test]
fn a_killed_process_loses_nothing() {
    every_operation("kill", 1);
}
