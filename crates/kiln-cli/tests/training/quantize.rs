//! `kiln quantize`, on a network that has just been trained.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{folder, kiln, run};

/// A folder with a trained network in `out`.
fn trained(name: &str) -> PathBuf {
    let folder = folder(name);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits.onnx");
    let model = model.to_str().expect("a path");
    let words = "--data digits:2000 --batch 32 --epochs 2 --optimizer adam --lr 0.01 --no-normalize -o out";
    let output = run(&[&["train", model][..], &words.split(' ').collect::<Vec<_>>()].concat(), &folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn said(arguments: &str, folder: &Path) -> (bool, String, String) {
    let output = run(&arguments.split(' ').collect::<Vec<_>>(), folder);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn json(arguments: &str, folder: &Path) -> Value {
    let output = kiln(&arguments.split(' ').collect::<Vec<_>>(), folder).output().expect("the command");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_trained_network_is_quantized() {
    let folder = trained("quantized");
    for method in ["minmax", "percentile:99.95"] {
        let made = json(
            &format!("quantize out/model.onnx --calibrate digits:2000 --method {method} --json"),
            &folder,
        );
        let accuracy = |when: &str| made["accuracy"][when].as_f64().expect("an accuracy");
        let (before, after) = (accuracy("before"), accuracy("after"));
        assert!(before > 0.8 && (before - after).abs() < 0.03, "{method}: {before} {after}");
        let layers = made["layers"].as_array().expect("layers");
        let names: Vec<&str> = layers.iter().filter_map(|layer| layer["name"].as_str()).collect();
        assert_eq!(names, ["conv1", "conv2", "conv3", "fc"], "{method}");
        for layer in layers {
            let decibels = layer["snr_db"].as_f64().expect("a ratio");
            assert!((15.0..70.0).contains(&decibels), "{method}: {layer}");
        }
        // What was written is what was measured.
        let found = json("eval out/model.int8.onnx --data digits:2000 --json", &folder);
        assert_eq!(found["scores"]["accuracy"].as_f64(), Some(after), "{method}");
        assert_eq!(made["samples"], 256);
    }
    // Weights of 8 bits, in the file and in the plan.
    let size = |name: &str| std::fs::metadata(folder.join(name)).expect(name).len();
    assert!(size("out/model.int8.onnx") * 2 < size("out/model.onnx"));
    for model in ["model", "model.int8"] {
        let (right, _, error) = said(&format!("compile out/{model}.onnx -o {model}.kplan"), &folder);
        assert!(right, "{error}");
    }
    assert!(size("model.int8.kplan") < size("model.kplan"));
}

/// A `.npy` file with so many digits.
fn npy(name: &str, count: usize, elements: &[f32], folder: &Path) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 1, 28, 28)}}");
    // Together with ten bytes before it the header is a multiple of 64 and ends its line.
    let header = format!("{header:<117}\n");
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    let elements: Vec<u8> = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &elements].concat();
    std::fs::write(folder.join(name), bytes).expect("a file");
}

#[test]
fn samples_come_in_many_forms() {
    let folder = folder("samples");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/fixtures/net");
    std::fs::copy(models.join("digits.onnx"), folder.join("digits.onnx")).expect("a copy");
    for place in ["loose", "classes/3", "classes/5"] {
        std::fs::create_dir_all(folder.join(place)).expect("a folder");
        std::fs::copy(models.join("digit.png"), folder.join(place).join("digit.png")).expect("a copy");
    }
    npy("none.npy", 0, &[], &folder);
    npy("nan.npy", 1, &[f32::NAN; 784], &folder);
    let (fixture, models) = (fixture.to_str().expect("a path"), models.to_str().expect("a path"));
    for (arguments, right, words) in [
        ("digits.onnx --calibrate digits:40 --samples 16", true, "samples 16"),
        ("digits.onnx --calibrate folder:classes", true, "samples 2"),
        ("digits.onnx --calibrate folder:loose", true, "samples 1"),
        ("digits.onnx --calibrate loose/digit.png loose/digit.png", true, "samples 2"),
        (
            "digits.onnx --calibrate digits:8 --keep conv* --keep fc",
            false,
            "there is no layer to quantize: `conv1` (kept)",
        ),
        (
            "digits.onnx --calibrate digits:8 --keep conv4",
            false,
            "no layer is called `conv4`; the layers are `conv1`",
        ),
        ("digits.onnx --calibrate digits:8 --method entropy", false, "minmax or percentile:P"),
        (
            "digits.onnx --calibrate digits:8 --method percentile:7",
            false,
            "`7` is not a number from 50 to 100",
        ),
        ("digits.onnx --calibrate nowhere", false, "`nowhere` is not a data set"),
        ("digits.onnx --calibrate folder:nowhere", false, "nowhere"),
        (
            "digits.onnx --calibrate moons:40",
            false,
            "have the shape [2], but the input `image` is f32[N, 1, 28, 28]",
        ),
        ("digits.onnx --calibrate digits:8 -o digits.onnx", false, "is read and would be replaced"),
        ("digits.onnx", false, "--calibrate"),
        ("digits.onnx --calibrate none.npy", false, "`none.npy` has no samples to observe the model on"),
        (
            "digits.onnx --calibrate nan.npy",
            false,
            "`image` has infinities or NaN, which no range of integers",
        ),
        (
            &format!("{models}/lenet5.py --input 1,28,28 --calibrate digits:40 --samples 16 -o l.onnx"),
            true,
            "samples 16",
        ),
        (&format!("{fixture}/model.onnx --calibrate {fixture} -o net.int8.onnx"), true, "samples 4"),
        (
            "net.int8.onnx --calibrate digits:8",
            false,
            "quantizes already; give the network in floating point",
        ),
    ] {
        let (done, table, error) = said(&format!("quantize {arguments}"), &folder);
        assert_eq!(done, right, "{arguments}: {table} {error}");
        let error = error.replace(['│', '×', '╰', '─', '▶'], " ");
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = if right { &table } else { &error };
        assert!(text.contains(words), "{arguments}: {table} {error}");
    }
    // A refusal leaves nothing behind, and nothing is half written.
    assert!(!folder.join("digits.int8.int8.onnx").exists());
    let left = std::fs::read_dir(&folder).expect("a folder").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().contains("tmp")).count();
    assert_eq!(left, 0);
}
