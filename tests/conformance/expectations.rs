//! What is not expected to pass, and why.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::case::Outcome;

/// Cases that fail for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// For people.
    #[allow(dead_code, reason = "it is read in the file")]
    reason: String,
    /// Words of the message, so that a case does not fail for another reason unnoticed.
    says: String,
    cases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fails: Vec<Group>,
}

/// By case, the words of the error.
pub(crate) struct Expectations(BTreeMap<String, String>);

impl Expectations {
    pub(crate) fn read() -> Self {
        let text = include_str!("../onnx-expectations.toml");
        let file: File =
            toml::from_str(text).expect("tests/onnx-expectations.toml is as its first lines say");
        let mut cases = BTreeMap::new();
        for group in file.fails {
            for case in group.cases {
                let before = cases.insert(case.clone(), group.says.clone());
                assert!(before.is_none(), "tests/onnx-expectations.toml lists {case} twice");
            }
        }
        Self(cases)
    }

    /// What is wrong, if a case is not as expected.
    pub(crate) fn contradiction(&self, case: &str, outcome: &Outcome) -> Option<String> {
        match (self.0.get(case), outcome) {
            (None, Outcome::Passed) => None,
            (None, Outcome::Failed(message)) => Some(message.clone()),
            (Some(_), Outcome::Passed) => Some("passes, but is listed as failing".into()),
            (Some(says), Outcome::Failed(message)) if message.contains(says.as_str()) => None,
            (Some(says), Outcome::Failed(message)) => Some(format!("should say {says:?}, but: {message}")),
        }
    }
}
