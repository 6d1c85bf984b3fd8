//! The folder of a training: who may write to it, what is compared when it goes on, what is never written over.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{TRAIN, folder, header, kiln, run};

fn said(arguments: &[&[&str]], folder: &Path) -> (bool, String) {
    let output = run(&arguments.concat(), folder);
    // Long lines are wrapped.
    let error = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = error.split_whitespace().filter(|word| *word != "│").collect();
    (output.status.success(), words.join(" "))
}

fn steps(out: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(out.join("checkpoints")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("step-")).collect();
    names.sort();
    names
}

/// Waits until a training has written its first checkpoint.
fn wait(out: &Path, child: &mut std::process::Child) {
    while steps(out).is_empty() {
        assert!(child.try_wait().expect("a child").is_none(), "the training ended too soon");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The first signal finishes the step; what it leaves goes on to the weights of an undisturbed training.
#[test]
#[cfg(unix)]
fn a_signal_stops_between_steps() {
    let folder = folder("signal");
    let out = folder.join("out");
    let undisturbed = said(&[TRAIN, &["--epochs", "4", "-o", "whole"]], &folder);
    assert!(undisturbed.0, "{}", undisturbed.1);
    std::fs::create_dir_all(&out).expect("a folder");
    for (signal, status) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = kiln(&[TRAIN, &["--epochs", "40", "-o", "out", "--resume"]].concat(), &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        wait(&out, &mut child);
        let before = steps(&out);
        while steps(&out) == before {
            assert!(child.try_wait().expect("a child").is_none(), "the training ended too soon");
            std::thread::sleep(Duration::from_millis(1));
        }
        let killed = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.expect("kill").success());
        let output = child.wait_with_output().expect("an end");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains("stopped after step") && error.contains("--resume"), "{error}");
        assert!(out.join("history.csv").exists());
    }
    let newest = steps(&out).pop().expect("a checkpoint");
    let newest: u64 = newest[5..13].parse().expect("a number");
    assert!(newest < 4 * 20, "the signals came after step {newest}: the epochs are too short for this test");
    let rest = said(&[TRAIN, &["--epochs", "4", "-o", "out", "--resume"]], &folder);
    assert!(rest.0, "{}", rest.1);
    let weights = |name: &str| std::fs::read(folder.join(name).join("weights.safetensors")).expect("weights");
    assert!(weights("whole") == weights("out"), "the weights are others");
}

#[test]
fn a_folder_has_one_training() {
    let folder = folder("two");
    let mut first = kiln(&[TRAIN, &["--epochs", "500", "-o", "out"]].concat(), &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    wait(&folder.join("out"), &mut first);
    for flag in ["--resume", "--overwrite"] {
        let (done, error) = said(&[TRAIN, &["--epochs", "1", "-o", "out", flag]], &folder);
        assert!(!done && error.contains("another training writes"), "{error}");
        assert!(error.contains(&format!("process {}", first.id())), "{error}");
    }
    first.kill().and_then(|()| first.wait()).expect("a dead child");
    let (done, error) = said(&[TRAIN, &["--epochs", "1", "-o", "out", "--overwrite"]], &folder);
    assert!(done, "{error}");
}

#[test]
fn what_goes_on_is_the_same_training() {
    let folder = folder("same");
    let (done, error) = said(&[TRAIN, &["--epochs", "1", "-o", "out", "--lr", "0.01"]], &folder);
    assert!(done, "{error}");
    let weights = || std::fs::read(folder.join("out/weights.safetensors")).expect("weights");
    let before = weights();
    let others: [(&[&str], &[&str]); 5] = [
        (&["--seed", "9"], &["seed was 0, now 9"]),
        (
            &["--lr", "0.02", "--schedule", "cosine"],
            &["lr was 0.01, now 0.02", "schedule was not given, now"],
        ),
        (&["--limit", "64"], &["the training data was 640 samples of [1, 28, 28]", "now 64 samples"]),
        (&["--loss", "nll"], &["loss was \"cross-entropy\", now \"nll\""]),
        (&["--weight-decay", "0.1"], &["weight-decay was not given, now 0.1"]),
    ];
    for (flags, words) in others {
        let lr: &[&str] = if flags.contains(&"--lr") { &[] } else { &["--lr", "0.01"] };
        let (done, error) = said(&[TRAIN, &["--epochs", "2", "-o", "out", "--resume"], lr, flags], &folder);
        assert!(!done && error.contains("--allow-changes"), "{flags:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{flags:?}: `{word}` is not in: {error}");
        }
        assert!(weights() == before, "{flags:?} changed the weights");
    }
    let changed = ["--epochs", "2", "-o", "out", "--resume", "--lr", "0.02", "--allow-changes"];
    let (done, error) = said(&[TRAIN, &changed], &folder);
    assert!(done && error.contains("lr was 0.01, now 0.02"), "{error}");
    // How long, how often and by how many threads are nobody's business, and neither is the name of the place.
    std::fs::rename(folder.join("net.onnx"), folder.join("moved.onnx")).expect("renamed");
    let free: Vec<&str> =
        TRAIN.iter().map(|word| if *word == "net.onnx" { "moved.onnx" } else { word }).collect();
    let flags = ["--epochs", "3", "-o", "out", "--resume", "--lr", "0.02", "--workers", "2", "--keep", "3"];
    let (done, error) = said(&[&free, &flags], &folder);
    assert!(done && !error.contains("note:"), "{error}");
}

