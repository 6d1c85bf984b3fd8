//! State dicts from files that PyTorch wrote, into files that PyTorch reads, and from files that mean harm.
//!
//! The files and what is in them come from `tests/oracles/state_dict_oracles.py`.

mod books;
mod hostile;
mod names;
mod read;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod write;

use std::path::PathBuf;

use kiln_torch::state_dict::StateDict;
use serde_json::Value;

/// A file of `tests/oracles/fixtures/state_dicts`.
fn fixture(name: &str) -> PathBuf {
    root().join("tests/oracles/fixtures/state_dicts").join(name)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// What the files have: `read` has tensors, `refused` has words of errors.
fn expected(section: &str) -> Vec<(String, Value)> {
    let mut all: Value = serde_json::from_slice(&bytes("expected.json")).unwrap();
    let Value::Object(files) = all[section].take() else { panic!("{section} is missing") };
    files.into_iter().map(|(name, content)| (name, normal(content))).collect()
}

/// Tensors with their numbers as Rust writes them.
fn normal(mut content: Value) -> Value {
    for tensor in content.as_array_mut().into_iter().flatten().filter(|content| content.is_object()) {
        let is_float = tensor["dtype"].as_str().unwrap().starts_with('f');
        for value in tensor["values"].as_array_mut().unwrap().iter_mut().filter(|_| is_float) {
            *value = float(value.as_str().unwrap().parse().unwrap());
        }
    }
    content
}

/// The state dict in the words of `expected.json`.
fn described(state_dict: &StateDict) -> Value {
    let tensors = state_dict.iter().map(|(name, tensor)| {
        let values: Vec<Value> = match tensor.to_ints() {
            Some(values) => values.iter().map(|value| value.to_string().into()).collect(),
            None => tensor.to_f64().into_iter().map(float).collect(),
        };
        serde_json::json!({
            "name": name, "dtype": tensor.dtype().name(), "shape": tensor.shape(), "values": values,
        })
    });
    tensors.collect()
}

fn float(value: f64) -> Value {
    format!("{value:?}").into()
}
