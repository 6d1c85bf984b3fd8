//! The suite as it lies on the disk.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::skip::skipped;

/// A case of the suite.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    /// `node`, `simple`, `pytorch-operator`, `pytorch-converted` or `light`.
    pub kind: String,
    /// As the suite calls it: `test_relu`.
    pub name: String,
    /// The operator a node case is about.
    #[serde(default)]
    pub operator: String,
    /// All operators of its model.
    pub operators: Vec<String>,
    /// Element types of its inputs and outputs, in ONNX's words.
    pub types: Vec<String>,
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// Names of the inputs that are given.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// The folder of the suite.
    #[serde(skip)]
    root: PathBuf,
}

impl Case {
    /// What the case is called in lists: names alone are not unique.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The folder with the model and its data.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join(&self.kind).join(&self.name)
    }
}

/// All cases, if the suite has been laid out.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("onnx-suite");
    let root = std::env::var_os("KILN_ONNX_SUITE").map_or(target, PathBuf::from);
    let list = root.join("cases.json");
    let Ok(text) = std::fs::read_to_string(&list) else {
        skipped(&format!("there is no `{}`; scripts/onnx-suite makes it", list.display()));
        return None;
    };
    let mut cases: Vec<Case> = serde_json::from_str(&text).expect("scripts/onnx-suite writes such lists");
    cases.iter_mut().for_each(|case| case.root.clone_from(&root));
    Some(cases)
}