/// A damaged checkpoint is named and set aside; the one before it serves.
#[test]
fn a_damaged_checkpoint_is_not_gone_on_from() {
    let folder = folder("damaged");
    let out = folder.join("out");
    let train = |flags: &[&str]| said(&[TRAIN, &["--keep", "2"], flags], &folder);
    let whole = train(&["--epochs", "3", "-o", "whole"]);
    assert!(whole.0, "{}", whole.1);
    let (done, error) = train(&["--epochs", "2", "-o", "out"]);
    assert!(done, "{error}");
    let [older, newest] = &steps(&out)[..] else { panic!("{:?}", steps(&out)) };
    let path = out.join("checkpoints").join(newest);
    let mut bytes = std::fs::read(&path).expect("a checkpoint");
    let place = bytes.len() - 1000;
    bytes[place] ^= 0x10;
    std::fs::write(&path, bytes).expect("written");
    // A copy of another one is no checkpoint, whatever it is called.
    for name in ["step-00000999.safetensors", "step-00000020 (1).safetensors"] {
        std::fs::copy(out.join("checkpoints").join(older), out.join("checkpoints").join(name))
            .expect("a copy");
    }
    let (done, error) = train(&["--epochs", "3", "-o", "out", "--resume"]);
    assert!(done, "{error}");
    for word in [newest.as_str(), "do not have the checksum", older.as_str(), "as a renamed copy would be"] {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    let weights = |name: &str| std::fs::read(folder.join(name).join("weights.safetensors")).expect("weights");
    assert!(weights("whole") == weights("out"), "the weights are others");
    assert!(path.with_extension("safetensors.damaged").exists());
    // All damaged: nothing is begun, nothing is lost.
    for name in steps(&out).iter().filter(|name| name.ends_with("safetensors")) {
        std::fs::write(out.join("checkpoints").join(name), b"").expect("written");
    }
    let (done, error) = train(&["--epochs", "4", "-o", "out", "--resume"]);
    assert!(!done && error.contains("there is no other one"), "{error}");
    // A history that was changed costs only itself.
    let (done, error) = train(&["--epochs", "1", "-o", "history"]);
    assert!(done, "{error}");
    std::fs::write(folder.join("history/checkpoints/losses.f32"), b"1234").expect("written");
    let (done, error) = train(&["--epochs", "2", "-o", "history", "--resume"]);
    assert!(done && error.contains("the history beside the checkpoints was modified"), "{error}");
}

#[test]
fn nothing_that_is_read_is_written_over() {
    let folder = folder("inputs");
    std::fs::copy(folder.join("net.onnx"), folder.join("model.onnx")).expect("a copy");
    let before = std::fs::read(folder.join("model.onnx")).expect("a model");
    let refused = |arguments: &[&str], words: &[&str]| {
        let (done, error) = said(&[arguments], &folder);
        assert!(!done, "{arguments:?}");
        for word in words {
            assert!(error.contains(word), "{arguments:?}: `{word}` is not in: {error}");
        }
        assert!(before == std::fs::read(folder.join("model.onnx")).expect("a model"), "{arguments:?}");
    };
    let data = ["--data", "digits:64", "-o", "."];
    refused(&[&["train", "model.onnx"], &data[..]].concat(), &["would be replaced", "model.onnx"]);
    refused(
        &[&["train", "model.onnx", "--overwrite"], &data[..]].concat(),
        &["`model.onnx` is read and would be replaced"],
    );
    // Files of others, too, unless it is asked for.
    refused(&[&["train", "net.onnx"], &data[..]].concat(), &["--overwrite replaces what is there"]);
    for arguments in [
        &["compile", "model.onnx", "-o", "model.onnx"][..],
        &["compile", "model.onnx", "-o", "./../inputs/model.onnx"],
        &["dump", "model.onnx", "--format", "onnx", "-o", "model.onnx"],
        &["run", "model.onnx", "random", "-o", "model.onnx"],
    ] {
        refused(arguments, &["is read and would be replaced; -o names another file"]);
    }
    // What is written beside the results, over any of what is read.
    std::fs::copy(folder.join("model.onnx"), folder.join("points.csv")).expect("a copy");
    std::fs::write(folder.join("net.toml"), "model = \"net.onnx\"\ndata = \"csv:points.csv\"\n")
        .expect("a recipe");
    let data = ["--data", "csv:points.csv"];
    for (arguments, words) in [
        (
            &["data", "csv:points.csv", "-o", "points.csv"][..],
            "`points.csv` is read and would be replaced; -o names",
        ),
        (
            &["train", "net.onnx", data[0], data[1], "--trace", "points.csv"],
            "would be replaced; --trace names",
        ),
        (&["train", "net.onnx", data[0], data[1], "--trace", "net.onnx"], "would be replaced; --trace names"),
        (
            &["train", "net.toml", "--trace", "net.toml"],
            "`net.toml` is read and would be replaced; --trace names",
        ),
        (
            &["lr-find", "net.onnx", data[0], data[1], "--plot", "points.csv"],
            "would be replaced; --plot names",
        ),
        (
            &["lr-find", "net.toml", "--plot", "net.toml"],
            "`net.toml` is read and would be replaced; --plot names",
        ),
        (
            &["bench", "net.onnx", "--weights", "points.csv", "--trace", "points.csv"],
            "would be replaced; --trace names",
        ),
    ] {
        let kept = ["points.csv", "net.onnx", "net.toml"];
        let read = || kept.map(|name| std::fs::read(folder.join(name)).expect("a file"));
        let before = read();
        refused(arguments, &[words]);
        assert!(before == read(), "{arguments:?}");
    }
    std::fs::create_dir_all(folder.join("birds/owl")).expect("a folder");
    refused(
        &["train", "net.onnx", "--data", "folder:birds", "-o", "birds/out"],
        &["is inside the data folder"],
    );
}

/// A folder that cannot be written to is found before the first step, and says so.
#[test]
fn an_unwritable_folder_is_found_at_once() {
    let folder = folder("unwritable");
    std::fs::write(folder.join("file"), "").expect("a file");
    let output = run(&[TRAIN, &["--epochs", "1", "-o", "file/out"]].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("cannot write"), "{error}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// With patience, what is written is the best epoch's.
#[test]
fn patience_keeps_the_best() {
    let folder = folder("patience");
    // The rate rises twentyfold each epoch: soon nothing becomes better.
    let flags = "--optimizer sgd --lr 0.02 --schedule step:every=1,gamma=20 --patience 2 --epochs 9 -o out";
    let flags: Vec<&str> = flags.split(' ').collect();
    let adam = TRAIN.iter().position(|word| *word == "--optimizer").expect("an optimizer");
    let train = [&TRAIN[..adam], &TRAIN[adam + 2..]].concat();
    let output = run(&[&train[..], &flags].concat(), &folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("stopped early"), "{error}");
    let elements = |path: &str, name: &str| {
        let bytes = std::fs::read(folder.join(path)).expect("a file");
        let (header, elements) = header(&bytes);
        let place = |end: usize| header[name]["data_offsets"][end].as_u64().map(|n| n as usize);
        elements[place(0).expect("a tensor")..place(1).expect("a tensor")].to_vec()
    };
    let bytes = std::fs::read(folder.join("out/weights.safetensors")).expect("weights");
    let (weights, _) = header(&bytes);
    let names: Vec<&String> = weights.as_object().expect("a header").keys().collect();
    let name = names.iter().find(|name| name.ends_with("weight")).expect("a weight");
    let written = elements("out/weights.safetensors", name);
    assert_eq!(written.len(), elements("out/checkpoints/best.safetensors", name).len());
    let newest = format!("out/checkpoints/{}", steps(&folder.join("out")).last().expect("a checkpoint"));
    assert!(written != elements(&newest, name), "the weights are the last");
    // What is evaluated is what the history says of the best epoch.
    let history = std::fs::read_to_string(folder.join("out/history.jsonl")).expect("a history");
    let losses = history.lines().map(|line| {
        let epoch: serde_json::Value = serde_json::from_str(line).expect("JSON");
        epoch["validation"]["loss"].as_f64().expect("a loss")
    });
    let best = losses.fold(f64::INFINITY, f64::min);
    let output = run(&["eval", "--json", "out/model.onnx", "--data", "digits:640"], &folder);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let loss = found["scores"]["loss"].as_f64().expect("a loss");
    assert!((loss - best).abs() < 1e-5 * best.max(1.0), "{loss}, best {best}");
}
