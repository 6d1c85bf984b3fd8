//! What is written is read again, by Kiln here, and by PyTorch with `state_dict_oracles.py --check FILES`.

use std::path::PathBuf;

use half::f16;
use kiln_graph::{Data, Tensor};
use kiln_torch::state_dict::{StateDict, StateDictError};

use crate::{described, expected, fixture};

/// A folder for one test, in the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn every_fixture_survives_writing() {
    let folder = folder("state_dicts");
    for (name, tensors) in expected("read") {
        let state_dict = StateDict::read(&fixture(&name)).unwrap();
        let stem = folder.join(name.replace('.', "_"));
        let pt = stem.with_extension("pt");
        state_dict.write(&pt).unwrap();
        assert_eq!(described(&StateDict::read(&pt).unwrap()), tensors, "{name}");

        let safetensors = stem.with_extension("safetensors");
        state_dict.write(&safetensors).unwrap();
        let again = StateDict::read(&safetensors).unwrap();
        assert_eq!(again.len(), state_dict.len(), "{name}");
        for (tensor, found) in again.iter() {
            let one = |tensor: &Tensor| described(&StateDict::from_iter([("x", tensor.clone())]));
            assert_eq!(one(found), one(state_dict.get(tensor).unwrap()), "{name}: {tensor}");
        }
    }
    let hidden = std::fs::read_dir(&folder)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "temporary files are left");
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let make = || {
        let weight = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let half = Tensor::new([1], Data::F16(vec![f16::from_f32(0.5)])).unwrap();
        StateDict::from_iter([("b", weight.clone()), ("a", half), ("tied", weight.reshaped([4]).unwrap())])
    };
    let (one, other) = (make(), make());
    assert_eq!(one, other);
    let pt = one.to_pt().unwrap();
    assert_eq!(pt, other.to_pt().unwrap());
    assert_eq!(one.to_safetensors().unwrap(), other.to_safetensors().unwrap());
    assert_eq!(StateDict::from_bytes(&pt).unwrap(), one);
    // Tied weights are one member: `data/0` and `data/1`, each named where it is and in the list at the end.
    let members = pt.windows(13).filter(|window| window.starts_with(b"archive/data/")).count();
    assert_eq!(members, 4);
}

#[test]
fn thousands_of_tensors_and_long_ones() {
    let long = Tensor::f32([70_000], (0..70_000u32).map(|x| x as f32).collect()).unwrap();
    let mut state_dict: StateDict =
        (0..2500).map(|i| (format!("layer.{i}"), Tensor::scalar(i as f32))).collect();
    assert_eq!(state_dict.insert("layer.7", long), Some(Tensor::scalar(7.0)));
    assert_eq!(state_dict.len(), 2500);
    let read = StateDict::from_bytes(&state_dict.to_pt().unwrap()).unwrap();
    assert_eq!(read, state_dict);
    assert_eq!(read.into_iter().next(), Some(("layer.0".into(), Tensor::scalar(0.0))));
}

#[test]
fn the_ending_decides_and_nothing_else_is_guessed() {
    let folder = folder("endings");
    let state_dict = StateDict::from_iter([("w", Tensor::scalar(1.0))]);
    for name in ["w.onnx", "w", "pt"] {
        let error = state_dict.write(&folder.join(name)).unwrap_err();
        assert!(matches!(error, StateDictError::Extension { .. }), "{error}");
        assert!(error.to_string().contains("`.pt`, `.pth` and `.safetensors`"), "{error}");
    }
    assert!(!folder.exists());
    state_dict.write(&folder.join("new/w.PTH")).unwrap();
    assert_eq!(StateDict::read(&folder.join("new/w.PTH")).unwrap(), state_dict);
    // A folder is in the way: nothing is left beside it.
    std::fs::create_dir_all(folder.join("w.pt/x")).unwrap();
    let error = state_dict.write(&folder.join("w.pt")).unwrap_err();
    assert!(matches!(error, StateDictError::Write { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
}

#[test]
fn names_that_a_format_keeps_for_itself() {
    let state_dict = StateDict::from_iter([("__metadata__", Tensor::scalar(1.0))]);
    assert!(state_dict.to_safetensors().unwrap_err().to_string().contains("`__metadata__`"));
    assert_eq!(StateDict::from_bytes(&state_dict.to_pt().unwrap()).unwrap(), state_dict);
}
